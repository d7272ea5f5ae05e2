// SPDX-License-Identifier: MIT
#include "base/deadline.h"

#include "base/atomic.h"
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

#if defined(BROOD_TESTING)
static _Atomic int64_t longest_wait = BROOD_SECONDS(1);

int64_t broodi_longest_wait(void)
{
    return atomic_load_explicit(&longest_wait, memory_order_relaxed);
}

void broodi_longest_wait_set(int64_t span)
{
    atomic_store_explicit(&longest_wait, span, memory_order_relaxed);
}
#endif
