// SPDX-License-Identifier: MIT
// The requester's side of the fork server; the server's own side is fork_server.c.
//
// They share nothing but a socket pair that preserves message boundaries. A job is one message on
// it, with descriptors: the child's end of a channel, as every child has it, the directory and
// the standard descriptors. The spare that receives the job becomes the child, and the rest comes
// over its channel.
#include "os/os_server.h"

#include "posix/channel.h"
#include "posix/descriptor.h"
#include "posix/launch.h"
#include "posix/linux/server_protocol.h"
#include "posix/posix.h"
#include "posix/proc.h"

#include "base/atomic.h"
#include "base/fail.h"
#include "os/os_clock.h"
#include "os/os_error.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

// Without pidfds a server could not detect the end of its requester, nor the requester the end of
// a process that is not its child.
bool brood_os_server_is_supported(void)
{
    enum { UNKNOWN, YES, NO };
    static _Atomic int known; // every thread finds the same answer
    int answer = atomic_load_explicit(&known, memory_order_relaxed);
    if (answer == UNKNOWN) {
        const int pidfd = broodi_descriptor_of_process(getpid());
        answer = pidfd >= 0 || errno != ENOSYS ? YES : NO;
        atomic_store_explicit(&known, answer, memory_order_relaxed);
        if (pidfd >= 0)
            broodi_descriptor_close(pidfd);
    }
    return answer == YES;
}

brood_status brood_os_server_prepare(brood_resource resources[BROOD_OS_SERVER_RESOURCES],
                                     intptr_t *out_end)
{
    int ends[2];
    if (!brood_os_server_is_supported())
        return broodi_fail(BROOD_UNSUPPORTED, "a fork server needs pidfds");
    if (!broodi_descriptor_pair(SOCK_SEQPACKET, ends))
        return brood_os_error("socketpair", errno);
    const int pidfd = broodi_descriptor_of_process(getpid());
    if (pidfd < 0) {
        const brood_status status = brood_os_error("pidfd_open", errno);
        broodi_descriptor_close(ends[0]);
        broodi_descriptor_close(ends[1]);
        return status;
    }
    resources[SERVER_JOBS] = (brood_resource){ BROOD_RESOURCE_SOCKET, ends[1] };
    resources[SERVER_REQUESTER] = (brood_resource){ BROOD_RESOURCE_DESCRIPTOR, pidfd };
    *out_end = ends[0];
    return BROOD_OK;
}

void brood_os_server_handed(const brood_resource resources[BROOD_OS_SERVER_RESOURCES])
{
    for (int i = 0; i < BROOD_OS_SERVER_RESOURCES; i++)
        broodi_descriptor_close((int)resources[i].value);
}

bool brood_os_server_lives(const brood_os_child *server)
{
    struct pollfd ended = { .fd = (int)server->handle, .events = POLLIN };
    return server->handle >= 0 && !broodi_posix_fault(ENOMEM) && poll(&ended, 1, 0) == 0;
}

brood_status brood_os_server_confirm(const brood_os_child *server, int64_t deadline)
{
    struct server_ready ready;
    int unused[CHANNEL_MOST_DESCRIPTORS];
    size_t count = 0;
    if (!broodi_channel_await_until((int)server->channel, deadline))
        return broodi_fail(BROOD_TIMEOUT, "the fork server was not ready in time");
    if (!broodi_channel_receive_with((int)server->channel, &ready, sizeof ready, MSG_DONTWAIT,
                                     unused, &count))
        return broodi_fail(BROOD_SYSTEM, "the fork server has ended before it served");
    ready.call[sizeof ready.call - 1] = 0;
    return ready.code ? brood_os_error(ready.call, ready.code) : BROOD_OK;
}

void brood_os_server_continue(const brood_os_child *server)
{
    (void)broodi_proc_signal(server, SIGCONT);
}

void brood_os_server_release(const brood_os_child *server)
{
    if (server->channel >= 0)
        (void)shutdown((int)server->channel, SHUT_RDWR);
    brood_os_server_continue(server);
}

// A job

// The descriptors that go with a message.
struct batch {
    int descriptors[CHANNEL_MOST_DESCRIPTORS];
    size_t count;
};

static void add_descriptor(struct batch *batch, int descriptor)
{
    batch->descriptors[batch->count++] = descriptor;
}

static uint64_t blocked_signals(void)
{
    sigset_t set;
    uint64_t bits = 0;
    sigemptyset(&set);
    pthread_sigmask(SIG_SETMASK, NULL, &set);
    memcpy(&bits, &set, sizeof bits); // the kernel's form: signal 1 is the lowest bit
    return bits;
}

static size_t size_of_texts(const brood_os_plan *plan)
{
    size_t size = (plan->directory ? strlen(plan->directory) : 0) + 1;
    for (const char *const *entry = plan->environment; *entry; entry++)
        size += strlen(*entry) + 1;
    return size;
}

static int open_directory(void)
{
    broodi_descriptors_lock();
    const int opened = broodi_posix_fault(EMFILE)
                           ? -1
                           : broodi_descriptor_up(open(".", O_PATH | O_DIRECTORY | O_CLOEXEC));
    const int directory = broodi_descriptor_note(opened);
    broodi_descriptors_unlock();
    return directory;
}

// Describes the job and collects its descriptors: the child's end of the channel, the directory,
// the standard descriptors that are open. The caller closes `directory`. A directory that may not
// be searched is not passed: the server was made in it (circumstances.c).
static brood_status describe(const brood_os_plan *plan, int channel,
                             const brood_os_circumstances *now, struct server_job *job,
                             struct batch *batch, int *directory)
{
    *job = (struct server_job){ .token = plan->token,
                                .place = { plan->place[0], plan->place[1] },
                                .blocked = blocked_signals(),
                                .ignored = now->ignored,
                                .texts = size_of_texts(plan),
                                .resources = plan->resource_count,
                                .slack = (uint64_t)prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0),
                                .umask = now->umask,
                                .tied = plan->tied };
    *directory = open_directory();
    if (*directory < 0 && errno != EACCES)
        return brood_os_error("opening the working directory", errno);
    add_descriptor(batch, channel);
    job->has_directory = *directory >= 0;
    if (job->has_directory)
        add_descriptor(batch, *directory);
    for (int i = 0; i < BROOD_OS_STREAMS; i++) {
        const int stream = broodi_launch_stream(plan, i);
        if (stream == LAUNCH_STREAM_NULL) // the server has it already
            continue;
        if (plan->streams[i].source != BROOD_OS_STREAM_RESOURCE && fcntl(stream, F_GETFD) < 0 &&
            errno == EBADF) {
            job->closed |= 1U << i;
            continue;
        }
        job->standard |= 1U << i;
        add_descriptor(batch, stream);
    }
    return BROOD_OK;
}

static brood_status send_job(const brood_os_child *server, const brood_os_plan *plan,
                             const brood_os_circumstances *now, int channel)
{
    struct server_job job;
    struct batch batch = { .count = 0 };
    int directory = -1;
    brood_status status = describe(plan, channel, now, &job, &batch, &directory);
    if (status == BROOD_OK && !broodi_channel_send_with((int)server->channel, &job, sizeof job,
                                                        batch.descriptors, batch.count))
        status = brood_os_error("asking the fork server", errno);
    if (directory >= 0)
        broodi_descriptor_close(directory);
    return status;
}

// Sends the rest of the job, in the order in which fork_server.c receives it.
static void send_rest(const brood_os_plan *plan, int channel)
{
    int descriptors[CHANNEL_MOST_DESCRIPTORS];
    const char nothing = 0;
    for (size_t first = 0; first < plan->resource_count; first += CHANNEL_MOST_DESCRIPTORS) {
        size_t count = 0;
        for (; count < CHANNEL_MOST_DESCRIPTORS && first + count < plan->resource_count; count++)
            descriptors[count] = (int)plan->resources[first + count].value;
        if (!broodi_channel_send_with(channel, &nothing, 1, descriptors, count)) {
            broodi_channel_break(channel);
            return;
        }
    }
    struct channel_buffer buffer = { .channel = channel };
    const char *directory = plan->directory ? plan->directory : "";
    broodi_channel_put(&buffer, directory, strlen(directory) + 1);
    for (const char *const *entry = plan->environment; *entry; entry++)
        broodi_channel_put(&buffer, *entry, strlen(*entry) + 1);
    broodi_channel_put_letter(&buffer, plan);
    broodi_channel_flush(&buffer);
}

brood_status brood_os_server_start(const brood_os_child *server, const brood_os_plan *plan,
                                   const brood_os_circumstances *now, brood_os_child *out)
{
    int ends[2];
    if (!broodi_descriptor_pair(SOCK_STREAM, ends))
        return brood_os_error("socketpair", errno);
    const brood_status status = send_job(server, plan, now, ends[1]);
    broodi_descriptor_close(ends[1]);
    if (status != BROOD_OK) {
        broodi_descriptor_close(ends[0]);
        return status;
    }
    send_rest(plan, ends[0]);
    *out = (brood_os_child){ .handle = -1, .channel = ends[0], .memory = -1, .served = true };
    return BROOD_OK;
}

// A missing reply may mean that the server was stopped: it is continued once per second.
void brood_os_server_await(const brood_os_child *server, const brood_os_child *child,
                           int64_t deadline)
{
    const int64_t period = 1000000000;
    for (;;) {
        const int64_t next = brood_os_clock() + period;
        if (broodi_channel_await_until((int)child->channel, next < deadline ? next : deadline) ||
            next >= deadline)
            return;
        brood_os_server_continue(server);
    }
}
