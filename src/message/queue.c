// SPDX-License-Identifier: MIT
// Queues: creating, closing and destroying. put.c and get.c move messages, in_place.c hands out
// their memory; call.h describes locks and waiting, chain.h the messages in memory; queue_life.c
// creates and ends queues.
//
// The low word of the state:
//
//   NEW, creator --create--> 0 --close--> CLOSED
//   0, CLOSED --destroy--> ENDING --finish--> free
//
// CLOSED is set under the producers' lock, and checked under it by each put. So a consumer that
// sees it, and after that an empty chain, has seen the end. ENDING is set under both locks; the
// handle is stale from then on. Any thread may free the rest: if the one that set ENDING dies, the
// next that calls for the queue, or a sweep, finishes. A sweep also frees a NEW queue whose creator
// has died.
#include "message/queue.h"
#include "arena/family.h"
#include "arena/self.h"
#include "base/fail.h"
#include "base/step.h"
#include "message/call.h"
#include "message/chain.h"
#include "message/holding.h"

// Creating

static brood_status check(const brood_queue *out, size_t capacity, size_t message_size)
{
    const brood_status status = broodi_ready();
    if (status != BROOD_OK)
        return status;
    if (!out)
        return broodi_fail(BROOD_INVALID, "out is NULL");
    if (capacity == 0 || capacity > BROOD_QUEUE_CAPACITY_MAX)
        return broodi_fail(BROOD_INVALID, "invalid capacity: %zu", capacity);
    const size_t most = broodi_family.arena.size - broodi_family.heap_at;
    return message_size <= most
               ? BROOD_OK
               : broodi_fail(BROOD_TOO_LARGE, "messages of %zu bytes: at most %zu fit the arena",
                             message_size, most);
}

static brood_status create(brood_queue *out, size_t capacity, size_t message_size, bool joinable)
{
    const struct broodi_queue_form form = { .capacity = (uint32_t)capacity,
                                            .largest = message_size,
                                            .joinable = joinable };
    const brood_status status = check(out, capacity, message_size);
    return status == BROOD_OK ? broodi_queue_make(&form, &out->id) : status;
}

brood_status brood_queue_create(brood_queue *out, size_t capacity, size_t message_size)
{
    return broodi_answer("brood_queue_create", create(out, capacity, message_size, false));
}

brood_status brood_queue_create_joinable(brood_queue *out, size_t capacity, size_t message_size)
{
    return broodi_answer("brood_queue_create_joinable", create(out, capacity, message_size, true));
}

// Counting, closing and clearing

static brood_status count(brood_queue queue, size_t *out)
{
    struct broodi_call call;
    const brood_status status = broodi_call_begin(&call, queue, BROOD_NOW);
    if (status != BROOD_OK)
        return status;
    if (!out)
        return broodi_fail(BROOD_INVALID, "out is NULL");
    const uint32_t messages = broodi_chain_count(call.queue);
    if (!broodi_call_is_current(&call))
        return BROOD_STALE;
    *out = messages;
    return BROOD_OK;
}

brood_status brood_queue_count(brood_queue queue, size_t *out)
{
    return broodi_answer("brood_queue_count", count(queue, out));
}

static brood_status close_queue(brood_queue queue)
{
    struct broodi_call call;
    const brood_status status = broodi_call_open(&call, queue, BROODI_PRODUCERS, BROODI_PATIENCE);
    if (status != BROOD_OK)
        return status;
    broodi_queue_set_flag(call.queue, BROODI_QUEUE_CLOSED);
    broodi_call_leave(&call, BROODI_PRODUCERS);
    broodi_step(BROODI_STEP_QUEUE_CLOSED);
    broodi_queue_notify_all(call.queue);
    return BROOD_OK;
}

brood_status brood_queue_close(brood_queue queue)
{
    return broodi_answer("brood_queue_close", close_queue(queue));
}

static brood_status clear(brood_queue queue, size_t *out_count)
{
    struct broodi_call call;
    uint32_t removed;
    brood_status status = broodi_call_open(&call, queue, BROODI_CONSUMERS, BROODI_PATIENCE);
    if (status != BROOD_OK)
        return status;
    status = broodi_queue_remove_all(call.queue, &removed);
    broodi_call_leave(&call, BROODI_CONSUMERS);
    if (removed > 0)
        broodi_queue_notify(call.queue, BROODI_PRODUCERS, removed);
    if (removed > 0 && broodi_queue_is_joinable(call.queue))
        broodi_queue_notify_done(&call);
    if (out_count)
        *out_count = removed;
    return status;
}

brood_status brood_queue_clear(brood_queue queue, size_t *out_count)
{
    return broodi_answer("brood_queue_clear", clear(queue, out_count));
}

// Destroying

static brood_status destroy(brood_queue queue)
{
    struct broodi_call call;
    const brood_status status = broodi_call_begin(&call, queue, BROODI_PATIENCE);
    return status == BROOD_OK ? broodi_queue_end(&call) : status;
}

brood_status brood_queue_destroy(brood_queue queue)
{
    return broodi_answer("brood_queue_destroy", destroy(queue));
}
