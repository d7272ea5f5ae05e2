// SPDX-License-Identifier: MIT
#include "os/os_cpu.h"

#include <windows.h>

unsigned brood_os_cpu_count(void)
{
    const DWORD count = GetActiveProcessorCount(ALL_PROCESSOR_GROUPS);
    return count > 0 ? count : 1;
}

// A process that has set no affinity may run in every processor group, but the masks cover at
// most one group.
unsigned brood_os_cpu_usable(void)
{
    const unsigned all = brood_os_cpu_count();
    DWORD_PTR own = 0;
    DWORD_PTR system = 0;
    if (!GetProcessAffinityMask(GetCurrentProcess(), &own, &system) || own == 0 || own == system)
        return all;
    unsigned usable = 0;
    for (; own != 0; own &= own - 1)
        usable++;
    return usable < all ? usable : all;
}
