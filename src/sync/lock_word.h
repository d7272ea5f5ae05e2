// SPDX-License-Identifier: MIT
// The holder in the low word of a lock's state: the slot of its thread plus one, and above it some
// bits of the slot's generation, so that a waiter which compares two loads does not take the next
// thread in the slot for the same holder. 0 when the lock is free.
#ifndef LOCK_WORD_H
#define LOCK_WORD_H

#include "arena/thread_slot.h"
#include "base/invariant.h"

#include <stdbool.h>
#include <stdint.h>

enum { BROODI_HOLDER_TURN_AT = 21 };

#define BROODI_HOLDER_SLOT ((UINT32_C(1) << BROODI_HOLDER_TURN_AT) - 1)
#define BROODI_HOLDER ((UINT32_C(1) << (BROODI_HOLDER_TURN_AT + BROODI_THREAD_TURN_BITS)) - 1)

static inline uint32_t broodi_holder_of(uint32_t slot, uint32_t turn)
{
    broodi_assert(slot < BROODI_HOLDER_SLOT && turn >> BROODI_THREAD_TURN_BITS == 0);
    return turn << BROODI_HOLDER_TURN_AT | (slot + 1);
}

static inline uint32_t broodi_holder_slot(uint32_t holder)
{
    return (holder & BROODI_HOLDER_SLOT) - 1;
}

static inline bool broodi_holder_is_over(uint32_t holder)
{
    return broodi_thread_is_over(broodi_holder_slot(holder), holder >> BROODI_HOLDER_TURN_AT);
}

#endif
