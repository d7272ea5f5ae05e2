// SPDX-License-Identifier: MIT
// Creating and ending a queue; queue.c lists the states.
#include "arena/allocator.h"
#include "arena/family.h"
#include "arena/owner.h"
#include "arena/self.h"
#include "base/invariant.h"
#include "base/step.h"
#include "message/chain.h"
#include "message/holding.h"
#include "message/queue.h"
#include "sync/lock.h"

// With NEW: the creator, a short owner, above the flags.
enum { CREATOR_AT = 3, CREATOR_BITS = 32 - CREATOR_AT };

static struct broodi_queue_slot *queue_at(uint32_t index)
{
    return broodi_slot(BROODI_QUEUE, index);
}

void broodi_queue_set_flag(struct broodi_queue_slot *queue, uint32_t flag)
{
    uint64_t state = broodi_word_load(&queue->state);
    while (!broodi_word_swap(&queue->state, state, broodi_low(state) | flag))
        state = broodi_word_load(&queue->state);
}

// Creating

static uint32_t low_new(void)
{
    const uint64_t creator = broodi_owner_shorten(broodi_owner_self(), CREATOR_BITS);
    return (uint32_t)creator << CREATOR_AT | BROODI_QUEUE_NEW;
}

brood_status broodi_queue_make(const struct broodi_queue_form *form, uint64_t *out_id)
{
    uint32_t index;
    if (!broodi_owner_self())
        return BROOD_NO_RESOURCES;
    brood_status status = broodi_slot_allocate(BROODI_QUEUE, low_new(), &index);
    if (status != BROOD_OK)
        return status;
    struct broodi_queue_slot *queue = queue_at(index);
    const uint64_t state = broodi_word_load(&queue->state);
    status = broodi_queue_locks_make(index);
    if (status != BROOD_OK) {
        (void)broodi_slot_free(BROODI_QUEUE, index, state);
        return status;
    }
    broodi_step(BROODI_STEP_QUEUE_MADE);
    broodi_chain_prepare(queue, form->capacity, form->largest, form->unit);
    atomic_store_explicit(&queue->connection, form->connection, memory_order_relaxed);
    *out_id = broodi_handle_of(BROODI_QUEUE, index);
    broodi_holding_prepare(queue, *out_id, form->joinable);
    if (!broodi_word_swap(&queue->state, state, 0))
        broodi_assert(false); // no other thread changes a NEW queue
    return BROOD_OK;
}

// Ending

// Removes what dead consumers had taken; returns how many messages that are.
static uint32_t remove_left(struct broodi_queue_slot *queue)
{
    struct broodi_item item;
    uint32_t count = 0;
    const uint64_t id = broodi_handle_of(BROODI_QUEUE, broodi_slot_index(BROODI_QUEUE, queue));
    for (; broodi_chain_find_left(queue, &item); count++) {
        broodi_holding_pass(queue, id, item.piece);
        broodi_chain_remove(queue, &item, 1);
    }
    return count;
}

brood_status broodi_queue_remove_all(struct broodi_queue_slot *queue, uint32_t *out_count)
{
    struct broodi_item item;
    const uint32_t most = broodi_chain_count(queue) + 1; // one may be published and not counted
    brood_status status = BROOD_OK;
    *out_count = 0;
    while (*out_count < most && (status = broodi_chain_first(queue, &item)) == BROOD_OK) {
        broodi_chain_remove(queue, &item, 1);
        ++*out_count;
    }
    *out_count += remove_left(queue);
    return status == BROOD_NOT_FOUND ? BROOD_OK : status;
}

brood_status broodi_queue_end(struct broodi_call *call)
{
    brood_status status = broodi_call_enter(call, BROODI_PRODUCERS);
    if (status != BROOD_OK)
        return status;
    status = broodi_call_enter(call, BROODI_CONSUMERS);
    if (status == BROOD_OK) {
        broodi_queue_set_flag(call->queue, BROODI_QUEUE_ENDING);
        broodi_call_leave(call, BROODI_CONSUMERS);
    }
    broodi_call_leave(call, BROODI_PRODUCERS);
    if (status != BROOD_OK)
        return status;
    broodi_step(BROODI_STEP_QUEUE_ENDING);
    broodi_queue_notify_all(call->queue);
    broodi_queue_finish(call->queue);
    return BROOD_OK;
}

// Sweeping

// Frees a NEW queue if its creator has died. No other thread has its handle.
static void sweep_new(uint32_t index, uint64_t state)
{
    const uint64_t creator = broodi_low(state) >> CREATOR_AT;
    if (broodi_owner_state(broodi_owner_complete(BROODI_THREAD, creator, CREATOR_BITS)) !=
        BROODI_OWNER_LIVES)
        (void)broodi_slot_free(BROODI_QUEUE, index, state);
}

// Whether the queue is a direction of a connection that was freed without it.
static bool is_left(const struct broodi_queue_slot *queue)
{
    const uint64_t connection = atomic_load_explicit(&queue->connection, memory_order_relaxed);
    const broodi_word *word = connection ? broodi_handle_slot(BROODI_CONNECTION, connection) : NULL;
    return word && !broodi_handle_is_current(connection, broodi_word_load(word));
}

// Ends the queue that had the slot when its state was `state`. By now the slot may have another
// one: then `connection` may be its, and the handle is stale.
static void sweep_left(uint32_t index, uint64_t state)
{
    struct broodi_call call;
    const uint64_t id = broodi_handle_then(BROODI_QUEUE, index, state);
    if (is_left(queue_at(index)) && broodi_call_begin_any(&call, id, BROOD_NOW) == BROOD_OK)
        (void)broodi_queue_end(&call);
}

static void sweep(uint32_t index)
{
    struct broodi_queue_slot *queue = queue_at(index);
    const uint64_t state = broodi_word_load(&queue->state);
    if (!broodi_slot_is_live(state))
        return;
    if (broodi_low(state) & BROODI_QUEUE_NEW)
        sweep_new(index, state);
    else if (broodi_low(state) & BROODI_QUEUE_ENDING)
        broodi_queue_finish(queue);
    else
        sweep_left(index, state);
}

void broodi_queues_sweep(void)
{
    const uint32_t limit = broodi_slot_limit(BROODI_QUEUE);
    for (uint32_t index = 0; index < limit; index++)
        sweep(index);
}
