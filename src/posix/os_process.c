// SPDX-License-Identifier: MIT
#include "os/os_process.h"

#include "channel.h"
#include "descriptor.h"
#include "launch.h"
#include "posix.h"
#include "starter.h"

#include "atomic.h"
#include "fail.h"
#include "os/os_clock.h"
#include "os/os_error.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PIDFD_SEND_SIGNAL = 424, WAIT_PIDFD = 3 };

extern char **environ;

brood_status brood_os_resource_check(const brood_resource *resource)
{
    const int32_t kind = resource->kind;
    if (kind == BROOD_RESOURCE_HANDLE)
        return broodi_fail(BROOD_UNSUPPORTED, "this system has no handles");
    if (kind != BROOD_RESOURCE_DESCRIPTOR && kind != BROOD_RESOURCE_SOCKET)
        return broodi_fail(BROOD_INVALID, "%d is no kind of resource", (int)kind);
    if (resource->value < 0 || resource->value > INT_MAX || fcntl((int)resource->value, F_GETFD) < 0)
        return broodi_fail(BROOD_INVALID, "descriptor %lld is not open", (long long)resource->value);
    return BROOD_OK;
}

// Starting

static void start_by_vfork(void *arg)
{
    struct launch *launch = arg;
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const pid_t child = broodi_posix_fault(EAGAIN) ? -1 : vfork();
    if (child == 0)
        broodi_launch_exec(launch);
    launch->error = errno;
    launch->child = child;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void start_by_fork(void *arg)
{
    struct launch *launch = arg;
    const pid_t child = broodi_posix_fault(EAGAIN) ? -1 : fork();
    if (child == 0)
        broodi_launch_entry(launch);
    launch->error = errno;
    launch->child = child;
}

// Runs one of the two above, in a thread whose end is not taken for that of the process.
static brood_status make_child(struct launch *launch, void (*start)(void *), const char *call)
{
    launch->starter = getpid();
    pthread_sigmask(SIG_SETMASK, NULL, &launch->mask);
    if (!launch->plan->tied)
        start(launch);
    else if (broodi_starter_run(start, launch) != BROOD_OK)
        return BROOD_NO_RESOURCES;
    return launch->child < 0 ? brood_os_error(call, launch->error) : BROOD_OK;
}

static brood_status start(struct launch *launch, void (*by)(void *), const char *call, brood_os_child *out)
{
    int ends[2];
    if (!broodi_descriptor_pair(SOCK_STREAM, ends))
        return brood_os_error("socketpair", errno);
    launch->channel = ends[1];
    launch->starters_end = ends[0];
    const brood_status status = make_child(launch, by, call);
    close(ends[1]);
    if (status != BROOD_OK) {
        close(ends[0]);
        return status;
    }
    *out = (brood_os_child){
        .pid = launch->child, .handle = -1, .channel = ends[0], .memory = -1, .served = launch->plan->detached
    };
    if (!out->served)
        out->handle = broodi_descriptor_of_process(launch->child);
    return BROOD_OK;
}

// The whole of a file of unknown size, from malloc, and its length; NULL when it cannot be had. Past stdio, whose list of streams another thread may
// have locked.
static char *read_whole(const char *path, size_t *out_length)
{
    const int file = broodi_posix_fault(EMFILE) ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    char *text = NULL;
    size_t capacity = 0;
    ssize_t got = file;
    *out_length = 0;
    while (got >= 0) {
        if (*out_length == capacity) {
            capacity = capacity * 2 + 4096;
            char *more = broodi_fault() ? NULL : realloc(text, capacity);
            if (!more)
                break;
            text = more;
        }
        got = read(file, text + *out_length, capacity - *out_length);
        if (got <= 0)
            break;
        *out_length += (size_t)got;
    }
    if (file >= 0)
        close(file);
    return text;
}

// A list and its texts, which begin with the first entry, both from malloc; NULL when they cannot be had.
static char **read_arguments(void)
{
    size_t length;
    char *texts = read_whole("/proc/self/cmdline", &length);
    size_t count = 0;
    for (size_t i = 0; i < length; i++)
        count += texts[i] == 0;
    char **argv = count > 0 ? broodi_alloc((count + 1) * sizeof *argv) : NULL;
    if (!argv) {
        free(texts);
        return NULL;
    }
    char *next = texts;
    for (size_t i = 0; i < count; i++) {
        argv[i] = next;
        next += strlen(next) + 1;
    }
    argv[count] = NULL;
    return argv;
}

// The arguments of this process when it first asked, so that its children look like it in a process list. They are kept, since
// to read them is a part of each start that can be felt. NULL when they cannot be had.
static char **own_arguments(void)
{
    static char **_Atomic kept;
    char **known = atomic_load_explicit(&kept, memory_order_acquire);
    if (known)
        return known;
    char **argv = read_arguments();
    if (!argv || atomic_compare_exchange_strong_explicit(&kept, &known, argv, memory_order_acq_rel,
                                                         memory_order_acquire))
        return argv;
    free(argv[0]);
    free(argv);
    return known;
}

// The plan's environment behind the announcement, and without another of its name: the first one counts for the C library, and who stands
// between may keep the last.
static const char **announced(const brood_os_plan *plan, char *announcement, size_t capacity)
{
    size_t count = 0;
    while (plan->environment[count])
        count++;
    const char **list = broodi_alloc((count + 2) * sizeof *list);
    if (!list)
        return NULL;
    (void)snprintf(announcement, capacity, CHANNEL_VARIABLE "=%d:%d:%" PRIx64, CHANNEL_DESCRIPTOR,
                   CHANNEL_ARENA, plan->token);
    size_t length = 0;
    list[length++] = announcement;
    for (size_t i = 0; i < count; i++)
        if (strncmp(plan->environment[i], CHANNEL_VARIABLE "=", sizeof CHANNEL_VARIABLE) != 0)
            list[length++] = plan->environment[i];
    list[length] = NULL;
    return list;
}

static void send_letter(int channel, const brood_os_plan *plan)
{
    struct channel_outbox outbox = { .channel = channel };
    broodi_channel_put_letter(&outbox, plan);
    broodi_channel_flush(&outbox);
}

brood_status brood_os_process_spawn(const brood_os_plan *plan, brood_os_child *out)
{
    char announcement[96];
    char nameless[] = "brood";
    char *const standard[] = { nameless, NULL };
    const char **envp = announced(plan, announcement, sizeof announcement);
    if (!envp)
        return brood_os_error("malloc", ENOMEM);
    int *moved = broodi_alloc((plan->resource_count + 1) * sizeof *moved);
    char **argv = own_arguments();
    struct launch launch = {
        .plan = plan, .argv = argv ? argv : standard, .envp = (char *const *)(uintptr_t)envp, .moved = moved
    };
    const brood_status status =
        moved ? start(&launch, start_by_vfork, "vfork", out) : brood_os_error("malloc", ENOMEM);
    free(moved);
    free((void *)envp);
    if (status == BROOD_OK)
        send_letter((int)out->channel, plan);
    return status;
}

brood_status brood_os_process_fork(const brood_os_plan *plan, void (*entry)(void *, intptr_t), void *arg,
                                   brood_os_child *out)
{
    struct launch launch = { .plan = plan, .entry = entry, .arg = arg };
    return start(&launch, start_by_fork, "fork", out);
}

bool brood_os_process_can_fork(void)
{
    return true;
}

// Waiting

// Milliseconds until `deadline` for poll: rounded up, saturated, -1 for ever.
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

// Polls until one descriptor is ready: true; false at the deadline.
static bool poll_until(struct pollfd *descriptors, nfds_t count, int64_t deadline)
{
    for (;;) {
        const int timeout = until(deadline);
        const int ready = broodi_posix_fault(ENOMEM) ? -1 : poll(descriptors, count, timeout);
        if (ready > 0)
            return true;
        if (brood_os_clock() >= deadline)
            return false;
        if (ready < 0 && errno != EINTR) // a limit of descriptors below those that are open, for one
            brood_os_sleep_until(brood_os_clock() + 1000000);
    }
}

static brood_status take_reply(brood_os_child *child, brood_os_reply *out)
{
    struct channel_reply reply;
    int shown[CHANNEL_MOST_DESCRIPTORS];
    size_t count = 0;
    const int channel = (int)child->channel;
    if (!broodi_channel_receive_with(channel, &reply, sizeof reply, MSG_DONTWAIT, shown, &count))
        return broodi_fail(BROOD_SYSTEM, "the child ended before it reached its target");
    reply.text[sizeof reply.text - 1] = 0;
    out->status = (brood_status)reply.status;
    if (reply.status == CHANNEL_SYSTEM_ERROR)
        out->status = brood_os_error(reply.text, reply.code);
    (void)snprintf(out->text, sizeof out->text, "%s", reply.text);
    if (child->served)
        child->pid = reply.pid;
    if (count > 0)
        child->handle = broodi_descriptor_up(shown[0]);
    return BROOD_OK;
}

static bool is_something_left(int channel)
{
    char byte;
    return recv(channel, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
}

// What was executed to become a detached child ends when its fork has taken its place, or with its own fault.
static void reap_between(int64_t pid, bool end_it)
{
    siginfo_t info;
    if (end_it)
        (void)kill((pid_t)pid, SIGKILL);
    while (waitid(P_PID, (id_t)pid, &info, WEXITED) != 0 && errno == EINTR)
        continue;
}

brood_status brood_os_process_await_ready(brood_os_child *child, int64_t deadline, brood_os_reply *out)
{
    const int64_t between = child->served ? child->pid : 0;
    struct pollfd either[] = {
        { .fd = (int)child->channel, .events = POLLIN },
        { .fd = (int)child->handle, .events = POLLIN }, // ignored when negative
    };
    bool replied = poll_until(either, 2, deadline);
    if (!replied) { // from now on the child cannot reply any more; what it has said is heard
        (void)shutdown((int)child->channel, SHUT_RD);
        replied = poll_until(either, 1, 0) && is_something_left((int)child->channel);
    }
    const brood_status status = replied ? take_reply(child, out) : BROOD_TIMEOUT;
    close((int)child->channel);
    child->channel = -1;
    if (between > 0)
        reap_between(between, status != BROOD_OK);
    if (between > 0 && status != BROOD_OK)
        child->pid = 0;
    return status;
}

// Without a pidfd: looks again and again, since a wait for a child cannot be given a deadline.
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
    if (child->handle < 0)
        return child->served ? BROOD_UNSUPPORTED : await_by_pid(child->pid, deadline);
    struct pollfd ended = { .fd = (int)child->handle, .events = POLLIN };
    return poll_until(&ended, 1, deadline) ? BROOD_OK : BROOD_TIMEOUT;
}

// Ends

static const struct {
    int signal;
    brood_crash crash;
} crashes[] = {
    { SIGSEGV, BROOD_CRASH_ACCESS },    { SIGABRT, BROOD_CRASH_ABORT }, { SIGILL, BROOD_CRASH_ILLEGAL },
    { SIGFPE, BROOD_CRASH_ARITHMETIC }, { SIGBUS, BROOD_CRASH_BUS },    { SIGTRAP, BROOD_CRASH_OTHER },
    { SIGSYS, BROOD_CRASH_OTHER },
};

brood_exit broodi_launch_end(const siginfo_t *info)
{
    if (info->si_code == CLD_EXITED)
        return (brood_exit){ .kind = BROOD_EXITED, .code = info->si_status, .native = info->si_status };
    for (size_t i = 0; i < sizeof crashes / sizeof crashes[0]; i++)
        if (crashes[i].signal == info->si_status)
            return (brood_exit){ .kind = BROOD_CRASHED,
                                 .crash = (int32_t)crashes[i].crash,
                                 .native = info->si_status };
    return (brood_exit){ .kind = BROOD_SIGNALLED, .native = info->si_status };
}

static int wait_now(const brood_os_child *child, siginfo_t *info)
{
    if (child->handle >= 0) {
        const int got = waitid((idtype_t)WAIT_PIDFD, (id_t)child->handle, info, WEXITED | WNOHANG);
        if (got == 0 || errno != EINVAL)
            return got;
    }
    return waitid(P_PID, (id_t)child->pid, info, WEXITED | WNOHANG);
}

bool brood_os_process_reap(const brood_os_child *child, brood_exit *out)
{
    siginfo_t info = { .si_pid = 0 };
    int got;
    do
        got = wait_now(child, &info);
    while (got != 0 && errno == EINTR);
    if (got == 0 && info.si_pid == 0)
        return false;
    *out = got == 0 ? broodi_launch_end(&info) : (brood_exit){ .kind = BROOD_LOST };
    return true;
}

brood_status brood_os_process_end(const brood_os_child *child, bool hard)
{
    const int signal = hard ? SIGKILL : SIGTERM;
    long sent = -1;
    if (child->handle >= 0)
        sent = syscall(PIDFD_SEND_SIGNAL, (int)child->handle, signal, NULL, 0);
    else
        sent = kill((pid_t)child->pid, signal);
    return sent == 0 || errno == ESRCH ? BROOD_OK : brood_os_error("kill", errno);
}

void brood_os_process_forget(brood_os_child *child)
{
    if (child->handle >= 0)
        close((int)child->handle);
    if (child->channel >= 0)
        close((int)child->channel);
    child->handle = -1;
    child->channel = -1;
}

// Facts

int64_t brood_os_process_id(void)
{
    return getpid();
}

uint64_t brood_os_process_birth(int64_t pid)
{
    char text[1024];
    // By its first thread: of a whole process an emulator tells the process itself something else than others are told.
    (void)snprintf(text, sizeof text, "/proc/%lld/task/%lld/stat", (long long)pid, (long long)pid);
    const int file = broodi_posix_fault(EMFILE) ? -1 : open(text, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return errno == ENOENT ? 0 : BROOD_OS_BIRTH_UNKNOWN;
    const ssize_t length = read(file, text, sizeof text - 1);
    const int error = errno;
    close(file);
    if (length <= 0)
        return length < 0 && error == ESRCH ? 0 : BROOD_OS_BIRTH_UNKNOWN;
    text[length] = 0;
    // The name, second field, may hold anything; the state follows its last parenthesis, the threads are number 20, the start time is 22.
    const char *after = strrchr(text, ')');
    char state = 0;
    long threads = 0;
    unsigned long long birth = 0;
    if (!after ||
        sscanf(after + 1, " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %ld %*d %llu",
               &state, &threads, &birth) != 3)
        return BROOD_OS_BIRTH_UNKNOWN;
    // The process lives on as long as it has another thread than the first.
    return (state == 'Z' || state == 'X') && threads <= 1 ? 0 : birth;
}

char **brood_os_process_environment(void)
{
    size_t count = 0;
    size_t bytes = 0;
    for (; environ && environ[count]; count++)
        bytes += strlen(environ[count]) + 1;
    char **list = broodi_alloc((count + 1) * sizeof *list + bytes);
    if (!list)
        return NULL;
    char *text = (char *)(list + count + 1);
    for (size_t i = 0; i < count; i++) {
        const size_t size = strlen(environ[i]) + 1;
        list[i] = memcpy(text, environ[i], size);
        text += size;
    }
    list[count] = NULL;
    return list;
}

bool brood_os_process_same_name(const char *a, const char *b, size_t length)
{
    return memcmp(a, b, length) == 0;
}

// What cannot be told is taken to live: the caller looks again.
static bool lives(int64_t pid, uint64_t birth)
{
    const uint64_t now = brood_os_process_birth(pid);
    return now == BROOD_OS_BIRTH_UNKNOWN || (now != 0 && (now == birth || birth == BROOD_OS_BIRTH_UNKNOWN));
}

brood_status brood_os_parent_await_end(int64_t pid, uint64_t birth, int64_t deadline)
{
    const int pidfd = broodi_descriptor_of_process(pid);
    struct pollfd ended = { .fd = pidfd, .events = POLLIN };
    bool over = !lives(pid, birth);
    if (pidfd >= 0 && !over)
        over = poll_until(&ended, 1, deadline);
    while (pidfd < 0 && !over && brood_os_clock() < deadline) {
        const int64_t next = brood_os_clock() + 20000000;
        brood_os_sleep_until(next < deadline ? next : deadline);
        over = !lives(pid, birth);
    }
    if (pidfd >= 0)
        close(pidfd);
    return over ? BROOD_OK : BROOD_TIMEOUT;
}
