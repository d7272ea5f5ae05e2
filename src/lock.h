// SPDX-License-Identifier: MIT
#ifndef LOCK_H
#define LOCK_H

#include "handle.h"

#include <brood/lock.h>
#include <stdbool.h>
#include <stdint.h>

// Locks of the library itself. Their handles are of a kind of their own, which the public calls
// refuse. Made before brood_init is through. Acquiring answers as brood_lock_acquire does. It fails
// with BROOD_TIMEOUT when the holder has not gone on for broodi_own_lock_patience: a stopped
// process, for one, must not stop all others.
extern brood_duration broodi_own_lock_patience;
brood_status broodi_own_lock_make(uint64_t *out_id);
brood_status broodi_own_lock_acquire(uint64_t id);
void broodi_own_lock_release(uint64_t id);

// For who waits with the lock held: whether the calling thread holds it, as brood_lock_release
// answers; gives up all its levels, which it must hold; takes it back with as many, however long
// that takes, as brood_lock_acquire answers.
brood_status broodi_lock_is_held(brood_lock lock);
uint32_t broodi_lock_give_up(brood_lock lock);
brood_status broodi_lock_take_back(brood_lock lock, uint32_t depth);

// Whether any lock names the thread in this slot as its holder.
bool broodi_lock_names(uint32_t thread);

// The next lock of the kind, BROODI_LOCK or BROODI_OWN_LOCK, from `*index` on that names it; false
// when there is no more.
bool broodi_lock_next(enum broodi_kind kind, uint32_t thread, uint32_t *index, uint64_t *out_id);

// Whether there is a lock whose handle has these generation and slot, its lowest BROODI_KIND_AT
// bits.
bool broodi_lock_exists(uint64_t low_id);

// The slot of the thread that holds the lock; false when nobody does.
bool broodi_lock_holder(uint64_t id, uint32_t *out_thread);

#endif
