// SPDX-License-Identifier: MIT
// How a child is made: by posix_spawn, which passes only the listed descriptors, or by fork,
// after which the child follows the steps in launch.c.
#include "os/os_process.h"

#include "posix/channel.h"
#include "posix/descriptor.h"
#include "posix/launch.h"
#include "posix/posix.h"
#include "posix/proc.h"
#include "posix/trust.h"

#include "base/fail.h"
#include "os/os_error.h"

#include <fcntl.h>
#include <libproc.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

_Static_assert(CHANNEL_ARENA == CHANNEL_DESCRIPTOR + 1,
               "what a child is given besides the resources stands in a row");

enum { GIVEN_BESIDE_RESOURCES = 2 };

static intptr_t given(const brood_os_plan *plan, int channel, size_t number)
{
    if (number == 0)
        return channel;
    return number == 1 ? plan->arena->object
                       : plan->resources[number - GIVEN_BESIDE_RESOURCES].value;
}

static int number_of(size_t number)
{
    const int first = number < GIVEN_BESIDE_RESOURCES ? CHANNEL_DESCRIPTOR
                                                      : CHANNEL_RESOURCES - GIVEN_BESIDE_RESOURCES;
    return first + (int)number;
}

static int first_free(const brood_os_plan *plan)
{
    return CHANNEL_RESOURCES + (int)plan->resource_count;
}

// Passes a descriptor under another number, by way of `*moved`, since it may have the number of
// another.
static int pass(posix_spawn_file_actions_t *actions, int descriptor, int least, int number,
                int *moved)
{
    broodi_descriptors_lock();
    *moved = broodi_descriptor_note(
        broodi_posix_fault(EMFILE) ? -1 : fcntl(descriptor, F_DUPFD_CLOEXEC, least));
    broodi_descriptors_unlock();
    return *moved < 0 ? errno : posix_spawn_file_actions_adddup2(actions, *moved, number);
}

// Passes channel, arena and resources under their numbers, by way of the higher ones in `moved`.
static int give(posix_spawn_file_actions_t *actions, const brood_os_plan *plan, int channel,
                int *moved)
{
    const size_t count = plan->resource_count + GIVEN_BESIDE_RESOURCES;
    int error = 0;
    for (size_t i = 0; !error && i < count; i++)
        error =
            pass(actions, (int)given(plan, channel, i), first_free(plan), number_of(i), &moved[i]);
    return error;
}

// A stream that is closed in the parent is closed in the child.
static int pass_stream(posix_spawn_file_actions_t *actions, const brood_os_plan *plan, int stream,
                       int *moved)
{
    const int source = broodi_launch_stream(plan, stream);
    if (source == LAUNCH_STREAM_NULL)
        return posix_spawn_file_actions_addopen(actions, stream, "/dev/null",
                                                stream ? O_WRONLY : O_RDONLY, 0);
    if (plan->streams[stream].source != BROOD_OS_STREAM_RESOURCE && fcntl(source, F_GETFD) < 0 &&
        errno == EBADF)
        return 0;
    if (source == stream)
        return posix_spawn_file_actions_addinherit_np(actions, stream);
    return pass(actions, source, first_free(plan), stream, moved);
}

// After the others, none of which has a standard number in the child.
static int pass_streams(posix_spawn_file_actions_t *actions, const brood_os_plan *plan, int *moved)
{
    int error = 0;
    for (int i = 0; !error && i < BROOD_OS_STREAMS; i++)
        error = pass_stream(actions, plan, i, &moved[i]);
    return error;
}

static int run(const posix_spawn_file_actions_t *actions, char *const *envp, pid_t *out)
{
    char path[PROC_PIDPATHINFO_MAXSIZE];
    char nameless[] = "brood";
    char *const standard[] = { nameless, NULL };
    posix_spawnattr_t attributes;
    if (broodi_posix_fault(ENOMEM) || proc_pidpath(getpid(), path, sizeof path) <= 0)
        return errno;
    int error = posix_spawnattr_init(&attributes);
    if (error)
        return error;
    error = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_CLOEXEC_DEFAULT);
    char *const *argv = broodi_proc_arguments() ? broodi_proc_arguments() : standard;
    char *const name_only[] = { argv[0], NULL };
    if (!error)
        error = posix_spawn(out, path, actions, &attributes, argv, envp);
    if (error == E2BIG)
        error = posix_spawn(out, path, actions, &attributes, name_only, envp);
    posix_spawnattr_destroy(&attributes);
    return error;
}

static int spawn(const brood_os_plan *plan, int channel, char *const *envp, int *moved, pid_t *out)
{
    posix_spawn_file_actions_t actions;
    int error = broodi_posix_fault(ENOMEM) ? ENOMEM : posix_spawn_file_actions_init(&actions);
    if (error)
        return error;
    error = give(&actions, plan, channel, moved);
    if (!error)
        error = pass_streams(&actions, plan, moved + plan->resource_count + GIVEN_BESIDE_RESOURCES);
    if (!error && plan->directory)
        error = posix_spawn_file_actions_addchdir_np(&actions, plan->directory);
    if (!error)
        error = run(&actions, envp, out);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

// posix_spawn does not report which of its steps failed.
static brood_status report(const brood_os_plan *plan, int error)
{
    char text[512];
    if (!plan->directory || access(plan->directory, X_OK) == 0)
        return brood_os_error("posix_spawn", error);
    (void)snprintf(text, sizeof text, "changing to the child's directory %s", plan->directory);
    return brood_os_error(text, error);
}

static brood_os_child made(pid_t pid, int channel)
{
    return (brood_os_child){
        .pid = pid, .handle = broodi_descriptor_of_process(pid), .channel = channel, .memory = -1
    };
}

// Starts the child. `moved` is an array for the moved descriptors, all -1.
static brood_status start(const brood_os_plan *plan, char *const *envp, int *moved,
                          brood_os_child *out)
{
    int ends[2];
    pid_t pid = 0;
    if (!broodi_descriptor_pair(SOCK_STREAM, ends))
        return brood_os_error("socketpair", errno);
    const char *doubt = broodi_trust_check(ends[1], (int)plan->arena->object);
    if (doubt) {
        const brood_status status = brood_os_error(doubt, errno);
        broodi_descriptor_close(ends[0]);
        broodi_descriptor_close(ends[1]);
        return status;
    }
    const int error = spawn(plan, ends[1], envp, moved, &pid);
    broodi_descriptor_close(ends[1]);
    if (error) {
        broodi_descriptor_close(ends[0]);
        return report(plan, error);
    }
    *out = made(pid, ends[0]);
    return BROOD_OK;
}

static void close_all(int *descriptors, size_t count)
{
    for (size_t i = 0; descriptors && i < count; i++)
        if (descriptors[i] >= 0)
            broodi_descriptor_close(descriptors[i]);
}

brood_status brood_os_process_spawn(const brood_os_plan *plan, brood_os_child *out)
{
    char announcement[CHANNEL_ANNOUNCEMENT];
    const size_t count = plan->resource_count + GIVEN_BESIDE_RESOURCES + BROOD_OS_STREAMS;
    const char **envp = broodi_channel_environment(plan, announcement);
    int *moved = broodi_alloc(count * sizeof *moved);
    brood_status status = BROOD_NO_MEMORY;
    for (size_t i = 0; moved && i < count; i++)
        moved[i] = -1;
    if (envp && moved)
        status = start(plan, (char *const *)(uintptr_t)envp, moved, out);
    else
        (void)brood_os_error("malloc", ENOMEM);
    close_all(moved, count); // only the child has its end, so that its death breaks the channel
    free(moved);
    free((void *)envp);
    if (status == BROOD_OK)
        broodi_channel_send_letter((int)out->channel, plan);
    return status;
}

void broodi_launch_tie(const struct launch *launch)
{
    if (launch->plan->tied && broodi_proc_follow(launch->starter) != BROOD_OK)
        broodi_channel_give_up(launch->channel, EAGAIN, "following the parent");
}

brood_status brood_os_process_fork(const brood_os_plan *plan, void (*entry)(void *, intptr_t),
                                   void *arg, brood_os_child *out)
{
    int ends[2];
    if (!broodi_descriptor_pair(SOCK_STREAM, ends))
        return brood_os_error("socketpair", errno);
    struct launch launch = {
        .plan = plan, .channel = ends[1], .starter = getpid(), .entry = entry, .arg = arg
    };
    pthread_sigmask(SIG_SETMASK, NULL, &launch.mask);
    broodi_descriptor_keep(ends[1]);
    const pid_t pid = broodi_posix_fault(EAGAIN) ? -1 : fork();
    if (pid == 0)
        broodi_launch_entry(&launch);
    const int error = errno;
    broodi_descriptor_keep(-1);
    broodi_descriptor_close(ends[1]);
    if (pid < 0) {
        broodi_descriptor_close(ends[0]);
        return brood_os_error("fork", error);
    }
    *out = made(pid, ends[0]);
    return BROOD_OK;
}

bool brood_os_process_can_fork(void)
{
    return true;
}
