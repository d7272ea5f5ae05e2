// SPDX-License-Identifier: MIT
// What the operations on shared objects order, for checkers of data races (os/os_race.h). Without
// one each call costs a load and a branch that is never taken.
#ifndef RACE_H
#define RACE_H

#include "os/os_race.h"
#include "self.h"

#include <stddef.h>

// Before the caller lets others go on, by the object at this address.
static inline void broodi_race_release(const volatile void *address)
{
    if (broodi_here.race_checked)
        brood_os_race_release((const void *)(uintptr_t)address);
}

// After it was let go on by the object.
static inline void broodi_race_acquire(const volatile void *address)
{
    if (broodi_here.race_checked)
        brood_os_race_acquire((const void *)(uintptr_t)address);
}

// Memory of the library that atomics order, once it is mapped or allocated.
static inline void broodi_race_ignore(const volatile void *address, size_t size)
{
    if (broodi_here.race_checked)
        brood_os_race_ignore((const void *)(uintptr_t)address, size);
}

#endif
