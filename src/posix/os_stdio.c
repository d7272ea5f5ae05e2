// SPDX-License-Identifier: MIT
#include "os/os_stdio.h"

#include <stdio.h>
#include <stdio_ext.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

// A stream that another thread is inside of is left alone: that thread may sit in a read. One that holds nothing is not locked either, which in
// a forked child would be a copy of its page.
static void flush_if_free(FILE *stream)
{
    if (__fpending(stream) == 0 || ftrylockfile(stream) != 0)
        return;
    (void)fflush_unlocked(stream);
    funlockfile(stream);
}

void brood_os_stdio_flush(bool all)
{
    flush_if_free(stdout);
    flush_if_free(stderr);
    if (all)
        (void)fflush(NULL);
}

_Noreturn void brood_os_process_exit(int code)
{
    _exit(code);
}

_Noreturn void brood_os_process_refuse(const char *line)
{
    char prefix[] = "brood: ";
    char end[] = "\n";
    char text[1024];
    const size_t length = strnlen(line, sizeof text);
    memcpy(text, line, length);
    const struct iovec parts[] = {
        { prefix, sizeof prefix - 1 },
        { text, length },
        { end, 1 },
    };
    (void)!writev(STDERR_FILENO, parts, 3);
    _exit(70);
}
