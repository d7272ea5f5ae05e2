// SPDX-License-Identifier: MIT
// What the slot of a block records: where its memory is, and the name and keeper of its section.
#ifndef BLOCK_SLOT_H
#define BLOCK_SLOT_H

#include "arena/family.h"
#include "memory/memory_slot.h"
#include "os/os_memory.h"
#include "sync/object.h"

#include <stdbool.h>
#include <stdint.h>

static inline struct broodi_block_slot *broodi_block_at(uint32_t index)
{
    return broodi_slot(BROODI_BLOCK, index);
}

static inline bool broodi_block_is_whole_in(uint64_t state, uint64_t id)
{
    return broodi_handle_is_current(id, state) &&
           broodi_memory_phase_of(state) == BROODI_MEMORY_WHOLE;
}

static inline bool broodi_block_is_whole(uint64_t id)
{
    const struct broodi_block_slot *block = broodi_object_find(BROODI_BLOCK, id);
    return block && broodi_block_is_whole_in(broodi_word_load(&block->state), id);
}

// Acquire, here and below: pairs with the release stores in record_place() of block.c and in
// broodi_section_create(). The next block in the slot changes the state before it stores these. So
// a caller that loads the state afterwards, and finds it still that of its block, has loaded what
// belongs to that block.
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

#endif
