// SPDX-License-Identifier: MIT
// Receiving messages through a connection.
#include "arena/owner.h"
#include "arena/self.h"
#include "base/fail.h"
#include "base/step.h"
#include "message/chain.h"
#include "message/passage.h"
#include "message/reference.h"

#include <brood/connection.h>
#include <string.h>

// A message that is received.
struct receiving {
    unsigned char *buffer; // NULL with `polls`
    size_t capacity;
    bool polls; // the message stays
    size_t size;
    uint64_t piece; // the reference of its body, which the thread has taken
};

static void copy_out(const struct receiving *receiving, const void *data)
{
    if (receiving->size > 0)
        memcpy(receiving->buffer, data, receiving->size);
}

// The caller holds the lock of the consumers.
static brood_status receive_locked(const struct broodi_call *call, struct receiving *receiving)
{
    struct broodi_item item;
    const brood_status status = broodi_queue_first(call, &item);
    if (status != BROOD_OK || receiving->polls)
        return status;
    receiving->size = (size_t)item.size;
    if (item.size > receiving->capacity)
        return BROOD_TOO_SMALL;
    const void *data = broodi_chain_data(&item);
    if (!data)
        return broodi_fail(BROOD_NO_MEMORY, "the message cannot be mapped");
    if (item.piece) {
        broodi_chain_take(call->queue, &item, 0);
        receiving->piece = item.piece;
        return BROOD_OK;
    }
    copy_out(receiving, data);
    broodi_step(BROODI_STEP_QUEUE_READ);
    broodi_chain_remove(call->queue, &item, 1);
    return BROOD_OK;
}

// As for get_body() of get.c: the release fails if the connection was destroyed meanwhile.
static brood_status receive_body(const struct broodi_call *call, const struct receiving *receiving)
{
    copy_out(receiving, broodi_reference_data(receiving->piece));
    broodi_step(BROODI_STEP_QUEUE_BODY_READ);
    broodi_fence_loads();
    if (!broodi_chain_release(call->id, receiving->piece, broodi_owner_self()))
        return BROOD_STALE;
    broodi_queue_collect(call->queue);
    return BROOD_OK;
}

static brood_status receive_now(struct broodi_passage *passage, struct receiving *receiving)
{
    struct broodi_call *call = &passage->call;
    brood_status status = broodi_call_enter(call, BROODI_CONSUMERS);
    if (status != BROOD_OK)
        return status;
    status = broodi_passage_check(passage);
    if (status == BROOD_OK)
        status = receive_locked(call, receiving);
    broodi_call_leave(call, BROODI_CONSUMERS);
    if (status == BROOD_OK && receiving->piece)
        status = receive_body(call, receiving);
    if (status == BROOD_OK && !receiving->polls)
        broodi_queue_notify(call->queue, BROODI_PRODUCERS, 1);
    return status;
}

// What was sent before the end of the other side is received first: so the end is loaded before
// the queue.
static brood_status receive_once(struct broodi_call *call, void *arg)
{
    struct broodi_passage *passage = (struct broodi_passage *)call;
    struct receiving *receiving = arg;
    brood_status status = receive_now(passage, receiving);
    if (status != BROOD_NOT_FOUND)
        return status;
    const brood_status ending = broodi_passage_ending(passage);
    if (ending == BROOD_OK)
        return broodi_passage_pause(passage, 0);
    status = receive_now(passage, receiving);
    if (status != BROOD_NOT_FOUND)
        return status;
    return receiving->polls ? BROOD_OK : ending;
}

static brood_status receive(brood_connection connection, struct receiving *receiving,
                            brood_duration timeout)
{
    struct broodi_passage passage;
    brood_status status = broodi_passage_begin(&passage, connection.id, BROODI_CONSUMERS, timeout);
    if (status == BROOD_OK && !receiving->buffer && receiving->capacity > 0)
        status = broodi_fail(BROOD_INVALID, "buffer is NULL");
    return status == BROOD_OK
               ? broodi_call_repeat(&passage.call, BROODI_CONSUMERS, receive_once, receiving)
               : status;
}

brood_status brood_connection_receive(brood_connection connection, void *buffer, size_t capacity,
                                      size_t *out_size, brood_duration timeout)
{
    struct receiving receiving = { .buffer = buffer, .capacity = capacity };
    const brood_status status = receive(connection, &receiving, timeout);
    if (out_size && (status == BROOD_OK || status == BROOD_TOO_SMALL))
        *out_size = receiving.size;
    return status == BROOD_OK ? status : broodi_answer("brood_connection_receive", status);
}

brood_status brood_connection_poll(brood_connection connection, brood_duration timeout)
{
    struct receiving receiving = { .polls = true };
    const brood_status status = receive(connection, &receiving, timeout);
    return status == BROOD_OK ? status : broodi_answer("brood_connection_poll", status);
}
