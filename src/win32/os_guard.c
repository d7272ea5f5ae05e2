// SPDX-License-Identifier: MIT
#include "os/os_guard.h"

#include "win32/win32.h"

#include "base/atomic.h"

#include <windows.h>

static SRWLOCK guard = SRWLOCK_INIT;
static _Atomic unsigned long holder; // the thread that holds the guard; 0: none

void brood_os_guard_lock(void)
{
    AcquireSRWLockExclusive(&guard);
    atomic_store_explicit(&holder, GetCurrentThreadId(), memory_order_relaxed);
}

void brood_os_guard_unlock(void)
{
    atomic_store_explicit(&holder, 0, memory_order_relaxed);
    ReleaseSRWLockExclusive(&guard);
}

bool brood_os_guard_is_held(void)
{
    return atomic_load_explicit(&holder, memory_order_relaxed) == GetCurrentThreadId();
}

// Windows has no fork to watch.
brood_status brood_os_guard_watch_fork(void (*in_child)(void))
{
    (void)in_child;
    return BROOD_OK;
}
