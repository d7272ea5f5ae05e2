// SPDX-License-Identifier: MIT
// Atomics: those of C11, or, where the compiler has none, the same names made from its
// intrinsics. A leaf: the ports use it too.
#ifndef ATOMIC_H
#define ATOMIC_H

#if defined(__STDC_NO_ATOMICS__)
#include "atomic_interlocked.h"
#else
#include <stdatomic.h>
#endif

#endif
