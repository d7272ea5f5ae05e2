// SPDX-License-Identifier: MIT
// The producers' side of a chain; see chain.h.
#include "message/chain.h"

#include "base/step.h"
#include "message/item.h"

#include <string.h>

uint32_t broodi_chain_count_seen(const struct broodi_queue_slot *queue)
{
    return broodi_position_count(broodi_chain_load(&queue->head)) -
           atomic_load_explicit(&queue->seen, memory_order_relaxed);
}

void broodi_chain_see(struct broodi_queue_slot *queue)
{
    atomic_store_explicit(&queue->seen, broodi_position_count(broodi_chain_load(&queue->tail)),
                          memory_order_relaxed);
}

static void begin_adding(struct broodi_queue_slot *queue, uint64_t reference)
{
    broodi_chain_store(&queue->added_at, broodi_position_count(broodi_chain_load(&queue->head)));
    broodi_chain_store(&queue->added, reference);
    broodi_step(BROODI_STEP_QUEUE_ADDING);
}

static void end_adding(struct broodi_queue_slot *queue)
{
    broodi_chain_store(&queue->added, 0);
}

// Stores the header, and so publishes the item whose bytes are behind it. The header behind the
// item is 0.
static void publish(struct broodi_queue_slot *queue, uint64_t header)
{
    const uint64_t head = broodi_chain_load(&queue->head);
    const uint64_t place = broodi_position_place(head);
    broodi_assert(broodi_item_load(place) == 0 &&
                  broodi_item_load(place + broodi_item_length(header)) == 0);
    broodi_item_store(place, header);
    broodi_step(BROODI_STEP_QUEUE_PUBLISHED);
    broodi_chain_store(&queue->head, broodi_position(place + broodi_item_length(header),
                                                     broodi_position_count(head) +
                                                         broodi_item_cost(queue, header)));
    broodi_step(BROODI_STEP_QUEUE_COUNTED);
}

// Makes the first item's place in a new segment known: to a queue without any segment by `first`,
// otherwise by a LINK item.
static void link_segment(struct broodi_queue_slot *queue, uint64_t place)
{
    const uint64_t head = broodi_chain_load(&queue->head);
    if (broodi_position_place(head) == 0) {
        broodi_chain_store(&queue->first, place);
    } else {
        broodi_item_store(broodi_position_place(head) + BROODI_ITEM_HEADER, place);
        broodi_item_store(broodi_position_place(head),
                          broodi_item_header(BROODI_ITEM_LINK, BROODI_ITEM_UNIT));
    }
    broodi_step(BROODI_STEP_QUEUE_LINKED);
    broodi_chain_store(&queue->head, broodi_position(place, broodi_position_count(head)));
}

static brood_status add_segment(struct broodi_queue_slot *queue, uint64_t id)
{
    uint64_t reference;
    const brood_status status =
        broodi_reference_allocate(id, broodi_segment_size(queue), &reference);
    if (status != BROOD_OK)
        return status;
    const uint64_t place = broodi_reference_place(reference);
    broodi_assert(place == broodi_segment_at(queue, place));
    broodi_item_store(place, reference);
    broodi_item_store(place + BROODI_SEGMENT_HEADER, 0);
    begin_adding(queue, reference);
    broodi_reference_complete(reference);
    link_segment(queue, place + BROODI_SEGMENT_HEADER);
    end_adding(queue);
    return BROOD_OK;
}

// Makes room at the head for an item of this length, which a LINK item or a header of 0 can
// follow.
static brood_status make_room(struct broodi_queue_slot *queue, uint64_t id, uint64_t length)
{
    const uint64_t place = broodi_position_place(broodi_chain_load(&queue->head));
    if (place == 0)
        return add_segment(queue, id);
    const brood_status status = broodi_segment_access(queue, place);
    if (status != BROOD_OK)
        return status;
    const uint64_t end = broodi_segment_end(queue, place);
    return place + length + BROODI_LINK_SIZE <= end ? BROOD_OK : add_segment(queue, id);
}

// Fetches the cache lines of the next message, if it is as large as the one of `size` bytes before
// `place`. A consumer's processor had them last. Without this the release of the lock waits for
// each line that the message was stored into.
static void fetch_next(const struct broodi_queue_slot *queue, uint64_t place, size_t size)
{
    const uint64_t end = broodi_segment_end(queue, place - 1);
    const uint64_t first = place + BROODI_STORE_AHEAD;
    for (uint64_t at = first; at <= first + size && at < end; at += BROODI_LINE)
        BROODI_FETCH_FOR_STORE(broodi_item_bytes(at));
}

static void copy_parts(unsigned char *to, const brood_part *parts, size_t size)
{
    for (size_t at = 0; at < size; parts++) {
        if (parts->size > 0)
            memcpy(to + at, parts->data, parts->size);
        at += parts->size;
    }
}

brood_status broodi_chain_append(struct broodi_queue_slot *queue, uint64_t id,
                                 const brood_part *parts, size_t size)
{
    const uint64_t header = broodi_item_header(BROODI_ITEM_MESSAGE, size);
    const brood_status status = make_room(queue, id, broodi_item_length(header));
    if (status != BROOD_OK)
        return status;
    const uint64_t place = broodi_position_place(broodi_chain_load(&queue->head));
    broodi_item_store(place + broodi_item_length(header), 0);
    fetch_next(queue, place + broodi_item_length(header), size);
    broodi_step(BROODI_STEP_QUEUE_CLEARED);
    copy_parts(broodi_item_bytes(place + BROODI_ITEM_HEADER), parts, size);
    broodi_step(BROODI_STEP_QUEUE_COPIED);
    publish(queue, header);
    return BROOD_OK;
}

// Appends an item with a piece; `words` is what is behind its header, without the piece.
static brood_status append_with_piece(struct broodi_queue_slot *queue, uint64_t id,
                                      uint64_t reference, uint64_t header, const uint64_t *words)
{
    const uint64_t length = broodi_item_length(header);
    const brood_status status = make_room(queue, id, length);
    if (status != BROOD_OK)
        return status;
    const uint64_t place = broodi_position_place(broodi_chain_load(&queue->head));
    begin_adding(queue, reference);
    broodi_reference_complete(reference);
    (void)broodi_pieces_unlink(&queue->reserved, reference);
    broodi_item_store(place + length, 0);
    broodi_item_store(place + BROODI_ITEM_HEADER, reference);
    for (unsigned i = 0; BROODI_ITEM_HEADER + (i + 1) * sizeof(uint64_t) < length; i++)
        broodi_item_store(broodi_fragment_word(place, 1 + i), words[i]);
    publish(queue, header);
    end_adding(queue);
    return BROOD_OK;
}

brood_status broodi_chain_append_piece(struct broodi_queue_slot *queue, uint64_t id,
                                       uint64_t reference, size_t size)
{
    static const uint64_t none[1];
    return append_with_piece(queue, id, reference, broodi_item_header(BROODI_ITEM_BODY, size),
                             none);
}

brood_status broodi_chain_append_fragment(struct broodi_queue_slot *queue, uint64_t id,
                                          uint64_t reference, size_t size,
                                          const struct broodi_fragment *fragment)
{
    const uint64_t words[] = { fragment->number, fragment->total, fragment->at };
    return append_with_piece(queue, id, reference, broodi_item_header(BROODI_ITEM_FRAGMENT, size),
                             words);
}

// Moves the head past what the dead producer had published: past at most one message, since the
// header behind it is 0.
static brood_status complete_head(struct broodi_queue_slot *queue)
{
    const uint64_t first = broodi_chain_load(&queue->first);
    uint64_t head = broodi_chain_load(&queue->head);
    if (broodi_position_place(head) == 0 && first != 0)
        head = broodi_position(first, broodi_position_count(head));
    while (broodi_position_place(head) != 0) {
        const uint64_t place = broodi_position_place(head);
        const brood_status status = broodi_segment_access(queue, place);
        if (status != BROOD_OK)
            return status;
        const uint64_t header = broodi_item_load(place);
        if (header == 0)
            break;
        head = broodi_item_kind_of(header) == BROODI_ITEM_LINK
                   ? broodi_position(broodi_item_load(place + BROODI_ITEM_HEADER),
                                     broodi_position_count(head))
                   : broodi_position(place + broodi_item_length(header),
                                     broodi_position_count(head) + broodi_item_cost(queue, header));
    }
    broodi_chain_store(&queue->head, head);
    return BROOD_OK;
}

// Whether the piece that the dead producer was about to link is the segment of the head, or the
// body of a message that is counted.
static bool was_added(const struct broodi_queue_slot *queue, uint64_t reference)
{
    const uint64_t head = broodi_chain_load(&queue->head);
    return broodi_position_count(head) != (uint32_t)broodi_chain_load(&queue->added_at) ||
           (broodi_position_place(head) != 0 &&
            broodi_reference_place(reference) ==
                broodi_segment_at(queue, broodi_position_place(head)));
}

brood_status broodi_chain_repair_head(struct broodi_queue_slot *queue)
{
    const uint64_t added = broodi_chain_load(&queue->added);
    const brood_status status = complete_head(queue);
    atomic_store_explicit(&queue->damaged, status != BROOD_OK, memory_order_relaxed);
    if (status != BROOD_OK)
        return status;
    if (added != 0 && broodi_reference_is_current(added) && !was_added(queue, added) &&
        !broodi_pieces_find(&queue->reserved, added))
        broodi_reference_free(added);
    broodi_chain_store(&queue->added, 0);
    return BROOD_OK;
}

bool broodi_chain_is_damaged(const struct broodi_queue_slot *queue)
{
    return atomic_load_explicit(&queue->damaged, memory_order_relaxed) != 0;
}

// Reservations

void broodi_chain_reserve(struct broodi_queue_slot *queue, uint64_t reference, uint64_t size)
{
    begin_adding(queue, reference);
    broodi_reference_complete(reference);
    broodi_pieces_push(&queue->reserved, reference, size, BROODI_RESERVED | broodi_owner_self());
    end_adding(queue);
}

bool broodi_chain_is_reserved(struct broodi_queue_slot *queue, uint64_t reference, uint64_t owner)
{
    return broodi_pieces_find(&queue->reserved, reference) &&
           broodi_chain_load(&broodi_reference_slot(reference)->data) == owner;
}

uint64_t broodi_chain_reserved_size(uint64_t reference)
{
    return broodi_chain_load(&broodi_reference_slot(reference)->length);
}

bool broodi_chain_cancel(struct broodi_queue_slot *queue, uint64_t reference)
{
    if (!broodi_pieces_find(&queue->reserved, reference))
        return false;
    begin_adding(queue, reference);
    (void)broodi_pieces_unlink(&queue->reserved, reference);
    broodi_reference_free(reference);
    end_adding(queue);
    return true;
}

void broodi_chain_count_reserved(struct broodi_queue_slot *queue)
{
    uint32_t count = 0;
    uint64_t next;
    for (uint64_t piece = broodi_chain_load(&queue->reserved); piece != 0; piece = next) {
        const struct broodi_piece_slot *slot = broodi_reference_slot(piece);
        next = broodi_chain_load(&slot->next);
        if (broodi_chain_load(&slot->data) == 0 || broodi_piece_is_orphan(slot))
            (void)broodi_chain_cancel(queue, piece);
        else
            count++;
    }
    atomic_store_explicit(&queue->reservations, count, memory_order_release);
}
