// SPDX-License-Identifier: MIT
// Faults on demand, in the test build only: every allocation and every system call that can fail asks broodi_fault first.
// A test sets the countdown to 1, 2, 3... until its scenario meets no fault any more. A leaf: the ports use it too.
#ifndef FAULT_H
#define FAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#if defined(BROOD_TESTING)
// The n-th question from now is answered with true, once; 0: none.
void broodi_fault_set(unsigned n);
bool broodi_fault(void);
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
