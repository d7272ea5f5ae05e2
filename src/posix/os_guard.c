// SPDX-License-Identifier: MIT
// The guard is locked before each fork() of this process and unlocked after it, in both
// processes. A signal handler that calls fork() may have interrupted its own thread while that
// holds the guard or is about to lock it: such a fork does not wait for the guard, and the copy,
// which must not use brood, begins with a fresh one.
#include "os/os_guard.h"

#include "posix/descriptor.h"

#include "base/fault.h"
#include "os/os_error.h"
#include "os/os_thread.h"

#include "base/atomic.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>

static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;
static void (*run_in_child)(void);

static int cancelable; // the holder's cancellation state before; guarded by the guard

// How many times the calling thread is between the beginning of a lock call and the end of its
// unlock call: 1 in ordinary code, more in a signal handler that interrupted that. In static
// thread-local storage, which needs no allocation: a handler may be the first to access it.
#if defined(__ELF__)
#define STATIC_TLS __attribute__((tls_model("initial-exec")))
#else
#define STATIC_TLS
#endif
static _Thread_local volatile int inside STATIC_TLS;

// Only the compiler must keep the order: a handler runs in the same thread.
static void mark_inside(int change)
{
    atomic_signal_fence(memory_order_seq_cst);
    inside += change;
    atomic_signal_fence(memory_order_seq_cst);
}

// Cancellation is disabled while the guard is held: some calls under it are cancellation points.
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

bool brood_os_guard_is_held(void)
{
    return inside > 0;
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

// Used when the copied thread does not hold the guard: a thread that was not copied may hold it.
static void renew_guard(void)
{
    static const pthread_mutex_t fresh = PTHREAD_MUTEX_INITIALIZER;
    guard = fresh;
}

// The forking thread holds the guard during the fork, so in the child the only thread holds the
// copy. Cancellation stays disabled until `run_in_child` has returned.
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
