// SPDX-License-Identifier: MIT
#include "os/os_cpu.h"

#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

// Reads a small file into `text`; false when it is not there.
static bool read_file(const char *path, char *text, size_t capacity)
{
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return false;
    const ssize_t length = read(file, text, capacity - 1);
    close(file);
    text[length > 0 ? length : 0] = 0;
    return length > 0;
}

static unsigned quota(double share, double period)
{
    if (share <= 0 || period <= 0)
        return 0;
    const unsigned whole = (unsigned)(share / period);
    return (double)whole * period < share ? whole + 1 : whole;
}

// The quota that one directory of the cgroup tree sets; 0: none.
static unsigned quota_v2(const char *directory)
{
    char path[4200];
    char text[128];
    (void)snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", directory);
    double share = 0;
    double period = 0;
    if (!read_file(path, text, sizeof text) || sscanf(text, "%lf %lf", &share, &period) != 2)
        return 0;
    return quota(share, period);
}

static unsigned quota_v1(void)
{
    char share[64];
    char period[64];
    if (!read_file("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", share, sizeof share) ||
        !read_file("/sys/fs/cgroup/cpu/cpu.cfs_period_us", period, sizeof period))
        return 0;
    return quota(atof(share), atof(period));
}

// The smallest quota of this process's control group and of those above it; 0: none.
static unsigned by_quota(void)
{
    char groups[4096];
    if (!read_file("/proc/self/cgroup", groups, sizeof groups))
        return 0;
    char *group = strstr(groups, "0::/");
    if (!group)
        return quota_v1();
    group += strlen("0::");
    group[strcspn(group, "\n")] = 0;
    unsigned least = quota_v2("");
    while (group[0] && strcmp(group, "/") != 0) {
        const unsigned here = quota_v2(group);
        if (here && (!least || here < least))
            least = here;
        *strrchr(group, '/') = 0;
    }
    return least;
}

unsigned brood_os_cpu_usable(void)
{
    const unsigned allowed = by_affinity();
    const unsigned paid = by_quota();
    return paid && paid < allowed ? paid : allowed;
}
