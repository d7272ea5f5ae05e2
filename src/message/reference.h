// SPDX-License-Identifier: MIT
// References of pieces: the index of a piece's slot with the slot's generation, {generation 32,
// index 32}; 0 is none. So a reference that stays behind never means the next piece in the slot.
#ifndef REFERENCE_H
#define REFERENCE_H

#include "arena/family.h"
#include "base/invariant.h"
#include "memory/memory_slot.h"
#include "memory/piece.h"

#include <brood/status.h>
#include <stdbool.h>
#include <stdint.h>

typedef uint64_t broodi_reference;

static inline struct broodi_piece_slot *broodi_reference_slot(broodi_reference reference)
{
    return broodi_piece_at((uint32_t)reference);
}

// Whether the slot exists: a reference that came from the program may be anything.
static inline bool broodi_reference_is_valid(broodi_reference reference)
{
    return (uint32_t)reference < broodi_slot_limit(BROODI_PIECE);
}

static inline bool broodi_reference_is_current(broodi_reference reference)
{
    return broodi_generation(broodi_word_load(&broodi_reference_slot(reference)->state)) ==
           broodi_generation(reference);
}

// As broodi_piece_allocate.
static inline brood_status broodi_reference_allocate(uint64_t object, size_t size,
                                                     broodi_reference *out)
{
    uint32_t index;
    const brood_status status = broodi_piece_allocate(object, size, &index);
    if (status == BROOD_OK)
        *out = broodi_state(broodi_generation(broodi_word_load(&broodi_piece_at(index)->state)),
                            index);
    return status;
}

static inline uint64_t broodi_reference_place(broodi_reference reference)
{
    return atomic_load_explicit(&broodi_reference_slot(reference)->place, memory_order_acquire);
}

// NULL, with a message, if the piece cannot be mapped.
static inline void *broodi_reference_data(broodi_reference reference)
{
    broodi_assert(broodi_reference_is_current(reference));
    return broodi_piece_data((uint32_t)reference);
}

// MAKING becomes WHOLE; a WHOLE piece stays so.
static inline void broodi_reference_complete(broodi_reference reference)
{
    broodi_assert(broodi_reference_is_current(reference));
    const uint64_t state = broodi_word_load(&broodi_reference_slot(reference)->state);
    if (broodi_memory_phase_of(state) == BROODI_MEMORY_MAKING)
        broodi_piece_complete((uint32_t)reference);
}

// Frees the piece, if it exists.
static inline void broodi_reference_free(broodi_reference reference)
{
    if (broodi_reference_is_current(reference))
        broodi_piece_free_if((uint32_t)reference, broodi_generation(reference));
}

#endif
