// SPDX-License-Identifier: MIT
#include "message/call.h"

#include "arena/allocator.h"
#include "arena/blocking.h"
#include "arena/spin.h"
#include "base/deadline.h"
#include "base/fail.h"
#include "base/step.h"
#include "memory/heap_lock.h"
#include "message/chain.h"
#include "message/holding.h"
#include "message/room.h"
#include "os/os_clock.h"
#include "sync/lock.h"
#include "sync/object.h"

#define WAITERS UINT32_C(1)
#define ONE_CHANGE UINT32_C(2)

enum {
    FIRST_POLL = 25, // ns between the loads of a thread that polls
    LAST_POLL = 100,
    FIRST_LEAD = 400, // ns between those of one that lets the other side gain a lead
    LAST_LEAD = 1600,
    LEAD = 5000, // ns: for so long, at most
};

brood_status broodi_call_begin_any(struct broodi_call *call, uint64_t id, brood_duration timeout)
{
    *call = (struct broodi_call){ .id = id,
                                  .queue = broodi_object_find(BROODI_QUEUE, id),
                                  .timeout = timeout,
                                  .holder = BROODI_NONE,
                                  .nap = INT64_MAX };
    return call->queue ? BROOD_OK : broodi_object_not_found(BROODI_QUEUE);
}

brood_status broodi_call_begin(struct broodi_call *call, brood_queue queue, brood_duration timeout)
{
    const brood_status status = broodi_call_begin_any(call, queue.id, timeout);
    const bool is_private = status == BROOD_OK && atomic_load_explicit(&call->queue->connection,
                                                                       memory_order_relaxed) != 0;
    return is_private && broodi_call_is_current(call)
               ? broodi_fail(BROOD_INVALID, "the queue belongs to a connection")
               : status;
}

// The locks

static uint32_t index_of(const struct broodi_queue_slot *queue)
{
    return broodi_slot_index(BROODI_QUEUE, queue);
}

// A call that must not wait for the queue still waits this long for a lock.
static const brood_duration grace = BROOD_MILLISECONDS(20);

static brood_status repair(struct broodi_queue_slot *queue, enum broodi_side side)
{
    if (side == BROODI_PRODUCERS)
        return broodi_chain_repair_head(queue);
    broodi_chain_repair_tail(queue);
    broodi_holding_repair(queue);
    return BROOD_OK;
}

// For the status of an acquisition: repairs the chain if the last holder died in a change of it.
static brood_status take_over(struct broodi_queue_slot *queue, enum broodi_side side,
                              brood_status acquired)
{
    broodi_heap_take_over();
    if (acquired != BROOD_OWNER_DIED &&
        (acquired != BROOD_OK || side == BROODI_CONSUMERS || !broodi_chain_is_damaged(queue)))
        return acquired;
    const brood_status status = repair(queue, side);
    if (status != BROOD_OK)
        broodi_queue_release(queue, side);
    return status;
}

brood_status broodi_queue_acquire(struct broodi_queue_slot *queue, enum broodi_side side,
                                  brood_duration timeout)
{
    const brood_status status = broodi_queue_lock_acquire(index_of(queue), (uint32_t)side,
                                                          timeout > grace ? timeout : grace);
    return take_over(queue, side, status);
}

void broodi_queue_release(struct broodi_queue_slot *queue, enum broodi_side side)
{
    broodi_heap_hand_over();
    broodi_queue_lock_release(index_of(queue), (uint32_t)side);
}

void broodi_call_leave(const struct broodi_call *call, enum broodi_side side)
{
    broodi_queue_release(call->queue, side);
}

bool broodi_call_is_current(const struct broodi_call *call)
{
    const uint64_t state = broodi_word_load(&call->queue->state);
    return broodi_handle_is_current(call->id, state) &&
           !(broodi_low(state) & (BROODI_QUEUE_ENDING | BROODI_QUEUE_NEW));
}

bool broodi_queue_is_closed(const struct broodi_queue_slot *queue)
{
    return broodi_low(broodi_word_load(&queue->state)) & BROODI_QUEUE_CLOSED;
}

// The end of a destroyed queue

static void finish_locked(struct broodi_queue_slot *queue)
{
    const uint64_t state = broodi_word_load(&queue->state);
    if (!broodi_slot_is_live(state) || !(broodi_low(state) & BROODI_QUEUE_ENDING) ||
        broodi_chain_free(queue) != BROOD_OK)
        return;
    broodi_holding_free(queue, broodi_handle_of(BROODI_QUEUE, index_of(queue)));
    (void)broodi_slot_free(BROODI_QUEUE, broodi_slot_index(BROODI_QUEUE, queue), state);
}

void broodi_queue_finish(struct broodi_queue_slot *queue)
{
    if (!(broodi_low(broodi_word_load(&queue->state)) & BROODI_QUEUE_ENDING) ||
        broodi_queue_acquire(queue, BROODI_PRODUCERS, grace) != BROOD_OK)
        return;
    if (broodi_queue_acquire(queue, BROODI_CONSUMERS, grace) == BROOD_OK) {
        finish_locked(queue);
        broodi_queue_release(queue, BROODI_CONSUMERS);
    }
    broodi_queue_release(queue, BROODI_PRODUCERS);
}

// What is left of the timeout. The first call starts the clock; 0 once the time is over.
static brood_duration time_left(struct broodi_call *call)
{
    if (call->deadline == 0)
        call->deadline = broodi_deadline(call->timeout);
    if (call->deadline == 0 || call->deadline == INT64_MAX)
        return call->deadline;
    const int64_t now = brood_os_clock();
    return now < call->deadline ? call->deadline - now : 0;
}

static brood_status end_stale(const struct broodi_call *call)
{
    broodi_queue_finish(call->queue);
    return BROOD_STALE;
}

// The state is loaded first, too: a slot that never had a queue has no locks.
brood_status broodi_call_enter(struct broodi_call *call, enum broodi_side side)
{
    if (!broodi_call_is_current(call))
        return end_stale(call);
    const brood_status status = broodi_queue_lock_take(index_of(call->queue), (uint32_t)side)
                                    ? take_over(call->queue, side, BROOD_OK)
                                    : broodi_queue_acquire(call->queue, side, time_left(call));
    if (status != BROOD_OK || broodi_call_is_current(call))
        return status;
    broodi_call_leave(call, side);
    return end_stale(call);
}

brood_status broodi_call_open(struct broodi_call *call, brood_queue queue, enum broodi_side side,
                              brood_duration timeout)
{
    const brood_status status = broodi_call_begin(call, queue, timeout);
    return status == BROOD_OK ? broodi_call_enter(call, side) : status;
}

// Waiting and waking

broodi_word *broodi_queue_word(struct broodi_queue_slot *queue, enum broodi_side side)
{
    if (side == BROODI_JOINERS)
        return &queue->joined;
    return side == BROODI_PRODUCERS ? &queue->room : &queue->items;
}

// Sets WAITERS; returns the state with it.
static uint64_t announce(broodi_word *word)
{
    uint64_t state = broodi_word_load(word);
    while (!broodi_word_swap(word, state, broodi_low(state) | WAITERS))
        state = broodi_word_load(word);
    broodi_fence_after_swap();
    return broodi_state(broodi_generation(state), broodi_low(state) | WAITERS);
}

static void notify(broodi_word *word, uint32_t count)
{
    broodi_fence_after_swap();
    uint64_t state = broodi_word_load(word);
    while (broodi_low(state) & WAITERS) {
        if (broodi_word_swap(word, state, (broodi_low(state) & ~WAITERS) + ONE_CHANGE)) {
            broodi_step(BROODI_STEP_QUEUE_TOLD);
            broodi_changed(BROODI_QUEUE, word, count);
            return;
        }
        state = broodi_word_load(word);
    }
    broodi_changed(BROODI_QUEUE, word, 0);
}

void broodi_queue_notify(struct broodi_queue_slot *queue, enum broodi_side side, uint32_t count)
{
    notify(broodi_queue_word(queue, side), count);
}

void broodi_queue_notify_done(const struct broodi_call *call)
{
    broodi_fence_after_swap();
    if ((broodi_low(broodi_word_load(&call->queue->joined)) & WAITERS) &&
        broodi_holding_is_done(call->queue, call->id))
        broodi_queue_notify(call->queue, BROODI_JOINERS, BROODI_ALL);
}

void broodi_queue_notify_all(struct broodi_queue_slot *queue)
{
    for (enum broodi_side side = BROODI_PRODUCERS; side <= BROODI_JOINERS; side++) {
        (void)announce(broodi_queue_word(queue, side)); // so that the word changes in any case
        notify(broodi_queue_word(queue, side), BROODI_ALL);
    }
}

// Whether a call on this side would not wait, as far as can be seen without the lock.
static bool is_ready(const struct broodi_call *call, enum broodi_side side)
{
    if (!broodi_call_is_current(call))
        return true;
    if (side != BROODI_JOINERS && broodi_queue_is_closed(call->queue))
        return true;
    if (call->is_ready)
        return call->is_ready(call);
    return side == BROODI_PRODUCERS ? broodi_queue_has_room(call->queue)
                                    : broodi_chain_count(call->queue) > 0;
}

static bool is_ready_locked(const struct broodi_call *call, enum broodi_side side)
{
    struct broodi_item item;
    return side == BROODI_PRODUCERS ? !broodi_queue_is_full(call->queue)
                                    : broodi_queue_first(call, &item) != BROOD_NOT_FOUND;
}

// If a thread holds the lock now, it will announce what it changes.
bool broodi_queue_is_ready(const struct broodi_call *call, enum broodi_side side, bool thorough)
{
    if (is_ready(call, side) || !thorough)
        return is_ready(call, side);
    if (broodi_queue_acquire(call->queue, side, BROOD_NOW) != BROOD_OK)
        return false;
    const bool ready = is_ready_locked(call, side);
    broodi_queue_release(call->queue, side);
    return ready;
}

// Polls for a short time. Returns whether another attempt is worth while.
static bool spin(const struct broodi_call *call, enum broodi_side side)
{
    struct broodi_spin spin = broodi_spin_begin(FIRST_POLL, LAST_POLL);
    bool ready;
    while (!(ready = is_ready(call, side)) && broodi_spin_wait(&spin))
        continue;
    broodi_spin_end(&spin, ready);
    return ready;
}

// How many messages a call on this side could get or put.
static uint32_t amount(const struct broodi_call *call, enum broodi_side side)
{
    const uint32_t count = broodi_chain_count(call->queue);
    return side == BROODI_CONSUMERS ? count : broodi_queue_capacity(call->queue) - count;
}

// Between two messages the other side stores into cache lines that this side needs, as long as both
// are at the same place of the chain. So a call that had to wait lets the other side gain a lead,
// while that is moving fast. One message, or room for one, is used at once.
static void let_gain(const struct broodi_call *call, enum broodi_side side)
{
    struct broodi_spin lead = broodi_spin_begin(FIRST_LEAD, LAST_LEAD);
    const uint32_t enough = broodi_queue_capacity(call->queue) / 4;
    uint32_t before = 1;
    uint32_t now;
    if (lead.left > LEAD)
        lead.left = LEAD;
    while ((now = amount(call, side)) > before && now < enough && lead.left > 0 &&
           broodi_spin_wait(&lead))
        before = now;
}

static int64_t end_of_wait(const struct broodi_call *call)
{
    return call->nap == INT64_MAX ? call->deadline
                                  : broodi_until(call->deadline, brood_os_clock(), call->nap);
}

static enum broodi_waits awaited_by(enum broodi_side side)
{
    return side == BROODI_PRODUCERS ? BROODI_WAITS_ROOM : BROODI_WAITS_ITEM;
}

// What the program knows: the connection to which the queue belongs, or the queue.
static uint64_t object_of(const struct broodi_call *call)
{
    const uint64_t connection =
        atomic_load_explicit(&call->queue->connection, memory_order_relaxed);
    return connection ? connection : call->id;
}

static void block(const struct broodi_call *call, enum broodi_side side, broodi_word *word,
                  uint64_t state)
{
    broodi_block_on(awaited_by(side), object_of(call), word, state, call->holder,
                    end_of_wait(call));
}

// Waits, after an attempt without success, until another one is worth while. BROOD_TIMEOUT when the
// time is over.
static brood_status wait_for(struct broodi_call *call, enum broodi_side side)
{
    broodi_word *word = broodi_queue_word(call->queue, side);
    const bool expired = time_left(call) == 0;
    if (!expired && side != BROODI_JOINERS && spin(call, side)) {
        if (!call->is_ready)
            let_gain(call, side);
        return BROOD_OK;
    }
    if (call->prepare)
        call->prepare(call);
    if (expired)
        return BROOD_TIMEOUT;
    const uint64_t state = announce(word);
    broodi_step(BROODI_STEP_QUEUE_ANNOUNCED);
    call->waited = true;
    if (is_ready(call, side))
        return BROOD_OK;
    block(call, side, word, state);
    broodi_heap_rest();
    return BROOD_OK;
}

// Ends the wait of a call that has waited, and lets another call go on. The threads that join are
// all woken at once.
static void end_wait(const struct broodi_call *call, enum broodi_side side)
{
    if (!call->waited)
        return;
    broodi_block_end(awaited_by(side), object_of(call));
    if (side == BROODI_JOINERS)
        return;
    (void)announce(broodi_queue_word(call->queue, side));
    if (is_ready(call, side))
        notify(broodi_queue_word(call->queue, side), 1);
}

// Repeats an attempt until it does not return BROOD_NOT_FOUND, which says that the queue is full or
// empty.
brood_status broodi_call_repeat(struct broodi_call *call, enum broodi_side side,
                                brood_status (*attempt)(struct broodi_call *call, void *arg),
                                void *arg)
{
    brood_status status;
    while ((status = attempt(call, arg)) == BROOD_NOT_FOUND) {
        status = wait_for(call, side);
        if (status != BROOD_OK)
            break;
    }
    end_wait(call, side);
    return status;
}

// The holder of a lock

brood_status broodi_queue_check_size(const struct broodi_call *call, size_t size)
{
    const uint64_t most = atomic_load_explicit(&call->queue->largest, memory_order_relaxed);
    if (!broodi_call_is_current(call))
        return BROOD_STALE;
    return size <= most ? BROOD_OK
                        : broodi_fail(BROOD_TOO_LARGE, "a message of %zu bytes, at most %llu fit",
                                      size, (unsigned long long)most);
}

// Finds a message that a dead consumer had taken. To look for it costs system calls on some
// systems: so once a second, and until nothing is found.
static bool find_left_in_time(struct broodi_queue_slot *queue, struct broodi_item *out)
{
    const uint64_t now = (uint64_t)brood_os_clock();
    const uint64_t looked = atomic_load_explicit(&queue->looked, memory_order_relaxed);
    if (now - looked < (uint64_t)BROOD_SECONDS(1))
        return false;
    if (broodi_chain_find_left(queue, out))
        return true;
    atomic_store_explicit(&queue->looked, now, memory_order_relaxed);
    return false;
}

brood_status broodi_queue_first(const struct broodi_call *call, struct broodi_item *out)
{
    const bool closed = broodi_queue_is_closed(call->queue);
    const bool any_taken = broodi_chain_collect(call->queue);
    if (any_taken && find_left_in_time(call->queue, out))
        return BROOD_OK;
    const brood_status status = broodi_chain_first(call->queue, out);
    if (status != BROOD_NOT_FOUND)
        return status;
    if (any_taken && broodi_chain_find_left(call->queue, out))
        return BROOD_OK;
    return closed ? BROOD_CLOSED : BROOD_NOT_FOUND;
}

void broodi_queue_take(const struct broodi_call *call, const struct broodi_item *item,
                       uint64_t copy)
{
    const uint64_t piece = item->piece ? item->piece : copy;
    if (item->place == 0)
        broodi_holding_pass(call->queue, call->id, piece);
    broodi_chain_take(call->queue, item, copy);
    broodi_holding_take(call->queue, &call->user, piece);
}

void broodi_queue_collect(struct broodi_queue_slot *queue)
{
    if (broodi_queue_acquire(queue, BROODI_CONSUMERS, grace) != BROOD_OK)
        return;
    (void)broodi_chain_collect(queue);
    broodi_queue_release(queue, BROODI_CONSUMERS);
}
