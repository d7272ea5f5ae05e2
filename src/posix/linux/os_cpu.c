// SPDX-License-Identifier: MIT
#include "os/os_cpu.h"

#include "posix/linux/cgroup.h"

#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

unsigned brood_os_cpu_count(void)
{
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (unsigned)online : 1;
}

// By affinity. The set is enlarged until the kernel's mask fits.
static unsigned by_affinity(void)
{
    for (size_t cpus = 1024; cpus <= (size_t)1 << 20; cpus *= 2) {
        cpu_set_t *set = CPU_ALLOC(cpus);
        if (!set)
            break;
        const size_t size = CPU_ALLOC_SIZE(cpus);
        const int found = sched_getaffinity(0, size, set) == 0 ? CPU_COUNT_S(size, set) : 0;
        CPU_FREE(set);
        if (found > 0)
            return (unsigned)found;
    }
    return brood_os_cpu_count();
}

// Rounded up; 0 if there is no limit.
static unsigned quota(uint64_t share, uint64_t period)
{
    if (share == UINT64_MAX || period == UINT64_MAX || share == 0 || period == 0)
        return 0;
    const uint64_t whole = share / period + (share % period != 0);
    return whole < UINT_MAX ? (unsigned)whole : 0;
}

// Parses "share period" or "max period".
static unsigned quota_of_text(const char *text)
{
    char *end = NULL;
    const unsigned long long share = strtoull(text, &end, 10);
    return end != text ? quota(share, strtoull(end, NULL, 10)) : 0;
}

// Lowers `*least` to the quota of one control group if it is smaller; 0 is none.
static void add_quota(int directory, void *least)
{
    char text[128];
    const unsigned here = broodi_file_read(directory, "cpu.max", text, sizeof text)
                              ? quota_of_text(text)
                              : quota(broodi_file_number(directory, "cpu.cfs_quota_us", NULL),
                                      broodi_file_number(directory, "cpu.cfs_period_us", NULL));
    unsigned *known = least;
    if (here && (!*known || here < *known))
        *known = here;
}

// Returns the smallest quota of the control group of this process and of those above it; 0 if
// there is none.
static unsigned by_quota(void)
{
    unsigned least = 0;
    broodi_cgroup_each("cpu", add_quota, &least);
    return least;
}

unsigned brood_os_cpu_usable(void)
{
    const unsigned allowed = by_affinity();
    const unsigned limit = by_quota();
    return limit && limit < allowed ? limit : allowed;
}
