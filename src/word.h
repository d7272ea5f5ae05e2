// SPDX-License-Identifier: MIT
// The state of everything that can be waited for: one 64-bit atomic {generation, futex word}. Checking that an object is still the one
// meant and acting on it are then one compare-and-swap, so nothing is ever done to a successor in the same slot.
// A leaf.
#ifndef WORD_H
#define WORD_H

#include <stdatomic.h>
#include <stdint.h>

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "64-bit atomics are lock-free, also between processes");

typedef struct broodi_word {
    _Atomic uint64_t state;
} broodi_word;

static inline uint64_t broodi_state(uint32_t generation, uint32_t low)
{
    return (uint64_t)generation << 32 | low;
}

static inline uint32_t broodi_generation(uint64_t state)
{
    return (uint32_t)(state >> 32);
}

static inline uint32_t broodi_low(uint64_t state)
{
    return (uint32_t)state;
}

#endif
