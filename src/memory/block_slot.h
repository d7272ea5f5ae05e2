// SPDX-License-Identifier: MIT
// What the slot of a block records: the phase of its life (block.c), where its memory is, and its
// worker.
//
// The low word of the state is a phase, and a flag for sections. The place is the offset of a cell
// in the window, or of a section in the memory object. A block that is MAKING or ENDING names its
// worker, the thread that creates or destroys it.
#ifndef BLOCK_SLOT_H
#define BLOCK_SLOT_H

#include "arena/family.h"
#include "arena/owner.h"
#include "arena/self.h"
#include "os/os_memory.h"
#include "sync/object.h"

#include <stdbool.h>
#include <stdint.h>

enum { BROODI_BLOCK_NEW, BROODI_BLOCK_MAKING, BROODI_BLOCK_WHOLE, BROODI_BLOCK_ENDING };

#define BROODI_BLOCK_PHASE UINT32_C(3)
#define BROODI_BLOCK_SECTION UINT32_C(4)

static inline struct broodi_block_slot *broodi_block_at(uint32_t index)
{
    return broodi_slot(BROODI_BLOCK, index);
}

static inline uint32_t broodi_block_phase_of(uint64_t state)
{
    return broodi_low(state) & BROODI_BLOCK_PHASE;
}

// For assertions: whether the block is in this phase now.
static inline bool broodi_block_is_in(const struct broodi_block_slot *block, uint32_t phase)
{
    return broodi_block_phase_of(broodi_word_load(&block->state)) == phase;
}

static inline bool broodi_block_is_section(uint64_t state)
{
    return broodi_low(state) & BROODI_BLOCK_SECTION;
}

static inline bool broodi_block_is_whole_in(uint64_t state, uint64_t id)
{
    return broodi_handle_is_current(id, state) &&
           broodi_block_phase_of(state) == BROODI_BLOCK_WHOLE;
}

static inline bool broodi_block_is_whole(uint64_t id)
{
    const struct broodi_block_slot *block = broodi_object_find(BROODI_BLOCK, id);
    return block && broodi_block_is_whole_in(broodi_word_load(&block->state), id);
}

static inline uint64_t broodi_block_place_of(const struct broodi_block_slot *block)
{
    return atomic_load_explicit(&block->place, memory_order_acquire);
}

static inline uint64_t broodi_block_size_of(const struct broodi_block_slot *block)
{
    return atomic_load_explicit(&block->size, memory_order_acquire);
}

static inline uint64_t broodi_section_length(uint64_t size)
{
    return (size + BROODI_HEAP_CHUNK - 1) / BROODI_HEAP_CHUNK * BROODI_HEAP_CHUNK;
}

static inline uint64_t broodi_section_length_of(const struct broodi_block_slot *block)
{
    return broodi_section_length(broodi_block_size_of(block));
}

static inline brood_os_section broodi_section_of(const struct broodi_block_slot *block)
{
    return (brood_os_section){
        .at = broodi_block_place_of(block),
        .length = broodi_section_length_of(block),
        .name = atomic_load_explicit(&block->name, memory_order_acquire),
        .keeper = atomic_load_explicit(&block->keeper, memory_order_acquire),
    };
}

// Makes the calling thread, which has a slot since it has held the lock, the worker. The swap of
// the state to MAKING or ENDING that follows publishes the worker.
static inline void broodi_block_set_worker(struct broodi_block_slot *block)
{
    atomic_store_explicit(&block->worker, broodi_owner_self(), memory_order_relaxed);
}

// Leaves an unfinished block to the next sweep. Release: the sweep sees what the worker has done.
static inline void broodi_block_abandon(struct broodi_block_slot *block)
{
    atomic_store_explicit(&block->worker, 0, memory_order_release);
}

static inline bool broodi_block_has_worker(const struct broodi_block_slot *block)
{
    const broodi_owner worker = atomic_load_explicit(&block->worker, memory_order_acquire);
    return broodi_owner_state(worker) == BROODI_OWNER_LIVES;
}

#endif
