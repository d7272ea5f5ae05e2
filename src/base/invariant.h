// SPDX-License-Identifier: MIT
// Assertions of the library's own invariants. A leaf: the ports use it too.
//
//     broodi_assert(condition);
//
// In a build with BROOD_ASSERTS (a CMake option) a false condition prints one line to stderr and
// aborts the process. In any other build the condition is compiled and never evaluated.
//
// An assertion states what must be true whatever other processes do: it must hold when one of them
// is killed at any instruction, and for any handle, boot record or message that a caller or another
// process passes. What can be wrong without a fault of the library is an error, not an assertion.
#ifndef INVARIANT_H
#define INVARIANT_H

#include <stdbool.h>

#if defined(BROOD_ASSERTS)
_Noreturn void broodi_invariant_fail(const char *file, int line, const char *condition);

#define broodi_assert(condition) \
    ((condition) ? (void)0 : broodi_invariant_fail(__FILE__, __LINE__, #condition))
#else
#define broodi_assert(condition) ((void)(false && (condition)))
#endif

#endif
