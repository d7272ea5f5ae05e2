// SPDX-License-Identifier: MIT
// The launches under way in this process: a thread that forks, or starts a program, is inside the
// system's call. The end of the process closes them, so that none overlaps what the C library does
// at the end of exit(): glibc then removes the handlers of fork() that the executable has
// registered, and aborts if a fork runs them meanwhile.
#ifndef LAUNCHES_H
#define LAUNCHES_H

#include <brood/time.h>
#include <stdbool.h>
#include <stdint.h>

// How long the end waits for the launches under way, at most. A launch takes milliseconds, but a
// handler of fork() that belongs to the program may block for ever.
extern brood_duration broodi_launches_patience;

// False if the process is ending: then the caller must not launch anything. Otherwise the caller
// calls broodi_launches_leave().
bool broodi_launches_enter(void);

void broodi_launches_leave(void);

// From now on broodi_launches_enter() returns false. Returns when no launch is under way, or
// broodi_launches_patience or the deadline has passed. May be called again.
void broodi_launches_close(int64_t deadline);

// In a forked child: opens the launches. Those under way are the parent's.
void broodi_launches_forget(void);

#endif
