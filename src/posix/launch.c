// SPDX-License-Identifier: MIT
// The child's own steps, in their order. Up to exec only async-signal-safe calls: after vfork the memory is the starter's,
// and after fork another thread may have held any lock.
#include "launch.h"

#include "channel.h"
#include "posix.h"
#include "proc.h"
#include "stream.h"

#include <fcntl.h>
#include <stdint.h>
#include <unistd.h>

_Noreturn static void give_up(int channel, const char *call)
{
    broodi_channel_give_up(channel, errno, call);
}

void broodi_launch_restore_mask(const struct launch *launch)
{
    (void)sigprocmask(SIG_SETMASK, &launch->mask, NULL);
}

void broodi_launch_set_input(const struct launch *launch, int channel)
{
    if (!launch->plan->null_input)
        return;
    const int null = broodi_posix_fault(EMFILE) ? -1 : open("/dev/null", O_RDONLY);
    if (null < 0 || (null != STDIN_FILENO && (broodi_posix_fault(EMFILE) || dup2(null, STDIN_FILENO) < 0)))
        give_up(channel, "opening /dev/null");
    if (null > STDERR_FILENO)
        close(null);
}

void broodi_launch_set_directory(const struct launch *launch)
{
    if (launch->plan->directory && (broodi_posix_fault(ENOMEM) || chdir(launch->plan->directory) != 0))
        give_up(launch->channel, "changing to the child's directory");
}

_Noreturn void broodi_launch_entry(const struct launch *launch)
{
    broodi_launch_tie(launch);
    close(launch->starters_end);
    broodi_launch_restore_mask(launch);
    broodi_launch_set_input(launch, launch->channel);
    if (launch->plan->null_input)
        broodi_stream_forget_input();
    broodi_launch_set_directory(launch);
    // No setenv: another thread may have held its lock.
    *broodi_proc_environment() = (char **)(uintptr_t)launch->plan->environment;
    launch->entry(launch->arg, launch->channel);
    _exit(70);
}
