// SPDX-License-Identifier: MIT
// No checker is supported: on macOS weak references without a definition need linker flags of the
// library's own, and valgrind does not run.
#include "os/os_race.h"

bool brood_os_race_is_checked(void)
{
    return false;
}

void brood_os_race_release(const void *address)
{
    (void)address;
}

void brood_os_race_acquire(const void *address)
{
    (void)address;
}

void brood_os_race_ignore(const void *address, size_t size)
{
    (void)address;
    (void)size;
}
