// SPDX-License-Identifier: MIT
// The messages of a queue: a chain of segments in shared memory, into which producers write items
// and from which consumers remove them.
//
//   tail -> | item | item | LINK | -> | item | item | <- head
//
// A segment is a piece of memory (piece.h) of a size that is a power of two, aligned to it. A
// item is a header of 8 bytes, {size 56, kind 8}, and its bytes: the message itself; or, for a
// larger one, the reference of a piece that contains it, its body; or, at the end of a segment, the
// place of the next one. The header behind the last item is 0.
//
// A position in the chain is one word {place / 8, messages}: where the next item begins, and how
// many messages went past it so far. So one store moves the head or the tail together with its
// count, and head - tail is the number of messages. In a queue with a `unit` the count is that of
// units: a message counts as one, and one more for each unit of its bytes.
//
// Producers change the chain under the queue's producer lock, consumers under its consumer lock; no
// function here takes a lock. The two sides share nothing but the headers: a header is stored last,
// with release, and loaded first, with acquire. An item is in the queue from that store on.
//
// Deaths. A producer may be killed between any two stores; broodi_chain_repair_head, called by the
// next holder of the lock, finishes what was published and frees what was not:
//
//   1. `added` names the piece that is about to be linked, `added_at` the count of the head
//   2. 0 is stored into the header behind the item, then its bytes are written
//   3. the header is stored: the item is in the queue
//   4. the head moves
//   5. `added` is cleared
//
// The heir reads the chain from the head on. So a consumer leaves a segment only when the head is
// in a later one; no item is behind the LINK before.
//
// Likewise a consumer and broodi_chain_repair_tail, with `removed` and `removed_at`:
//
//   1. `removed` names the piece that the consumer is about to keep or to free
//   2. a kept piece is added to the list `taken`
//   3. the tail moves: the item is no longer in the queue
//   4. a piece that is not kept is freed
//   5. `removed` is cleared
//
// tests/model/ring.pml and tests/model/body.pml search all orders of these steps, and those of
// call.h.
#ifndef CHAIN_H
#define CHAIN_H

#include "arena/slots.h"

#include <brood/connection.h>
#include <brood/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Sets the queue's sizes; `unit` as in struct broodi_queue_slot. The chain of a free slot is empty.
void broodi_chain_prepare(struct broodi_queue_slot *queue, uint32_t capacity, uint64_t largest,
                          uint32_t unit);

// The number of messages in the chain, or of units. Needs no lock; then it may be out of date, and
// too small by a message that a producer has published and not counted yet.
uint32_t broodi_chain_count(const struct broodi_queue_slot *queue);

// The producer's side.

// Whether a message of this size is written into a segment. If not, the caller allocates a piece
// for it.
bool broodi_chain_is_inline(size_t size);

// The number of messages by the tail as a producer saw it last; as the tail only moves on, there
// are not more now. So a put need not load a word that each get stores. The caller of both
// functions holds the producers' lock; the second loads the tail anew.
uint32_t broodi_chain_count_seen(const struct broodi_queue_slot *queue);
void broodi_chain_see(struct broodi_queue_slot *queue);

// Appends a message of `size` bytes, which are those of the parts. Fails, with nothing changed,
// with BROOD_NO_MEMORY, BROOD_NO_RESOURCES.
brood_status broodi_chain_append(struct broodi_queue_slot *queue, uint64_t id,
                                 const brood_part *parts, size_t size);

// Appends a message that is in a piece, which is not the caller's any more if the call succeeds.
// It fails as broodi_chain_append.
brood_status broodi_chain_append_piece(struct broodi_queue_slot *queue, uint64_t id,
                                       uint64_t reference, size_t size);

// A part of a message: which one, its bytes in all, and how many of them are before the part.
struct broodi_fragment {
    uint64_t number;
    uint64_t total;
    uint64_t at;
};

// The same for a piece that contains a part of a message.
brood_status broodi_chain_append_fragment(struct broodi_queue_slot *queue, uint64_t id,
                                          uint64_t reference, size_t size,
                                          const struct broodi_fragment *fragment);

// Fails with BROOD_NO_MEMORY if the chain cannot be mapped into this process; then it stays
// damaged, and another holder of the lock repairs it.
brood_status broodi_chain_repair_head(struct broodi_queue_slot *queue);
bool broodi_chain_is_damaged(const struct broodi_queue_slot *queue);

// Marks the owner of a reservation, so that no reservation passes for a message that was taken, and
// no message that was taken for a reservation. No owner has this bit.
#define BROODI_RESERVED (UINT64_C(1) << 63)

// Reservations: pieces of producers that will be appended, or canceled. Adds one of the calling
// thread, for a message of up to `size` bytes; the piece is not the caller's any more.
void broodi_chain_reserve(struct broodi_queue_slot *queue, uint64_t reference, uint64_t size);

// Whether the piece is reserved by `owner`, which is marked.
bool broodi_chain_is_reserved(struct broodi_queue_slot *queue, uint64_t reference, uint64_t owner);

// Frees a reserved piece. False if it is not reserved.
bool broodi_chain_cancel(struct broodi_queue_slot *queue, uint64_t reference);

// How large a message the reserved piece is for.
uint64_t broodi_chain_reserved_size(uint64_t reference);

// Frees the reservations of dead threads, and those that were given up, and stores in
// `reservations` how many are left.
void broodi_chain_count_reserved(struct broodi_queue_slot *queue);

// The consumer's side.

// The first message of the chain.
struct broodi_item {
    uint64_t place; // of the header
    uint64_t size;  // of the message
    uint64_t piece; // the reference of its body; 0: it is behind the header
};

// Finds the first message. BROOD_NOT_FOUND: the chain is empty. Frees segments that are behind the
// consumers. Fails with BROOD_NO_MEMORY if the message cannot be mapped.
brood_status broodi_chain_first(struct broodi_queue_slot *queue, struct broodi_item *out);

// The message, in this process; NULL if it cannot be mapped.
const void *broodi_chain_data(const struct broodi_item *item);

// Fetches the cache lines of messages that are some way behind this one, which has no body and is
// `number` messages behind the first, unless a producer may be about to write them.
void broodi_chain_fetch_later(struct broodi_queue_slot *queue, const struct broodi_item *item,
                              size_t number);

// Whether the item is a part of a message, and which.
bool broodi_chain_fragment(const struct broodi_item *item, struct broodi_fragment *out);

// Makes a piece the `spill` of the queue, which it has not yet: what has been received of a message
// until the time was over. Frees it.
void broodi_chain_spill(struct broodi_queue_slot *queue, uint64_t reference);
void broodi_chain_free_spill(struct broodi_queue_slot *queue);

// Finds the message behind this one, if both are in one segment.
bool broodi_chain_next(const struct broodi_item *item, struct broodi_item *out);

// Removes the first `count` messages, of which `last` is the last one and none has a body; or the
// first message, with its body, which is freed. Also removes one that broodi_chain_find_left has
// found.
void broodi_chain_remove(struct broodi_queue_slot *queue, const struct broodi_item *last,
                         uint32_t count);

// Removes the first message, and adds its body, or the piece `copy` that contains it, to the list
// of those that were taken, as one of the calling thread. A message whose place is 0 is in that
// list already, and only becomes one of the calling thread.
void broodi_chain_take(struct broodi_queue_slot *queue, const struct broodi_item *item,
                       uint64_t copy);

// Finds the oldest message that was taken by a thread which has died. False if there is none.
bool broodi_chain_find_left(struct broodi_queue_slot *queue, struct broodi_item *out);

// Another thread that lives and has taken a message; 0: none.
broodi_owner broodi_chain_taker(const struct broodi_queue_slot *queue);

// Ends the use of a message that was taken, or gives up a reservation, if it still belongs to
// `owner`. Needs no lock. The next call of broodi_chain_collect, or of broodi_chain_count_reserved,
// frees it.
bool broodi_chain_release(uint64_t id, uint64_t reference, uint64_t owner);

// Frees what consumers have released. Returns whether any message is taken and not released.
bool broodi_chain_collect(struct broodi_queue_slot *queue);

void broodi_chain_repair_tail(struct broodi_queue_slot *queue);

// Frees all that the queue has. The caller holds both locks. If the call fails, with
// BROOD_NO_MEMORY, or its thread is killed, another call frees the rest.
brood_status broodi_chain_free(struct broodi_queue_slot *queue);

#endif
