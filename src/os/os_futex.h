// SPDX-License-Identifier: MIT
// Port contract: waiting for a 32-bit word in shared memory to change, on systems that can do it
// between processes.
#ifndef OS_FUTEX_H
#define OS_FUTEX_H

#include "os/os_life.h"
#include <brood/status.h>
#include <stdint.h>

// Blocks while the 32 bits at `word` equal `value`, until a wake, until the thread `holder` (may
// be NULL) has ended, or for `timeout` ns. May return early. If there is a holder whose end the
// system cannot wait for beside the word, returns after 50 ms at most. BROOD_UNSUPPORTED on a
// system without such a wait; otherwise BROOD_OK, whatever ended the wait.
brood_status brood_os_futex_wait(const uint32_t *word, uint32_t value, brood_os_life *holder,
                                 int64_t timeout);

// Wakes up to `count` threads that wait for `word`, in any process. Async-signal-safe.
brood_status brood_os_futex_wake(const uint32_t *word, uint32_t count);

#endif
