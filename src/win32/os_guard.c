// SPDX-License-Identifier: MIT
#include "os/os_guard.h"

#include <windows.h>

static SRWLOCK guard = SRWLOCK_INIT;

void brood_os_guard_lock(void)
{
    AcquireSRWLockExclusive(&guard);
}

void brood_os_guard_unlock(void)
{
    ReleaseSRWLockExclusive(&guard);
}

// Windows has no fork to watch.
brood_status brood_os_guard_watch_fork(void (*in_child)(void))
{
    (void)in_child;
    return BROOD_OK;
}
