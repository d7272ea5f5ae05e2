// SPDX-License-Identifier: MIT
// The slots of locks: creating and destroying a lock, and finding out who holds it. lock.c acquires
// and releases locks.
#include "arena/owner.h"
#include "sync/lock.h"

#include "arena/allocator.h"
#include "arena/groups.h"
#include "base/fail.h"
#include "base/step.h"
#include "sync/lock_word.h"
#include "sync/object.h"
#include "sync/seat.h"

static brood_status make(enum broodi_kind kind, uint64_t *out_id, bool recursive)
{
    uint32_t index;
    const brood_status status = broodi_slot_allocate(kind, 0, &index);
    if (status != BROOD_OK)
        return status;
    struct broodi_lock_slot *lock = broodi_slot(kind, index);
    broodi_step(BROODI_STEP_LOCK_MADE);
    lock->recursive = recursive;
    atomic_store_explicit(&lock->depth, 0, memory_order_relaxed);
    atomic_store_explicit(&lock->given_up, 0, memory_order_relaxed);
    *out_id = broodi_handle_of(kind, index);
    return BROOD_OK;
}

brood_status broodi_own_lock_make(uint64_t *out_id)
{
    return make(BROODI_OWN_LOCK, out_id, false);
}

brood_status broodi_queue_locks_make(uint32_t queue)
{
    brood_status status = BROOD_OK;
    for (uint32_t side = 0; status == BROOD_OK && side < 2; side++)
        status = broodi_slot_allocate_at(BROODI_QUEUE_LOCK, broodi_queue_lock(queue, side));
    return status;
}

static brood_status create(brood_lock *out, bool recursive)
{
    const brood_status status = broodi_object_check_out(out);
    return status == BROOD_OK ? make(BROODI_LOCK, &out->id, recursive) : status;
}

brood_status brood_lock_create(brood_lock *out)
{
    return broodi_answer("brood_lock_create", create(out, false));
}

brood_status brood_lock_create_recursive(brood_lock *out)
{
    return broodi_answer("brood_lock_create_recursive", create(out, true));
}

static brood_status destroy(brood_lock lock)
{
    struct broodi_object object;
    brood_status status = broodi_object_open(BROODI_LOCK, lock.id, &object);
    for (; status == BROOD_OK; status = broodi_object_load(&object)) {
        const struct broodi_lock_slot *slot = object.slot;
        const uint32_t holder = broodi_low(object.state) & BROODI_HOLDER;
        if (holder && !broodi_holder_is_over(holder))
            return broodi_fail(BROOD_BUSY, "the lock is held");
        if (!broodi_object_end(&object, 0))
            continue;
        // If the destroyer is killed here, each waiter notices the end of the lock within a
        // second.
        if (atomic_load_explicit(&slot->given_up, memory_order_relaxed))
            broodi_seats_end_waits(lock.id);
        return BROOD_OK;
    }
    return status;
}

brood_status brood_lock_destroy(brood_lock lock)
{
    return broodi_answer("brood_lock_destroy", destroy(lock));
}

bool broodi_lock_next(enum broodi_kind kind, broodi_owner thread, uint32_t *index, uint64_t *out_id)
{
    const uint32_t limit = broodi_slot_limit(kind);
    const uint32_t holder = broodi_holder_of(thread);
    while ((*index = broodi_slot_next(kind, *index, limit)) < limit) {
        const struct broodi_lock_slot *lock = broodi_slot(kind, *index);
        const uint64_t state = broodi_word_load(&lock->state);
        const uint32_t at = (*index)++;
        if (!broodi_slot_is_live(state) || (broodi_low(state) & BROODI_HOLDER) != holder)
            continue;
        *out_id = broodi_handle_of(kind, at);
        return true;
    }
    return false;
}

static bool names_in(enum broodi_kind kind, broodi_owner thread)
{
    uint32_t index = 0;
    uint64_t id;
    return broodi_lock_next(kind, thread, &index, &id);
}

bool broodi_lock_names(broodi_owner thread)
{
    return names_in(BROODI_OWN_LOCK, thread) || names_in(BROODI_LOCK, thread) ||
           names_in(BROODI_QUEUE_LOCK, thread);
}

bool broodi_lock_exists(uint64_t low_id)
{
    const uint64_t id = (uint64_t)broodi_family.tag << BROODI_TAG_AT |
                        (uint64_t)BROODI_LOCK << BROODI_KIND_AT |
                        (low_id & ((UINT64_C(1) << BROODI_KIND_AT) - 1));
    const struct broodi_lock_slot *lock = broodi_handle_slot(BROODI_LOCK, id);
    return lock && broodi_handle_is_current(id, broodi_word_load(&lock->state));
}

bool broodi_lock_holder(uint64_t id, uint32_t *out_thread)
{
    const struct broodi_lock_slot *lock = broodi_handle_slot(BROODI_LOCK, id);
    if (!lock)
        lock = broodi_handle_slot(BROODI_OWN_LOCK, id);
    if (!lock)
        return false;
    const uint64_t state = broodi_word_load(&lock->state);
    const uint32_t holder = broodi_low(state) & BROODI_HOLDER;
    if (!broodi_handle_is_current(id, state) || !holder)
        return false;
    *out_thread = broodi_owner_slot(holder);
    return true;
}
