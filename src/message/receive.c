// SPDX-License-Identifier: MIT
// Receiving messages through a connection.
#include "arena/owner.h"
#include "arena/self.h"
#include "arena/wait.h"
#include "base/deadline.h"
#include "base/fail.h"
#include "base/step.h"
#include "message/bulk.h"
#include "message/chain.h"
#include "message/item.h"
#include "message/passage.h"
#include "message/reference.h"

#include <brood/connection.h>
#include <string.h>

static void copy_out(const struct broodi_receiving *receiving, const void *data)
{
    if (receiving->size > 0)
        memcpy(receiving->buffer, data, receiving->size);
}

// Copies the first item, which is a whole message, and removes it; or takes its body.
static brood_status receive_item(const struct broodi_call *call, struct broodi_receiving *receiving,
                                 const struct broodi_item *item)
{
    receiving->size = (size_t)item->size;
    if (item->size > receiving->capacity)
        return BROOD_TOO_SMALL;
    const void *data = broodi_chain_data(item);
    if (!data)
        return broodi_fail(BROOD_NO_MEMORY, "the message cannot be mapped");
    if (item->piece) {
        broodi_chain_take(call->queue, item, 0);
        receiving->piece = item->piece;
        receiving->body = data;
        return BROOD_OK;
    }
    copy_out(receiving, data);
    broodi_step(BROODI_STEP_QUEUE_READ);
    broodi_chain_remove(call->queue, item, 1);
    return BROOD_OK;
}

// What a dead receiver had taken is received first: it is older than what is in the chain. The
// caller holds the lock of the consumers. BROOD_BUSY: it tries again.
static brood_status receive_locked(struct broodi_passage *passage,
                                   struct broodi_receiving *receiving, broodi_owner *out_receiver)
{
    struct broodi_item item;
    struct broodi_fragment fragment;
    struct broodi_call *call = &passage->call;
    brood_status status = broodi_passage_check(passage);
    if (status != BROOD_OK)
        return status;
    if (broodi_bulk_interrupts_receiver(call->queue, receiving))
        return BROOD_DEADLOCK;
    *out_receiver = broodi_bulk_receiver(call->queue);
    if (*out_receiver)
        return BROOD_NOT_FOUND;
    if (receiving->number == 0 && broodi_chain_find_left(call->queue, &item))
        return receiving->polls ? BROOD_OK : receive_item(call, receiving, &item);
    if (broodi_bulk_is_received(call->queue, receiving))
        return broodi_bulk_receive(passage, receiving);
    status = broodi_queue_first(call, &item);
    receiving->taker = status == BROOD_NOT_FOUND ? broodi_chain_taker(call->queue) : 0;
    if (status != BROOD_OK)
        return status;
    if (item.piece && broodi_chain_fragment(&item, &fragment))
        return broodi_bulk_begin(passage, receiving, &item, &fragment);
    return receiving->polls ? BROOD_OK : receive_item(call, receiving, &item);
}

// As for get_body() of get.c: the release fails if the connection was destroyed meanwhile.
// Receivers that would have got the message if this thread had died are told of the end now.
static brood_status receive_body(const struct broodi_passage *passage,
                                 const struct broodi_receiving *receiving)
{
    const struct broodi_call *call = &passage->call;
    copy_out(receiving, receiving->body);
    broodi_step(BROODI_STEP_QUEUE_BODY_READ);
    broodi_fence_loads();
    if (!broodi_chain_release(call->id, receiving->piece, broodi_owner_self()))
        return BROOD_STALE;
    broodi_queue_collect(call->queue);
    if (broodi_passage_is_over(passage))
        broodi_queue_notify(call->queue, BROODI_CONSUMERS, BROODI_ALL);
    return BROOD_OK;
}

// Of several senders only one may be able to go on, while it sends in fragments. Other receivers
// wait for the end of a message in fragments, or of what is removed instead.
static void notify_of(const struct broodi_passage *passage, bool is_bulk)
{
    struct broodi_queue_slot *queue = passage->call.queue;
    const bool is_sent = broodi_chain_load(&queue->sender) != 0;
    broodi_queue_notify(queue, BROODI_PRODUCERS, is_bulk || is_sent ? BROODI_ALL : 1);
    if (is_bulk && broodi_chain_load(&queue->receiver) == 0)
        broodi_queue_notify(queue, BROODI_CONSUMERS, BROODI_ALL);
}

// Receives the message, or one fragment of it.
static brood_status receive_some(struct broodi_passage *passage, struct broodi_receiving *receiving,
                                 broodi_owner *out_receiver)
{
    struct broodi_call *call = &passage->call;
    brood_status status = broodi_call_enter(call, BROODI_CONSUMERS);
    if (status != BROOD_OK)
        return status;
    const bool is_bulk = receiving->number != 0;
    status = receive_locked(passage, receiving, out_receiver);
    broodi_call_leave(call, BROODI_CONSUMERS);
    if (status == BROOD_OK && receiving->piece)
        status = receive_body(passage, receiving);
    if (status == BROOD_BUSY || (status == BROOD_OK && !receiving->polls))
        notify_of(passage, is_bulk || status == BROOD_BUSY);
    return status;
}

static brood_status receive_now(struct broodi_passage *passage, struct broodi_receiving *receiving,
                                broodi_owner *out_receiver)
{
    brood_status status;
    do
        status = receive_some(passage, receiving, out_receiver);
    while (status == BROOD_BUSY && !(receiving->expired && receiving->number == 0));
    return status == BROOD_BUSY ? BROOD_TIMEOUT : status;
}

// While another receiver, or this one, is in the middle of a message, the call waits for that one.
static brood_status receive_or_pause(struct broodi_passage *passage,
                                     struct broodi_receiving *receiving, bool *out_empty)
{
    struct broodi_queue_slot *queue = passage->call.queue;
    broodi_owner receiver = 0;
    const brood_status status = receive_now(passage, receiving, &receiver);
    *out_empty =
        status == BROOD_NOT_FOUND && !receiver && !broodi_bulk_is_received(queue, receiving);
    if (status != BROOD_NOT_FOUND || *out_empty)
        return status;
    return broodi_passage_pause(passage, receiver ? receiver : broodi_bulk_sender(queue));
}

// What was sent before the end of the other side is received first: so the end is loaded before
// the queue. While a thread copies a message, that may still be this one's to receive.
static brood_status receive_once(struct broodi_call *call, void *arg)
{
    struct broodi_passage *passage = (struct broodi_passage *)call;
    struct broodi_receiving *receiving = arg;
    bool empty;
    brood_status status = receive_or_pause(passage, receiving, &empty);
    if (!empty)
        return status;
    const brood_status ending = broodi_passage_ending(passage);
    if (ending == BROOD_OK)
        return broodi_passage_pause(passage, 0);
    status = receive_or_pause(passage, receiving, &empty);
    if (!empty)
        return status;
    if (receiving->taker)
        return broodi_passage_pause(passage, receiving->taker);
    return receiving->polls ? BROOD_OK : ending;
}

bool broodi_receive_is_ready(const struct broodi_call *call)
{
    const struct broodi_passage *passage = (const struct broodi_passage *)call;
    const struct broodi_queue_slot *queue = call->queue;
    if (broodi_bulk_receiver(queue))
        return broodi_passage_check(passage) != BROOD_OK;
    if (broodi_chain_count(queue) > 0)
        return true;
    if (broodi_bulk_is_pending(queue))
        return !broodi_bulk_is_sent(queue, broodi_chain_load(&queue->receiving)) ||
               broodi_passage_check(passage) != BROOD_OK;
    return broodi_passage_check(passage) != BROOD_OK ||
           (!broodi_chain_load(&queue->taken) && broodi_passage_is_over(passage));
}

// The end of a call in the middle of a message. BROOD_OK: what was received cannot be kept now, and
// the caller continues for some time longer.
static brood_status stop_receiving(struct broodi_passage *passage,
                                   struct broodi_receiving *receiving, brood_status status)
{
    const bool keeps = status == BROOD_TIMEOUT || status == BROOD_NO_MEMORY;
    if (keeps && receiving->done > 0 && receiving->number != 0 &&
        !broodi_bulk_spill(passage, receiving) && status == BROOD_TIMEOUT) {
        receiving->expired = true;
        passage->call.deadline = broodi_deadline(BROOD_SECONDS(1));
        return BROOD_OK;
    }
    broodi_bulk_forget(passage, receiving);
    return status;
}

static brood_status receive_message(struct broodi_passage *passage,
                                    struct broodi_receiving *receiving)
{
    passage->call.is_ready = broodi_receive_is_ready;
    for (;;) {
        brood_status status =
            broodi_call_repeat(&passage->call, BROODI_CONSUMERS, receive_once, receiving);
        if (status == BROOD_OK)
            return status;
        status = stop_receiving(passage, receiving, status);
        if (status != BROOD_OK)
            return status;
    }
}

static brood_status receive(brood_connection connection, struct broodi_receiving *receiving,
                            brood_duration timeout)
{
    struct broodi_passage passage;
    brood_status status = broodi_passage_begin(&passage, connection.id, BROODI_CONSUMERS, timeout);
    if (status == BROOD_OK && !receiving->buffer && receiving->capacity > 0)
        status = broodi_fail(BROOD_INVALID, "buffer is NULL");
    return status == BROOD_OK ? receive_message(&passage, receiving) : status;
}

brood_status brood_connection_receive(brood_connection connection, void *buffer, size_t capacity,
                                      size_t *out_size, brood_duration timeout)
{
    struct broodi_receiving receiving = { .buffer = buffer, .capacity = capacity };
    const brood_status status = receive(connection, &receiving, timeout);
    if (out_size && (status == BROOD_OK || status == BROOD_TOO_SMALL))
        *out_size = receiving.size;
    return status == BROOD_OK ? status : broodi_answer("brood_connection_receive", status);
}

brood_status brood_connection_poll(brood_connection connection, brood_duration timeout)
{
    struct broodi_receiving receiving = { .polls = true };
    const brood_status status = receive(connection, &receiving, timeout);
    return status == BROOD_OK ? status : broodi_answer("brood_connection_poll", status);
}
