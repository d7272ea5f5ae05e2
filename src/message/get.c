// SPDX-License-Identifier: MIT
// Getting messages out of a queue.
#include "arena/owner.h"
#include "arena/self.h"
#include "base/fail.h"
#include "base/step.h"
#include "message/call.h"
#include "message/chain.h"
#include "message/holding.h"

#include <brood/queue.h>
#include <string.h>

// Messages that are got, or one that is taken in place.
struct getting {
    unsigned char *buffer;
    size_t stride;
    size_t most;
    size_t *sizes;
    size_t done;
    size_t size;             // of the last message, also of one that was too large
    struct broodi_item item; // of a message with a body, which the thread has taken
    const void *body;        // its bytes
};

static void copy_out(struct getting *getting, const struct broodi_item *item, const void *data)
{
    if (item->size > 0)
        memcpy(getting->buffer + getting->done * getting->stride, data, (size_t)item->size);
    if (getting->sizes)
        getting->sizes[getting->done] = (size_t)item->size;
    getting->done++;
}

static void copy_inline(const struct broodi_call *call, struct getting *getting,
                        const struct broodi_item *item)
{
    broodi_chain_fetch_later(call->queue, item, getting->done);
    copy_out(getting, item, broodi_chain_data(item));
}

// Copies and removes messages that have no body, from `first` on.
static void get_inline(const struct broodi_call *call, struct getting *getting,
                       const struct broodi_item *first)
{
    struct broodi_item last = *first;
    struct broodi_item next;
    copy_inline(call, getting, first);
    while (getting->done < getting->most && broodi_chain_next(&last, &next) && !next.piece &&
           next.size <= getting->stride) {
        last = next;
        copy_inline(call, getting, &last);
    }
    broodi_step(BROODI_STEP_QUEUE_READ);
    broodi_holding_begin(call->queue, &call->user);
    broodi_chain_remove(call->queue, &last, (uint32_t)getting->done);
    broodi_holding_end(call->queue, &call->user, (uint32_t)getting->done);
}

// The caller holds the consumers' lock.
static brood_status get_locked(const struct broodi_call *call, struct getting *getting)
{
    struct broodi_item item;
    const brood_status status = broodi_queue_first(call, &item);
    if (status != BROOD_OK)
        return status;
    getting->size = (size_t)item.size;
    if (item.size > getting->stride)
        return BROOD_TOO_SMALL;
    if (!item.piece) {
        get_inline(call, getting, &item);
        return BROOD_OK;
    }
    getting->body = broodi_chain_data(&item);
    if (!getting->body)
        return broodi_fail(BROOD_NO_MEMORY, "the message cannot be mapped");
    broodi_queue_take(call, &item, 0);
    getting->item = item;
    return BROOD_OK;
}

// The caller holds no lock: if the queue is destroyed meanwhile, the bytes may be those of another
// piece. The release fails then. The fence orders the loads of the bytes before it; the partner is
// the release of the heap's lock by the thread that frees the piece.
static brood_status get_body(const struct broodi_call *call, struct getting *getting)
{
    copy_out(getting, &getting->item, getting->body);
    broodi_step(BROODI_STEP_QUEUE_BODY_READ);
    broodi_fence_loads();
    if (!broodi_chain_release(call->id, getting->item.piece, broodi_owner_self())) {
        getting->done = 0;
        return BROOD_STALE;
    }
    broodi_queue_collect(call->queue);
    return BROOD_OK;
}

static brood_status get_some(struct broodi_call *call, void *arg)
{
    struct getting *getting = arg;
    brood_status status = broodi_call_enter(call, BROODI_CONSUMERS);
    if (status != BROOD_OK)
        return status;
    status = get_locked(call, getting);
    broodi_call_leave(call, BROODI_CONSUMERS);
    if (status != BROOD_OK)
        return status;
    if (getting->item.piece)
        status = get_body(call, getting);
    if (status == BROOD_OK)
        broodi_queue_notify(call->queue, BROODI_PRODUCERS, (uint32_t)getting->done);
    return status;
}

static brood_status get(brood_queue queue, struct getting *getting, brood_duration timeout)
{
    struct broodi_call call;
    brood_status status = broodi_call_begin(&call, queue, timeout);
    if (status == BROOD_OK && ((!getting->buffer && getting->stride > 0) || getting->most == 0))
        status = broodi_fail(BROOD_INVALID, getting->most ? "buffer is NULL" : "most is 0");
    if (status == BROOD_OK)
        status = broodi_holding_enter(call.queue, call.id, &call.user);
    return status == BROOD_OK ? broodi_call_repeat(&call, BROODI_CONSUMERS, get_some, getting)
                              : status;
}

brood_status brood_queue_get(brood_queue queue, void *buffer, size_t capacity, size_t *out_size,
                             brood_duration timeout)
{
    struct getting getting = { .buffer = buffer, .stride = capacity, .most = 1 };
    const brood_status status = get(queue, &getting, timeout);
    if (out_size && (status == BROOD_OK || status == BROOD_TOO_SMALL))
        *out_size = getting.size;
    return status == BROOD_OK ? status : broodi_answer("brood_queue_get", status);
}

brood_status brood_queue_get_many(brood_queue queue, void *buffer, size_t stride, size_t most,
                                  size_t *sizes, size_t *out_count, brood_duration timeout)
{
    struct getting getting = { .buffer = buffer, .stride = stride, .most = most, .sizes = sizes };
    const brood_status status = get(queue, &getting, timeout);
    if (out_count)
        *out_count = getting.done;
    return status == BROOD_OK ? status : broodi_answer("brood_queue_get_many", status);
}
