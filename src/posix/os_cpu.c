// SPDX-License-Identifier: MIT
#include "os/os_cpu.h"

#include "cgroup.h"

#include <sched.h>
#include <stdio.h>
#include <unistd.h>

unsigned brood_os_cpu_count(void)
{
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (unsigned)online : 1;
}

// By affinity. The set grows until the kernel's fits.
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

static unsigned quota(double share, double period)
{
    if (share <= 0 || period <= 0)
        return 0;
    const unsigned whole = (unsigned)(share / period);
    return (double)whole * period < share ? whole + 1 : whole;
}

static double number_or_zero(const char *directory, const char *file)
{
    const uint64_t number = broodi_file_number(directory, file, NULL);
    return number == UINT64_MAX ? 0 : (double)number;
}

// The quota of one control group, if it is the smallest so far; 0: none.
static void add_quota(const char *directory, void *least)
{
    char text[128];
    double share = 0;
    double period = 0;
    if (!broodi_file_read(directory, "cpu.max", text, sizeof text) ||
        sscanf(text, "%lf %lf", &share, &period) != 2) {
        share = number_or_zero(directory, "cpu.cfs_quota_us");
        period = number_or_zero(directory, "cpu.cfs_period_us");
    }
    const unsigned here = quota(share, period);
    unsigned *known = least;
    if (here && (!*known || here < *known))
        *known = here;
}

// The smallest quota of this process's control group and of those above it; 0: none.
static unsigned by_quota(void)
{
    unsigned least = 0;
    broodi_cgroup_each("cpu", add_quota, &least);
    return least;
}

unsigned brood_os_cpu_usable(void)
{
    const unsigned allowed = by_affinity();
    const unsigned paid = by_quota();
    return paid && paid < allowed ? paid : allowed;
}
