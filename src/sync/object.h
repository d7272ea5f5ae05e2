// SPDX-License-Identifier: MIT
// What all shared objects have in common: a slot that begins with a state word. The handle names
// the slot, and is stale once the object is destroyed.
#ifndef OBJECT_H
#define OBJECT_H

#include "arena/family.h"
#include "arena/self.h"

#include <brood/status.h>
#include <stdbool.h>
#include <stdint.h>

// The slot that the handle names. NULL if the handle is not one of this kind and family, and
// before brood_init.
static inline void *broodi_object_find(enum broodi_kind kind, uint64_t id)
{
    return broodi_here.initialized ? broodi_handle_slot(kind, id) : NULL;
}

// The status for a handle without a slot: BROOD_INVALID; BROOD_NOT_INITIALIZED; BROOD_NO_MEMORY
// if the table could not be mapped.
brood_status broodi_object_not_found(const char *what);

// The same without an error text, for signal handlers, in which data of the thread must not be
// touched for the first time.
static inline brood_status broodi_object_not_found_quietly(void)
{
    if (!broodi_here.initialized)
        return BROOD_NOT_INITIALIZED;
    return broodi_family_is_short() ? BROOD_NO_MEMORY : BROOD_INVALID;
}

// Begins a wait of the calling thread for an object of the kinds of struct broodi_awaited_slot. The
// caller passes the result to broodi_self_unblock once it has seen how its wait ended. Until then
// the slot is not reused, and broodi_object_has_ended tells whether its low word is the last one of
// the object. After broodi_object_block the caller must swap the state at least once, if only for
// the same value: a thread that destroys the object or takes the slot after that swap sees that the
// caller waits.
uint64_t broodi_object_block(uint64_t id, void *slot);

// Whether `state` is the one that the object left in its slot when it was destroyed.
static inline bool broodi_object_has_ended(uint64_t id, uint64_t state)
{
    const uint64_t next = id + (UINT64_C(1) << BROODI_SLOT_BITS);
    return broodi_handle_is_current(next, state);
}

// Sets `flag` in the word, then waits as broodi_wait does while the word stays the same. False,
// without a wait, if the state was not `state` any more.
bool broodi_object_wait(uint64_t id, broodi_word *word, uint64_t state, uint32_t flag,
                        int64_t deadline);

// Takes a slot for an object of the kinds of struct broodi_awaited_slot.
brood_status broodi_object_allocate(enum broodi_kind kind, uint32_t low, uint32_t *out_index);

// Ends the object if its state is exactly `state`, and wakes all its waiters. The free slot keeps
// `kept` as its low word.
bool broodi_object_end(uint64_t id, broodi_word *word, uint64_t state, uint32_t kept);

// Ends the object whatever its state is; the free slot keeps the last low word. For kinds that
// can be destroyed at any time.
brood_status broodi_object_destroy(enum broodi_kind kind, uint64_t id, const char *what);

#endif
