// SPDX-License-Identifier: MIT
#include "memory/sweep.h"

#include "arena/allocator.h"
#include "arena/chunk.h"
#include "arena/groups.h"
#include "arena/heap.h"
#include "arena/kinds.h"
#include "base/invariant.h"
#include "base/step.h"
#include "memory/block_slot.h"
#include "memory/gap.h"
#include "memory/heap_lock.h"
#include "memory/memory_slot.h"
#include "memory/section.h"

// Frees the slot before the cell: a reader of the place that finds the state unchanged afterwards
// has read the place of a cell that was still this slot's. A caller that is killed between the two
// dies with the lock, so the heir rebuilds the map without the cell.
bool broodi_memory_free_cell(enum broodi_kind kind, uint32_t index, uint64_t state)
{
    broodi_assert(broodi_heap_is_locked());
    const uint64_t place = broodi_memory_place_of(broodi_memory_at(kind, index));
    const size_t size = (size_t)broodi_memory_size_of(broodi_memory_at(kind, index));
    if (!broodi_slot_free(kind, index, state))
        return false;
    broodi_step(kind == BROODI_PIECE ? BROODI_STEP_PIECE_FREED : BROODI_STEP_BLOCK_FREED);
    broodi_heap_free(place, size);
    return true;
}

// A caller that is killed between the two steps dies with the lock: the heir forgets the gap, and
// a sweep frees the slot.
void broodi_memory_free_range(uint32_t index)
{
    const struct broodi_block_slot *block = broodi_block_at(index);
    broodi_gap_add(broodi_block_place_of(block), broodi_section_length_of(block));
    (void)broodi_slot_free(BROODI_BLOCK, index, broodi_word_load(&block->state));
}

// Blocks

// Frees the block if it is abandoned; returns whether it was.
static bool sweep_block(uint32_t index)
{
    broodi_assert(broodi_heap_is_locked());
    const uint64_t state = broodi_word_load(&broodi_block_at(index)->state);
    if (!broodi_memory_is_abandoned(broodi_memory_at(BROODI_BLOCK, index)))
        return false;
    if (!broodi_memory_is_section(state))
        return broodi_memory_free_cell(BROODI_BLOCK, index, state);
    broodi_section_destroy(broodi_block_at(index));
    broodi_memory_free_range(index);
    return true;
}

bool broodi_blocks_sweep(void)
{
    bool any = false;
    const uint32_t limit = broodi_slot_limit(BROODI_BLOCK);
    for (uint32_t index = 0; (index = broodi_slot_next(BROODI_BLOCK, index, limit)) < limit;
         index++)
        any |= sweep_block(index);
    return any;
}

void broodi_blocks_sweep_some(void)
{
    enum { AT_ONCE = 1024 };
    uint32_t *index = &broodi_family.header->heap.swept;
    const uint32_t limit = broodi_slot_limit(BROODI_BLOCK);
    for (uint32_t n = 0; n < AT_ONCE && n < limit; n++) {
        *index = *index + 1 < limit ? *index + 1 : 0;
        (void)sweep_block(*index);
    }
}

// Pieces

// Whether the object was destroyed. False if its table cannot be mapped.
static bool has_ended(uint64_t object)
{
    const broodi_word *word =
        broodi_handle_slot((enum broodi_kind)broodi_handle_unpack(object).kind, object);
    return word && !broodi_handle_is_current(object, broodi_word_load(word));
}

// Whether the piece is WHOLE, and its object has ended. A MAKING or ENDING piece of such an object
// is left to its worker, which may be using the memory: the worker frees it, or dies.
static bool is_left(const struct broodi_piece_slot *piece, uint64_t state)
{
    return broodi_slot_is_live(state) && broodi_memory_phase_of(state) == BROODI_MEMORY_WHOLE &&
           has_ended(atomic_load_explicit(&piece->object, memory_order_acquire));
}

// Frees the piece unless it was changed since its state was loaded.
static bool sweep_piece(uint32_t index)
{
    const struct broodi_piece_slot *piece = broodi_slot(BROODI_PIECE, index);
    const uint64_t state = broodi_word_load(&piece->state);
    return (is_left(piece, state) ||
            broodi_memory_is_abandoned(broodi_memory_at(BROODI_PIECE, index))) &&
           broodi_memory_free_cell(BROODI_PIECE, index, state);
}

bool broodi_pieces_sweep(void)
{
    bool any = false;
    const uint32_t limit = broodi_slot_limit(BROODI_PIECE);
    for (uint32_t index = 0; (index = broodi_slot_next(BROODI_PIECE, index, limit)) < limit;
         index++)
        any |= sweep_piece(index);
    return any;
}

bool broodi_memory_sweep(void)
{
    broodi_kind_sweep(BROODI_QUEUE); // frees the pieces of destroyed queues; takes queues' locks
    if (broodi_heap_lock() != BROOD_OK)
        return false;
    bool any = broodi_blocks_sweep();
    any |= broodi_pieces_sweep();
    any |= broodi_chunks_trim();
    broodi_heap_unlock();
    return any;
}
