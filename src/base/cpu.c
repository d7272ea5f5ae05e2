// SPDX-License-Identifier: MIT
#include <brood/cpu.h>

#include "os/os_cpu.h"

#include <errno.h>

unsigned brood_cpu_count(void)
{
    const int error = errno;
    const unsigned count = brood_os_cpu_count();
    errno = error;
    return count;
}

unsigned brood_cpu_usable(void)
{
    const int error = errno;
    const unsigned usable = brood_os_cpu_usable();
    const unsigned count = brood_os_cpu_count();
    errno = error;
    return usable < count ? usable : count;
}
