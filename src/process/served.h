// SPDX-License-Identifier: MIT
// Children of the fork server: they are reaped by the server, which reports how they ended. The
// functions for all children (child.h, start.c) call these for a served one.
#ifndef SERVED_H
#define SERVED_H

#include <brood/process.h>
#include <brood/status.h>
#include <stdbool.h>
#include <stdint.h>

// Returns whether the child has ended; then `seen` is what its server or the system reports. False
// while the child runs, and while its server has yet to report how it ended.
bool broodi_served_see(const brood_process *process, brood_exit *seen);

// Returns BROOD_OK when the child may have ended, so that the caller checks it; BROOD_TIMEOUT.
brood_status broodi_served_await_end(const brood_process *process, int64_t deadline);

// Ends a child that this process has no handle of, unless its server has ended or has reported its
// end.
brood_status broodi_served_end(const brood_process *process, bool hard);

// Loads the pid of a child whose reply was lost or is late, so that the caller can kill it:
// otherwise the target could still run, in a child that the program has no handle of.
void broodi_served_load_pid(brood_process *process);

// Kills the child of a failed start, and waits until it has ended: the caller then frees its slot
// and so buries its threads. Does nothing if the child is known neither by a handle nor by its pid,
// or only by its pid when its server has ended or has reported its end.
void broodi_served_kill(const brood_process *process);

// Whether a child that ended without a reply did not end by itself: it ended with its server, or as
// a spare, before it became this child. Then the target has not run, and the start can be repeated.
bool broodi_served_can_repeat(const brood_process *process);

#endif
