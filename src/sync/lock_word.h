// SPDX-License-Identifier: MIT
// The holder in the low word of a lock's state, a short owner; 0 when the lock is free.
#ifndef LOCK_WORD_H
#define LOCK_WORD_H

#include "arena/owner.h"

#include <stdbool.h>
#include <stdint.h>

enum { BROODI_HOLDER_BITS = 29 };

#define BROODI_HOLDER ((UINT32_C(1) << BROODI_HOLDER_BITS) - 1)

static inline uint32_t broodi_holder_of(broodi_owner owner)
{
    return (uint32_t)broodi_owner_shorten(owner, BROODI_HOLDER_BITS);
}

// False also when the holder that the caller has loaded is out of date: then the word has changed.
static inline bool broodi_holder_is_over(uint32_t holder)
{
    return broodi_owner_state(broodi_owner_complete(BROODI_THREAD, holder, BROODI_HOLDER_BITS)) ==
           BROODI_OWNER_DEAD;
}

// The index of the lock of one side of the queue in this slot.
static inline uint32_t broodi_queue_lock(uint32_t queue, uint32_t side)
{
    return 2 * queue + side;
}

#endif
