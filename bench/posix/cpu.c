// SPDX-License-Identifier: MIT
#define _GNU_SOURCE

#include "../cpu.h"

#include <sched.h>
#include <time.h>

int64_t cpu_time(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

bool cpu_restrict(void)
{
    cpu_set_t set;
    const int here = sched_getcpu();
    CPU_ZERO(&set);
    CPU_SET((unsigned)here, &set);
    return here >= 0 && sched_setaffinity(0, sizeof set, &set) == 0;
}
