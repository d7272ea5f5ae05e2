// SPDX-License-Identifier: MIT
#include "os/os_stdio.h"

#include "posix/stream.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
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

// glibc's exit() does not wait for the locks, and skips a stream that stays locked.
#if defined(__GLIBC__)
enum { EXIT_WAITS = false };
#else
enum { EXIT_WAITS = true };
#endif

bool brood_os_stdio_exit_waits(void)
{
    return EXIT_WAITS;
}

void brood_os_stdio_await_input(void)
{
    flockfile(stdin);
    funlockfile(stdin);
}

void brood_os_stdio_discard(void)
{
    broodi_stream_forget_output(stdout);
    broodi_stream_forget_output(stderr);
}

_Noreturn void brood_os_process_exit(int code)
{
    _exit(code);
}

static bool is_pending(int number)
{
    sigset_t pending;
    return sigpending(&pending) == 0 && sigismember(&pending, number) == 1;
}

// Removes the pending SIGPIPE that a write to a pipe without a reader has raised in this thread,
// which blocks it.
static void consume_broken_pipe(const sigset_t *only)
{
    int taken;
    if (is_pending(SIGPIPE))
        (void)sigwait(only, &taken);
}

void brood_os_stdio_write(const char *const *parts, size_t count)
{
    enum { MOST = 8 };
    static const char end[] = "\n";
    struct iovec vector[MOST + 1];
    const int used = count < MOST ? (int)count : MOST;
    for (int i = 0; i < used; i++)
        vector[i] = (struct iovec){ (void *)(uintptr_t)parts[i], strlen(parts[i]) };
    vector[used] = (struct iovec){ (void *)(uintptr_t)end, 1 };
    sigset_t only;
    sigset_t before;
    sigemptyset(&only);
    sigaddset(&only, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &only, &before);
    const bool was_pending = is_pending(SIGPIPE);
    if (writev(STDERR_FILENO, vector, used + 1) < 0 && errno == EPIPE && !was_pending)
        consume_broken_pipe(&only);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void brood_os_stdio_print(const char *line)
{
    const char *const parts[] = { "brood: ", line };
    brood_os_stdio_write(parts, 2);
}

_Noreturn void brood_os_process_refuse(const char *line)
{
    brood_os_stdio_print(line);
    _exit(70);
}
