// SPDX-License-Identifier: MIT
// What macOS reports about processes, by sysctl and kqueue.
#include "posix/proc.h"

#include "posix/darwin/follower.h"
#include "posix/descriptor.h"
#include "posix/posix.h"

#include "os/os_error.h"

#include <crt_externs.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/event.h>
#include <sys/sysctl.h>
#include <sys/wait.h>
#include <unistd.h>

int broodi_proc_wait_now(const brood_os_child *child, siginfo_t *info)
{
    return waitid(P_PID, (id_t)child->pid, info, WEXITED | WNOHANG);
}

bool broodi_proc_signal(const brood_os_child *child, int signal)
{
    return kill((pid_t)child->pid, signal) == 0;
}

int64_t broodi_proc_pid_of(intptr_t descriptor)
{
    (void)descriptor; // no child is in another pid namespace
    return 0;
}

uint64_t brood_os_pid_namespace(void)
{
    return 0; // there is only one pid namespace
}

void brood_os_pid_namespace_offer(uint64_t space, int64_t starter)
{
    (void)space, (void)starter;
}

uint64_t brood_os_process_birth(int64_t pid)
{
    int name[] = { CTL_KERN, KERN_PROC, KERN_PROC_PID, (int)pid };
    struct kinfo_proc facts;
    size_t size = sizeof facts;
    if (broodi_posix_fault(ENOMEM) || sysctl(name, 4, &facts, &size, NULL, 0) != 0)
        return BROOD_OS_BIRTH_UNKNOWN;
    if (size == 0 || facts.kp_proc.p_stat == SZOMB)
        return 0;
    const struct timeval start = facts.kp_proc.p_starttime;
    return (uint64_t)start.tv_sec * 1000000 + (uint64_t)start.tv_usec;
}

char **broodi_proc_arguments(void)
{
    return *_NSGetArgv();
}

char ***broodi_proc_environment(void)
{
    return _NSGetEnviron();
}

bool broodi_proc_is_privileged(void)
{
    return issetugid() != 0;
}

void broodi_proc_restore_name(void)
{
    // The process was executed by the path of the program.
}

static int make_queue(void)
{
    broodi_descriptors_lock();
    const int queue =
        broodi_descriptor_note(broodi_posix_fault(EMFILE) ? -1 : broodi_descriptor_up(kqueue()));
    broodi_descriptors_unlock();
    return queue;
}

// A kqueue with one event, which no thread removes: once the process has ended, the queue stays
// readable for all that poll it.
int broodi_descriptor_of_process(int64_t pid)
{
    const int queue = make_queue();
    if (queue < 0)
        return -1;
    struct kevent end;
    EV_SET(&end, (uintptr_t)pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, NULL);
    if (fcntl(queue, F_SETFD, FD_CLOEXEC) == 0 && kevent(queue, &end, 1, NULL, 0, NULL) == 0)
        return queue;
    broodi_descriptor_close(queue);
    return -1;
}

// The follower: a thread that kills this process when its parent ends

static _Atomic pid_t followed; // pid of the process that has a follower: a forked child has none

bool broodi_follower_exists(void)
{
    return atomic_load_explicit(&followed, memory_order_relaxed) == getpid();
}

static void *follow(void *queue)
{
    struct kevent end;
    while (kevent((int)(intptr_t)queue, NULL, 0, &end, 1, NULL) < 0 && errno == EINTR)
        continue;
    (void)kill(getpid(), SIGKILL);
    return NULL;
}

static int create_follower(int queue)
{
    sigset_t all;
    sigset_t before;
    pthread_t thread;
    pthread_attr_t detached;
    int error = broodi_posix_fault(ENOMEM) ? ENOMEM : pthread_attr_init(&detached);
    if (error)
        return error;
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = broodi_posix_fault(EAGAIN)
                ? EAGAIN
                : pthread_create(&thread, &detached, follow, (void *)(intptr_t)queue);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&detached);
    return error;
}

brood_status broodi_proc_follow(int64_t starter)
{
    const int queue = broodi_descriptor_of_process(starter);
    if (queue < 0 && errno != ESRCH)
        return brood_os_error("kqueue", errno);
    if (queue < 0 || getppid() != starter) // its pid may have been reused
        _exit(70);
    const int error = create_follower(queue);
    if (error) {
        broodi_descriptor_close(queue);
        return brood_os_error("pthread_create", error);
    }
    atomic_store_explicit(&followed, getpid(), memory_order_relaxed);
    return BROOD_OK;
}
