// SPDX-License-Identifier: MIT
// One child of this process: its object, how it ended, and the means to end it. Which children
// there are is the subject of children.h.
#ifndef CHILD_H
#define CHILD_H

#include "process/child_object.h"

#include <brood/process.h>
#include <stdbool.h>
#include <stdint.h>

// How long a start waits for the child's reply, and for a fork server to become ready. Tests
// shorten it.
extern brood_duration broodi_start_timeout;

// Allocates the object of a child that is about to be started, with one reference. Returns NULL
// when out of memory.
brood_process *broodi_child_new(const char *name, bool daemon);

// Returns whether the child, for which this has not returned true before, has ended; then `out` is
// how. Reaps the child, except a served one, which its server reaps. The caller holds the guard.
bool broodi_child_see(const brood_process *process, brood_exit *out);

// Returns BROOD_OK when the child may have ended, so that the caller checks it; BROOD_TIMEOUT.
brood_status broodi_child_await_end(const brood_process *process, int64_t deadline);

// Ends the child, which must not have been reaped by this process. A child that is known by its pid
// alone is not signalled once its server has ended or has reported its end.
brood_status broodi_child_end(const brood_process *process, bool hard);

// The same for a child that may have been reaped, and records that brood ended it. A child that has
// ended already does not count as ended by brood. The caller holds the guard, so that the child is
// not reaped meanwhile and its pid is not reused.
brood_status broodi_child_end_if_alive(brood_process *process, bool hard);

#endif
