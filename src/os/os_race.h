// SPDX-License-Identifier: MIT
// Port contract: annotations for data race checkers that do not see the order that the library's
// atomics establish: the thread sanitizer in a program that links an ordinary build of the
// library, and helgrind.
#ifndef OS_RACE_H
#define OS_RACE_H

#include <stdbool.h>
#include <stddef.h>

// Returns whether such a checker observes this process. Never blocks.
bool brood_os_race_is_checked(void);

// A release followed by an acquire of the same address, in another thread, tells the checker that
// what the first thread did before the release comes before what the second one does after the
// acquire. Async-signal-safe without a checker; never blocks, never fails.
void brood_os_race_release(const void *address);
void brood_os_race_acquire(const void *address);

// Tells the checker to ignore this memory, which atomics order, until it is mapped again.
// Async-signal-safe; never fails.
void brood_os_race_ignore(const void *address, size_t size);

#endif
