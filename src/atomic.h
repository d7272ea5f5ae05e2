// SPDX-License-Identifier: MIT
// Atomics: those of C11, or the same names made by the compiler's own means where it has none. A
// leaf: the ports use it too.
#ifndef ATOMIC_H
#define ATOMIC_H

#if defined(__STDC_NO_ATOMICS__)
#include "atomic_interlocked.h"
#else
#include <stdatomic.h>
#endif

#endif
