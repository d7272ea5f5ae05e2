// SPDX-License-Identifier: MIT
// The consumers' side of a chain; see chain.h.
#include "message/chain.h"

#include "arena/self.h"
#include "base/step.h"
#include "memory/heap_lock.h"
#include "message/item.h"

enum {
    LEAD = 16,      // messages to the head at least, when lines of later ones are fetched
    LOOK_AFTER = 8, // messages past where the head was, until it is loaded again
};

void broodi_chain_begin_removing(struct broodi_queue_slot *queue, uint64_t reference)
{
    broodi_chain_store(&queue->removed_at, broodi_chain_load(&queue->tail));
    broodi_chain_store(&queue->removed, reference);
    broodi_step(BROODI_STEP_QUEUE_REMOVING);
}

void broodi_chain_end_removing(struct broodi_queue_slot *queue)
{
    broodi_chain_store(&queue->removed, 0);
}

// Moves the tail into the next segment, and frees the one that it leaves. The head has left it
// before: an heir of the producers' lock follows the chain from the head on.
static void leave_segment(struct broodi_queue_slot *queue, uint64_t place)
{
    const uint64_t segment = broodi_item_load(broodi_segment_at(queue, place));
    broodi_chain_begin_removing(queue, segment);
    broodi_chain_store(&queue->tail,
                       broodi_position(broodi_item_load(place + BROODI_ITEM_HEADER),
                                       broodi_position_count(broodi_chain_load(&queue->tail))));
    broodi_step(BROODI_STEP_QUEUE_LEFT);
    broodi_reference_free(segment);
    broodi_chain_end_removing(queue);
}

// The item at this place.
static struct broodi_item item_at(uint64_t place, uint64_t header)
{
    return (struct broodi_item){
        .place = place,
        .size = header >> 8,
        .piece = broodi_item_has_piece(header) ? broodi_item_load(place + BROODI_ITEM_HEADER) : 0,
    };
}

brood_status broodi_chain_first(struct broodi_queue_slot *queue, struct broodi_item *out)
{
    for (;;) {
        const uint64_t tail = broodi_chain_load(&queue->tail);
        const uint64_t place = broodi_position_place(tail) ? broodi_position_place(tail)
                                                           : broodi_chain_load(&queue->first);
        if (place == 0)
            return BROOD_NOT_FOUND;
        const brood_status status = broodi_segment_access(queue, place);
        if (status != BROOD_OK)
            return status;
        const uint64_t header = broodi_item_load(place);
        if (broodi_position_place(tail) == 0)
            broodi_chain_store(&queue->tail, broodi_position(place, broodi_position_count(tail)));
        if (header == 0)
            return BROOD_NOT_FOUND;
        if (broodi_item_kind_of(header) != BROODI_ITEM_LINK) {
            *out = item_at(place, header);
            return BROOD_OK;
        }
        if (broodi_position_place(broodi_chain_load(&queue->head)) == place)
            return BROOD_NOT_FOUND;
        leave_segment(queue, place);
    }
}

bool broodi_chain_next(const struct broodi_item *item, struct broodi_item *out)
{
    const uint64_t place = item->place + broodi_item_length(broodi_item_load(item->place));
    const uint64_t header = broodi_item_load(place);
    if (header == 0 || broodi_item_kind_of(header) == BROODI_ITEM_LINK)
        return false;
    *out = item_at(place, header);
    return true;
}

bool broodi_chain_fragment(const struct broodi_item *item, struct broodi_fragment *out)
{
    if (item->place == 0 ||
        broodi_item_kind_of(broodi_item_load(item->place)) != BROODI_ITEM_FRAGMENT)
        return false;
    *out = (struct broodi_fragment){
        .number = broodi_item_load(broodi_fragment_word(item->place, BROODI_FRAGMENT_NUMBER)),
        .total = broodi_item_load(broodi_fragment_word(item->place, BROODI_FRAGMENT_TOTAL)),
        .at = broodi_item_load(broodi_fragment_word(item->place, BROODI_FRAGMENT_AT)),
    };
    return true;
}

void broodi_chain_spill(struct broodi_queue_slot *queue, uint64_t reference)
{
    broodi_chain_begin_removing(queue, reference);
    broodi_reference_complete(reference);
    broodi_chain_store(&queue->spill, reference);
    broodi_step(BROODI_STEP_BULK_SPILLED);
    broodi_chain_end_removing(queue);
}

void broodi_chain_free_spill(struct broodi_queue_slot *queue)
{
    const uint64_t reference = broodi_chain_load(&queue->spill);
    broodi_chain_begin_removing(queue, reference);
    broodi_chain_store(&queue->spill, 0);
    broodi_reference_free(reference);
    broodi_chain_end_removing(queue);
}

// Whether at least so many messages are in the chain, as far as a consumer knows. It loads the
// head, which each put stores, only after several messages past the place that it knows of. The
// value in a new queue may be any: one that cannot be right is replaced.
static bool has_lead(struct broodi_queue_slot *queue, uint64_t messages)
{
    const uint32_t capacity = atomic_load_explicit(&queue->capacity, memory_order_relaxed);
    const uint32_t tail = broodi_position_count(broodi_chain_load(&queue->tail));
    uint32_t seen = atomic_load_explicit(&queue->head_seen, memory_order_relaxed);
    const uint32_t passed = tail - seen;
    if (passed >= LOOK_AFTER && passed <= UINT32_MAX - capacity) {
        seen = broodi_position_count(broodi_chain_load(&queue->head));
        atomic_store_explicit(&queue->head_seen, seen, memory_order_relaxed);
    }
    return seen - tail <= capacity && seen - tail >= messages;
}

void broodi_chain_fetch_later(struct broodi_queue_slot *queue, const struct broodi_item *item,
                              size_t number)
{
    if (!has_lead(queue, (uint64_t)number + LEAD))
        return;
    const uint64_t end = broodi_segment_end(queue, item->place);
    const uint64_t size = item->size;
    const uint64_t first = item->place + (size < BROODI_LOAD_AHEAD ? BROODI_LOAD_AHEAD : size);
    for (uint64_t at = first; at <= first + size && at < end; at += BROODI_LINE)
        BROODI_FETCH_FOR_LOAD(broodi_item_bytes(at));
}

const void *broodi_chain_data(const struct broodi_item *item)
{
    return item->piece ? broodi_reference_data(item->piece)
                       : broodi_item_bytes(item->place + BROODI_ITEM_HEADER);
}

// Where messages have a cost they are removed one by one.
static void move_tail(struct broodi_queue_slot *queue, const struct broodi_item *last,
                      uint32_t count)
{
    const uint64_t header = broodi_item_load(last->place);
    const uint32_t cost = count == 1 ? broodi_item_cost(queue, header) : count;
    broodi_assert(header != 0 && broodi_item_kind_of(header) != BROODI_ITEM_LINK);
    broodi_chain_store(
        &queue->tail,
        broodi_position(last->place + broodi_item_length(header),
                        broodi_position_count(broodi_chain_load(&queue->tail)) + cost));
    broodi_step(BROODI_STEP_QUEUE_REMOVED);
}

void broodi_chain_remove(struct broodi_queue_slot *queue, const struct broodi_item *last,
                         uint32_t count)
{
    broodi_assert(!last->piece || count == 1);
    if (last->place == 0) {
        broodi_chain_free_taken(queue, last->piece);
        return;
    }
    if (!last->piece) {
        move_tail(queue, last, count);
        return;
    }
    broodi_chain_begin_removing(queue, last->piece);
    move_tail(queue, last, 1);
    broodi_reference_free(last->piece);
    broodi_chain_end_removing(queue);
}

void broodi_chain_take(struct broodi_queue_slot *queue, const struct broodi_item *item,
                       uint64_t copy)
{
    const uint64_t piece = item->piece ? item->piece : copy;
    if (item->place == 0) {
        broodi_chain_store(&broodi_reference_slot(piece)->data, broodi_owner_self());
        return;
    }
    broodi_chain_begin_removing(queue, piece);
    if (copy)
        broodi_reference_complete(copy);
    broodi_pieces_push(&queue->taken, piece, item->size, broodi_owner_self());
    broodi_step(BROODI_STEP_QUEUE_TAKEN);
    move_tail(queue, item, 1);
    broodi_chain_end_removing(queue);
}

bool broodi_chain_release(uint64_t id, uint64_t reference, uint64_t owner)
{
    broodi_heap_hand_over();
    return broodi_reference_is_valid(reference) && broodi_reference_is_current(reference) &&
           broodi_chain_load(&broodi_reference_slot(reference)->object) == id &&
           atomic_compare_exchange_strong_explicit(&broodi_reference_slot(reference)->data, &owner,
                                                   0, memory_order_acq_rel, memory_order_relaxed);
}

void broodi_chain_free_taken(struct broodi_queue_slot *queue, uint64_t reference)
{
    broodi_chain_begin_removing(queue, reference);
    // The tail stays. It is not 0: while any piece is in the list the chain has a segment.
    broodi_assert(broodi_position_place(broodi_chain_load(&queue->tail)) != 0);
    broodi_chain_store(&queue->removed_at, 0);
    (void)broodi_pieces_unlink(&queue->taken, reference);
    broodi_step(BROODI_STEP_QUEUE_UNLINKED);
    broodi_reference_free(reference);
    broodi_chain_end_removing(queue);
}

bool broodi_chain_collect(struct broodi_queue_slot *queue)
{
    bool any = false;
    uint64_t next;
    for (uint64_t piece = broodi_chain_load(&queue->taken); piece != 0; piece = next) {
        next = broodi_chain_load(&broodi_reference_slot(piece)->next);
        if (broodi_chain_load(&broodi_reference_slot(piece)->data) == 0)
            broodi_chain_free_taken(queue, piece);
        else
            any = true;
    }
    return any;
}

// The list begins with what was taken last.
bool broodi_chain_find_left(struct broodi_queue_slot *queue, struct broodi_item *out)
{
    bool found = false;
    for (uint64_t piece = broodi_chain_load(&queue->taken); piece != 0;
         piece = broodi_chain_load(&broodi_reference_slot(piece)->next)) {
        if (!broodi_piece_is_orphan(broodi_reference_slot(piece)))
            continue;
        *out =
            (struct broodi_item){ .size = broodi_chain_load(&broodi_reference_slot(piece)->length) &
                                          BROODI_LENGTH_MASK,
                                  .piece = piece };
        found = true;
    }
    return found;
}

broodi_owner broodi_chain_taker(const struct broodi_queue_slot *queue)
{
    for (uint64_t piece = broodi_chain_load(&queue->taken); piece != 0;
         piece = broodi_chain_load(&broodi_reference_slot(piece)->next)) {
        const broodi_owner owner = broodi_chain_load(&broodi_reference_slot(piece)->data);
        if (owner != 0 && owner != broodi_owner_self())
            return owner;
    }
    return 0;
}

// Whether the chain itself has the piece: as the segment of the tail, or as the first message's
// body.
static bool is_in_chain(const struct broodi_queue_slot *queue, uint64_t reference)
{
    const uint64_t place = broodi_position_place(broodi_chain_load(&queue->tail));
    if (place == 0 || broodi_segment_access(queue, place) != BROOD_OK)
        return true; // it cannot be known: the piece is freed with the queue
    const uint64_t header = broodi_item_load(place);
    return broodi_item_load(broodi_segment_at(queue, place)) == reference ||
           (broodi_item_has_piece(header) &&
            broodi_item_load(place + BROODI_ITEM_HEADER) == reference);
}

// If the tail has not moved, the dead consumer's removal is undone, otherwise completed.
static bool is_left(struct broodi_queue_slot *queue, uint64_t reference)
{
    if (broodi_chain_load(&queue->spill) == reference)
        return false;
    if (broodi_chain_load(&queue->tail) != broodi_chain_load(&queue->removed_at))
        return !broodi_pieces_find(&queue->taken, reference);
    (void)broodi_pieces_unlink(&queue->taken, reference);
    return !is_in_chain(queue, reference);
}

void broodi_chain_repair_tail(struct broodi_queue_slot *queue)
{
    const uint64_t removed = broodi_chain_load(&queue->removed);
    if (removed != 0 && broodi_reference_is_current(removed) && is_left(queue, removed))
        broodi_reference_free(removed);
    broodi_chain_store(&queue->removed, 0);
}
