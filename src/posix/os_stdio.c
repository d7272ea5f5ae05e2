// SPDX-License-Identifier: MIT
#include "os/os_stdio.h"

#include "stream.h"

#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

void brood_os_stdio_flush(bool all)
{
    broodi_stream_flush_if_free(stdout);
    broodi_stream_flush_if_free(stderr);
    if (all)
        (void)fflush(NULL);
}

void brood_os_stdio_forget(void)
{
    broodi_stream_forget_output(stdout);
    broodi_stream_forget_output(stderr);
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
