// SPDX-License-Identifier: MIT
#define _POSIX_C_SOURCE 200809L

#include "../peers.h"

#include <errno.h>
#include <pthread.h>
#include <spawn.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static bool wait_for(pid_t pid)
{
    int status;
    pid_t reaped;
    do
        reaped = waitpid(pid, &status, 0);
    while (reaped < 0 && errno == EINTR);
    return reaped == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool run_image(const char *program)
{
    static char name[] = "nothing";
    static char argument[] = PEER_NOTHING;
    char *const argv[] = { name, argument, NULL };
    pid_t pid;
    return posix_spawnp(&pid, program, NULL, NULL, argv, environ) == 0 && wait_for(pid);
}

static bool run_copy(void)
{
    const pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    return pid > 0 && wait_for(pid);
}

static void *nothing(void *unused)
{
    return unused;
}

static bool run_thread(void)
{
    pthread_t thread;
    return pthread_create(&thread, NULL, nothing, NULL) == 0 && pthread_join(thread, NULL) == 0;
}

const char *peer_name(enum peer peer)
{
    static const char *const names[] = {
        [PEER_IMAGE] = "posix_spawn + waitpid",
        [PEER_COPY] = "fork + waitpid",
        [PEER_THREAD] = "pthread_create + pthread_join",
    };
    return names[peer];
}

bool peer_run(enum peer peer, const char *program)
{
    switch (peer) {
    case PEER_IMAGE:
        return run_image(program);
    case PEER_COPY:
        return run_copy();
    case PEER_THREAD:
        return run_thread();
    }
    return false;
}
