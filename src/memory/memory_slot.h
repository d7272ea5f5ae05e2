// SPDX-License-Identifier: MIT
// What the slots of blocks and of pieces have in common: they record memory, and who creates or
// frees it.
//
// The low word of the state is a phase, and a flag for blocks that are sections:
//
//   from           to        by
//   free           NEW       a thread that holds the heap's lock
//   NEW            MAKING    the same thread, now the worker, when place and size are stored
//   NEW            free      the same thread, if it finds no place; the heir of the lock
//   MAKING         WHOLE     the worker, when the memory is accessible and, of a block, zero
//   MAKING         free      the worker, if that fails; a sweep
//   WHOLE          ENDING    a large block: the thread that destroys it, now the worker
//   WHOLE          ENDING    a piece: the thread that claims it, now the worker
//   WHOLE          free      a small block: the thread that destroys it
//   WHOLE          free      a piece: the thread that frees it; a sweep, when its object has ended
//   MAKING, WHOLE  ENDING    a piece: the thread that frees it, if it cannot acquire the lock
//   ENDING         free      the worker; a sweep
//
// Each change is a compare-and-swap, and each to `free` is made under the heap's lock. A slot is
// NEW only while one thread holds that lock, or has died with it.
//
// `worker` counts only while the slot is MAKING or ENDING: then it is the thread that creates or
// frees it, or 0. If the worker has ended, or is 0, the slot is abandoned: a sweep frees the slot
// and its memory. A WHOLE block still names its creator. A WHOLE piece names no thread, except one
// that is just completing or claiming it, or was killed there.
#ifndef MEMORY_SLOT_H
#define MEMORY_SLOT_H

#include "arena/family.h"
#include "arena/owner.h"
#include "arena/self.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    BROODI_MEMORY_NEW,
    BROODI_MEMORY_MAKING,
    BROODI_MEMORY_WHOLE,
    BROODI_MEMORY_ENDING,
};

#define BROODI_MEMORY_PHASE UINT32_C(3)
#define BROODI_MEMORY_SECTION UINT32_C(4)

// The slot of a block or a piece.
static inline struct broodi_memory_slot *broodi_memory_at(enum broodi_kind kind, uint32_t index)
{
    return broodi_slot(kind, index);
}

static inline uint32_t broodi_memory_phase_of(uint64_t state)
{
    return broodi_low(state) & BROODI_MEMORY_PHASE;
}

// For assertions: whether the slot is in this phase now.
static inline bool broodi_memory_is_in(const struct broodi_memory_slot *slot, uint32_t phase)
{
    return broodi_memory_phase_of(broodi_word_load(&slot->state)) == phase;
}

static inline bool broodi_memory_is_section(uint64_t state)
{
    return broodi_low(state) & BROODI_MEMORY_SECTION;
}

static inline bool broodi_memory_is_unfinished(uint64_t state)
{
    const uint32_t phase = broodi_memory_phase_of(state);
    return broodi_slot_is_live(state) &&
           (phase == BROODI_MEMORY_MAKING || phase == BROODI_MEMORY_ENDING);
}

// Acquire, in these two: pairs with the release stores of the thread that made the slot NEW, as in
// block_slot.h.
static inline uint64_t broodi_memory_place_of(const struct broodi_memory_slot *slot)
{
    return atomic_load_explicit(&slot->place, memory_order_acquire);
}

static inline uint64_t broodi_memory_size_of(const struct broodi_memory_slot *slot)
{
    return atomic_load_explicit(&slot->size, memory_order_acquire);
}

// Makes the calling thread, which has a slot since it has held the heap's lock, the worker. The
// swap of the state that follows publishes that.
static inline void broodi_memory_set_worker(struct broodi_memory_slot *slot)
{
    atomic_store_explicit(&slot->worker, broodi_owner_self(), memory_order_relaxed);
}

// Leaves an unfinished slot to the next sweep. Release: pairs with the acquire in
// broodi_memory_has_worker(), so the sweep finds what the worker has done until now.
static inline void broodi_memory_abandon(struct broodi_memory_slot *slot)
{
    atomic_store_explicit(&slot->worker, 0, memory_order_release);
}

static inline bool broodi_memory_has_worker(const struct broodi_memory_slot *slot)
{
    const broodi_owner worker = atomic_load_explicit(&slot->worker, memory_order_acquire);
    return broodi_owner_state(worker) == BROODI_OWNER_LIVES;
}

// Loads the phase again after the worker was found ended: it may have finished just before.
static inline bool broodi_memory_is_abandoned(const struct broodi_memory_slot *slot)
{
    return broodi_memory_is_unfinished(broodi_word_load(&slot->state)) &&
           !broodi_memory_has_worker(slot) &&
           broodi_memory_is_unfinished(broodi_word_load(&slot->state));
}

#endif
