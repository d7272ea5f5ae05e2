// SPDX-License-Identifier: MIT
// macOS has no affinity that binds, and no CPU quota.
#include "os/os_cpu.h"

#include <unistd.h>

unsigned brood_os_cpu_count(void)
{
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (unsigned)online : 1;
}

unsigned brood_os_cpu_usable(void)
{
    return brood_os_cpu_count();
}
