// SPDX-License-Identifier: MIT
// The child's own steps, in their order. Up to exec only async-signal-safe calls: after vfork the memory is the starter's,
// and after fork another thread may have held any lock.
#include "launch.h"

#include "channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

extern char **environ;

_Noreturn static void give_up(int channel, const char *call)
{
    broodi_channel_give_up(channel, errno, call);
}

// Dies with the starter; if that is dead already, now.
static void tie(const struct launch *launch)
{
    if (!launch->plan->tied)
        return;
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
        give_up(launch->channel, "prctl");
    if (getppid() != launch->starter)
        _exit(70);
}

// Handlers first, then the mask: a handler of the starter must not run in its memory. The raw call, because a
// sanitizer's sigaction keeps its own table, which is the starter's as well. All-zero is the default action in
// the kernel's struct on every architecture.
static void reset_handlers(void)
{
    enum { KERNEL_SIGNALS = 64, KERNEL_SET = 8 };
    for (int number = 1; number <= KERNEL_SIGNALS; number++) {
        unsigned long old[16] = { 0 };
        const unsigned long standard[16] = { 0 };
        if (syscall(SYS_rt_sigaction, number, NULL, old, KERNEL_SET) == 0 && old[0] > (unsigned long)SIG_IGN)
            (void)syscall(SYS_rt_sigaction, number, standard, NULL, KERNEL_SET);
    }
}

static void restore_mask(const struct launch *launch)
{
    (void)sigprocmask(SIG_SETMASK, &launch->mask, NULL);
}

// After all that the child is given has been brought above the standard numbers.
static void set_input(const struct launch *launch, int channel)
{
    if (!launch->plan->null_input)
        return;
    const int null = open("/dev/null", O_RDONLY);
    if (null < 0 || (null != STDIN_FILENO && dup2(null, STDIN_FILENO) < 0))
        give_up(channel, "opening /dev/null");
    if (null > STDERR_FILENO)
        close(null);
}

static void set_directory(const struct launch *launch)
{
    if (launch->plan->directory && chdir(launch->plan->directory) != 0)
        give_up(launch->channel, "changing to the child's directory");
}

// For kernels without close_range. The position in this directory is the number, so closing while reading is safe.
static void close_one_by_one(unsigned first)
{
    char entries[1024];
    const int directory = open("/proc/self/fd", O_RDONLY | O_DIRECTORY);
    if (directory < 0)
        return;
    long length;
    while ((length = syscall(SYS_getdents64, directory, entries, sizeof entries)) > 0) {
        for (long at = 0; at < length;) {
            const char *name = entries + at + 19; // d_ino, d_off, d_reclen, d_type
            unsigned number = 0;
            for (; *name >= '0' && *name <= '9'; name++)
                number = number * 10 + (unsigned)(*name - '0');
            if (number >= first && (int)number != directory)
                close((int)number);
            unsigned short step;
            memcpy(&step, entries + at + 16, sizeof step);
            at += step;
        }
    }
    close(directory);
}

static int move_up(const struct launch *launch, intptr_t descriptor, int least)
{
    const int moved = fcntl((int)descriptor, F_DUPFD, least);
    if (moved < 0)
        give_up(launch->channel, "dup");
    return moved;
}

// Channel, arena and resources to their numbers, by way of higher ones because one may stand in the place of another; all else closed.
static int set_descriptors(const struct launch *launch)
{
    const int count = (int)launch->plan->resource_count;
    const int first_free = CHANNEL_RESOURCES + count;
    const int channel = move_up(launch, launch->channel, first_free);
    const int arena = move_up(launch, launch->plan->arena->object, first_free);
    for (int i = 0; i < count; i++)
        launch->moved[i] = move_up(launch, launch->plan->resources[i].value, first_free);
    bool placed = dup2(channel, CHANNEL_DESCRIPTOR) >= 0 && dup2(arena, CHANNEL_ARENA) >= 0;
    for (int i = 0; i < count; i++)
        placed = placed && dup2(launch->moved[i], CHANNEL_RESOURCES + i) >= 0;
    if (!placed)
        give_up(channel, "dup");
    enum { CLOSE_RANGE = 436 };
    if (syscall(CLOSE_RANGE, (unsigned)first_free, ~0U, 0) != 0)
        close_one_by_one((unsigned)first_free);
    return CHANNEL_DESCRIPTOR;
}

_Noreturn void broodi_launch_exec(const struct launch *launch)
{
    tie(launch);
    reset_handlers();
    restore_mask(launch);
    set_directory(launch);
    const int channel = set_descriptors(launch);
    set_input(launch, channel);
    execve("/proc/self/exe", launch->argv, launch->envp);
    give_up(channel, "execve of /proc/self/exe");
}

// What was read ahead is the starter's.
static void forget_input(const struct launch *launch)
{
    if (!launch->plan->null_input || __fbufsize(stdin) == 0 || ftrylockfile(stdin) != 0)
        return; // without a buffer nothing has been read
    __fpurge(stdin);
    clearerr_unlocked(stdin);
    funlockfile(stdin);
}

_Noreturn void broodi_launch_entry(const struct launch *launch)
{
    tie(launch);
    close(launch->starters_end);
    if (launch->masked)
        restore_mask(launch);
    set_input(launch, launch->channel);
    forget_input(launch);
    set_directory(launch);
    environ =
        (char **)(uintptr_t)launch->plan->environment; // no setenv: another thread may have held its lock
    launch->entry(launch->arg, launch->channel);
    _exit(70);
}
