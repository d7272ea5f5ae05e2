// SPDX-License-Identifier: MIT
// How a child is made: by vfork and exec, or by fork. Its own steps are in launch.c.
#include "os/os_process.h"

#include "posix/channel.h"
#include "posix/descriptor.h"
#include "posix/launch.h"
#include "posix/linux/clone.h"
#include "posix/linux/image.h"
#include "posix/linux/memory.h"
#include "posix/linux/starter.h"
#include "posix/posix.h"
#include "posix/proc.h"

#include "os/os_error.h"

#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static void run_in_child(void *launch)
{
    broodi_launch_exec(launch);
}

static pid_t make_by_vfork(struct launch *launch)
{
    launch->has_handlers = false;
    pid_t child = broodi_clone_without_handlers(run_in_child, launch);
    if (child >= 0 || errno != ENOSYS)
        return child;
    launch->has_handlers = true;
    child = vfork();
    if (child == 0)
        broodi_launch_exec(launch);
    return child;
}

static void start_by_vfork(void *arg)
{
    struct launch *launch = arg;
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    // On some systems vfork() is a fork(), whose handler would close the library's own
    // descriptors in the child. They stay open, since the child needs some of them; exec.c closes
    // those that the program must not have.
    broodi_descriptor_keep(BROODI_DESCRIPTOR_ALL);
    const pid_t child = broodi_posix_fault(EAGAIN) ? -1 : make_by_vfork(launch);
    launch->error = errno;
    broodi_descriptor_keep(-1);
    launch->child = child;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void start_by_fork(void *arg)
{
    struct launch *launch = arg;
    broodi_descriptor_keep(launch->channel);
    const pid_t child = broodi_posix_fault(EAGAIN) ? -1 : fork();
    if (child == 0)
        broodi_launch_entry(launch);
    launch->error = errno;
    broodi_descriptor_keep(-1);
    launch->child = child;
}

// Runs one of the two above. A tied child is made by a thread that lives as long as the process,
// because the death signal is sent at the end of that thread. So is every forked child, since it
// runs on a copy of the stack of the thread that forks.
static brood_status make_child(struct launch *launch, void (*start)(void *), const char *call)
{
    launch->starter = getpid();
    pthread_sigmask(SIG_SETMASK, NULL, &launch->mask);
    if (!launch->plan->tied && !launch->entry)
        start(launch);
    else if (broodi_starter_run(start, launch) != BROOD_OK)
        return BROOD_NO_RESOURCES;
    return launch->child < 0 ? brood_os_error(call, launch->error) : BROOD_OK;
}

static brood_status start(struct launch *launch, void (*by)(void *), const char *call,
                          brood_os_child *out)
{
    int ends[2];
    if (!broodi_descriptor_pair(SOCK_STREAM, ends))
        return brood_os_error("socketpair", errno);
    launch->channel = ends[1];
    const brood_status status = make_child(launch, by, call);
    broodi_descriptor_close(ends[1]);
    if (status != BROOD_OK) {
        broodi_descriptor_close(ends[0]);
        return status;
    }
    *out = (brood_os_child){ .pid = launch->child,
                             .handle = -1,
                             .channel = ends[0],
                             .memory = -1,
                             .served = launch->plan->detached };
    if (!out->served)
        out->handle = broodi_descriptor_of_process(launch->child);
    return BROOD_OK;
}

static brood_status spawn(const brood_os_plan *plan, const struct image *image, brood_os_child *out)
{
    char announcement[CHANNEL_ANNOUNCEMENT];
    const char **envp = broodi_channel_environment(plan, announcement);
    if (!envp)
        return brood_os_error("malloc", ENOMEM);
    int *moved = broodi_alloc((plan->resource_count + 1) * sizeof *moved);
    struct launch launch = {
        .plan = plan, .image = image, .envp = (char *const *)(uintptr_t)envp, .moved = moved
    };
    const brood_status status =
        moved ? start(&launch, start_by_vfork, "vfork", out) : brood_os_error("malloc", ENOMEM);
    free(moved);
    free((void *)envp);
    if (status == BROOD_OK)
        broodi_channel_send_letter((int)out->channel, plan);
    return status;
}

brood_status brood_os_process_spawn(const brood_os_plan *plan, brood_os_child *out)
{
    struct image image = { .path = NULL };
    brood_status status = broodi_memory_check(plan->arena);
    if (status == BROOD_OK)
        status = broodi_image_find(&image);
    if (status == BROOD_OK)
        status = spawn(plan, &image, out);
    broodi_image_forget(&image);
    return status;
}

brood_status brood_os_process_fork(const brood_os_plan *plan, void (*entry)(void *, intptr_t),
                                   void *arg, brood_os_child *out)
{
    struct launch launch = { .plan = plan, .entry = entry, .arg = arg };
    return start(&launch, start_by_fork, "fork", out);
}

bool brood_os_process_can_fork(void)
{
    return true;
}
