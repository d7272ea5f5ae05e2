// SPDX-License-Identifier: MIT
#include "arena/watch.h"

#include "arena/allocator.h"
#include "arena/family.h"
#include "arena/groups.h"
#include "arena/owner.h"
#include "base/step.h"
#include "os/os_life.h"

#include <errno.h>

static struct broodi_thread_slot *thread_at(uint32_t index)
{
    return broodi_slot(BROODI_THREAD, index);
}

static _Atomic uint64_t *mask_of(uint32_t thread)
{
    return &((struct broodi_watch *)broodi_slot(BROODI_WATCH, thread))->mask;
}

uint64_t broodi_watch_bit(const broodi_word *word)
{
    const uintptr_t at = (uintptr_t)word;
    const uintptr_t base = (uintptr_t)broodi_family.arena.base;
    const uint64_t number =
        (at - base < broodi_family.arena.size ? at - base : at) / sizeof(uint64_t);
    return UINT64_C(1) << (number * UINT64_C(0x9e3779b97f4a7c15) >> 58);
}

// Changers

static void ring(uint32_t index)
{
    const broodi_owner owner = broodi_owner_at(BROODI_THREAD, index);
    const brood_os_life_id id = broodi_owner_life_id(owner);
    if (owner)
        brood_os_bell_ring(&thread_at(index)->life, &id);
}

static void ring_threads(uint64_t bit)
{
    const uint32_t threads = broodi_slot_end(BROODI_THREAD);
    const uint32_t watches = broodi_slot_limit(BROODI_WATCH);
    const uint32_t end = threads < watches ? threads : watches;
    for (uint32_t index = 0; (index = broodi_slot_next(BROODI_THREAD, index, end)) < end; index++)
        if (atomic_load_explicit(mask_of(index), memory_order_relaxed) & bit)
            ring(index);
}

brood_os_watch_id broodi_watch_id(uint32_t poller, uint64_t state)
{
    const struct broodi_header *header = broodi_family.header;
    return (brood_os_watch_id){ .family = { header->family[0], header->family[1] },
                                .number = broodi_owner_of(poller, state) };
}

bool broodi_watch_is_deaf(void)
{
    return atomic_load_explicit(&broodi_family.header->rings_lost, memory_order_relaxed) != 0;
}

static enum brood_os_ring ring_poller(uint32_t index, uint64_t state)
{
    const brood_os_watch_id id = broodi_watch_id(index, state);
    const enum brood_os_ring result = brood_os_watch_ring(&id);
    if (result == BROOD_OS_RING_LOST)
        atomic_store_explicit(&broodi_family.header->rings_lost, 1, memory_order_relaxed);
    return result;
}

static void ring_pollers(uint64_t bit)
{
    const uint32_t end = broodi_slot_end(BROODI_POLLER);
    const uint32_t limit = broodi_slot_limit(BROODI_POLLER);
    for (uint32_t index = 0; index < end && index < limit; index++) {
        const struct broodi_poller_slot *slot = broodi_slot(BROODI_POLLER, index);
        if (!(atomic_load_explicit(&slot->mask, memory_order_relaxed) & bit))
            continue;
        const uint64_t state = broodi_word_load(&slot->state);
        if (broodi_slot_is_live(state) && ring_poller(index, state) == BROOD_OS_RING_ALL)
            return;
    }
}

// The mark is removed first. If it were removed after the rings, it could be one that a watcher has
// set since, which would then never be told.
void broodi_watch_notify(broodi_word *word)
{
    const int error = errno;
    const uint32_t by = atomic_exchange_explicit(broodi_watched(word), 0, memory_order_seq_cst);
    // Orders the removal before the loads of the masks, and of their number.
    atomic_thread_fence(memory_order_seq_cst);
    broodi_step(BROODI_STEP_WATCH_CLEARED);
    if (by & BROODI_WATCHED_BY_THREADS)
        ring_threads(broodi_watch_bit(word));
    if (by & BROODI_WATCHED_BY_POLLERS)
        ring_pollers(broodi_watch_bit(word));
    broodi_step(BROODI_STEP_WATCH_RUNG);
    errno = error;
}

// Watchers

brood_status broodi_watch_begin(uint32_t thread, uint64_t mask)
{
    const brood_status status = broodi_slot_commit(BROODI_WATCH, thread);
    if (status != BROOD_OK)
        return status;
    // Ordered before the marks: a changer that finds a mark of this thread finds the mask.
    atomic_store_explicit(mask_of(thread), mask, memory_order_seq_cst);
    broodi_step(BROODI_STEP_WATCH_MASKED);
    return BROOD_OK;
}

void broodi_watch_end(uint32_t thread)
{
    broodi_watch_clear(broodi_slot(BROODI_WATCH, thread));
}

// A mark that is there already need not be stored: the changer that will remove it, after this
// load, finds the mask.
void broodi_watch_mark(broodi_word *word, uint32_t flag)
{
    _Atomic uint32_t *watched = broodi_watched(word);
    if (!(atomic_load_explicit(watched, memory_order_seq_cst) & flag))
        (void)atomic_fetch_or_explicit(watched, flag, memory_order_seq_cst);
}

void broodi_watch_marked(void)
{
    atomic_thread_fence(memory_order_seq_cst);
    broodi_step(BROODI_STEP_WATCH_FLAGGED);
}

void broodi_watch_await(uint32_t thread, int64_t timeout)
{
    const int error = errno;
    brood_os_bell_await(&thread_at(thread)->life, NULL, NULL, timeout);
    errno = error;
}
