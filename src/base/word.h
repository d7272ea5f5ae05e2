// SPDX-License-Identifier: MIT
// The state word of everything that can be waited for: one 64-bit atomic {generation, futex
// word}. Checking that an object is still the one meant, and changing it, are then one
// compare-and-swap, so no operation ever changes a successor in the same slot. A leaf.
#ifndef WORD_H
#define WORD_H

#include "base/atomic.h"

#include <stdbool.h>
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

static inline uint64_t broodi_word_load(const broodi_word *word)
{
    return atomic_load_explicit(&word->state, memory_order_acquire);
}

// Orders the swap of a word before the loads that follow, also of other words. On x86 a swap orders
// them anyway.
static inline void broodi_fence_after_swap(void)
{
#if !defined(__x86_64__) && !defined(__i386__) && !defined(_M_X64) && !defined(_M_IX86)
    atomic_thread_fence(memory_order_seq_cst);
#endif
}

// Orders the loads before it, also of plain memory, before those that follow. x86 does so anyway.
static inline void broodi_fence_loads(void)
{
#if !defined(__x86_64__) && !defined(__i386__) && !defined(_M_X64) && !defined(_M_IX86)
    atomic_thread_fence(memory_order_acquire);
#endif
}

// Replaces the low word, in the same generation. False if the state is not `state` any more.
static inline bool broodi_word_swap(broodi_word *word, uint64_t state, uint32_t low)
{
    return atomic_compare_exchange_strong_explicit(&word->state, &state,
                                                   broodi_state(broodi_generation(state), low),
                                                   memory_order_acq_rel, memory_order_relaxed);
}

#endif
