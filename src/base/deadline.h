// SPDX-License-Identifier: MIT
// Deadlines: inside the library a timeout is a point in time of brood_os_clock(); INT64_MAX is
// never.
#ifndef DEADLINE_H
#define DEADLINE_H

#include <brood/time.h>
#include <stdint.h>

// The time `timeout` from now; 0, which has passed, if `timeout` is 0 or negative.
int64_t broodi_deadline(brood_duration timeout);

// The earlier of `deadline` and `span` ns after `now`.
int64_t broodi_until(int64_t deadline, int64_t now, int64_t span);

// No wait for a word lasts longer, in ns (arena/wait.h). A test of wakes sets a longer span, within
// which only a wake ends a wait.
#if defined(BROOD_TESTING)
int64_t broodi_longest_wait(void);
void broodi_longest_wait_set(int64_t span);
#else
static inline int64_t broodi_longest_wait(void)
{
    return BROOD_SECONDS(1);
}
#endif

#endif
