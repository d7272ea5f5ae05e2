// SPDX-License-Identifier: MIT
// Deadlines: inside the library a timeout is a point on brood_os_clock(), INT64_MAX being never.
#ifndef DEADLINE_H
#define DEADLINE_H

#include <brood/time.h>
#include <stdint.h>

// The moment `timeout` from now; 0, which has passed, for a timeout that does not wait.
int64_t broodi_deadline(brood_duration timeout);

// The earlier of `deadline` and `span` ns from `now`.
int64_t broodi_until(int64_t deadline, int64_t now, int64_t span);

#endif
