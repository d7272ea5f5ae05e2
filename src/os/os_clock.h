// SPDX-License-Identifier: MIT
// Port contract: time.
#ifndef OS_CLOCK_H
#define OS_CLOCK_H

#include <stdint.h>

// Returns nanoseconds on the monotonic clock that all processes of the machine share. Never
// fails, never goes back; async-signal-safe.
int64_t brood_os_clock(void);

// Blocks the calling thread until brood_os_clock() has reached `deadline`; signals do not end it.
void brood_os_sleep_until(int64_t deadline);

#endif
