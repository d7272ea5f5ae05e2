// SPDX-License-Identifier: MIT
#include "memory/piece.h"

#include "arena/allocator.h"
#include "arena/heap.h"
#include "arena/owner.h"
#include "base/invariant.h"
#include "base/step.h"
#include "memory/heap_lock.h"
#include "memory/memory_slot.h"
#include "memory/sweep.h"

struct broodi_piece_slot *broodi_piece_at(uint32_t index)
{
    return broodi_slot(BROODI_PIECE, index);
}

static struct broodi_memory_slot *memory_at(uint32_t index)
{
    return broodi_memory_at(BROODI_PIECE, index);
}

static uint64_t state_of(uint32_t index)
{
    return broodi_word_load(&broodi_piece_at(index)->state);
}

static bool is_in_phase(uint64_t state, uint32_t phase)
{
    return broodi_slot_is_live(state) && broodi_memory_phase_of(state) == phase;
}

// NEW becomes MAKING.
static void record(uint32_t index, uint64_t object, uint64_t place, size_t size)
{
    broodi_assert(broodi_memory_is_in(memory_at(index), BROODI_MEMORY_NEW));
    struct broodi_piece_slot *piece = broodi_piece_at(index);
    broodi_memory_set_worker(memory_at(index));
    // Release: pairs with the acquire loads in memory_slot.h, and with that of `object` in sweep.c.
    atomic_store_explicit(&piece->place, place, memory_order_release);
    atomic_store_explicit(&piece->size, size, memory_order_release);
    atomic_store_explicit(&piece->object, object, memory_order_release);
    atomic_store_explicit(&piece->data, 0, memory_order_relaxed);
    atomic_store_explicit(&piece->next, 0, memory_order_relaxed);
    broodi_step(BROODI_STEP_PIECE_WRITTEN);
    (void)broodi_word_swap(&piece->state, state_of(index), BROODI_MEMORY_MAKING);
}

// Allocates a slot and a cell. The caller holds the heap's lock.
static brood_status reserve(uint64_t object, size_t size, uint32_t *out_index, bool *out_zero)
{
    broodi_assert(broodi_heap_is_locked());
    uint64_t place = 0;
    brood_status status = broodi_slot_allocate(BROODI_PIECE, BROODI_MEMORY_NEW, out_index);
    if (status != BROOD_OK)
        return status;
    broodi_step(BROODI_STEP_PIECE_TAKEN);
    status = broodi_heap_allocate(BROODI_HEAP_PIECES, size, &place, out_zero);
    if (status != BROOD_OK) {
        (void)broodi_slot_free(BROODI_PIECE, *out_index, state_of(*out_index));
        return status;
    }
    broodi_step(BROODI_STEP_PIECE_PLACED);
    record(*out_index, object, place, size);
    return BROOD_OK;
}

static brood_status access_bytes(uint32_t index)
{
    const struct broodi_memory_slot *slot = memory_at(index);
    return broodi_heap_access(broodi_memory_place_of(slot), (size_t)broodi_memory_size_of(slot));
}

// For a large piece that the caller is about to write: one system call costs less than a page fault
// for each of its pages.
static void populate(uint32_t index, bool zero)
{
    enum { LARGE = 16384 };
    const struct broodi_memory_slot *slot = memory_at(index);
    if (zero && broodi_memory_size_of(slot) >= LARGE)
        broodi_heap_populate(broodi_memory_place_of(slot), (size_t)broodi_memory_size_of(slot));
}

static brood_status allocate(uint64_t object, size_t size, uint32_t *out_index)
{
    uint32_t index;
    bool zero;
    brood_status status = broodi_heap_lock();
    if (status != BROOD_OK)
        return status;
    status = reserve(object, size, &index, &zero);
    broodi_heap_unlock();
    if (status != BROOD_OK)
        return status;
    broodi_step(BROODI_STEP_PIECE_MAKING);
    status = access_bytes(index);
    if (status != BROOD_OK) {
        broodi_piece_free(index);
        return status;
    }
    populate(index, zero);
    *out_index = index;
    return BROOD_OK;
}

brood_status broodi_piece_allocate(uint64_t object, size_t size, uint32_t *out_index)
{
    broodi_assert(size > 0 && broodi_handle_unpack(object).kind < BROODI_HANDLE_KINDS);
    const brood_status status = allocate(object, size, out_index);
    return status == BROOD_NO_MEMORY && broodi_memory_sweep() ? allocate(object, size, out_index)
                                                              : status;
}

void *broodi_piece_data(uint32_t index)
{
    broodi_assert(broodi_slot_is_live(state_of(index)));
    if (access_bytes(index) != BROOD_OK)
        return NULL;
    return broodi_family.arena.base + broodi_memory_place_of(memory_at(index));
}

// The calling thread is not the worker any more. Release: pairs with the acquire in become_worker()
// and in broodi_memory_has_worker(), which find the phase that was stored before.
static void resign(struct broodi_piece_slot *piece)
{
    broodi_owner self = broodi_owner_self();
    (void)atomic_compare_exchange_strong_explicit(&piece->worker, &self, 0, memory_order_release,
                                                  memory_order_relaxed);
}

// The worker is cleared after the phase has changed: a sweep takes a MAKING piece without a worker
// for abandoned.
void broodi_piece_complete(uint32_t index)
{
    struct broodi_piece_slot *piece = broodi_piece_at(index);
    const uint64_t state = state_of(index);
    broodi_assert(is_in_phase(state, BROODI_MEMORY_MAKING));
    (void)broodi_word_swap(&piece->state, state, BROODI_MEMORY_WHOLE);
    broodi_step(BROODI_STEP_PIECE_WHOLE);
    resign(piece);
}

// Claiming. Of several threads, the one whose compare-and-swap makes it the worker of the WHOLE
// piece is the first. A WHOLE piece may name a worker that was killed, in its claim or at the end
// of broodi_piece_complete(): the next claim replaces that.

static bool become_worker(struct broodi_piece_slot *piece)
{
    broodi_owner known = atomic_load_explicit(&piece->worker, memory_order_acquire);
    return broodi_owner_state(known) != BROODI_OWNER_LIVES &&
           atomic_compare_exchange_strong_explicit(&piece->worker, &known, broodi_owner_self(),
                                                   memory_order_acq_rel, memory_order_relaxed);
}

bool broodi_piece_claim(uint32_t index)
{
    struct broodi_piece_slot *piece = broodi_piece_at(index);
    const uint64_t state = state_of(index);
    if (!is_in_phase(state, BROODI_MEMORY_WHOLE) || !become_worker(piece))
        return false;
    broodi_step(BROODI_STEP_PIECE_CLAIMED);
    if (broodi_word_swap(&piece->state, state, BROODI_MEMORY_ENDING))
        return true;
    resign(piece); // a sweep was first, since the object has ended
    return false;
}

// Leaves the piece to a sweep: makes it ENDING, without a worker. A caller that is killed between
// the two leaves a WHOLE piece to its object; any other piece is abandoned by then.
static void abandon(uint32_t index, uint64_t state)
{
    broodi_memory_abandon(memory_at(index));
    (void)broodi_word_swap(&broodi_piece_at(index)->state, state, BROODI_MEMORY_ENDING);
}

void broodi_piece_free_if(uint32_t index, uint32_t generation)
{
    const bool locked = broodi_heap_lock() == BROOD_OK;
    const uint64_t state = state_of(index);
    const bool exists = broodi_slot_is_live(state) && broodi_generation(state) == generation;
    if (exists && locked)
        (void)broodi_memory_free_cell(BROODI_PIECE, index, state);
    else if (exists)
        abandon(index, state);
    if (locked)
        broodi_heap_unlock();
}

void broodi_piece_free(uint32_t index)
{
    broodi_piece_free_if(index, broodi_generation(state_of(index)));
}
