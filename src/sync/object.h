// SPDX-License-Identifier: MIT
// What all shared objects have in common: a slot that begins with a state word. The handle names
// the slot, and is stale once the object is destroyed.
#ifndef OBJECT_H
#define OBJECT_H

#include "arena/family.h"
#include "arena/self.h"
#include "base/fail.h"

#include <brood/status.h>
#include <stdbool.h>
#include <stdint.h>

// An object that a call uses.
struct broodi_object {
    uint64_t id;    // the handle
    void *slot;     // begins with the state word
    uint64_t state; // as it was loaded last
};

// The slot that the handle names. NULL if the handle is not one of this kind and family, and
// before brood_init.
static inline void *broodi_object_find(enum broodi_kind kind, uint64_t id)
{
    return broodi_here.initialized ? broodi_handle_slot(kind, id) : NULL;
}

// The status for a handle without a slot: BROOD_INVALID; BROOD_NOT_INITIALIZED; BROOD_NO_MEMORY
// if the table could not be mapped.
brood_status broodi_object_not_found(enum broodi_kind kind);

// The same without an error text, for signal handlers, in which data of the thread must not be
// touched for the first time.
static inline brood_status broodi_object_not_found_quietly(void)
{
    if (!broodi_here.initialized)
        return BROOD_NOT_INITIALIZED;
    return broodi_family_is_short() ? BROOD_NO_MEMORY : BROOD_INVALID;
}

// Loads the state. BROOD_STALE if the object was destroyed.
static inline brood_status broodi_object_load(struct broodi_object *object)
{
    object->state = broodi_word_load(object->slot);
    return broodi_handle_is_current(object->id, object->state) ? BROOD_OK : BROOD_STALE;
}

// Finds an object and loads its state. Fails as broodi_object_not_found and broodi_object_load.
//
// An operation that changes the state is a loop: it opens the object, decides by `state`, and calls
// broodi_object_swap; when that fails, it calls broodi_object_load and decides again.
static inline brood_status broodi_object_open(enum broodi_kind kind, uint64_t id,
                                              struct broodi_object *out)
{
    *out = (struct broodi_object){ .id = id, .slot = broodi_object_find(kind, id) };
    return out->slot ? broodi_object_load(out) : broodi_object_not_found(kind);
}

// The same without an error text, for signal handlers.
static inline brood_status broodi_object_open_quietly(enum broodi_kind kind, uint64_t id,
                                                      struct broodi_object *out)
{
    *out = (struct broodi_object){ .id = id, .slot = broodi_object_find(kind, id) };
    return out->slot ? broodi_object_load(out) : broodi_object_not_found_quietly();
}

// Opens an object for a call that stores a part of its state in `out`. Fails also with
// BROOD_INVALID if `out` is NULL.
static inline brood_status broodi_object_query(enum broodi_kind kind, uint64_t id, const void *out,
                                               struct broodi_object *object)
{
    const brood_status status = broodi_object_open(kind, id, object);
    return object->slot && !out ? broodi_fail(BROOD_INVALID, "out is NULL") : status;
}

// Replaces the low word. False if the state is not the one that was loaded any more.
static inline bool broodi_object_swap(const struct broodi_object *object, uint32_t low)
{
    return broodi_word_swap(object->slot, object->state, low);
}

// Whether `state` is the one that the object left in its slot when it was destroyed.
static inline bool broodi_object_has_ended(uint64_t id, uint64_t state)
{
    const uint64_t next = id + (UINT64_C(1) << BROODI_SLOT_BITS);
    return broodi_handle_is_current(next, state);
}

// Begins a wait of the calling thread for an object of the kinds of struct broodi_awaited_slot. The
// caller passes the result to broodi_object_wait_end once it has seen how its wait ended. Until
// then the slot is not reused, and broodi_object_has_ended tells whether its low word is the last
// one of the object. After broodi_object_wait_begin the caller must swap the state at least once,
// if only for the same value: a thread that destroys the object or takes the slot after that swap
// sees that the caller waits.
uint64_t broodi_object_wait_begin(uint64_t id, void *slot);
void broodi_object_wait_end(uint64_t id, uint64_t before);

// Sets `flag` in the word, then waits as broodi_block_on does while the word stays the same. False,
// without a wait, if the state is not the one that was loaded any more.
bool broodi_object_wait(const struct broodi_object *object, uint32_t flag, int64_t deadline);

// Whether a call may create an object and store its handle in `out`. Fails with
// BROOD_NOT_INITIALIZED, and with BROOD_INVALID if `out` is NULL.
brood_status broodi_object_check_out(const void *out);

// Creates an object of the kinds of struct broodi_awaited_slot. The caller fills the rest of the
// slot before it passes the handle on. Fails as broodi_slot_allocate.
brood_status broodi_object_create(enum broodi_kind kind, uint32_t low, uint64_t *out_id);

// Ends the object if its state is still the one that was loaded, and wakes all its waiters. The
// free slot keeps `kept` as its low word.
bool broodi_object_end(const struct broodi_object *object, uint32_t kept);

// Ends the object whatever its state is; the free slot keeps the last low word. For kinds that
// can be destroyed at any time.
brood_status broodi_object_destroy(enum broodi_kind kind, uint64_t id);

#endif
