// SPDX-License-Identifier: MIT
// The chain as a whole; see chain.h.
#include "message/chain.h"

#include "base/step.h"
#include "message/item.h"

enum { LEAST_SEGMENT = 1024, MOST_SEGMENT = BROODI_HEAP_CHUNK };

// The sizes of a queue

// The size of a segment with room for `items` items of this length.
static uint32_t segment_for(uint64_t items, uint64_t length)
{
    uint32_t size = LEAST_SEGMENT;
    while (size < MOST_SEGMENT &&
           (size - BROODI_SEGMENT_HEADER - BROODI_LINK_SIZE) / length < items)
        size *= 2;
    return size;
}

void broodi_chain_prepare(struct broodi_queue_slot *queue, uint32_t capacity, uint64_t largest,
                          uint32_t unit)
{
    const uint64_t bytes =
        broodi_item_rounded(largest < BROODI_INLINE_MOST ? largest : BROODI_INLINE_MOST);
    const uint64_t length =
        BROODI_ITEM_HEADER + (bytes > BROODI_ITEM_UNIT ? bytes : BROODI_ITEM_UNIT);
    atomic_store_explicit(&queue->segment, segment_for(capacity, length), memory_order_relaxed);
    atomic_store_explicit(&queue->capacity, capacity, memory_order_relaxed);
    atomic_store_explicit(&queue->largest, largest, memory_order_relaxed);
    atomic_store_explicit(&queue->unit, unit, memory_order_relaxed);
    atomic_store_explicit(&queue->reservations, 0, memory_order_relaxed);
    broodi_chain_see(queue);
    atomic_store_explicit(&queue->sender, 0, memory_order_relaxed);
    atomic_store_explicit(&queue->receiver, 0, memory_order_relaxed);
    atomic_store_explicit(&queue->looked, 0, memory_order_relaxed);
}

bool broodi_chain_is_inline(size_t size)
{
    return size <= BROODI_INLINE_MOST;
}

uint32_t broodi_chain_count(const struct broodi_queue_slot *queue)
{
    // Until the tail is the same before and after the head was loaded: so both were valid at one
    // time. The tail is ahead of the head by a message that a producer has not counted yet.
    uint64_t tail;
    uint64_t head;
    do {
        tail = broodi_chain_load(&queue->tail);
        head = broodi_chain_load(&queue->head);
    } while (broodi_chain_load(&queue->tail) != tail);
    const uint32_t count = broodi_position_count(head) - broodi_position_count(tail);
    return count > UINT32_MAX / 2 ? 0 : count;
}

// Destroying

// Frees the last segment, in which no item is left. The tail becomes 0 last: until then an heir
// finds the segment by it.
static void free_last_segment(struct broodi_queue_slot *queue)
{
    const uint64_t place = broodi_position_place(broodi_chain_load(&queue->tail));
    if (place == 0)
        return;
    const uint64_t segment = broodi_item_load(broodi_segment_at(queue, place));
    broodi_chain_begin_removing(queue, segment);
    broodi_chain_store(&queue->first, 0);
    broodi_chain_store(&queue->head, 0);
    broodi_chain_store(&queue->tail, 0);
    broodi_reference_free(segment);
    broodi_chain_end_removing(queue);
}

brood_status broodi_chain_free(struct broodi_queue_slot *queue)
{
    struct broodi_item item;
    uint64_t piece;
    brood_status status;
    while ((status = broodi_chain_first(queue, &item)) == BROOD_OK)
        broodi_chain_remove(queue, &item, 1);
    if (status != BROOD_NOT_FOUND)
        return status;
    while ((piece = broodi_chain_load(&queue->taken)) != 0)
        broodi_chain_free_taken(queue, piece);
    if (broodi_chain_load(&queue->spill))
        broodi_chain_free_spill(queue);
    free_last_segment(queue); // after the others: an heir needs the tail for them
    while ((piece = broodi_chain_load(&queue->reserved)) != 0)
        (void)broodi_chain_cancel(queue, piece);
    return BROOD_OK;
}
