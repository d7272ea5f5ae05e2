// SPDX-License-Identifier: MIT
#include "posix/linux/starter.h"

#include "base/atomic.h"
#include "base/fault.h"
#include "os/os_clock.h"
#include "os/os_error.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

struct request {
    void (*job)(void *);
    void *arg;
    bool done;
    struct request *next;
};

// Guarded by `mutex`. A request is on the stack of the thread that waits for it.
static struct {
    pthread_mutex_t mutex;
    pthread_cond_t changed; // a request was added or done
    atomic_bool exists;
    bool first_thread_left; // by pthread_exit(): the process ends when its last thread does
    sigset_t mask;          // of the thread that created the starter
    sigset_t fork_mask;     // of the thread that forks
    struct request *first;
} starter = { .mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

// Signals are blocked: a handler that forks would wait for its own thread. The starter has all of
// them blocked.
static void lock(sigset_t *out_mask)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, out_mask);
    pthread_mutex_lock(&starter.mutex);
}

static void unlock(sigset_t mask)
{
    pthread_mutex_unlock(&starter.mutex);
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
}

static void lock_for_fork(void)
{
    sigset_t mask;
    lock(&mask);
    starter.fork_mask = mask;
}

static void unlock_in_parent(void)
{
    unlock(starter.fork_mask);
}

static pthread_key_t first_thread; // only the first thread sets its value

static void leave_first_thread(void *unused)
{
    sigset_t mask;
    (void)unused;
    lock(&mask);
    starter.first_thread_left = true;
    pthread_cond_broadcast(&starter.changed);
    unlock(mask);
}

// Neither the starter nor the threads that wait for it were copied. The thread that was copied is
// the first thread of the copy.
static void forget_in_child(void)
{
    atomic_store_explicit(&starter.exists, false, memory_order_relaxed);
    starter.first_thread_left = false;
    (void)pthread_setspecific(first_thread, &starter);
    starter.first = NULL;
    starter.changed = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
    unlock(starter.fork_mask);
}

// The C library ends a process when its last thread ends, and would count the starter as one: so
// the starter itself checks whether other threads are left.
static void end_if_alone(void)
{
    if (!broodi_thread_is_alone())
        return;
    unlock(starter.mask);
    exit(0);
}

static void await_request(void)
{
    const int64_t period = 20000000;
    if (!starter.first_thread_left) {
        pthread_cond_wait(&starter.changed, &starter.mutex);
        return;
    }
    end_if_alone();
    pthread_mutex_unlock(&starter.mutex);
    brood_os_sleep_until(brood_os_clock() + period);
    pthread_mutex_lock(&starter.mutex);
}

static void *serve(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&starter.mutex);
    for (;;) {
        while (!starter.first)
            await_request();
        struct request *request = starter.first;
        starter.first = request->next;
        pthread_mutex_unlock(&starter.mutex);
        request->job(request->arg);
        pthread_mutex_lock(&starter.mutex);
        request->done = true;
        pthread_cond_broadcast(&starter.changed);
    }
    return NULL;
}

// Returns the stack size that the first thread of a program may use.
static size_t stack_limit(void)
{
    const rlim_t unlimited = sizeof(void *) > 4 ? (rlim_t)64 << 20 : (rlim_t)8 << 20;
    const rlim_t most = sizeof(void *) > 4 ? (rlim_t)1 << 30 : (rlim_t)64 << 20;
    struct rlimit limit;
    if (getrlimit(RLIMIT_STACK, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return (size_t)unlimited;
    return (size_t)(limit.rlim_cur < most ? limit.rlim_cur : most);
}

// A forked child runs on a copy of this stack. If there is too little memory the stack is
// smaller, down to the default size.
static int create_with_stack(pthread_attr_t *attributes)
{
    pthread_t thread;
    size_t usual;
    pthread_attr_getstacksize(attributes, &usual);
    for (size_t size = stack_limit(); size > usual; size /= 2) {
        pthread_attr_setstacksize(attributes, size);
        if (!broodi_fault() && pthread_create(&thread, attributes, serve, NULL) == 0)
            return 0;
    }
    pthread_attr_setstacksize(attributes, usual);
    return broodi_fault() ? EAGAIN : pthread_create(&thread, attributes, serve, NULL);
}

static int create_thread(void)
{
    pthread_attr_t detached;
    int error = broodi_fault() ? ENOMEM : pthread_attr_init(&detached);
    if (error)
        return error;
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    error = create_with_stack(&detached);
    pthread_attr_destroy(&detached);
    return error;
}

// Creates the starter if it does not exist. All signals of the calling thread are blocked, which
// the starter inherits; `mask` is the mask from before.
static int ensure_starter(sigset_t mask)
{
    if (atomic_load_explicit(&starter.exists, memory_order_relaxed))
        return 0;
    starter.mask = mask;
    const int error = create_thread();
    atomic_store_explicit(&starter.exists, !error, memory_order_relaxed);
    return error;
}

static void enqueue_and_wait(struct request *request)
{
    struct request **last = &starter.first;
    while (*last)
        last = &(*last)->next;
    *last = request;
    pthread_cond_broadcast(&starter.changed);
    while (!request->done)
        pthread_cond_wait(&starter.changed, &starter.mutex);
}

brood_status broodi_starter_run(void (*job)(void *), void *arg)
{
    if (syscall(SYS_gettid) == getpid()) {
        job(arg);
        return BROOD_OK;
    }
    struct request request = { .job = job, .arg = arg };
    sigset_t mask;
    lock(&mask);
    const int error = ensure_starter(mask);
    if (!error)
        enqueue_and_wait(&request);
    unlock(mask);
    return error ? brood_os_error("the starter thread", error) : BROOD_OK;
}

int broodi_starter_watch_fork(void)
{
    int error = broodi_fault() ? EAGAIN : pthread_key_create(&first_thread, leave_first_thread);
    if (!error && syscall(SYS_gettid) == getpid())
        error = broodi_fault() ? ENOMEM : pthread_setspecific(first_thread, &starter);
    if (!error)
        error = broodi_fault() ? ENOMEM
                               : pthread_atfork(lock_for_fork, unlock_in_parent, forget_in_child);
    return error;
}

bool broodi_starter_exists(void)
{
    return atomic_load_explicit(&starter.exists, memory_order_relaxed);
}
