// SPDX-License-Identifier: MIT
// The fork server. It has one thread, which sleeps in one poll. These events wake it:
//
//   its requester has ended        it exits; the death signal kills its tied children
//   its requester has released it  it makes no more spares and stays until its last child has ended
//   a spare has taken a job        it makes another spare
//   a child has ended              it reports the end and reaps the child
//
// A spare is a fork made ahead. All spares wait for a job on the same socket, and the kernel
// delivers each job to one of them. If there is no spare because fork() failed, the server
// receives the job itself and replies with the error.
//
// The server closes here every descriptor that a child must not inherit. It has a process group
// of its own, so that a signal to the parent's group, such as one from a terminal, neither stops
// it nor stays pending in a spare; it blocks all signals, and a spare that gets a job discards
// those that were pending. If it is stopped nevertheless, a requester that is not served
// continues it, and it continues its spares.
#include "posix/linux/server_protocol.h"

#include "posix/channel.h"
#include "posix/descriptor.h"
#include "posix/launch.h"
#include "posix/linux/signals.h"
#include "posix/linux/spare.h"
#include "posix/posix.h"

#include "base/atomic.h"
#include "base/fail.h"
#include "os/os_clock.h"
#include "os/os_error.h"
#include "os/os_server.h"
#include "os/os_thread.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    SPARES = 2,
    RETRY = 100, // ms until the next attempt to fork, or the next check for ended children
};

// Shared with the spare: whether it has taken a job.
typedef _Atomic uint32_t taken_flag;

static struct {
    int jobs;
    int requester;
    int taken;   // an eventfd: a flag has been set
    int signals; // a signalfd: SIGCHLD, SIGCONT
    pid_t pid;
    pid_t group; // of the requester; 0 if not visible in this pid namespace: then it is not left
    uint64_t ignored;
    unsigned children;    // including spares
    bool released;        // by the requester
    int fork_error;       // of the last attempt; 0: none
    bool job_waits;       // a job is pending and there is no spare for it
    pid_t spares[SPARES]; // 0: none
    taken_flag *flags;
    void (*ended)(int64_t pid, brood_exit how);
    void (*taken_by)(const uint64_t place[2]);
} server;

static uint64_t ignored_signals(void)
{
    uint64_t bits = 0;
    struct sigaction action;
    for (int number = 1; number <= LINUX_SIGNALS; number++)
        if (sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
            bits |= UINT64_C(1) << (number - 1);
    return bits;
}

static size_t count_of(const struct server_job *job)
{
    return 1 + (job->has_directory & 1U) + (size_t)__builtin_popcount(job->standard & 7U);
}

static brood_status wait_for_job(int number, brood_os_boot *out)
{
    struct server_job job;
    int descriptors[CHANNEL_MOST_DESCRIPTORS];
    size_t count = 0;
    const uint64_t one = 1;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != server.pid)
        _exit(0);
    close(server.requester);
    close(server.signals);
    broodi_spare_rehearse();
    if (!broodi_channel_receive_with(server.jobs, &job, sizeof job, 0, descriptors, &count) ||
        count == 0)
        _exit(0); // the requester has released the server
    if (count != count_of(&job) || job.texts == 0)
        broodi_channel_give_up(descriptors[0], EPROTO, "receiving a request in the fork server");
    server.taken_by(job.place);
    broodi_spare_discard_signals();
    if (server.group > 0 && (broodi_posix_fault(ENOMEM) || setpgid(0, server.group) != 0))
        broodi_channel_give_up(descriptors[0], errno, "setpgid");
    // Release: pairs with the acquire in is_idle(), in the server's process.
    atomic_store_explicit(&server.flags[number], 1, memory_order_release);
    (void)!write(server.taken, &one, sizeof one);
    close(server.taken);
    close(server.jobs);
    return broodi_spare_become_child(&job, descriptors, server.ignored, out);
}

// The server

// Returns whether there is such a spare and it has not taken a job.
static bool is_idle(int number)
{
    return server.spares[number] &&
           !atomic_load_explicit(&server.flags[number], memory_order_acquire);
}

static unsigned count_idle(void)
{
    unsigned count = 0;
    for (int i = 0; i < SPARES; i++)
        count += is_idle(i);
    return count;
}

// Forks until there are SPARES idle spares. Returns true in a spare, whose index is `*out`.
static bool make_spares(int *out)
{
    server.fork_error = 0;
    for (int i = 0; i < SPARES && !server.released; i++) {
        if (is_idle(i))
            continue;
        atomic_store_explicit(&server.flags[i], 0, memory_order_relaxed);
        const pid_t pid = broodi_posix_fault(EAGAIN) ? -1 : fork();
        *out = i;
        if (pid == 0)
            return true;
        server.spares[i] = pid > 0 ? pid : 0;
        if (pid < 0) {
            server.fork_error = errno;
            return false;
        }
        server.children++;
    }
    return false;
}

static void signal_idle(int number)
{
    for (int i = 0; i < SPARES; i++)
        if (is_idle(i))
            (void)kill(server.spares[i], number); // it has not been reaped
}

// Called for a child that has ended: if it was a spare, frees its entry. Returns whether it was
// idle; then its end is not reported.
static bool forget_spare(pid_t pid)
{
    for (int i = 0; i < SPARES; i++) {
        if (server.spares[i] != pid)
            continue;
        const bool idle = is_idle(i);
        server.spares[i] = 0;
        return idle;
    }
    return false;
}

static void reap_children(void)
{
    for (;;) {
        siginfo_t info = { .si_pid = 0 };
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0)
            return;
        const pid_t pid = info.si_pid;
        if (!forget_spare(pid))
            server.ended(pid, broodi_launch_end(&info));
        (void)waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG);
        server.children--;
    }
}

// Receives a job that no spare can take, and replies with the error of fork().
static void refuse_job(void)
{
    struct server_job job;
    int descriptors[CHANNEL_MOST_DESCRIPTORS];
    size_t count = 0;
    if (!broodi_channel_receive_with(server.jobs, &job, sizeof job, MSG_DONTWAIT, descriptors,
                                     &count))
        return;
    if (count > 0)
        broodi_channel_send_error(descriptors[0], server.fork_error, "fork in the fork server");
    for (size_t i = 0; i < count; i++)
        close(descriptors[i]);
}

static void drain(int descriptor)
{
    uint64_t count;
    while (read(descriptor, &count, sizeof count) > 0)
        continue;
}

// If this process has been continued, its spares may have been stopped as well: continues them.
static void read_signals(void)
{
    struct signalfd_siginfo signal;
    while (read(server.signals, &signal, sizeof signal) == (ssize_t)sizeof signal)
        if (signal.ssi_signo == SIGCONT)
            signal_idle(SIGCONT);
}

// No more jobs follow. The spares are killed, since one that is stopped would not notice.
static void end_jobs(void)
{
    server.released = true;
    close(server.jobs);
    server.jobs = -1; // poll ignores it
    signal_idle(SIGKILL);
}

static void wait_for_news(void)
{
    const bool is_without_spares = server.fork_error && count_idle() == 0;
    struct pollfd news[] = {
        { .fd = server.requester, .events = POLLIN },
        { .fd = server.jobs, .events = is_without_spares ? POLLIN : 0 },
        { .fd = server.taken, .events = POLLIN },
        { .fd = server.signals, .events = POLLIN },
    };
    // If a library has started a thread before main, that may take SIGCHLD because it does not
    // block it: then the server checks periodically.
    const bool polls = server.fork_error || brood_os_thread_count() > 1;
    if (broodi_posix_fault(ENOMEM) || poll(news, 4, polls ? RETRY : -1) < 0)
        return;
    if (news[0].revents)
        _exit(0);
    server.job_waits = news[1].revents & POLLIN;
    if (news[1].revents & (POLLHUP | POLLERR))
        end_jobs();
    if (news[2].revents)
        drain(server.taken);
    if (news[3].revents)
        read_signals();
    reap_children();
}

static const char *prepare_signals(void)
{
    sigset_t set;
    sigfillset(&set);
    (void)sigprocmask(SIG_SETMASK, &set, NULL);
    (void)signal(SIGCHLD, SIG_DFL); // otherwise the system would reap the children
    server.ignored = ignored_signals();
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGCONT);
    server.signals =
        broodi_posix_fault(EMFILE) ? -1 : signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return server.signals >= 0 ? NULL : "signalfd";
}

// Replaces the standard descriptors, so that the server keeps no pipe open.
static const char *release_standard(void)
{
    const int null = broodi_posix_fault(EMFILE) ? -1 : open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0)
        return "opening /dev/null";
    for (int i = STDIN_FILENO; i <= STDERR_FILENO; i++)
        if (null != i && (broodi_posix_fault(EMFILE) || dup2(null, i) < 0))
            return "dup";
    if (null > STDERR_FILENO)
        close(null);
    return NULL;
}

// Changes to "/", so that the server keeps no directory in use; but if it could not change back
// to its directory, its children must begin there.
static void leave_directory(void)
{
    struct stat facts;
    if (stat(".", &facts) == 0)
        (void)!chdir("/");
}

// Checks that there is room for the five descriptors of a job: channel, directory and the three
// standard ones. A spare has two descriptors fewer than the server.
static const char *check_room(void)
{
    enum { ROOM = 3 };
    int tried[ROOM];
    int count = 0;
    while (count < ROOM && !broodi_posix_fault(EMFILE) &&
           (tried[count] = fcntl(server.taken, F_DUPFD_CLOEXEC, 0)) >= 0)
        count++;
    const int error = errno;
    for (int i = 0; i < count; i++)
        close(tried[i]);
    errno = error;
    return count == ROOM ? NULL : "reserving descriptors";
}

static const char *make_flags(void)
{
    void *flags = broodi_posix_fault(ENOMEM)
                      ? MAP_FAILED
                      : mmap(NULL, SPARES * sizeof *server.flags, PROT_READ | PROT_WRITE,
                             MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (flags == MAP_FAILED)
        return "mmap";
    server.flags = flags;
    return NULL;
}

// Returns the call that failed, with errno; NULL if none did. A program may run without standard
// streams: the server opens all three before anything else could get one of their numbers.
static const char *prepare(void)
{
    server.pid = getpid();
    server.group = getpgrp();
    if (server.group > 0)
        (void)setpgid(0, 0);
    leave_directory();
    const char *failed = release_standard();
    if (failed)
        return failed;
    server.taken = broodi_posix_fault(EMFILE) ? -1 : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (server.taken < 0)
        return "eventfd";
    failed = make_flags();
    if (!failed)
        failed = prepare_signals();
    return failed ? failed : check_room();
}

static void report_to_requester(const char *failed, int code)
{
    struct server_ready ready = { .code = failed ? code : 0 };
    if (failed)
        (void)snprintf(ready.call, sizeof ready.call, "%s in the fork server", failed);
    if (!broodi_channel_send_with(server.jobs, &ready, sizeof ready, NULL, 0) || failed)
        _exit(70);
}

brood_status brood_os_serve(const brood_resource *resources,
                            void (*ended)(int64_t pid, brood_exit how),
                            void (*taken)(const uint64_t place[2]), brood_os_boot *out)
{
    int spare = 0;
    server.ended = ended;
    server.taken_by = taken;
    server.jobs = (int)resources[SERVER_JOBS].value;
    server.requester = (int)resources[SERVER_REQUESTER].value;
    const char *failed = prepare();
    report_to_requester(failed, errno);
    while (!make_spares(&spare)) {
        if (server.released && server.children == 0)
            _exit(0);
        if (server.job_waits && count_idle() == 0)
            refuse_job();
        server.job_waits = false;
        wait_for_news();
    }
    return wait_for_job(spare, out);
}
