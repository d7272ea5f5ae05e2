// SPDX-License-Identifier: MIT
// Messages in place: pieces that a producer fills before it appends them, and that a consumer has
// while it reads them. `internal` of a brood_message is the reference of the piece, and the thread
// that has it; that of a reservation is marked.
#include "arena/here.h"
#include "arena/owner.h"
#include "arena/self.h"
#include "base/fail.h"
#include "message/call.h"
#include "message/chain.h"
#include "message/holding.h"
#include "message/reference.h"
#include "message/room.h"

#include <brood/queue.h>
#include <string.h>

enum { REFERENCE, OWNER };

// Whether the message belongs to the calling thread: with `mark` 0 as one that it has taken, with
// BROODI_RESERVED as its reservation. A thread that has no slot owns nothing.
static bool is_own(const brood_message *message, uint64_t mark)
{
    const struct broodi_self *self = broodi_here.initialized ? broodi_self_known() : NULL;
    return self && self->owner && message->internal[OWNER] == (mark | self->owner);
}

static void fill(brood_message *message, uint64_t reference, size_t size, uint64_t owner)
{
    *message = (brood_message){ .data = broodi_reference_data(reference),
                                .size = size,
                                .internal = { reference, owner } };
}

// Producers

struct reserving {
    size_t size;
    uint64_t piece;
};

static brood_status reserve_locked(const struct broodi_call *call,
                                   const struct reserving *reserving)
{
    if (broodi_queue_is_closed(call->queue))
        return BROOD_CLOSED;
    if (broodi_queue_is_full(call->queue))
        return BROOD_NOT_FOUND;
    broodi_chain_reserve(call->queue, reserving->piece, reserving->size);
    broodi_chain_count_reserved(call->queue);
    return BROOD_OK;
}

static brood_status reserve_once(struct broodi_call *call, void *arg)
{
    brood_status status = broodi_call_enter(call, BROODI_PRODUCERS);
    if (status != BROOD_OK)
        return status;
    status = reserve_locked(call, arg);
    broodi_call_leave(call, BROODI_PRODUCERS);
    return status;
}

static brood_status reserve(brood_queue queue, size_t size, brood_message *out,
                            brood_duration timeout)
{
    struct broodi_call call;
    struct reserving reserving = { .size = size };
    if (!out)
        return broodi_fail(BROOD_INVALID, "out is NULL");
    brood_status status = broodi_call_begin(&call, queue, timeout);
    if (status == BROOD_OK)
        status = broodi_queue_check_size(&call, size);
    if (status == BROOD_OK)
        status = broodi_reference_allocate(queue.id, size > 0 ? size : 1, &reserving.piece);
    if (status != BROOD_OK)
        return status;
    brood_message message;
    // Before another thread can destroy the queue with the piece.
    fill(&message, reserving.piece, size, BROODI_RESERVED | broodi_owner_self());
    status = broodi_call_repeat(&call, BROODI_PRODUCERS, reserve_once, &reserving);
    if (status == BROOD_OK)
        *out = message;
    else
        broodi_reference_free(reserving.piece);
    return status;
}

brood_status brood_queue_reserve(brood_queue queue, size_t size, brood_message *out,
                                 brood_duration timeout)
{
    return broodi_answer("brood_queue_reserve", reserve(queue, size, out, timeout));
}

static brood_status commit_locked(const struct broodi_call *call, const brood_message *message,
                                  size_t size)
{
    const uint64_t reference = message->internal[REFERENCE];
    if (!is_own(message, BROODI_RESERVED) ||
        !broodi_chain_is_reserved(call->queue, reference, message->internal[OWNER]))
        return broodi_fail(BROOD_INVALID, "message is no reservation of the calling thread");
    if (size > broodi_chain_reserved_size(reference))
        return broodi_fail(BROOD_INVALID, "size is above that of the reservation");
    if (!broodi_queue_is_closed(call->queue))
        return broodi_chain_append_piece(call->queue, call->id, reference, size);
    (void)broodi_chain_cancel(call->queue, reference);
    return BROOD_CLOSED;
}

static brood_status commit(brood_queue queue, const brood_message *message, size_t size)
{
    struct broodi_call call;
    if (!message)
        return broodi_fail(BROOD_INVALID, "message is NULL");
    brood_status status = broodi_call_open(&call, queue, BROODI_PRODUCERS, BROODI_PATIENCE);
    if (status != BROOD_OK)
        return status;
    status = commit_locked(&call, message, size);
    broodi_chain_count_reserved(call.queue);
    broodi_call_leave(&call, BROODI_PRODUCERS);
    if (status == BROOD_OK)
        broodi_queue_notify(call.queue, BROODI_CONSUMERS, 1);
    return status;
}

brood_status brood_queue_commit(brood_queue queue, brood_message *message, size_t size)
{
    const brood_status status = commit(queue, message, size);
    if (status == BROOD_OK || status == BROOD_CLOSED || status == BROOD_STALE)
        memset(message, 0, sizeof *message);
    return status == BROOD_OK ? status : broodi_answer("brood_queue_commit", status);
}

static void abort_locked(const struct broodi_call *call, const brood_message *message)
{
    const uint64_t reference = message->internal[REFERENCE];
    if (broodi_chain_is_reserved(call->queue, reference, message->internal[OWNER]))
        (void)broodi_chain_cancel(call->queue, reference);
    broodi_chain_count_reserved(call->queue);
}

// If the lock cannot be acquired, the next producer that finds the queue full frees the piece.
static void abort_message(brood_queue queue, const brood_message *message)
{
    struct broodi_call call;
    const brood_status status = broodi_call_open(&call, queue, BROODI_PRODUCERS, BROODI_PATIENCE);
    if (status == BROOD_OK) {
        abort_locked(&call, message);
        broodi_call_leave(&call, BROODI_PRODUCERS);
        broodi_queue_notify(call.queue, BROODI_PRODUCERS, 1);
    } else if (status == BROOD_TIMEOUT || status == BROOD_NO_MEMORY) {
        (void)broodi_chain_release(queue.id, message->internal[REFERENCE],
                                   message->internal[OWNER]);
    }
}

void brood_queue_abort(brood_queue queue, brood_message *message)
{
    if (!message || message->internal[REFERENCE] == 0 || !is_own(message, BROODI_RESERVED))
        return;
    abort_message(queue, message);
    memset(message, 0, sizeof *message);
}

// Consumers

// A message without a body is copied into a piece of its own.
static brood_status take_copy(const struct broodi_call *call, const struct broodi_item *item,
                              brood_message *out)
{
    uint64_t piece;
    const size_t size = (size_t)item->size;
    const brood_status status = broodi_reference_allocate(call->id, size > 0 ? size : 1, &piece);
    if (status != BROOD_OK)
        return status;
    if (size > 0)
        memcpy(broodi_reference_data(piece), broodi_chain_data(item), size);
    broodi_queue_take(call, item, piece);
    fill(out, piece, size, broodi_owner_self());
    return BROOD_OK;
}

static brood_status take_locked(const struct broodi_call *call, brood_message *out)
{
    struct broodi_item item;
    const brood_status status = broodi_queue_first(call, &item);
    if (status != BROOD_OK)
        return status;
    if (!item.piece)
        return take_copy(call, &item, out);
    if (!broodi_chain_data(&item))
        return broodi_fail(BROOD_NO_MEMORY, "the message cannot be mapped");
    broodi_queue_take(call, &item, 0);
    fill(out, item.piece, (size_t)item.size, broodi_owner_self());
    return BROOD_OK;
}

static brood_status take_once(struct broodi_call *call, void *arg)
{
    brood_status status = broodi_call_enter(call, BROODI_CONSUMERS);
    if (status != BROOD_OK)
        return status;
    status = take_locked(call, arg);
    broodi_call_leave(call, BROODI_CONSUMERS);
    if (status == BROOD_OK)
        broodi_queue_notify(call->queue, BROODI_PRODUCERS, 1);
    return status;
}

static brood_status take(brood_queue queue, brood_message *out, brood_duration timeout)
{
    struct broodi_call call;
    if (!out)
        return broodi_fail(BROOD_INVALID, "out is NULL");
    brood_status status = broodi_call_begin(&call, queue, timeout);
    if (status == BROOD_OK)
        status = broodi_holding_enter(call.queue, call.id, &call.user);
    return status == BROOD_OK ? broodi_call_repeat(&call, BROODI_CONSUMERS, take_once, out)
                              : status;
}

brood_status brood_queue_take(brood_queue queue, brood_message *out, brood_duration timeout)
{
    return broodi_answer("brood_queue_take", take(queue, out, timeout));
}

void brood_queue_release(brood_queue queue, brood_message *message)
{
    struct broodi_call call;
    if (!message || message->internal[REFERENCE] == 0 || !is_own(message, 0))
        return;
    if (broodi_call_begin(&call, queue, BROOD_NOW) == BROOD_OK &&
        broodi_chain_release(queue.id, message->internal[REFERENCE], message->internal[OWNER]))
        broodi_queue_collect(call.queue);
    memset(message, 0, sizeof *message);
}
