// SPDX-License-Identifier: MIT
// Putting messages into a queue.
#include "base/fail.h"
#include "base/step.h"
#include "message/call.h"
#include "message/chain.h"
#include "message/reference.h"
#include "message/room.h"

#include <brood/queue.h>
#include <string.h>

// Messages that are put.
struct putting {
    const unsigned char *data;
    size_t size;
    size_t count;
    size_t done;
    uint64_t piece; // the reference of the first one that is not done, if it has a body; else 0
};

static brood_status fill_piece(const struct broodi_call *call, struct putting *putting)
{
    if (broodi_chain_is_inline(putting->size) || putting->piece || putting->done == putting->count)
        return BROOD_OK;
    const brood_status status = broodi_reference_allocate(call->id, putting->size, &putting->piece);
    if (status == BROOD_OK)
        memcpy(broodi_reference_data(putting->piece), putting->data + putting->done * putting->size,
               putting->size);
    return status;
}

// How many messages are put before the lock is released and consumers are woken, so that a batch
// keeps others waiting no longer than a large message does.
static size_t most_at_once(size_t size)
{
    enum { MOST = 1000, BYTES = 65536 };
    return size <= BYTES / MOST ? MOST : 1 + BYTES / size;
}

// Appends as many messages as there is room for, up to a limit, or one with a body.
static brood_status append(const struct broodi_call *call, struct putting *putting)
{
    size_t left = most_at_once(putting->size);
    do {
        brood_status status = BROOD_OK;
        const brood_part part = { .data = putting->data + putting->done * putting->size,
                                  .size = putting->size };
        if (broodi_queue_is_full(call->queue))
            return BROOD_NOT_FOUND;
        if (putting->piece)
            status =
                broodi_chain_append_piece(call->queue, call->id, putting->piece, putting->size);
        else
            status = broodi_chain_append(call->queue, call->id, &part, putting->size);
        if (status != BROOD_OK)
            return status;
        putting->done++;
    } while (!putting->piece && putting->done < putting->count && --left > 0);
    putting->piece = 0;
    return BROOD_OK;
}

static brood_status put_some(struct broodi_call *call, void *arg)
{
    struct putting *putting = arg;
    brood_status status = BROOD_OK;
    while (status == BROOD_OK && putting->done < putting->count) {
        const size_t before = putting->done;
        status = fill_piece(call, putting);
        if (status == BROOD_OK)
            status = broodi_call_enter(call, BROODI_PRODUCERS);
        if (status != BROOD_OK)
            break;
        status = broodi_queue_is_closed(call->queue) ? BROOD_CLOSED : append(call, putting);
        broodi_call_leave(call, BROODI_PRODUCERS);
        if (putting->done > before)
            broodi_queue_notify(call->queue, BROODI_CONSUMERS, (uint32_t)(putting->done - before));
    }
    return status;
}

static brood_status put(brood_queue queue, struct putting *putting, brood_duration timeout)
{
    struct broodi_call call;
    brood_status status = broodi_call_begin(&call, queue, timeout);
    if (status == BROOD_OK && !putting->data && putting->size > 0)
        status = broodi_fail(BROOD_INVALID, "data is NULL");
    if (status == BROOD_OK)
        status = broodi_queue_check_size(&call, putting->size);
    if (status == BROOD_OK)
        status = broodi_call_repeat(&call, BROODI_PRODUCERS, put_some, putting);
    if (putting->piece)
        broodi_reference_free(putting->piece);
    return status;
}

brood_status brood_queue_put(brood_queue queue, const void *data, size_t size,
                             brood_duration timeout)
{
    struct putting putting = { .data = data, .size = size, .count = 1 };
    const brood_status status = put(queue, &putting, timeout);
    return status == BROOD_OK ? status : broodi_answer("brood_queue_put", status);
}

brood_status brood_queue_put_many(brood_queue queue, const void *data, size_t size, size_t count,
                                  size_t *out_count, brood_duration timeout)
{
    struct putting putting = { .data = data, .size = size, .count = count };
    const brood_status status = put(queue, &putting, timeout);
    if (out_count)
        *out_count = putting.done;
    return status == BROOD_OK ? status : broodi_answer("brood_queue_put_many", status);
}
