// SPDX-License-Identifier: MIT
#include "win32/ring.h"

#include "win32/win32.h"

#include "os/os_watch.h"

#include <windows.h>

enum { MOST_RUNG = 64 };

// The events that this process has rung last, which it keeps open: a ring is one system call
// instead of three.
static struct rung {
    uint64_t number;
    HANDLE event;
} rung[MOST_RUNG];
static SRWLOCK rung_guard = SRWLOCK_INIT;

static struct rung *place_of(uint64_t number)
{
    const uint64_t mixed = number * UINT64_C(0x9E3779B97F4A7C15);
    return &rung[mixed >> 32 & (MOST_RUNG - 1)];
}

// Keeps the event, or NULL, in the place of this number.
static void keep(uint64_t number, HANDLE event)
{
    AcquireSRWLockExclusive(&rung_guard);
    struct rung *place = place_of(number);
    HANDLE other = event || place->number == number ? place->event : NULL;
    if (event || other)
        *place = (struct rung){ number, event };
    ReleaseSRWLockExclusive(&rung_guard);
    if (other)
        CloseHandle(other);
}

static bool ring_kept(uint64_t number)
{
    AcquireSRWLockShared(&rung_guard);
    const struct rung *place = place_of(number);
    const bool done = place->event && place->number == number && SetEvent(place->event);
    ReleaseSRWLockShared(&rung_guard);
    return done;
}

void broodi_ring_forget(uint64_t number)
{
    keep(number, NULL);
}

enum brood_os_ring brood_os_watch_ring(const brood_os_watch_id *id)
{
    wchar_t name[WIN32_NAME];
    if (ring_kept(id->number))
        return BROOD_OS_RING_ONE;
    broodi_win32_name(name, id->family, id->number, L'w');
    HANDLE event = broodi_win32_fault() ? NULL : OpenEventW(EVENT_MODIFY_STATE, FALSE, name);
    if (!event)
        return GetLastError() == ERROR_FILE_NOT_FOUND ? BROOD_OS_RING_ONE : BROOD_OS_RING_LOST;
    const bool done = SetEvent(event);
    keep(id->number, event);
    return done ? BROOD_OS_RING_ONE : BROOD_OS_RING_LOST;
}
