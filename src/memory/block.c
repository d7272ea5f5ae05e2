// SPDX-License-Identifier: MIT
// Blocks.
//
// A block's slot records where its memory is; the map of the heap (heap.h) is derived from the
// slots. A block is a cell of the heap or, if it is larger than BROODI_HEAP_LARGEST, a section
// (os_memory.h). Its place is the offset of a cell in the window, or of a section in the memory
// object. The phases of its life are in memory_slot.h.
//
// Committing and destroying a section take long and are done without the heap's lock. A worker that
// cannot acquire the lock in time, because the holder is stopped, abandons the block: the next
// sweep frees it. The heir of a holder that died frees each NEW block and rebuilds the map of the
// heap (heap_lock.h). So a thread may be killed at any point: a NEW block is freed by the heir, one
// that is MAKING or ENDING by a sweep. A WHOLE block stays; if the thread was killed before it has
// returned the handle, until the family ends.
#include "arena/allocator.h"
#include "arena/heap.h"
#include "base/deadline.h"
#include "base/fail.h"
#include "base/invariant.h"
#include "base/step.h"
#include "memory/block_slot.h"
#include "memory/heap_lock.h"
#include "memory/mapping.h"
#include "memory/memory_slot.h"
#include "memory/section.h"
#include "memory/sweep.h"
#include "os/os_clock.h"
#include "sync/lock.h"
#include "sync/object.h"

#include <brood/block.h>
#include <string.h>

static struct broodi_memory_slot *memory_at(uint32_t index)
{
    return broodi_memory_at(BROODI_BLOCK, index);
}

static void free_slot(uint32_t index)
{
    (void)broodi_slot_free(BROODI_BLOCK, index, broodi_word_load(&broodi_block_at(index)->state));
}

static void free_cell(uint32_t index)
{
    (void)broodi_memory_free_cell(BROODI_BLOCK, index,
                                  broodi_word_load(&broodi_block_at(index)->state));
}

// Making

// A block that is being created. The first three members are the request.
struct making {
    uint64_t size;
    bool lazy;
    bool section; // whether it is too large for a cell
    bool zero;    // whether the bytes of its cell are known to be zero
    uint32_t index;
    struct broodi_block_slot *block;
};

static brood_status allocate_place(struct making *making, uint64_t *out_place)
{
    return making->section ? broodi_section_allocate(making->size, making->lazy, out_place)
                           : broodi_heap_allocate(BROODI_HEAP_BLOCKS, (size_t)making->size,
                                                  out_place, &making->zero);
}

static uint32_t in_phase(uint32_t phase, bool section)
{
    return phase | (section ? BROODI_MEMORY_SECTION : 0);
}

// NEW becomes MAKING.
static void record_place(const struct making *making, uint64_t place)
{
    struct broodi_block_slot *block = making->block;
    broodi_assert(broodi_memory_is_in(memory_at(making->index), BROODI_MEMORY_NEW));
    broodi_memory_set_worker(memory_at(making->index));
    atomic_store_explicit(&block->name, 0, memory_order_release);
    atomic_store_explicit(&block->place, place, memory_order_release);
    atomic_store_explicit(&block->size, making->size, memory_order_release);
    atomic_store_explicit(&block->committed, making->lazy ? broodi_section_length(making->size) : 0,
                          memory_order_relaxed);
    broodi_step(BROODI_STEP_BLOCK_WRITTEN);
    (void)broodi_word_swap(&block->state, broodi_word_load(&block->state),
                           in_phase(BROODI_MEMORY_MAKING, making->section));
}

// Allocates a slot and a place. The caller holds the lock.
static brood_status reserve(struct making *making)
{
    broodi_assert(broodi_heap_is_locked());
    uint64_t place = 0;
    brood_status status = broodi_slot_allocate(BROODI_BLOCK, BROODI_MEMORY_NEW, &making->index);
    if (status != BROOD_OK)
        return status;
    making->block = broodi_block_at(making->index);
    broodi_step(BROODI_STEP_BLOCK_TAKEN);
    status = allocate_place(making, &place);
    if (status != BROOD_OK) {
        free_slot(making->index);
        return status;
    }
    broodi_step(BROODI_STEP_BLOCK_PLACED);
    record_place(making, place);
    return BROOD_OK;
}

// Each request for a large block also sweeps a part of the table for abandoned blocks.
static brood_status reserve_now(struct making *making)
{
    brood_status status = broodi_heap_lock();
    if (status != BROOD_OK)
        return status;
    if (making->section)
        broodi_blocks_sweep_some();
    status = reserve(making);
    broodi_heap_unlock();
    return status;
}

static brood_status reserve_with_retry(struct making *making)
{
    brood_status status = reserve_now(making);
    if (status != BROOD_BUSY)
        return status;
    // Wait until other workers have committed what is promised to them; but only as long as for the
    // lock, since one of them may be stopped.
    const int64_t deadline = broodi_deadline(broodi_own_lock_patience);
    while (status == BROOD_BUSY && brood_os_clock() < deadline) {
        brood_os_sleep_until(brood_os_clock() + BROOD_MILLISECONDS(1));
        status = reserve_now(making);
    }
    return status == BROOD_BUSY
               ? broodi_fail(BROOD_NO_MEMORY,
                             "%llu bytes requested while other blocks are being committed",
                             (unsigned long long)making->size)
               : status;
}

static brood_status make_ready(const struct making *making)
{
    if (making->section)
        return broodi_section_create(making->block, making->lazy);
    const uint64_t place = broodi_block_place_of(making->block);
    const brood_status status = broodi_heap_access(place, (size_t)making->size);
    if (status == BROOD_OK && !making->zero)
        memset(broodi_family.arena.base + place, 0, (size_t)making->size);
    return status;
}

// Frees a block whose creation has failed, or whose section this thread has destroyed. If the
// thread cannot acquire the lock, for example because it has left the family, a later sweep frees
// the block.
static void discard(uint32_t index, bool section)
{
    if (broodi_heap_lock() != BROOD_OK) {
        broodi_memory_abandon(memory_at(index));
        return;
    }
    if (section)
        broodi_memory_free_range(index);
    else
        free_cell(index);
    broodi_heap_unlock();
}

// Using and destroying

static brood_status find_data(brood_block block, void **out)
{
    const struct broodi_block_slot *slot = broodi_object_find(BROODI_BLOCK, block.id);
    if (!slot)
        return broodi_object_not_found(BROODI_BLOCK);
    const uint64_t state = broodi_word_load(&slot->state);
    if (!broodi_block_is_whole_in(state, block.id))
        return BROOD_STALE;
    if (broodi_memory_is_section(state))
        return broodi_mapping_find(block.id, slot, out);
    const uint64_t place = broodi_block_place_of(slot);
    const uint64_t size = broodi_block_size_of(slot);
    if (!broodi_block_is_whole(block.id)) // otherwise both may be those of a later block
        return BROOD_STALE;
    *out = broodi_family.arena.base + place;
    return broodi_heap_access(place, (size_t)size);
}

void *brood_block_data(brood_block block)
{
    void *data = NULL;
    return broodi_answer("brood_block_data", find_data(block, &data)) == BROOD_OK ? data : NULL;
}

size_t brood_block_size(brood_block block)
{
    const struct broodi_block_slot *slot = broodi_object_find(BROODI_BLOCK, block.id);
    const uint64_t size = slot ? broodi_block_size_of(slot) : 0;
    if (slot && broodi_block_is_whole(block.id))
        return (size_t)size;
    (void)broodi_answer("brood_block_size",
                        slot ? BROOD_STALE : broodi_object_not_found(BROODI_BLOCK));
    return 0;
}

// Makes the handle stale: a small block is freed at once, a large one becomes ENDING. The caller
// holds the lock.
static brood_status begin_ending(brood_block block, struct broodi_block_slot *slot,
                                 bool *out_section)
{
    broodi_assert(broodi_heap_is_locked());
    const uint64_t state = broodi_word_load(&slot->state);
    if (!broodi_block_is_whole_in(state, block.id))
        return BROOD_STALE;
    const uint32_t index = broodi_handle_unpack(block.id).slot;
    *out_section = broodi_memory_is_section(state);
    if (!*out_section) {
        free_cell(index);
        return BROOD_OK;
    }
    broodi_memory_set_worker(memory_at(index));
    (void)broodi_word_swap(&slot->state, state, BROODI_MEMORY_ENDING | BROODI_MEMORY_SECTION);
    return BROOD_OK;
}

// Destroys the section of a large block that is ENDING, then frees its slot and place.
static void end_large(brood_block block, struct broodi_block_slot *slot)
{
    const uint32_t index = broodi_handle_unpack(block.id).slot;
    broodi_assert(broodi_memory_is_in(memory_at(index), BROODI_MEMORY_ENDING));
    broodi_assert(!broodi_heap_is_locked());
    broodi_step(BROODI_STEP_BLOCK_ENDING);
    broodi_mapping_forget(block.id);
    broodi_section_destroy(slot);
    broodi_step(BROODI_STEP_BLOCK_EMPTIED);
    discard(index, true);
}

static brood_status destroy(brood_block block)
{
    struct broodi_block_slot *slot = broodi_object_find(BROODI_BLOCK, block.id);
    if (!slot)
        return broodi_object_not_found(BROODI_BLOCK);
    if (!broodi_block_is_whole(block.id))
        return BROOD_STALE;
    brood_status status = broodi_heap_lock();
    if (status != BROOD_OK)
        return status;
    bool section = false;
    status = begin_ending(block, slot, &section);
    broodi_heap_unlock();
    if (section)
        end_large(block, slot);
    return status;
}

brood_status brood_block_destroy(brood_block block)
{
    return broodi_answer("brood_block_destroy", destroy(block));
}

// Creating

// Maps a new section in the process that created it, so that a block that does not fit its address
// space is refused here. If that fails, the block is ended without the lock, because no other
// thread has its handle yet.
static brood_status map_at_once(brood_block created, struct broodi_block_slot *block)
{
    void *address = NULL;
    const brood_status status = broodi_mapping_add(created.id, block, &address);
    if (status == BROOD_OK)
        return status;
    broodi_memory_set_worker(memory_at(broodi_handle_unpack(created.id).slot));
    if (broodi_word_swap(&block->state, broodi_word_load(&block->state),
                         BROODI_MEMORY_ENDING | BROODI_MEMORY_SECTION))
        end_large(created, block);
    return status;
}

static brood_status finish(brood_block *out, const struct making *making)
{
    struct broodi_block_slot *block = making->block;
    broodi_assert(broodi_memory_is_in(memory_at(making->index), BROODI_MEMORY_MAKING));
    (void)broodi_word_swap(&block->state, broodi_word_load(&block->state),
                           in_phase(BROODI_MEMORY_WHOLE, making->section));
    broodi_step(BROODI_STEP_BLOCK_WHOLE);
    const brood_block created = { broodi_handle_of(BROODI_BLOCK, making->index) };
    const brood_status status = making->section ? map_at_once(created, block) : BROOD_OK;
    if (status == BROOD_OK)
        *out = created;
    return status;
}

static brood_status make(brood_block *out, size_t size, bool lazy)
{
    struct making making = { .size = size, .lazy = lazy, .section = size > BROODI_HEAP_LARGEST };
    brood_status status = reserve_with_retry(&making);
    if (status != BROOD_OK)
        return status;
    broodi_step(BROODI_STEP_BLOCK_MAKING);
    status = make_ready(&making);
    broodi_step(BROODI_STEP_BLOCK_READY);
    if (status == BROOD_OK)
        return finish(out, &making);
    discard(making.index, making.section);
    return status;
}

static brood_status create(brood_block *out, size_t size, bool lazy)
{
    brood_status status = broodi_object_check_out(out);
    if (status != BROOD_OK)
        return status;
    if (size == 0)
        return broodi_fail(BROOD_INVALID, "size is 0");
    status = make(out, size, lazy);
    return status == BROOD_NO_MEMORY && broodi_memory_sweep() ? make(out, size, lazy) : status;
}

brood_status brood_block_create(brood_block *out, size_t size)
{
    return broodi_answer("brood_block_create", create(out, size, false));
}

brood_status brood_block_create_lazy(brood_block *out, size_t size)
{
    return broodi_answer("brood_block_create_lazy", create(out, size, true));
}
