// SPDX-License-Identifier: MIT
// Checkers for data races that look at the program and do not see what the library's atomics order:
// the thread sanitizer in a program that links an ordinary build of the library, and helgrind.
#ifndef OS_RACE_H
#define OS_RACE_H

#include <stdbool.h>
#include <stddef.h>

// Whether such a checker looks at this process. Never blocks.
bool brood_os_race_is_checked(void);

// Tells it that what the calling thread has done so far comes before what another thread does after
// it has told that it has acquired the same address. Async-signal-safe without a checker; never
// blocks, never fails.
void brood_os_race_release(const void *address);
void brood_os_race_acquire(const void *address);

// Tells it not to look at this memory, which atomics order, until it is mapped anew.
// Async-signal-safe; never fails.
void brood_os_race_ignore(const void *address, size_t size);

#endif
