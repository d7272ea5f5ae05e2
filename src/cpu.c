// SPDX-License-Identifier: MIT
#include <brood/cpu.h>

#include "os/os_cpu.h"

unsigned brood_cpu_count(void)
{
    return brood_os_cpu_count();
}

unsigned brood_cpu_usable(void)
{
    const unsigned usable = brood_os_cpu_usable();
    const unsigned count = brood_os_cpu_count();
    return usable < count ? usable : count;
}
