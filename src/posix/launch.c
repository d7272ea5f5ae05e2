// SPDX-License-Identifier: MIT
// The child's own steps, in their order. Up to exec only async-signal-safe calls: after vfork the
// memory is the parent's, and after fork any lock may have been held by a thread that was not
// copied.
#include "posix/launch.h"

#include "posix/channel.h"
#include "posix/posix.h"
#include "posix/proc.h"
#include "posix/stream.h"

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

int broodi_launch_stream(const brood_os_plan *plan, int stream)
{
    const brood_os_stream *planned = &plan->streams[stream];
    if (planned->source == BROOD_OS_STREAM_RESOURCE)
        return (int)planned->resource.value;
    return planned->source == BROOD_OS_STREAM_NULL ? LAUNCH_STREAM_NULL : planned->source;
}

static int collect(const struct launch *launch, int stream, int least)
{
    const int source = broodi_launch_stream(launch->plan, stream);
    if (source == stream || source == LAUNCH_STREAM_NULL)
        return source;
    const int copy = broodi_posix_fault(EMFILE) ? -1 : fcntl(source, F_DUPFD_CLOEXEC, least);
    if (copy >= 0)
        return copy;
    if (errno != EBADF || launch->plan->streams[stream].source == BROOD_OS_STREAM_RESOURCE)
        give_up(launch->channel, "dup of a standard stream");
    return LAUNCH_STREAM_CLOSED;
}

struct launch_streams broodi_launch_collect_streams(const struct launch *launch, int least)
{
    struct launch_streams streams;
    for (int i = 0; i < BROOD_OS_STREAMS; i++)
        streams.from[i] = collect(launch, i, least);
    return streams;
}

// A stream that keeps its number is passed although it is close-on-exec, just as dup2 clears the
// flag of the others.
void broodi_launch_place_streams(const struct launch_streams *streams, int channel)
{
    for (int i = 0; i < BROOD_OS_STREAMS; i++) {
        const int from = streams->from[i];
        if (from == i)
            (void)fcntl(i, F_SETFD, 0); // it may be closed
        else if (from == LAUNCH_STREAM_CLOSED)
            close(i);
        else if (from >= 0 && (broodi_posix_fault(EMFILE) || dup2(from, i) < 0))
            give_up(channel, "dup of a standard stream");
    }
}

void broodi_launch_open_null(const struct launch_streams *streams, int channel)
{
    for (int i = 0; i < BROOD_OS_STREAMS; i++) {
        if (streams->from[i] != LAUNCH_STREAM_NULL)
            continue;
        const int null =
            broodi_posix_fault(EMFILE) ? -1 : open("/dev/null", i ? O_WRONLY : O_RDONLY);
        if (null < 0 || (null != i && (broodi_posix_fault(EMFILE) || dup2(null, i) < 0)))
            give_up(channel, "opening /dev/null");
        if (null != i)
            close(null);
    }
}

static void close_collected(const struct launch_streams *streams)
{
    for (int i = 0; i < BROOD_OS_STREAMS; i++)
        if (streams->from[i] > STDERR_FILENO)
            close(streams->from[i]);
}

// The buffers of the copy hold data of the parent's streams, which are other files than those of
// the child.
static void forget_buffers(const brood_os_plan *plan)
{
    if (plan->streams[STDIN_FILENO].source != STDIN_FILENO)
        broodi_stream_forget_input();
    if (plan->streams[STDOUT_FILENO].source != STDOUT_FILENO)
        broodi_stream_forget_output(stdout);
    if (plan->streams[STDERR_FILENO].source != STDERR_FILENO)
        broodi_stream_forget_output(stderr);
}

static void set_streams(const struct launch *launch)
{
    const struct launch_streams streams = broodi_launch_collect_streams(launch, STDERR_FILENO + 1);
    broodi_launch_place_streams(&streams, launch->channel);
    close_collected(&streams);
    broodi_launch_open_null(&streams, launch->channel);
    forget_buffers(launch->plan);
}

static bool is_copied(const brood_resource *kept, size_t index)
{
    bool is = kept[index].value <= STDERR_FILENO;
    for (size_t i = 0; !is && i < index; i++)
        is = kept[i].value == kept[index].value;
    return is;
}

// Backwards, so that the resources before the current one still have their original numbers.
static void keep_resources(const struct launch *launch)
{
    brood_resource *kept = launch->plan->kept;
    for (size_t i = launch->plan->resource_count; i-- > 0;) {
        const int number = (int)kept[i].value;
        const bool copied = is_copied(kept, i);
        const int got = broodi_posix_fault(EMFILE) ? -1
                        : copied ? fcntl(number, F_DUPFD_CLOEXEC, STDERR_FILENO + 1)
                                 : fcntl(number, F_SETFD, FD_CLOEXEC);
        if (got < 0)
            give_up(launch->channel, "dup of a resource");
        if (copied)
            kept[i].value = got;
    }
}

void broodi_launch_set_directory(const char *directory, int channel)
{
    if (directory && (broodi_posix_fault(ENOMEM) || chdir(directory) != 0))
        broodi_channel_give_up_on(channel, errno, "changing to the child's directory", directory);
}

_Noreturn void broodi_launch_entry(const struct launch *launch)
{
    broodi_launch_tie(launch);
    broodi_launch_restore_mask(launch);
    keep_resources(launch); // first: some may have the numbers of streams
    set_streams(launch);
    broodi_launch_set_directory(launch->plan->directory, launch->channel);
    // Not setenv(): a thread that was not copied may have held its lock.
    *broodi_proc_environment() = (char **)(uintptr_t)launch->plan->environment;
    launch->entry(launch->arg, launch->channel);
    _exit(70);
}
