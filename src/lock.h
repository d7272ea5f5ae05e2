// SPDX-License-Identifier: MIT
#ifndef LOCK_H
#define LOCK_H

#include <brood/lock.h>
#include <stdbool.h>
#include <stdint.h>

// brood_lock_create, also before brood_init is through.
brood_status broodi_lock_make(brood_lock *out, bool recursive);

// For who waits with the lock held: whether the calling thread holds it, as brood_lock_release answers; gives up all its levels, which it
// must hold; takes it back with as many, however long that takes, as brood_lock_acquire answers.
brood_status broodi_lock_is_held(brood_lock lock);
uint32_t broodi_lock_give_up(brood_lock lock);
brood_status broodi_lock_take_back(brood_lock lock, uint32_t depth);

// Whether any lock names the thread in this slot as its holder.
bool broodi_lock_names(uint32_t thread);

// The next lock from `*index` on that names it; false when there is no more.
bool broodi_lock_next(uint32_t thread, uint32_t *index, uint64_t *out_id);

// The slot of the thread that holds the lock; false when nobody does.
bool broodi_lock_holder(uint64_t id, uint32_t *out_thread);

#endif
