// SPDX-License-Identifier: MIT
#define _GNU_SOURCE

#include "../peers.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/mman.h>
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

static char *const *arguments(void)
{
    static char name[] = "nothing";
    static char argument[] = PEER_NOTHING;
    static char *const argv[] = { name, argument, NULL };
    return argv;
}

// The values are parameters, because the compiler keeps no local variable intact across vfork.
static pid_t start_image(const char *image, char *const *argv)
{
    const pid_t pid = vfork();
    if (pid == 0) {
        execve(image, argv, environ);
        _exit(127);
    }
    return pid;
}

static bool run_image(void)
{
    const pid_t pid = start_image(peer_image(), arguments());
    return pid > 0 && wait_for(pid);
}

static bool run_launch(void)
{
    pid_t pid;
    return posix_spawn(&pid, peer_image(), NULL, NULL, arguments(), environ) == 0 && wait_for(pid);
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

static const struct {
    const char *name;
    bool (*run)(void);
} peers[] = {
    [PEER_IMAGE] = { "vfork + exec", run_image },
    [PEER_LAUNCH] = { "posix_spawn", run_launch },
    [PEER_COPY] = { "fork", run_copy },
    [PEER_THREAD] = { "pthread_create", run_thread },
};

const char *peer_name(enum peer peer)
{
    return peers[peer].name;
}

bool peer_run(enum peer peer)
{
    return peers[peer].run();
}

const char *peer_image(void)
{
    static char path[PATH_MAX];
    if (path[0] == 0 && readlink("/proc/self/exe", path, sizeof path - 1) <= 0)
        return NULL;
    return path;
}

bool peer_touch(int megabytes)
{
    enum { POPULATE_WRITE = 23 }; // MADV_POPULATE_WRITE, since Linux 5.14
    static void *memory = MAP_FAILED;
    static size_t size;
    if (memory != MAP_FAILED)
        munmap(memory, size);
    size = (size_t)megabytes << 20;
    memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return false;
    (void)madvise(memory, size, MADV_NOHUGEPAGE);
    if (madvise(memory, size, POPULATE_WRITE) == 0)
        return true;
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (size_t at = 0; at < size; at += page)
        ((volatile char *)memory)[at] = 1;
    return true;
}

double peer_load(void)
{
    double load;
    return getloadavg(&load, 1) == 1 ? load : -1;
}
