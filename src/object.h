// SPDX-License-Identifier: MIT
// What all shared objects have in common: a slot whose state word comes first, found by the handle,
// and found stale by it once the object is destroyed.
#ifndef OBJECT_H
#define OBJECT_H

#include "family.h"
#include "self.h"

#include <brood/status.h>
#include <stdbool.h>
#include <stdint.h>

// The slot that the handle names; NULL when it is none of this kind and family, and before
// brood_init.
static inline void *broodi_object_find(enum broodi_kind kind, uint64_t id)
{
    return broodi_here.initialized ? broodi_handle_slot(kind, id) : NULL;
}

// Why it is not found: BROOD_INVALID, BROOD_NOT_INITIALIZED; BROOD_NO_MEMORY when its table could
// not be mapped.
brood_status broodi_object_missing(const char *what);

// The same without a sentence, for signal handlers: nothing of the thread's own may be touched for
// the first time there.
static inline brood_status broodi_object_missing_quietly(void)
{
    if (!broodi_here.initialized)
        return BROOD_NOT_INITIALIZED;
    return broodi_family_is_short() ? BROOD_NO_MEMORY : BROOD_INVALID;
}

// Before the calling thread waits for an object of the kinds of struct broodi_awaited_slot, and
// after it has seen how that ended. In between the slot is not used again, and
// broodi_object_has_ended tells what its low word means. The caller has to swap the state in
// between, also for the same one: so whoever destroys the object afterwards, and whoever takes the
// slot, sees that it waits.
void broodi_object_await(uint64_t id, void *slot);
void broodi_object_await_no_more(void);

// Whether this is the state that the object left in its slot when it was destroyed.
static inline bool broodi_object_has_ended(uint64_t id, uint64_t state)
{
    const uint64_t next = id + (UINT64_C(1) << BROODI_SLOT_BITS);
    return broodi_handle_is_current(next, state);
}

// Says in the word, by `flag`, that somebody waits; then waits, as broodi_wait does, while it stays
// so. False if it was another state by now.
bool broodi_object_wait(broodi_word *word, uint64_t state, uint32_t flag, int64_t deadline);

// Takes a slot for an object of those kinds.
brood_status broodi_object_take(enum broodi_kind kind, uint32_t low, uint32_t *out_index);

// Ends the object in the slot if its state is exactly `state`, and wakes all who wait for it. The
// free slot keeps `kept`.
bool broodi_object_end(uint64_t id, broodi_word *word, uint64_t state, uint32_t kept);

// The same whatever its state, which the free slot keeps: for kinds that can be destroyed at any
// time.
brood_status broodi_object_destroy(enum broodi_kind kind, uint64_t id, const char *what);

#endif
