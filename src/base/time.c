// SPDX-License-Identifier: MIT
#include "base/deadline.h"

#include "os/os_clock.h"

int64_t brood_clock(void)
{
    return brood_os_clock();
}

int64_t broodi_deadline(brood_duration timeout)
{
    if (timeout <= 0)
        return 0;
    if (timeout == BROOD_FOREVER)
        return INT64_MAX;
    return broodi_until(INT64_MAX, brood_os_clock(), timeout);
}

int64_t broodi_until(int64_t deadline, int64_t now, int64_t span)
{
    return deadline - span < now ? deadline : now + span;
}

void brood_sleep(brood_duration duration)
{
    if (duration > 0)
        brood_os_sleep_until(broodi_deadline(duration));
}
