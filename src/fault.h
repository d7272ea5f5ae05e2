// SPDX-License-Identifier: MIT
// Faults on demand, in the test build only: every allocation asks broodi_fault first, and so does
// every system call that can fail for want of something. A test sets the countdown to 1, 2, 3...
// until its scenario meets no fault any more. A leaf: the ports use it too.
//
// Asking is one lock-free atomic operation on memory that is there, so it is async-signal-safe. A
// child between vfork and exec asks too: it counts in its starter's memory while that sleeps, so
// that both are one walk. A forked child would count on in a copy, unless the countdown has been
// put where both see it; a fresh image has its own.
#ifndef FAULT_H
#define FAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#if defined(BROOD_TESTING)
// The n-th question from now is answered with true, once; 0: none.
void broodi_fault_set(unsigned n);
bool broodi_fault(void);

// The questions up to the one that is answered with true; 0: there is none to come.
unsigned broodi_fault_left(void);

// Lets the countdown be this word: memory that forked children share, zero.
void broodi_fault_share(void *word);
#else
static inline bool broodi_fault(void)
{
    return false;
}
#endif

// malloc, with faults. NULL when out of memory.
static inline void *broodi_alloc(size_t size)
{
    return broodi_fault() ? NULL : malloc(size);
}

#endif
