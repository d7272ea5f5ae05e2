// SPDX-License-Identifier: MIT
// Queues: creating, closing and destroying. put.c and get.c move messages, in_place.c hands out
// their memory; call.h describes locks and waiting, chain.h the messages in memory.
//
// The low word of the state:
//
//   NEW --create--> 0 --close--> CLOSED
//   0, CLOSED --destroy--> ENDING --finish--> free
//
// CLOSED is set under the producers' lock, and checked under it by each put. So a consumer that
// sees it, and after that an empty chain, has seen the end. ENDING is set under both locks; the
// handle is stale from then on. Any thread may free the rest: if the one that set ENDING dies, the
// next that calls for the queue, or a sweep, finishes.
#include "message/queue.h"
#include "arena/allocator.h"
#include "arena/family.h"
#include "arena/self.h"
#include "base/fail.h"
#include "base/step.h"
#include "message/call.h"
#include "message/chain.h"
#include "sync/lock.h"
#include "sync/object.h"

// The library's own patience with a holder of a lock.
static const brood_duration patience = BROOD_SECONDS(1);

static void set_flag(struct broodi_queue_slot *queue, uint32_t flag)
{
    uint64_t state = broodi_word_load(&queue->state);
    while (!broodi_word_swap(&queue->state, state, broodi_low(state) | flag))
        state = broodi_word_load(&queue->state);
}

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

static brood_status create(brood_queue *out, size_t capacity, size_t message_size)
{
    uint32_t index;
    brood_status status = check(out, capacity, message_size);
    if (status == BROOD_OK)
        status = broodi_slot_allocate(BROODI_QUEUE, BROODI_QUEUE_NEW, &index);
    if (status != BROOD_OK)
        return status;
    struct broodi_queue_slot *queue = broodi_slot(BROODI_QUEUE, index);
    const uint64_t state = broodi_word_load(&queue->state);
    status = broodi_queue_locks_make(index);
    if (status != BROOD_OK) {
        (void)broodi_slot_free(BROODI_QUEUE, index, state);
        return status;
    }
    broodi_step(BROODI_STEP_QUEUE_MADE);
    broodi_chain_prepare(queue, (uint32_t)capacity, message_size);
    (void)broodi_word_swap(&queue->state, state, 0);
    *out = (brood_queue){ broodi_handle_of(BROODI_QUEUE, index) };
    return BROOD_OK;
}

brood_status brood_queue_create(brood_queue *out, size_t capacity, size_t message_size)
{
    return broodi_answer("brood_queue_create", create(out, capacity, message_size));
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
    const brood_status status = broodi_call_open(&call, queue, BROODI_PRODUCERS, patience);
    if (status != BROOD_OK)
        return status;
    set_flag(call.queue, BROODI_QUEUE_CLOSED);
    broodi_call_leave(&call, BROODI_PRODUCERS);
    broodi_step(BROODI_STEP_QUEUE_CLOSED);
    broodi_queue_notify_all(call.queue);
    return BROOD_OK;
}

brood_status brood_queue_close(brood_queue queue)
{
    return broodi_answer("brood_queue_close", close_queue(queue));
}

// Removes as many messages as there are at the beginning, so that it ends beside busy producers.
static uint32_t remove_all(struct broodi_queue_slot *queue)
{
    struct broodi_item item;
    const uint32_t most = broodi_chain_count(queue) + 1; // one may be published and not counted
    uint32_t removed = 0;
    while (removed < most && broodi_chain_first(queue, &item) == BROOD_OK) {
        broodi_chain_remove(queue, &item, 1);
        removed++;
    }
    return removed;
}

static brood_status clear(brood_queue queue, size_t *out_count)
{
    struct broodi_call call;
    const brood_status status = broodi_call_open(&call, queue, BROODI_CONSUMERS, patience);
    if (status != BROOD_OK)
        return status;
    const uint32_t removed = remove_all(call.queue);
    broodi_call_leave(&call, BROODI_CONSUMERS);
    if (removed > 0)
        broodi_queue_notify(call.queue, BROODI_PRODUCERS, removed);
    if (out_count)
        *out_count = removed;
    return BROOD_OK;
}

brood_status brood_queue_clear(brood_queue queue, size_t *out_count)
{
    return broodi_answer("brood_queue_clear", clear(queue, out_count));
}

// Destroying

void broodi_queues_sweep(void)
{
    const uint32_t limit = broodi_slot_limit(BROODI_QUEUE);
    for (uint32_t index = 0; index < limit; index++)
        broodi_queue_finish(broodi_slot(BROODI_QUEUE, index));
}

static brood_status destroy(brood_queue queue)
{
    struct broodi_call call;
    brood_status status = broodi_call_open(&call, queue, BROODI_PRODUCERS, patience);
    if (status != BROOD_OK)
        return status;
    status = broodi_call_enter(&call, BROODI_CONSUMERS);
    if (status == BROOD_OK) {
        set_flag(call.queue, BROODI_QUEUE_ENDING);
        broodi_call_leave(&call, BROODI_CONSUMERS);
    }
    broodi_call_leave(&call, BROODI_PRODUCERS);
    if (status != BROOD_OK)
        return status;
    broodi_step(BROODI_STEP_QUEUE_ENDING);
    broodi_queue_notify_all(call.queue);
    broodi_queue_finish(call.queue);
    return BROOD_OK;
}

brood_status brood_queue_destroy(brood_queue queue)
{
    return broodi_answer("brood_queue_destroy", destroy(queue));
}
