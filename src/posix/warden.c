// SPDX-License-Identifier: MIT
// The fork server, called the warden of its children. It has one thread, which sleeps in one poll;
// what can wake it:
//
//   its requester has ended           it ends, and the system ends its children with it (the death
//   signal), but those that are not tied its requester has let go          no spare is made any
//   more; it stays for those who live, to report their ends a spare has taken a job another spare
//   is made a child has ended                 its end is reported, then it is reaped
//
// A spare is a fork made ahead. All spares wait for a job on the same socket, and the kernel gives
// each job to one of them. When there is none (no fork was possible), the warden takes the job
// itself and says why.
//
// The warden holds nothing that a child would inherit but what is closed here. It has a process
// group of its own, so that a signal to the starter's group, such as a terminal's, neither stops it
// nor waits in a spare; it blocks all signals, and a spare that gets a job drops those that came
// before. Somebody may stop it all the same: a requester that is not served continues it, and it
// continues its spares.
#include "warden.h"

#include "channel.h"
#include "descriptor.h"
#include "launch.h"
#include "posix.h"

#include "atomic.h"
#include "fail.h"
#include "os/os_clock.h"
#include "os/os_error.h"
#include "os/os_server.h"
#include "os/os_thread.h"

#include <fcntl.h>
#include <link.h>
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
#include <time.h>
#include <unistd.h>

extern char **environ;

enum {
    SPARES = 2,
    RETRY = 100 /* ms until the next try to fork, or look for the dead */,
    SIGNALS = 64
};

// Shared with the spares: whether that one has taken a job.
typedef _Atomic uint32_t taken_flag;

static struct {
    int jobs;
    int requester;
    int taken;   // an eventfd: a flag has been set
    int signals; // a signalfd: SIGCHLD, SIGCONT
    pid_t pid;
    pid_t group; // of the requester; 0 in another namespace than that: then it is not left
    uint64_t ignored;
    unsigned children;    // spares included
    bool let_go;          // by the requester
    int fork_error;       // of the last try
    bool job_waits;       // and nobody else is there to take it
    pid_t spares[SPARES]; // 0: none
    taken_flag *flags;
    void (*ended)(int64_t pid, brood_exit how);
    void (*taken_by)(const uint64_t place[2]);
    char **environment; // of a child
} warden;

static uint64_t ignored_signals(void)
{
    uint64_t bits = 0;
    struct sigaction action;
    for (int number = 1; number <= SIGNALS; number++)
        if (sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
            bits |= UINT64_C(1) << (number - 1);
    return bits;
}

// The child's side, from a spare to a child

// Descriptors are higher than the standard ones, which the warden keeps open: on the null device.
static void set_standard(const struct warden_job *job, int channel, const int *descriptors)
{
    for (int i = STDIN_FILENO; i <= STDERR_FILENO; i++) {
        if (!(job->standard & 1U << i))
            continue;
        if (broodi_posix_fault(EMFILE) || dup2(*descriptors, i) < 0)
            broodi_channel_give_up(channel, errno, "dup");
        close(*descriptors++);
    }
}

// Those that the requester does not have: last of all, or a descriptor that is received would get
// the number.
static void close_standard(const struct warden_job *job)
{
    for (int i = STDIN_FILENO; i <= STDERR_FILENO; i++)
        if (job->closed & 1U << i)
            close(i);
}

static void set_ignored(uint64_t wanted)
{
    for (int bit = 0; bit < SIGNALS; bit++)
        if ((wanted ^ warden.ignored) >> bit & 1)
            (void)signal(bit + 1, wanted >> bit & 1 ? SIG_IGN : SIG_DFL);
}

// Those that came before there was a child were not for it.
static void drop_signals(void)
{
    const struct timespec none = { 0, 0 };
    sigset_t pending;
    if (sigpending(&pending) == 0 && !sigisemptyset(&pending))
        while (sigtimedwait(&pending, NULL, &none) > 0)
            continue;
}

static void receive_resources(brood_os_boot *boot, size_t count)
{
    boot->resources = count ? broodi_alloc(count * sizeof *boot->resources) : NULL;
    boot->resource_count = count;
    if (count && !boot->resources)
        broodi_channel_give_up((int)boot->channel, ENOMEM, "malloc");
    for (size_t known = 0; known < count;) {
        int batch[CHANNEL_MOST_DESCRIPTORS];
        size_t got = 0;
        char byte;
        errno = 0;
        if (!broodi_channel_await((int)boot->channel) ||
            !broodi_channel_receive_with((int)boot->channel, &byte, 1, 0, batch, &got) ||
            got == 0 || got > count - known)
            broodi_channel_give_up((int)boot->channel, errno ? errno : EBADF,
                                   "receiving resources");
        for (size_t i = 0; i < got; i++)
            boot->resources[known++].value = batch[i];
    }
}

// The directory, and the environment as a whole. The texts stay: they are the environment.
static void receive_texts(int channel, size_t size)
{
    static const char announcement[] = CHANNEL_VARIABLE "="; // is not passed on
    char *texts = broodi_alloc(size);
    if (!texts)
        broodi_channel_give_up(channel, ENOMEM, "malloc");
    if (!broodi_channel_receive(channel, texts, size) || texts[size - 1] != 0)
        broodi_channel_give_up(channel, EPIPE, "receiving the environment");
    size_t count = 0;
    for (size_t at = 0; at < size; at += strlen(texts + at) + 1)
        count++;
    char **list = broodi_alloc(count * sizeof *list); // without the directory, with the end
    if (!list)
        broodi_channel_give_up(channel, ENOMEM, "malloc");
    const char *directory = texts;
    size_t kept = 0;
    for (size_t at = strlen(texts) + 1; at < size; at += strlen(texts + at) + 1)
        if (strncmp(texts + at, announcement, sizeof announcement - 1) != 0)
            list[kept++] = texts + at;
    list[kept] = NULL;
    warden.environment = list; // reachable also when the program has put another one in its place
    environ = list;
    broodi_launch_set_directory(directory[0] ? directory : NULL, channel);
}

static void unblock(uint64_t blocked)
{
    sigset_t set;
    sigemptyset(&set);
    memcpy(&set, &blocked, sizeof blocked);
    (void)sigprocmask(SIG_SETMASK, &set, NULL);
}

static void enter_directory(int channel, int directory)
{
    if (broodi_posix_fault(ENOMEM) || fchdir(directory) != 0)
        broodi_channel_give_up(channel, errno, "changing to the starter's directory");
    close(directory);
}

static brood_status become_child(const struct warden_job *job, const int *descriptors,
                                 brood_os_boot *out)
{
    *out = (brood_os_boot){ .token = job->token, .arena = -1, .channel = descriptors[0] };
    if (!job->tied)
        (void)prctl(PR_SET_PDEATHSIG, 0);
    set_standard(job, descriptors[0], descriptors + 1 + job->has_directory);
    set_ignored(job->ignored);
    (void)umask((mode_t)job->umask);
    (void)prctl(PR_SET_TIMERSLACK, (unsigned long)job->slack, 0, 0, 0);
    if (job->has_directory)
        enter_directory(descriptors[0], descriptors[1]);
    receive_resources(out, (size_t)job->resources);
    receive_texts(descriptors[0], (size_t)job->texts);
    bool is_letter;
    const brood_status status = broodi_channel_receive_letter(out, &is_letter);
    broodi_channel_show(broodi_descriptor_of_process(getpid()));
    close_standard(job);
    unblock(job->blocked);
    return status;
}

static size_t count_of(const struct warden_job *job)
{
    return 1 + (job->has_directory & 1U) + (size_t)__builtin_popcount(job->standard & 7U);
}

static int pass_over(struct dl_phdr_info *module, size_t size, void *unused)
{
    (void)module;
    (void)size;
    (void)unused;
    return 1;
}

// Some of what every child does after it has a job, done once while nobody waits for it: so its
// pages are there by then.
static void rehearse(void)
{
    void *volatile memory = malloc(1);
    free(memory);
    (void)dl_iterate_phdr(pass_over, NULL);
}

static brood_status wait_for_job(int number, brood_os_boot *out)
{
    struct warden_job job;
    int descriptors[CHANNEL_MOST_DESCRIPTORS];
    size_t count = 0;
    const uint64_t one = 1;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != warden.pid)
        _exit(0);
    close(warden.requester);
    close(warden.signals);
    rehearse();
    if (!broodi_channel_receive_with(warden.jobs, &job, sizeof job, 0, descriptors, &count) ||
        count == 0)
        _exit(0); // the requester has let go
    if (count != count_of(&job) || job.texts == 0)
        broodi_channel_give_up(descriptors[0], EPROTO, "receiving a request in the fork server");
    warden.taken_by(job.place);
    drop_signals();
    if (warden.group > 0 && (broodi_posix_fault(ENOMEM) || setpgid(0, warden.group) != 0))
        broodi_channel_give_up(descriptors[0], errno, "setpgid");
    atomic_store_explicit(&warden.flags[number], 1, memory_order_release);
    (void)!write(warden.taken, &one, sizeof one);
    close(warden.taken);
    close(warden.jobs);
    return become_child(&job, descriptors, out);
}

// The warden's side

// A spare that is still idle.
static bool is_idle(int number)
{
    return warden.spares[number] &&
           !atomic_load_explicit(&warden.flags[number], memory_order_acquire);
}

static unsigned count_idle(void)
{
    unsigned count = 0;
    for (int i = 0; i < SPARES; i++)
        count += is_idle(i);
    return count;
}

// Makes spares up to their number. True in a spare, whose number is `*out`.
static bool make_spares(int *out)
{
    warden.fork_error = 0;
    for (int i = 0; i < SPARES && !warden.let_go; i++) {
        if (is_idle(i))
            continue;
        atomic_store_explicit(&warden.flags[i], 0, memory_order_relaxed);
        const pid_t pid = broodi_posix_fault(EAGAIN) ? -1 : fork();
        *out = i;
        if (pid == 0)
            return true;
        warden.spares[i] = pid > 0 ? pid : 0;
        if (pid < 0) {
            warden.fork_error = errno;
            return false;
        }
        warden.children++;
    }
    return false;
}

static void signal_idle(int number)
{
    for (int i = 0; i < SPARES; i++)
        if (is_idle(i))
            (void)kill(warden.spares[i], number); // which has not been reaped
}

// Of a child that has ended: whether it was a spare that had no job, and so is nobody's.
static bool forget_spare(pid_t pid)
{
    for (int i = 0; i < SPARES; i++) {
        if (warden.spares[i] != pid)
            continue;
        const bool idle = is_idle(i);
        warden.spares[i] = 0;
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
            warden.ended(pid, broodi_launch_end(&info));
        (void)waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG);
        warden.children--;
    }
}

// Nobody else is there to take it.
static void refuse_job(void)
{
    struct warden_job job;
    int descriptors[CHANNEL_MOST_DESCRIPTORS];
    size_t count = 0;
    if (!broodi_channel_receive_with(warden.jobs, &job, sizeof job, MSG_DONTWAIT, descriptors,
                                     &count))
        return;
    if (count > 0)
        broodi_channel_send_error(descriptors[0], warden.fork_error, "fork in the fork server");
    for (size_t i = 0; i < count; i++)
        close(descriptors[i]);
}

static void drain(int descriptor)
{
    uint64_t count;
    while (read(descriptor, &count, sizeof count) > 0)
        continue;
}

// Whoever was stopped as this one was goes on with it.
static void take_signals(void)
{
    struct signalfd_siginfo signal;
    while (read(warden.signals, &signal, sizeof signal) == (ssize_t)sizeof signal)
        if (signal.ssi_signo == SIGCONT)
            signal_idle(SIGCONT);
}

// No more jobs: a spare that is stopped would not see it.
static void let_go(void)
{
    warden.let_go = true;
    close(warden.jobs);
    warden.jobs = -1; // poll passes it over
    signal_idle(SIGKILL);
}

static void wait_for_news(void)
{
    const bool helpless = warden.fork_error && count_idle() == 0;
    struct pollfd news[] = {
        { .fd = warden.requester, .events = POLLIN },
        { .fd = warden.jobs, .events = helpless ? POLLIN : 0 },
        { .fd = warden.taken, .events = POLLIN },
        { .fd = warden.signals, .events = POLLIN },
    };
    // A thread that some library has started before main takes SIGCHLD away if it does not block
    // it.
    const bool looks_again = warden.fork_error || brood_os_thread_count() > 1;
    if (broodi_posix_fault(ENOMEM) || poll(news, 4, looks_again ? RETRY : -1) < 0)
        return;
    if (news[0].revents)
        _exit(0);
    warden.job_waits = news[1].revents & POLLIN;
    if (news[1].revents & (POLLHUP | POLLERR))
        let_go();
    if (news[2].revents)
        drain(warden.taken);
    if (news[3].revents)
        take_signals();
    reap_children();
}

static const char *prepare_signals(void)
{
    sigset_t set;
    sigfillset(&set);
    (void)sigprocmask(SIG_SETMASK, &set, NULL);
    (void)signal(SIGCHLD, SIG_DFL); // or there would be nobody to reap
    warden.ignored = ignored_signals();
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGCONT);
    warden.signals =
        broodi_posix_fault(EMFILE) ? -1 : signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return warden.signals >= 0 ? NULL : "signalfd";
}

// Nobody's pipe stays open because of a server.
static const char *let_standard_go(void)
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

// Nor does a directory; but one that the server could not come back to is what its children begin
// in.
static void leave_directory(void)
{
    struct stat facts;
    if (stat(".", &facts) == 0)
        (void)!chdir("/");
}

// A job brings the channel, the directory and the standard descriptors. A spare has two descriptors
// less than the server.
static const char *try_room(void)
{
    enum { ROOM = 3 };
    int tried[ROOM];
    int count = 0;
    while (count < ROOM && !broodi_posix_fault(EMFILE) &&
           (tried[count] = fcntl(warden.taken, F_DUPFD_CLOEXEC, 0)) >= 0)
        count++;
    const int error = errno;
    for (int i = 0; i < count; i++)
        close(tried[i]);
    errno = error;
    return count == ROOM ? NULL : "room for what a child is given";
}

static const char *make_flags(void)
{
    void *flags = broodi_posix_fault(ENOMEM)
                      ? MAP_FAILED
                      : mmap(NULL, SPARES * sizeof *warden.flags, PROT_READ | PROT_WRITE,
                             MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (flags == MAP_FAILED)
        return "mmap";
    warden.flags = flags;
    return NULL;
}

// What has failed, with errno; NULL: nothing. A program may run without standard streams: the
// server has all three before it opens anything else, which would get one of their numbers.
static const char *prepare(void)
{
    warden.pid = getpid();
    warden.group = getpgrp();
    if (warden.group > 0)
        (void)setpgid(0, 0);
    leave_directory();
    const char *failed = let_standard_go();
    if (failed)
        return failed;
    warden.taken = broodi_posix_fault(EMFILE) ? -1 : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (warden.taken < 0)
        return "eventfd";
    failed = make_flags();
    if (!failed)
        failed = prepare_signals();
    return failed ? failed : try_room();
}

static void tell_requester(const char *failed, int code)
{
    struct warden_ready ready = { .code = failed ? code : 0 };
    if (failed)
        (void)snprintf(ready.call, sizeof ready.call, "%s in the fork server", failed);
    if (!broodi_channel_send_with(warden.jobs, &ready, sizeof ready, NULL, 0) || failed)
        _exit(70);
}

brood_status brood_os_serve(const brood_resource *resources,
                            void (*ended)(int64_t pid, brood_exit how),
                            void (*taken)(const uint64_t place[2]), brood_os_boot *out)
{
    int spare = 0;
    warden.ended = ended;
    warden.taken_by = taken;
    warden.jobs = (int)resources[WARDEN_JOBS].value;
    warden.requester = (int)resources[WARDEN_REQUESTER].value;
    const char *failed = prepare();
    tell_requester(failed, errno);
    while (!make_spares(&spare)) {
        if (warden.let_go && warden.children == 0)
            _exit(0);
        if (warden.job_waits && count_idle() == 0)
            refuse_job();
        warden.job_waits = false;
        wait_for_news();
    }
    return wait_for_job(spare, out);
}
