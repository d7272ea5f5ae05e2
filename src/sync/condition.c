// SPDX-License-Identifier: MIT
// Conditions. Each waiter has a seat (seat.h), with a ticket and the condition's epoch.
//
// A notify of one changes the seat of the living waiter with the lowest ticket from WAITING to
// CHOSEN.
//
// A notify of all increments the epoch in the condition's state with one compare-and-swap, which
// releases every waiter whose ticket is of an earlier epoch. The notifier then scans the seats,
// marks those waiters CHOSEN and wakes them; a waiter that loads the state before that sees the
// new epoch.
//
// A notify of several claims the seats one by one, and marks all of them CHOSEN once it has
// claimed the last: no waiter returns before all are claimed. A claimed waiter waits for that, or
// for the end of the notifier; a claim is never withdrawn.
//
// Each change of a seat that two threads may compete for is one compare-and-swap of its whole
// word, so a waiter was either notified or left before that, never both. A dead waiter is not
// chosen, since its thread slot shows that it is dead; nothing has to be repaired.
//
// A notify that finds no waiter clears the flag WAITERS in the state, unless a ticket was taken
// or an epoch begun since the search started. That misses no waiter: a thread that has a ticket,
// or is about to take one, already has its seat. If the state did change, a notify that found too
// few searches again.
#include "arena/allocator.h"
#include "arena/blocking.h"
#include "arena/race.h"
#include "arena/self.h"
#include "base/deadline.h"
#include "base/fail.h"
#include "base/invariant.h"
#include "base/step.h"
#include "os/os_clock.h"
#include "sync/lock.h"
#include "sync/object.h"
#include "sync/seat.h"

#include <brood/condition.h>

#define WAITERS UINT32_C(1)
#define ONE_TICKET (UINT32_C(1) << BROODI_TICKET_AT)

// Creating and destroying

static brood_status create(brood_condition *out)
{
    const brood_status status = broodi_object_check_out(out);
    return status == BROOD_OK ? broodi_object_create(BROODI_CONDITION, 0, &out->id) : status;
}

brood_status brood_condition_create(brood_condition *out)
{
    return broodi_answer("brood_condition_create", create(out));
}

// If the destroyer is killed in here, each waiter notices the end of the condition within a
// second.
static brood_status destroy(brood_condition condition)
{
    uint64_t word;
    struct broodi_seat *seat;
    const broodi_word *slot = broodi_object_find(BROODI_CONDITION, condition.id);
    const brood_status status = broodi_object_destroy(BROODI_CONDITION, condition.id);
    if (status != BROOD_OK)
        return status;
    broodi_step(BROODI_STEP_CONDITION_ENDED);
    const uint64_t state = broodi_word_load(slot);
    // If the slot has been reused, no waiter was left.
    if (!broodi_object_has_ended(condition.id, state))
        return BROOD_OK;
    for (uint32_t index = 0; (seat = broodi_seat_next(condition.id, &index, &word)) != NULL;) {
        broodi_seat_choose_released(seat, word, condition.id, state);
        if (broodi_seat_is_waiting(word) && !broodi_seat_is_released(seat, state))
            broodi_seat_end_wait(seat, word);
    }
    return BROOD_OK;
}

brood_status brood_condition_destroy(brood_condition condition)
{
    return broodi_answer("brood_condition_destroy", destroy(condition));
}

// Notifying

// Ends a search that found no waiter to choose, and clears WAITERS if no thread waits at all.
// False if a ticket was taken or an epoch begun since the state was loaded: then there may be a
// waiter to choose.
static bool end_search(const struct broodi_object *condition, bool empty)
{
    broodi_step(BROODI_STEP_CONDITION_EMPTY);
    return empty ? broodi_object_swap(condition, broodi_low(condition->state) & ~WAITERS)
                 : broodi_word_load(condition->slot) == condition->state;
}

// Chooses up to `count` waiters, or claims them if there is a notifier.
static void choose_some(struct broodi_object *condition, uint32_t count, broodi_owner notifier)
{
    while (count > 0 && broodi_object_load(condition) == BROOD_OK &&
           (broodi_low(condition->state) & WAITERS)) {
        uint64_t word;
        bool empty;
        struct broodi_seat *seat =
            broodi_seat_first(condition->id, condition->state, &word, &empty);
        if (!seat && end_search(condition, empty))
            return;
        if (!seat)
            continue;
        if (broodi_seat_is_abandoned(seat))
            (void)broodi_seat_change(seat, word, 0);
        else
            count -= broodi_seat_claim(seat, word, condition->id, notifier);
    }
}

static void notify_some(struct broodi_object *condition, uint32_t count)
{
    const broodi_owner notifier = count > 1 ? broodi_owner_self() : 0;
    choose_some(condition, count, notifier);
    if (notifier)
        broodi_seat_choose_claimed(condition->id, notifier);
}

// False if the state is not the one that was loaded any more.
static bool notify_all(const struct broodi_object *condition)
{
    uint64_t word;
    broodi_word *slot = condition->slot;
    uint64_t state = condition->state;
    struct broodi_seat *seat;
    const uint32_t epoch = (broodi_epoch(state) + 1) & BROODI_EPOCH;
    const uint32_t low = broodi_last_ticket(state) << BROODI_TICKET_AT | epoch << BROODI_EPOCH_AT;
    const uint64_t released = broodi_state(broodi_generation(state), low);
    if (!atomic_compare_exchange_strong_explicit(&slot->state, &state, released,
                                                 memory_order_seq_cst, memory_order_relaxed))
        return false;
    broodi_step(BROODI_STEP_CONDITION_RELEASED);
    for (uint32_t index = 0; (seat = broodi_seat_next(condition->id, &index, &word)) != NULL;)
        broodi_seat_choose_released(seat, word, condition->id, released);
    return true;
}

static brood_status notify(brood_condition condition, uint32_t count)
{
    struct broodi_object object;
    brood_status status = broodi_object_open(BROODI_CONDITION, condition.id, &object);
    for (; status == BROOD_OK; status = broodi_object_load(&object)) {
        broodi_race_release(object.slot);
        if (!(broodi_low(object.state) & WAITERS))
            return BROOD_OK;
        if (count < BROODI_ALL)
            notify_some(&object, count);
        else if (!notify_all(&object))
            continue;
        return BROOD_OK;
    }
    return status;
}

brood_status brood_condition_notify(brood_condition condition, uint32_t count)
{
    const brood_status status = notify(condition, count);
    return status == BROOD_OK ? status : broodi_answer("brood_condition_notify", status);
}

brood_status brood_condition_notify_all(brood_condition condition)
{
    const brood_status status = notify(condition, BROODI_ALL);
    return status == BROOD_OK ? status : broodi_answer("brood_condition_notify_all", status);
}

// Waiting

struct waiting {
    struct broodi_object condition;
    brood_lock lock;
    struct broodi_seat *seat;
    uint32_t epoch; // of the ticket
    int64_t deadline;
};

// Whether the thread in this seat waits with another lock, one that still exists. A thread that
// was released does not wait any more.
static bool has_another_lock(struct broodi_seat *seat, uint64_t word, uint64_t state,
                             const struct waiting *waiting)
{
    if (seat == waiting->seat ||
        (broodi_seat_is_waiting(word) && broodi_seat_is_released(seat, state)) ||
        broodi_seat_has_lock(seat, waiting->lock.id))
        return false;
    return broodi_lock_exists(atomic_load_explicit(&seat->lock, memory_order_relaxed)) &&
           !broodi_seat_is_abandoned(seat);
}

// Called by the thread whose ticket made this state, if others may wait: renews old tickets, and
// returns whether another waiter has another lock.
static bool check_others(const struct waiting *waiting, uint64_t state)
{
    uint64_t word;
    bool differ = false;
    struct broodi_seat *seat;
    for (uint32_t index = 0;
         (seat = broodi_seat_next(waiting->condition.id, &index, &word)) != NULL;) {
        broodi_seat_renew_ticket(seat, word, waiting->condition.id, state);
        differ = differ || has_another_lock(seat, word, state, waiting);
    }
    return differ;
}

static enum broodi_seat_phase phase_of(const struct broodi_seat *seat)
{
    return broodi_seat_phase_of(broodi_word_load(&seat->state));
}

// `state` is the one that the ticket of the calling thread made.
static void write_ticket(struct waiting *waiting, uint64_t state)
{
    const uint64_t word =
        broodi_seat_word(waiting->condition.id, broodi_last_ticket(state), BROODI_SEAT_WAITING);
    broodi_assert(phase_of(waiting->seat) == BROODI_SEAT_ENTERING);
    waiting->epoch = broodi_epoch(state);
    broodi_seat_set_lock(waiting->seat, waiting->lock.id, waiting->epoch);
    // seq_cst, as are the load of the state in await, the swap in notify_all and the loads of the
    // seats in broodi_seat_next: either the waiter sees the new epoch, or the notifier sees the
    // seat.
    atomic_store_explicit(&waiting->seat->state.state, word, memory_order_seq_cst);
}

// Stores ENTERING in the seat before it takes the ticket, so a thread that sees the ticket finds
// the seat.
static brood_status take_ticket(struct waiting *waiting)
{
    broodi_assert(broodi_word_load(&waiting->seat->state) == 0);
    broodi_seat_set_lock(waiting->seat, waiting->lock.id, 0);
    atomic_store_explicit(&waiting->seat->state.state,
                          broodi_seat_word(waiting->condition.id, 0, BROODI_SEAT_ENTERING),
                          memory_order_release);
    broodi_step(BROODI_STEP_CONDITION_ENTERED);
    while (broodi_object_load(&waiting->condition) == BROOD_OK) {
        const uint64_t state = waiting->condition.state;
        const uint32_t low = (broodi_low(state) + ONE_TICKET) | WAITERS;
        const uint64_t own = broodi_state(broodi_generation(state), low);
        if (!broodi_object_swap(&waiting->condition, low))
            continue;
        broodi_step(BROODI_STEP_CONDITION_TICKET);
        if ((broodi_low(state) & WAITERS) && check_others(waiting, own))
            return broodi_fail(BROOD_INVALID,
                               "other threads wait for the condition with another lock");
        write_ticket(waiting, own);
        return BROOD_OK;
    }
    return BROOD_STALE;
}

// The result, in this state of the condition, of the wait of a waiter that is neither claimed nor
// chosen; BROOD_BUSY while the wait is not over.
static brood_status judge(const struct waiting *waiting, uint64_t state)
{
    const bool current = broodi_handle_is_current(waiting->condition.id, state);
    if ((current || broodi_object_has_ended(waiting->condition.id, state)) &&
        broodi_epoch(state) != waiting->epoch)
        return BROOD_OK;
    if (!current || !broodi_lock_exists(waiting->lock.id))
        return BROOD_STALE;
    return brood_os_clock() >= waiting->deadline ? BROOD_TIMEOUT : BROOD_BUSY;
}

static brood_status await(const struct waiting *waiting)
{
    const broodi_word *condition = waiting->condition.slot;
    broodi_word *word = &waiting->seat->state;
    for (;;) {
        const uint64_t seen = broodi_word_load(word);
        if (!broodi_seat_is_for(seen, waiting->condition.id)) // its wait was ended
            return BROOD_STALE;
        if (broodi_seat_phase_of(seen) == BROODI_SEAT_CHOSEN)
            return BROOD_OK;
        if (broodi_seat_phase_of(seen) == BROODI_SEAT_CLAIMED) {
            broodi_seat_await_claim(waiting->seat, seen, waiting->condition.id);
            continue;
        }
        broodi_assert(broodi_seat_is_waiting(seen));
        const brood_status status =
            judge(waiting, atomic_load_explicit(&condition->state, memory_order_seq_cst));
        if (status == BROOD_BUSY)
            broodi_block_on(BROODI_WAITS_OBJECT, waiting->condition.id, word, seen, BROODI_NONE,
                            waiting->deadline);
        else if (broodi_seat_change(waiting->seat, seen, 0))
            return status;
    }
}

// Releases the lock and waits. `*out_depth` receives the depth of the lock; without a wait it
// stays 0.
static brood_status wait_unlocked(struct waiting *waiting, uint32_t *out_depth)
{
    const brood_status entered = take_ticket(waiting);
    if (entered != BROOD_OK) {
        broodi_seat_clear(waiting->seat);
        if (entered == BROOD_STALE) // by contract the lock is not held then
            (void)broodi_lock_release_all(waiting->lock);
        return entered;
    }
    broodi_step(BROODI_STEP_CONDITION_SEATED);
    *out_depth = broodi_lock_release_all(waiting->lock);
    broodi_step(BROODI_STEP_CONDITION_UNLOCKED);
    const brood_status status = await(waiting);
    broodi_step(BROODI_STEP_CONDITION_OVER);
    broodi_seat_clear(waiting->seat);
    broodi_step(BROODI_STEP_CONDITION_RISEN);
    return status;
}

static brood_status release_and_wait(struct waiting *waiting)
{
    uint32_t depth = 0; // of the lock before its release
    const uint64_t before =
        broodi_object_wait_begin(waiting->condition.id, waiting->condition.slot);
    const brood_status status = wait_unlocked(waiting, &depth);
    broodi_object_wait_end(waiting->condition.id, before);
    broodi_race_acquire(waiting->condition.slot);
    if (depth == 0 || status == BROOD_STALE)
        return status;
    const brood_status taken = broodi_lock_reacquire(waiting->lock, depth);
    return taken == BROOD_OK ? status : taken;
}

static brood_status prepare(struct waiting *waiting)
{
    waiting->condition.slot = broodi_object_find(BROODI_CONDITION, waiting->condition.id);
    if (!waiting->condition.slot)
        return broodi_object_not_found(BROODI_CONDITION);
    brood_status status = broodi_lock_is_held(waiting->lock);
    if (status != BROOD_OK)
        return status;
    const uint32_t self = broodi_self_slot();
    broodi_assert(self != BROODI_NONE);    // the thread holds a lock
    if (broodi_self_known()->reports_wait) // it may be in its seat
        return broodi_fail(BROOD_WRONG_STATE, "inside the log's handler, for the line of a wait");
    status = broodi_slot_commit(BROODI_SEAT, self);
    if (status == BROOD_OK)
        waiting->seat = broodi_seat_at(self);
    return status;
}

static brood_status wait_until(brood_condition condition, brood_lock lock, int64_t deadline)
{
    struct waiting waiting = { .condition.id = condition.id, .lock = lock, .deadline = deadline };
    const brood_status status = prepare(&waiting);
    return status == BROOD_OK ? release_and_wait(&waiting) : status;
}

brood_status brood_condition_wait(brood_condition condition, brood_lock lock,
                                  brood_duration timeout)
{
    return broodi_answer("brood_condition_wait",
                         wait_until(condition, lock, broodi_deadline(timeout)));
}

static brood_status wait_for(brood_condition condition, brood_lock lock, bool (*predicate)(void *),
                             void *arg, brood_duration timeout)
{
    const int64_t deadline = broodi_deadline(timeout);
    struct waiting waiting = { .condition.id = condition.id, .lock = lock };
    if (!predicate)
        return broodi_fail(BROOD_INVALID, "predicate is NULL");
    brood_status status = prepare(&waiting);
    while (status == BROOD_OK) {
        if (predicate(arg))
            return BROOD_OK;
        status = wait_until(condition, lock, deadline);
        if (status == BROOD_TIMEOUT && predicate(arg))
            return BROOD_OK;
    }
    return status;
}

brood_status brood_condition_wait_for(brood_condition condition, brood_lock lock,
                                      bool (*predicate)(void *), void *arg, brood_duration timeout)
{
    return broodi_answer("brood_condition_wait_for",
                         wait_for(condition, lock, predicate, arg, timeout));
}
