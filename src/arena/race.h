// SPDX-License-Identifier: MIT
// Reports to checkers of data races (os/os_race.h) which accesses the operations on shared
// objects order. Without such a checker each call costs a load and a branch that is never taken.
#ifndef RACE_H
#define RACE_H

#include "arena/here.h"
#include "os/os_race.h"

#include <stddef.h>

// Called before the caller lets other threads proceed through the object at this address.
static inline void broodi_race_release(const volatile void *address)
{
    if (broodi_here.race_checked)
        brood_os_race_release((const void *)(uintptr_t)address);
}

// Called after the object at this address let the caller proceed.
static inline void broodi_race_acquire(const volatile void *address)
{
    if (broodi_here.race_checked)
        brood_os_race_acquire((const void *)(uintptr_t)address);
}

// Called for memory of the library that atomics order, once it is mapped or allocated.
static inline void broodi_race_ignore(const volatile void *address, size_t size)
{
    if (broodi_here.race_checked)
        brood_os_race_ignore((const void *)(uintptr_t)address, size);
}

#endif
