// SPDX-License-Identifier: MIT
// Inside the POSIX port, on macOS: the follower, a thread in each tied child that waits for the
// end of the parent and then kills its own process. The system has no death signal.
#ifndef DARWIN_FOLLOWER_H
#define DARWIN_FOLLOWER_H

#include <stdbool.h>

// Returns whether this process has one; it is not counted among the program's threads.
bool broodi_follower_exists(void);

#endif
