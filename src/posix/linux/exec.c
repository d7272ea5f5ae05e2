// SPDX-License-Identifier: MIT
// The child between vfork and exec, in the memory of its parent.
#include "posix/launch.h"
#include "posix/linux/bell.h"
#include "posix/linux/image.h"
#include "posix/linux/signals.h"

#include "posix/channel.h"
#include "posix/posix.h"
#include "posix/trust.h"

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

_Noreturn static void give_up(int channel, const char *call)
{
    broodi_channel_give_up(channel, errno, call);
}

void broodi_launch_tie(const struct launch *launch)
{
    if (!launch->plan->tied)
        return;
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
        give_up(launch->channel, "prctl");
    const pid_t parent = getppid();
    // 0: the parent is not visible in the pid namespace of the child.
    if (parent != launch->starter && parent != 0)
        _exit(70);
}

// The handlers are reset before the mask is restored: a handler of the parent must not run in the
// child, which has the parent's memory. The raw call is used because a sanitizer's sigaction
// keeps its own table, which is the parent's as well. All-zero is the default action in the
// kernel's struct on every architecture.
static void reset_handlers(void)
{
    for (int number = 1; number <= LINUX_SIGNALS; number++) {
        unsigned long old[16] = { 0 };
        const unsigned long standard[16] = { 0 };
        if (syscall(SYS_rt_sigaction, number, NULL, old, LINUX_SIGNAL_SET) == 0 &&
            old[0] > (unsigned long)SIG_IGN)
            (void)syscall(SYS_rt_sigaction, number, standard, NULL, LINUX_SIGNAL_SET);
    }
}

// For kernels without close_range. The position in this directory is the descriptor number, so
// descriptors may be closed while it is read.
static void close_one_by_one(int channel, unsigned first)
{
    char entries[1024];
    const int directory =
        broodi_posix_fault(EMFILE) ? -1 : open("/proc/self/fd", O_RDONLY | O_DIRECTORY);
    if (directory < 0)
        give_up(channel, "opening /proc/self/fd");
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
    const int moved = broodi_posix_fault(EMFILE) ? -1 : fcntl((int)descriptor, F_DUPFD, least);
    if (moved < 0)
        give_up(launch->channel, "dup");
    return moved;
}

static bool copy_to(int descriptor, int number)
{
    return !broodi_posix_fault(EMFILE) && dup2(descriptor, number) >= 0;
}

// Called when the channel has its number. A program that has closed the bell has none to pass.
static void place_bell(int moved)
{
    if (moved < 0)
        close(CHANNEL_BELL);
    else if (!copy_to(moved, CHANNEL_BELL))
        give_up(CHANNEL_DESCRIPTOR, "dup");
}

// Copies channel, arena, bell and resources to their numbers, by way of higher ones, since one may
// have the number of another; then closes everything else.
static void set_descriptors(const struct launch *launch)
{
    const int count = (int)launch->plan->resource_count;
    const int first_free = CHANNEL_RESOURCES + count;
    const int channel = move_up(launch, launch->channel, first_free);
    const int arena = move_up(launch, launch->plan->arena->object, first_free);
    const int bell = broodi_bell();
    const int moved_bell = bell < 0 ? -1 : move_up(launch, bell, first_free);
    for (int i = 0; i < count; i++)
        launch->moved[i] = move_up(launch, launch->plan->resources[i].value, first_free);
    const struct launch_streams streams = broodi_launch_collect_streams(launch, first_free);
    bool copied = copy_to(channel, CHANNEL_DESCRIPTOR) && copy_to(arena, CHANNEL_ARENA);
    for (int i = 0; i < count; i++)
        copied = copied && copy_to(launch->moved[i], CHANNEL_RESOURCES + i);
    if (!copied)
        give_up(channel, "dup");
    place_bell(moved_bell);
    broodi_launch_place_streams(&streams, channel);
    enum { CLOSE_RANGE = 436 };
    if (broodi_posix_fault(ENOSYS) || syscall(CLOSE_RANGE, (unsigned)first_free, ~0U, 0) != 0)
        close_one_by_one(CHANNEL_DESCRIPTOR, (unsigned)first_free);
    broodi_launch_open_null(&streams, CHANNEL_DESCRIPTOR);
}

// If the arguments of the program are too large, the child gets only its name.
static void execute(const struct launch *launch)
{
    const struct image *image = launch->image;
    if (!broodi_posix_fault(ENOMEM))
        execve(image->path, image->argv, launch->envp);
    if (errno == E2BIG)
        execve(image->path, image->least, launch->envp);
}

_Noreturn void broodi_launch_exec(const struct launch *launch)
{
    broodi_launch_tie(launch);
    if (launch->has_handlers)
        reset_handlers();
    broodi_launch_restore_mask(launch);
    broodi_launch_set_directory(launch->plan->directory, launch->channel);
    set_descriptors(launch);
    const char *refusal = broodi_trust_check(CHANNEL_DESCRIPTOR, CHANNEL_ARENA);
    if (refusal)
        give_up(CHANNEL_DESCRIPTOR, refusal);
    execute(launch);
    give_up(CHANNEL_DESCRIPTOR, "execve of the program");
}
