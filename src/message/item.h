// SPDX-License-Identifier: MIT
// Inside the chain of a queue: positions, headers, and lists of pieces; see chain.h.
#ifndef ITEM_H
#define ITEM_H

#include "arena/family.h"
#include "arena/heap.h"
#include "arena/owner.h"
#include "arena/self.h"
#include "base/compiler.h"
#include "base/invariant.h"
#include "message/chain.h"
#include "message/reference.h"

enum {
    BROODI_ITEM_UNIT = 8, // items begin at multiples of it
    BROODI_ITEM_HEADER = 8,
    BROODI_SEGMENT_HEADER = 16,                     // at the beginning of a segment: its reference
    BROODI_LINK_SIZE = 16,                          // of the item that leads to the next segment
    BROODI_HOLDER_AT = 36,                          // of a taken piece's `length`: see holding.c
    BROODI_INLINE_MOST = 8192 - BROODI_ITEM_HEADER, // larger messages have a body
};

// The bytes of a taken message, in the `length` of its piece.
#define BROODI_LENGTH_MASK ((UINT64_C(1) << BROODI_HOLDER_AT) - 1)

enum broodi_item_kind {
    BROODI_ITEM_MESSAGE = 1,
    BROODI_ITEM_BODY,
    BROODI_ITEM_LINK,
    BROODI_ITEM_FRAGMENT, // a body that is a part of a message
};

// Behind the header of a fragment: its piece, and the words of struct broodi_fragment.
enum { BROODI_FRAGMENT_PIECE, BROODI_FRAGMENT_NUMBER, BROODI_FRAGMENT_TOTAL, BROODI_FRAGMENT_AT };
enum { BROODI_FRAGMENT_WORDS = 4 };

// Positions and headers

static inline uint64_t broodi_position(uint64_t place, uint32_t count)
{
    broodi_assert(place % BROODI_ITEM_UNIT == 0 && place / BROODI_ITEM_UNIT <= UINT32_MAX);
    return place / BROODI_ITEM_UNIT << 32 | count;
}

static inline uint64_t broodi_position_place(uint64_t at)
{
    return (at >> 32) * BROODI_ITEM_UNIT;
}

static inline uint32_t broodi_position_count(uint64_t at)
{
    return (uint32_t)at;
}

static inline uint64_t broodi_item_rounded(uint64_t size)
{
    return (size + BROODI_ITEM_UNIT - 1) / BROODI_ITEM_UNIT * BROODI_ITEM_UNIT;
}

static inline uint64_t broodi_item_header(enum broodi_item_kind kind, uint64_t size)
{
    return size << 8 | (uint64_t)kind;
}

static inline enum broodi_item_kind broodi_item_kind_of(uint64_t header)
{
    return (enum broodi_item_kind)(header & 0xff);
}

static inline unsigned char *broodi_item_bytes(uint64_t place)
{
    return broodi_family.arena.base + place;
}

static inline _Atomic uint64_t *broodi_item_word(uint64_t place)
{
    return (_Atomic uint64_t *)(void *)broodi_item_bytes(place);
}

static inline uint64_t broodi_item_load(uint64_t place)
{
    return atomic_load_explicit(broodi_item_word(place), memory_order_acquire);
}

static inline void broodi_item_store(uint64_t place, uint64_t value)
{
    atomic_store_explicit(broodi_item_word(place), value, memory_order_release);
}

// What a message counts as, in the positions and the capacity of the queue.
static inline uint32_t broodi_item_cost(const struct broodi_queue_slot *queue, uint64_t header)
{
    const uint32_t unit = atomic_load_explicit(&queue->unit, memory_order_relaxed);
    return unit ? 1 + (uint32_t)(header >> 8 >> unit) : 1;
}

// Whether the bytes of the item are in a piece.
static inline bool broodi_item_has_piece(uint64_t header)
{
    return broodi_item_kind_of(header) == BROODI_ITEM_BODY ||
           broodi_item_kind_of(header) == BROODI_ITEM_FRAGMENT;
}

// How far behind an item's place the next item is.
static inline uint64_t broodi_item_length(uint64_t header)
{
    switch (broodi_item_kind_of(header)) {
    case BROODI_ITEM_BODY:
        return BROODI_ITEM_HEADER + sizeof(uint64_t);
    case BROODI_ITEM_FRAGMENT:
        return BROODI_ITEM_HEADER + BROODI_FRAGMENT_WORDS * sizeof(uint64_t);
    default:
        return BROODI_ITEM_HEADER + broodi_item_rounded(header >> 8);
    }
}

// The word with this number behind the header of a fragment.
static inline uint64_t broodi_fragment_word(uint64_t place, unsigned number)
{
    return place + BROODI_ITEM_HEADER + number * sizeof(uint64_t);
}

static inline uint64_t broodi_chain_load(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_acquire);
}

static inline void broodi_chain_store(_Atomic uint64_t *word, uint64_t value)
{
    atomic_store_explicit(word, value, memory_order_release);
}

static inline uint32_t broodi_segment_size(const struct broodi_queue_slot *queue)
{
    return atomic_load_explicit(&queue->segment, memory_order_relaxed);
}

// The place of the segment that this place is in.
static inline uint64_t broodi_segment_at(const struct broodi_queue_slot *queue, uint64_t place)
{
    return place & ~((uint64_t)broodi_segment_size(queue) - 1);
}

// The end of the segment that this place is in.
static inline uint64_t broodi_segment_end(const struct broodi_queue_slot *queue, uint64_t place)
{
    return broodi_segment_at(queue, place) + broodi_segment_size(queue);
}

// Cache lines that are fetched ahead, and how far: from the end of an item that is appended, and
// from the beginning of one that is got.
enum { BROODI_LINE = 64, BROODI_STORE_AHEAD = 128, BROODI_LOAD_AHEAD = 1024 };

static inline brood_status broodi_segment_access(const struct broodi_queue_slot *queue,
                                                 uint64_t place)
{
    return broodi_heap_access(broodi_segment_at(queue, place), broodi_segment_size(queue));
}

// Lists of pieces, linked by their references.

// The word that has the reference in a list: of the list's head, or of a piece. NULL: none has.
static inline _Atomic uint64_t *broodi_pieces_find(_Atomic uint64_t *list, uint64_t reference)
{
    while (broodi_chain_load(list) != 0 && broodi_chain_load(list) != reference)
        list = &broodi_reference_slot(broodi_chain_load(list))->next;
    return broodi_chain_load(list) ? list : NULL;
}

// Adds a piece to the list, as one of this owner, which contains a message of this size.
static inline void broodi_pieces_push(_Atomic uint64_t *list, uint64_t reference, uint64_t size,
                                      uint64_t owner)
{
    struct broodi_piece_slot *piece = broodi_reference_slot(reference);
    broodi_chain_store(&piece->next, broodi_chain_load(list));
    broodi_chain_store(&piece->length, size);
    broodi_chain_store(&piece->data, owner);
    broodi_chain_store(list, reference);
}

// Whether the thread that had the piece has died. A piece with owner 0 was released, or given up.
static inline bool broodi_piece_is_orphan(const struct broodi_piece_slot *piece)
{
    const broodi_owner owner = broodi_chain_load(&piece->data) & ~BROODI_RESERVED;
    return owner != 0 && broodi_owner_state(owner) != BROODI_OWNER_LIVES;
}

static inline bool broodi_pieces_unlink(_Atomic uint64_t *list, uint64_t reference)
{
    _Atomic uint64_t *word = broodi_pieces_find(list, reference);
    if (word)
        broodi_chain_store(word, broodi_chain_load(&broodi_reference_slot(reference)->next));
    return word != NULL;
}

// The log of a consumer; see chain.h.
void broodi_chain_begin_removing(struct broodi_queue_slot *queue, uint64_t reference);
void broodi_chain_end_removing(struct broodi_queue_slot *queue);

// Frees a piece of the list of those that were taken.
void broodi_chain_free_taken(struct broodi_queue_slot *queue, uint64_t reference);

#endif
