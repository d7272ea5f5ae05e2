// SPDX-License-Identifier: MIT
#ifndef LOCK_H
#define LOCK_H

#include "arena/owner.h"
#include "base/handle.h"

#include <brood/lock.h>
#include <stdbool.h>
#include <stdint.h>

// The library's own locks. Their handles have a kind of their own, which public calls reject.
// They are created before brood_init returns. broodi_own_lock_acquire returns the statuses of
// brood_lock_acquire, and BROOD_TIMEOUT if the lock is not available within
// broodi_own_lock_patience: a stopped process, for example, must not block all others.
extern brood_duration broodi_own_lock_patience;
brood_status broodi_own_lock_make(uint64_t *out_id);
brood_status broodi_own_lock_acquire(uint64_t id);
brood_status broodi_own_lock_try(uint64_t id); // does not wait
void broodi_own_lock_release(uint64_t id);

// Whether the calling thread holds the lock. For assertions.
bool broodi_own_lock_is_held(uint64_t id);

// The two locks of a queue's slot, which exist for as long as the table does. Their handles have a
// kind of their own too. broodi_queue_lock_acquire returns the statuses of brood_lock_acquire.
brood_status broodi_queue_locks_make(uint32_t queue);
brood_status broodi_queue_lock_acquire(uint32_t queue, uint32_t side, brood_duration timeout);
void broodi_queue_lock_release(uint32_t queue, uint32_t side);

// Takes the lock if it is free and no thread waits for it; false if not.
bool broodi_queue_lock_take(uint32_t queue, uint32_t side);

// For condition.c. BROOD_OK if the calling thread holds the lock; otherwise the status that
// brood_lock_release would return.
brood_status broodi_lock_is_held(brood_lock lock);

// Releases all levels of the lock, which the calling thread must hold, and returns their number.
uint32_t broodi_lock_release_all(brood_lock lock);

// Acquires the lock without a timeout and sets its depth. Returns the statuses of
// brood_lock_acquire.
brood_status broodi_lock_reacquire(brood_lock lock, uint32_t depth);

// Whether any lock names the thread as its holder.
bool broodi_lock_names(broodi_owner thread);

// Finds the next lock of the kind, BROODI_LOCK, BROODI_OWN_LOCK or BROODI_QUEUE_LOCK, from `*index`
// on, whose holder is the thread, and moves `*index` past it. False if there is none.
bool broodi_lock_next(enum broodi_kind kind, broodi_owner thread, uint32_t *index,
                      uint64_t *out_id);

// Whether a lock exists whose handle has this generation and slot, given in the lowest
// BROODI_KIND_AT bits of `low_id`.
bool broodi_lock_exists(uint64_t low_id);

// The slot of the thread that holds the lock; false if the lock is free or does not exist.
bool broodi_lock_holder(uint64_t id, uint32_t *out_thread);

#endif
