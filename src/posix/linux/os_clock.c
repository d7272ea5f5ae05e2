// SPDX-License-Identifier: MIT
#include "os/os_clock.h"

#include <errno.h>
#include <time.h>

int64_t brood_os_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void brood_os_sleep_until(int64_t deadline)
{
    const struct timespec until = {
        .tv_sec = (time_t)(deadline / 1000000000),
        .tv_nsec = (long)(deadline % 1000000000),
    };
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
        continue;
}
