// SPDX-License-Identifier: MIT
#include "insight/cycle.h"

#include "arena/family.h"
#include "arena/groups.h"
#include "arena/owner.h"
#include "arena/process_slot.h"
#include "arena/thread_slot.h"
#include "insight/snapshot.h"
#include "sync/lock.h"

enum {
    TRIES = 4
}; // a wait of up to a second is made of shorter ones, between which it may be read

static const struct broodi_process_slot *process_at(uint32_t index)
{
    return broodi_slot(BROODI_PROCESS, index);
}

static const struct broodi_thread_slot *thread_at(uint32_t index)
{
    return broodi_slot(BROODI_THREAD, index);
}

static enum broodi_waits kind_of(uint64_t waits)
{
    return (enum broodi_waits)(waits >> BROODI_WAITS_AT);
}

// The waits of a cycle are not FINITE, so their kinds are these.
static bool may_be_member(uint64_t waits)
{
    const enum broodi_waits kind = kind_of(waits);
    return kind == BROODI_WAITS_OBJECT || kind == BROODI_WAITS_PROCESS ||
           kind == BROODI_WAITS_THREAD || kind == BROODI_WAITS_PARENT;
}

static bool is_live_thread(uint64_t state)
{
    return broodi_thread_phase_of(state) == BROODI_THREAD_LIVE;
}

// `blocks` before `waits`: see struct broodi_thread_slot. Acquire: pairs with the releases of
// self.c.
static bool read_member(uint32_t index, struct broodi_cycle_member *out)
{
    const struct broodi_thread_slot *slot = thread_at(index);
    const uint64_t state = broodi_word_load(&slot->state);
    if (!is_live_thread(state))
        return false;
    out->thread = broodi_owner_of(index, state);
    out->blocks = atomic_load_explicit(&slot->blocks, memory_order_acquire);
    out->waits = atomic_load_explicit(&slot->waits, memory_order_acquire);
    return may_be_member(out->waits) && broodi_word_load(&slot->state) == state;
}

static bool is_unchanged(const struct broodi_cycle_member *member)
{
    const struct broodi_thread_slot *slot = thread_at(broodi_owner_slot(member->thread));
    return atomic_load_explicit(&slot->waits, memory_order_acquire) == member->waits &&
           atomic_load_explicit(&slot->blocks, memory_order_acquire) == member->blocks &&
           broodi_owner_state(member->thread) == BROODI_OWNER_LIVES;
}

static uint32_t process_of(broodi_owner thread)
{
    return broodi_thread_process_of(broodi_word_load(&thread_at(broodi_owner_slot(thread))->state));
}

// The next thing of a member: the thread that must go on before the member can. 0: not known.

static broodi_owner holder_of(uint64_t number)
{
    uint32_t slot;
    return broodi_lock_holder(broodi_snapshot_object_of(number), &slot)
               ? broodi_owner_at(BROODI_THREAD, slot)
               : 0;
}

static broodi_owner thread_with(uint64_t id)
{
    const uint32_t limit = broodi_slot_limit(BROODI_THREAD);
    for (uint32_t index = 0; (index = broodi_slot_next(BROODI_THREAD, index, limit)) < limit;
         index++)
        if (is_live_thread(broodi_word_load(&thread_at(index)->state)) &&
            atomic_load_explicit(&thread_at(index)->id, memory_order_acquire) == id)
            return broodi_owner_at(BROODI_THREAD, index);
    return 0;
}

// The thread that runs `main` or the target of the process.
static broodi_owner target_of(uint32_t process)
{
    const uint32_t limit = broodi_slot_limit(BROODI_THREAD);
    for (uint32_t index = 0; (index = broodi_slot_next(BROODI_THREAD, index, limit)) < limit;
         index++) {
        const uint64_t state = broodi_word_load(&thread_at(index)->state);
        if (is_live_thread(state) && broodi_thread_process_of(state) == process &&
            (atomic_load_explicit(&thread_at(index)->blocks, memory_order_acquire) &
             BROODI_THREAD_TARGET))
            return broodi_owner_of(index, state);
    }
    return 0;
}

static broodi_owner target_of_child(broodi_owner thread, int64_t pid)
{
    const uint32_t limit = broodi_slot_limit(BROODI_PROCESS);
    const broodi_owner parent = broodi_owner_at(BROODI_PROCESS, process_of(thread));
    for (uint32_t index = 0; (index = broodi_slot_next(BROODI_PROCESS, index, limit)) < limit;
         index++) {
        const struct broodi_process_slot *slot = process_at(index);
        if (broodi_process_phase_of(broodi_word_load(&slot->state)) == BROODI_PROCESS_LIVE &&
            atomic_load_explicit(&slot->parent, memory_order_acquire) == parent &&
            broodi_process_pid(slot) == pid)
            return target_of(index);
    }
    return 0;
}

static broodi_owner target_of_parent(broodi_owner thread)
{
    const uint32_t process = process_of(thread);
    if (process >= broodi_slot_limit(BROODI_PROCESS))
        return 0;
    const broodi_owner parent =
        atomic_load_explicit(&process_at(process)->parent, memory_order_acquire);
    const uint32_t index = broodi_owner_slot(parent);
    return parent && broodi_owner_at(BROODI_PROCESS, index) == parent ? target_of(index) : 0;
}

static broodi_owner next_of(const struct broodi_cycle_member *member)
{
    const uint64_t number = broodi_waits_for(BROODI_WAITS_NOT, member->waits);
    switch (kind_of(member->waits)) {
    case BROODI_WAITS_OBJECT:
        return holder_of(number);
    case BROODI_WAITS_THREAD:
        return thread_with(number);
    case BROODI_WAITS_PROCESS:
        return target_of_child(member->thread, (int64_t)number);
    default:
        return target_of_parent(member->thread);
    }
}

// Cycles

static bool is_member(const struct broodi_cycle *cycle, uint32_t slot)
{
    for (uint32_t i = 0; i < cycle->length; i++)
        if (broodi_owner_slot(cycle->members[i].thread) == slot)
            return true;
    return false;
}

// Follows the way from the thread in this slot, through higher slots, until it comes back. False
// if it does not.
static bool follow(uint32_t first, struct broodi_cycle *out)
{
    uint32_t at = first;
    out->length = 0;
    do {
        struct broodi_cycle_member *member = &out->members[out->length];
        if (at < first || out->length == BROODI_CYCLE_MOST || is_member(out, at) ||
            !read_member(at, member))
            return false;
        out->length++;
        const broodi_owner next = next_of(member);
        if (!next)
            return false;
        at = broodi_owner_slot(next);
    } while (at != first);
    return true;
}

bool broodi_cycle_is_certain(const struct broodi_cycle *cycle)
{
    for (uint32_t i = 0; i < cycle->length; i++)
        if (next_of(&cycle->members[i]) != cycle->members[(i + 1) % cycle->length].thread)
            return false;
    for (uint32_t i = 0; i < cycle->length; i++)
        if (!is_unchanged(&cycle->members[i]))
            return false;
    return true;
}

static bool find(uint32_t first, struct broodi_cycle *out)
{
    for (int i = 0; i < TRIES && follow(first, out); i++)
        if (broodi_cycle_is_certain(out))
            return true;
    return false;
}

bool broodi_cycle_next(uint32_t *index, struct broodi_cycle *out)
{
    const uint32_t limit = broodi_slot_limit(BROODI_THREAD);
    while ((*index = broodi_slot_next(BROODI_THREAD, *index, limit)) < limit)
        if (find((*index)++, out))
            return true;
    return false;
}
