// SPDX-License-Identifier: MIT
// The guard is taken before each fork() of this process and given back behind it, in both
// processes. A signal handler that calls fork() may have interrupted its own thread while that has
// the guard, or is about to have it: such a fork does not wait for the guard, and the copy, which
// is not to use brood, begins with a fresh one.
#include "os/os_guard.h"

#include "descriptor.h"

#include "fault.h"
#include "os/os_error.h"
#include "os/os_thread.h"

#include "atomic.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>

static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;
static void (*run_in_child)(void);

static int cancelable; // whether its holder was, before; guarded by it

// How often the calling thread is between the call that takes the guard and the end of the one that
// gives it back: 1 in ordinary code, more in handlers. In the memory that each thread has from its
// start, since a handler may be the first to look.
#if defined(__ELF__)
#define FROM_THE_START __attribute__((tls_model("initial-exec")))
#else
#define FROM_THE_START
#endif
static _Thread_local volatile int inside FROM_THE_START;

// The compiler keeps the order; a handler runs in the same thread.
static void mark_inside(int change)
{
    atomic_signal_fence(memory_order_seq_cst);
    inside += change;
    atomic_signal_fence(memory_order_seq_cst);
}

// Under it there are calls that a cancelled thread would not come back from.
void brood_os_guard_lock(void)
{
    const int before = brood_os_thread_protect();
    mark_inside(1);
    pthread_mutex_lock(&guard);
    cancelable = before;
}

void brood_os_guard_unlock(void)
{
    const int before = cancelable;
    pthread_mutex_unlock(&guard);
    mark_inside(-1);
    brood_os_thread_unprotect(before);
}

static void before_fork(void)
{
    if (inside > 0)
        mark_inside(1);
    else
        brood_os_guard_lock();
    broodi_descriptors_lock();
}

static void after_in_parent(void)
{
    broodi_descriptors_unlock();
    if (inside > 1)
        mark_inside(-1);
    else
        brood_os_guard_unlock();
}

// A lock that this thread has not got may be held by one that was not copied.
static void renew_guard(void)
{
    static const pthread_mutex_t fresh = PTHREAD_MUTEX_INITIALIZER;
    guard = fresh;
}

// The forking thread holds the guard over the fork, so the child's copy is held by its only thread;
// which is not cancelled before it is through.
static void after_in_child(void)
{
    broodi_descriptors_forget();
    if (inside > 1) {
        renew_guard();
        run_in_child();
        mark_inside(-1);
        return;
    }
    const int before = cancelable;
    pthread_mutex_unlock(&guard);
    run_in_child();
    mark_inside(-1);
    brood_os_thread_unprotect(before);
}

brood_status brood_os_guard_watch_fork(void (*in_child)(void))
{
    run_in_child = in_child;
    const int error =
        broodi_fault() ? ENOMEM : pthread_atfork(before_fork, after_in_parent, after_in_child);
    return error ? brood_os_error("pthread_atfork", error) : BROOD_OK;
}
