// SPDX-License-Identifier: MIT
// The raw clock: the other monotonic clock is derived from the time of day and can jump with it
// for a moment.
#include "os/os_clock.h"

#include <sched.h>
#include <stddef.h>
#include <time.h>

int64_t brood_os_clock(void)
{
    return (int64_t)clock_gettime_nsec_np(CLOCK_MONOTONIC_RAW);
}

// A sleep of no length yields all the same: programs wait for each other that way.
void brood_os_sleep_until(int64_t deadline)
{
    int64_t left = deadline - brood_os_clock();
    if (left <= 0)
        sched_yield();
    for (; left > 0; left = deadline - brood_os_clock()) {
        const struct timespec span = { .tv_sec = (time_t)(left / 1000000000),
                                       .tv_nsec = (long)(left % 1000000000) };
        (void)nanosleep(&span, NULL);
    }
}
