// SPDX-License-Identifier: MIT
// Fault injection, in the test build only: broodi_fault is called before every allocation, and
// before every system call that can fail for lack of a resource. A test sets the countdown to 1,
// 2, 3... until its scenario runs without a fault. A leaf: the ports use it too.
//
// A call is one lock-free atomic operation on memory that exists already, so it is
// async-signal-safe. A child between vfork and exec calls it too, and uses the countdown in the
// memory of its parent, which is suspended: so both share one countdown. A forked child has a copy
// of the countdown, unless the test has put the countdown into shared memory; a fresh image has
// its own.
#ifndef FAULT_H
#define FAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#if defined(BROOD_TESTING)
// The n-th call of broodi_fault from now returns true, once; 0: none does.
void broodi_fault_set(unsigned n);
bool broodi_fault(void);

// How many calls remain up to the one that returns true; 0: none will.
unsigned broodi_fault_left(void);

// Moves the countdown to this word, which must be zero and in memory that forked children share.
void broodi_fault_share(void *word);
#else
static inline bool broodi_fault(void)
{
    return false;
}
#endif

// malloc with injected faults. NULL when out of memory.
static inline void *broodi_alloc(size_t size)
{
    return broodi_fault() ? NULL : malloc(size);
}

#endif
