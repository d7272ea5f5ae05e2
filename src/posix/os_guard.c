// SPDX-License-Identifier: MIT
#include "os/os_guard.h"

#include "fault.h"
#include "os/os_error.h"
#include "os/os_thread.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>

static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;
static void (*run_in_child)(void);

static int cancelable; // whether its holder was, before; guarded by it

// Under it there are calls that a cancelled thread would not come back from.
void brood_os_guard_lock(void)
{
    const int before = brood_os_thread_protect();
    pthread_mutex_lock(&guard);
    cancelable = before;
}

void brood_os_guard_unlock(void)
{
    const int before = cancelable;
    pthread_mutex_unlock(&guard);
    brood_os_thread_unprotect(before);
}

// The forking thread holds the guard over the fork, so the child's copy is held by its only thread; which is not cancelled before it is through.
static void after_in_child(void)
{
    const int before = cancelable;
    pthread_mutex_unlock(&guard);
    run_in_child();
    brood_os_thread_unprotect(before);
}

brood_status brood_os_guard_watch_fork(void (*in_child)(void))
{
    run_in_child = in_child;
    const int error =
        broodi_fault() ? ENOMEM : pthread_atfork(brood_os_guard_lock, brood_os_guard_unlock, after_in_child);
    return error ? brood_os_error("pthread_atfork", error) : BROOD_OK;
}
