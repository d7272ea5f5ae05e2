// SPDX-License-Identifier: MIT
// WaitOnAddress does not work across processes: the core waits with doorbells instead.
#include "os/os_futex.h"

brood_status brood_os_futex_wait(const uint32_t *word, uint32_t value, brood_os_life *holder,
                                 int64_t timeout)
{
    (void)word, (void)value, (void)holder, (void)timeout;
    return BROOD_UNSUPPORTED;
}

brood_status brood_os_futex_wake(const uint32_t *word, uint32_t count)
{
    (void)word, (void)count;
    return BROOD_UNSUPPORTED;
}
