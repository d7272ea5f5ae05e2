// SPDX-License-Identifier: MIT
#include "os/os_process.h"

#include "posix/channel.h"
#include "posix/descriptor.h"
#include "posix/launch.h"
#include "posix/posix.h"
#include "posix/proc.h"
#include "posix/trust.h"

#include "base/fail.h"
#include "os/os_clock.h"
#include "os/os_error.h"
#include "os/os_thread.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

brood_status brood_os_resource_check(const brood_resource *resource)
{
    const int32_t kind = resource->kind;
    if (kind == BROOD_RESOURCE_HANDLE)
        return broodi_fail(BROOD_UNSUPPORTED, "this system has no handles");
    if (kind != BROOD_RESOURCE_DESCRIPTOR && kind != BROOD_RESOURCE_SOCKET)
        return broodi_fail(BROOD_INVALID, "invalid kind of resource: %d", (int)kind);
    const bool is_number = resource->value >= 0 && resource->value <= INT_MAX;
    if (is_number && fcntl((int)resource->value, F_GETFD) >= 0)
        return BROOD_OK;
    if (!is_number || errno == EBADF)
        return broodi_fail(BROOD_INVALID, "descriptor %lld is not open",
                           (long long)resource->value);
    return brood_os_error("fcntl of F_GETFD for a resource", errno);
}

// Waiting

// Returns the milliseconds until `deadline` for poll: rounded up, saturated, -1 for no deadline.
static int until(int64_t deadline)
{
    if (deadline == INT64_MAX)
        return -1;
    const int64_t now = brood_os_clock();
    if (deadline <= now)
        return 0;
    const int64_t left = (deadline - now - 1) / 1000000 + 1;
    return left > 86400000 ? 86400000 : (int)left;
}

// Polls until one of the descriptors is ready: true; false at the deadline.
static bool poll_until(struct pollfd *descriptors, nfds_t count, int64_t deadline)
{
    for (;;) {
        const int timeout = until(deadline);
        const int ready = broodi_posix_fault(ENOMEM) ? -1 : poll(descriptors, count, timeout);
        if (ready > 0)
            return true;
        if (brood_os_clock() >= deadline)
            return false;
        // For example if RLIMIT_NOFILE was set below the number of descriptors polled.
        if (ready < 0 && errno != EINTR)
            brood_os_sleep_until(brood_os_clock() + 1000000);
    }
}

bool broodi_channel_await_until(int channel, int64_t deadline)
{
    struct pollfd ready = { .fd = channel, .events = POLLIN };
    return poll_until(&ready, 1, deadline);
}

// The descriptor that the child attaches is noted before any fork can copy it.
static bool receive_reply(brood_os_child *child, struct channel_reply *out)
{
    int attached[CHANNEL_MOST_DESCRIPTORS];
    size_t count = 0;
    broodi_descriptors_lock();
    const bool received = broodi_channel_receive_with((int)child->channel, out, sizeof *out,
                                                      MSG_DONTWAIT, attached, &count);
    if (received && count > 0)
        child->handle = broodi_descriptor_note(broodi_descriptor_up(attached[0]));
    broodi_descriptors_unlock();
    return received;
}

static brood_status read_reply(brood_os_child *child, brood_os_reply *out)
{
    struct channel_reply reply;
    if (!receive_reply(child, &reply))
        return broodi_fail(BROOD_SYSTEM, "the child ended before it reached its target");
    reply.text[sizeof reply.text - 1] = 0;
    out->status = (brood_status)reply.status;
    (void)snprintf(out->text, sizeof out->text, "%s", reply.text);
    if (reply.status == CHANNEL_SYSTEM_ERROR) {
        out->status = brood_os_error(reply.text, reply.code);
        (void)snprintf(out->text, sizeof out->text, "%s (%d)", reply.text, (int)reply.code);
    }
    if (child->served && !(reply.stays && out->status == BROOD_OK))
        child->pid = reply.apart ? broodi_proc_pid_of(child->handle) : reply.pid;
    return BROOD_OK;
}

static bool has_data(int channel)
{
    char byte;
    return recv(channel, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
}

// Reaps the process that was executed for a detached child: it ends once its fork has taken its
// place, or by an error of its own.
static void reap_intermediate(int64_t pid, bool end_it)
{
    siginfo_t info;
    // Its pid cannot have been reused as long as it can be waited for; the program may have
    // reaped it.
    if (end_it && waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0)
        (void)kill((pid_t)pid, SIGKILL);
    while (waitid(P_PID, (id_t)pid, &info, WEXITED) != 0 && errno == EINTR)
        continue;
}

brood_status brood_os_process_await_ready(brood_os_child *child, int64_t deadline,
                                          brood_os_reply *out)
{
    const int64_t intermediate = child->served ? child->pid : 0;
    struct pollfd either[] = {
        { .fd = (int)child->channel, .events = POLLIN },
        { .fd = (int)child->handle, .events = POLLIN }, // ignored when negative
    };
    bool replied = poll_until(either, 2, deadline);
    if (!replied) { // the child can no longer reply; what it has already sent is received
        (void)shutdown((int)child->channel, SHUT_RD);
        replied = poll_until(either, 1, 0) && has_data((int)child->channel);
    }
    const brood_status status = replied ? read_reply(child, out) : BROOD_TIMEOUT;
    broodi_descriptor_close((int)child->channel);
    child->channel = -1;
    const bool stays = status == BROOD_OK && child->pid == intermediate;
    if (intermediate > 0 && !stays)
        reap_intermediate(intermediate, status != BROOD_OK);
    if (intermediate > 0 && status != BROOD_OK)
        child->pid = 0;
    return status;
}

// Without a pidfd: polls, since a wait for a child cannot have a deadline.
static brood_status await_by_pid(int64_t pid, int64_t deadline)
{
    const int64_t longest = 20000000;
    for (int64_t pause = 500000;; pause = pause * 2 < longest ? pause * 2 : longest) {
        siginfo_t info = { .si_pid = 0 };
        const bool blocks = deadline == INT64_MAX;
        const int got = waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT | (blocks ? 0 : WNOHANG));
        if ((got == 0 && info.si_pid != 0) || (got != 0 && errno != EINTR))
            return BROOD_OK;
        const int64_t now = brood_os_clock();
        if (now >= deadline)
            return BROOD_TIMEOUT;
        if (!blocks)
            brood_os_sleep_until(now + pause < deadline ? now + pause : deadline);
    }
}

brood_status brood_os_process_await_end(const brood_os_child *child, int64_t deadline)
{
    struct pollfd ended = { .fd = (int)child->handle, .events = POLLIN };
    if (child->handle >= 0 && !poll_until(&ended, 1, deadline))
        return BROOD_TIMEOUT;
    if (child->handle >= 0 && !(ended.revents & POLLNVAL)) // POLLNVAL: the program has closed it
        return BROOD_OK;
    return child->served ? BROOD_UNSUPPORTED : await_by_pid(child->pid, deadline);
}

// The end of a child

static const struct {
    int signal;
    brood_crash crash;
} crashes[] = {
    { SIGSEGV, BROOD_CRASH_ACCESS }, { SIGABRT, BROOD_CRASH_ABORT },
    { SIGILL, BROOD_CRASH_ILLEGAL }, { SIGFPE, BROOD_CRASH_ARITHMETIC },
    { SIGBUS, BROOD_CRASH_BUS },     { SIGTRAP, BROOD_CRASH_OTHER },
    { SIGSYS, BROOD_CRASH_OTHER },
};

brood_exit broodi_launch_end(const siginfo_t *info)
{
    if (info->si_code == CLD_EXITED)
        return (
            brood_exit){ .kind = BROOD_EXITED, .code = info->si_status, .native = info->si_status };
    for (size_t i = 0; i < sizeof crashes / sizeof crashes[0]; i++)
        if (crashes[i].signal == info->si_status)
            return (brood_exit){ .kind = BROOD_CRASHED,
                                 .crash = (int32_t)crashes[i].crash,
                                 .native = info->si_status };
    return (brood_exit){ .kind = BROOD_SIGNALLED, .native = info->si_status };
}

bool brood_os_process_reap(const brood_os_child *child, brood_exit *out)
{
    siginfo_t info = { .si_pid = 0 };
    int got;
    do
        got = broodi_proc_wait_now(child, &info);
    while (got != 0 && errno == EINTR);
    if (got == 0 && info.si_pid == 0)
        return false;
    *out = got == 0 ? broodi_launch_end(&info) : (brood_exit){ .kind = BROOD_LOST };
    return true;
}

brood_status brood_os_process_end(const brood_os_child *child, bool hard)
{
    const bool sent = broodi_proc_signal(child, hard ? SIGKILL : SIGTERM);
    return sent || errno == ESRCH ? BROOD_OK : brood_os_error("kill", errno);
}

bool brood_os_process_open(brood_os_child *child)
{
    child->handle = child->pid > 0 ? broodi_descriptor_of_process(child->pid) : -1;
    return child->handle >= 0;
}

void brood_os_process_release(brood_os_child *child)
{
    if (child->handle >= 0)
        broodi_descriptor_close((int)child->handle);
    if (child->channel >= 0)
        broodi_descriptor_close((int)child->channel);
    child->handle = -1;
    child->channel = -1;
}

// This process

int64_t brood_os_process_id(void)
{
    return getpid();
}

char **brood_os_process_environment(void)
{
    char **const variables = *broodi_proc_environment();
    size_t count = 0;
    size_t bytes = 0;
    for (; variables && variables[count]; count++)
        bytes += strlen(variables[count]) + 1;
    char **list = broodi_alloc((count + 1) * sizeof *list + bytes);
    if (!list)
        return NULL;
    char *text = (char *)(list + count + 1);
    for (size_t i = 0; i < count; i++) {
        const size_t size = strlen(variables[i]) + 1;
        list[i] = memcpy(text, variables[i], size);
        text += size;
    }
    list[count] = NULL;
    return list;
}

bool brood_os_process_same_name(const char *a, const char *b, size_t length)
{
    return memcmp(a, b, length) == 0;
}

// The parent, if it has no pid in the namespace of this process.
static struct {
    pid_t of; // pid of the child, which its copies do not have
    int descriptor;
} unseen;

bool broodi_launch_note_parent(int channel)
{
    int descriptor;
    if (!broodi_trust_is_unseen(channel, &descriptor))
        return false;
    unseen.of = getpid();
    unseen.descriptor = descriptor;
    return true;
}

// Returns whether the process that started this one is alive; true if that cannot be determined:
// the caller checks again. A process gets another parent when its own ends, and while the parent
// lives no other process has its pid. If it is not the system's parent but the requester of
// the fork server, its start time distinguishes it from a process that reuses the pid.
static bool is_alive(int64_t pid, uint64_t birth)
{
    if (pid == getppid())
        return true;
    const uint64_t now = brood_os_process_birth(pid);
    return now == BROOD_OS_BIRTH_UNKNOWN ||
           (now != 0 && (now == birth || birth == BROOD_OS_BIRTH_UNKNOWN));
}

static bool await_by_birth(int64_t pid, uint64_t birth, int64_t deadline)
{
    bool over = false;
    while (!over && brood_os_clock() < deadline) {
        const int64_t next = brood_os_clock() + 20000000;
        brood_os_sleep_until(next < deadline ? next : deadline);
        over = !is_alive(pid, birth);
    }
    return over;
}

static void close_cleanly(void *descriptor)
{
    broodi_descriptor_close(*(int *)descriptor);
}

// The thread that waits here may be cancelled.
static bool await_by_descriptor(int pidfd, int64_t deadline)
{
    bool over;
    struct pollfd ended = { .fd = pidfd, .events = POLLIN };
    pthread_cleanup_push(close_cleanly, &pidfd);
    over = poll_until(&ended, 1, deadline);
    pthread_cleanup_pop(1);
    return over;
}

static brood_status await_unseen(int64_t deadline)
{
    struct pollfd ended = { .fd = unseen.descriptor, .events = POLLIN }; // ignored when negative
    return poll_until(&ended, 1, deadline) ? BROOD_OK : BROOD_TIMEOUT;
}

brood_status brood_os_parent_await_end(int64_t pid, uint64_t birth, int64_t deadline)
{
    if (unseen.of == getpid())
        return await_unseen(deadline);
    const int before = brood_os_thread_protect();
    const int pidfd = broodi_descriptor_of_process(pid);
    // Checked after the descriptor was opened: if the parent has ended by now, the descriptor may
    // be of another process.
    const bool over = !is_alive(pid, birth);
    if (pidfd >= 0 && over)
        broodi_descriptor_close(pidfd);
    brood_os_thread_unprotect(before);
    if (over)
        return BROOD_OK;
    const bool ended =
        pidfd >= 0 ? await_by_descriptor(pidfd, deadline) : await_by_birth(pid, birth, deadline);
    return ended ? BROOD_OK : BROOD_TIMEOUT;
}
