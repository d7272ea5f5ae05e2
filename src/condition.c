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
#include "condition.h"

#include "deadline.h"
#include "fail.h"
#include "lock.h"
#include "object.h"
#include "os/os_clock.h"
#include "race.h"
#include "seat.h"
#include "step.h"
#include "wait.h"

#include <brood/condition.h>

#define WAITERS UINT32_C(1)
#define ONE_TICKET (UINT32_C(1) << BROODI_TICKET_AT)
#define OLDEST (BROODI_TICKET / 4)

static struct broodi_condition_slot *find(brood_condition condition)
{
    return broodi_object_find(BROODI_CONDITION, condition.id);
}

static brood_status not_found(void)
{
    return broodi_object_missing("condition");
}

static uint32_t seat_limit(void)
{
    const uint32_t seats = broodi_slot_limit(BROODI_SEAT);
    const uint32_t threads = broodi_slot_limit(BROODI_THREAD);
    return seats < threads ? seats : threads;
}

static bool is_abandoned(const struct broodi_seat *seat)
{
    return !broodi_thread_is_alive(broodi_slot_index(BROODI_SEAT, seat));
}

// Finds the next seat from `*index` on in which a thread waits for the condition, or is about to,
// and is neither claimed nor chosen; NULL if there is none. The caller checks whether that thread
// is alive, if it needs to know: on some systems the check is a system call. Only the seat of a
// thread that died before it had a ticket is cleared here.
static struct broodi_seat *next_seat(uint64_t id, uint32_t *index, uint64_t *out_word)
{
    const uint32_t limit = seat_limit();
    while ((*index = broodi_slot_next(BROODI_THREAD, *index, limit)) < limit) {
        struct broodi_seat *seat = broodi_seat_at((*index)++);
        const uint64_t word = atomic_load_explicit(&seat->state.state, memory_order_seq_cst);
        const enum broodi_seat_phase phase = broodi_seat_phase_of(word);
        if (!broodi_seat_is_for(word, id) || phase > BROODI_SEAT_WAITING)
            continue;
        if (phase == BROODI_SEAT_ENTERING && is_abandoned(seat)) {
            (void)broodi_seat_change(seat, word, 0);
            continue;
        }
        *out_word = word;
        return seat;
    }
    return NULL;
}

static bool is_waiting(uint64_t word)
{
    return broodi_seat_phase_of(word) == BROODI_SEAT_WAITING;
}

// Whether a notify of all, before or at this state, has released the waiter in the seat. Epochs
// are compared by distance: up to half of their number apart, the seat's is the earlier one.
static bool is_released(const struct broodi_seat *seat, uint64_t state)
{
    const uint32_t passed = (broodi_epoch(state) - broodi_seat_epoch(seat)) & BROODI_EPOCH;
    return passed > 0 && passed <= BROODI_EPOCH / 2;
}

static bool choose(struct broodi_seat *seat, uint64_t word)
{
    const uint64_t chosen = (word & ~BROODI_SEAT_PHASE) | BROODI_SEAT_CHOSEN;
    if (!broodi_seat_change(seat, word, chosen))
        return false;
    broodi_step(BROODI_STEP_CONDITION_CHOSEN);
    broodi_wake(&seat->state, 1);
    return true;
}

// Marks a released waiter CHOSEN, unless it has seen the epoch and left. If the swap fails
// because the seat's ticket was renewed, it is tried again.
static void choose_released(struct broodi_seat *seat, uint64_t word, uint64_t id, uint64_t state)
{
    while (broodi_seat_is_for(word, id) && is_waiting(word) && is_released(seat, state) &&
           !choose(seat, word))
        word = broodi_word_look(&seat->state);
}

// Creating and destroying

static brood_status create(brood_condition *out)
{
    uint32_t index;
    brood_status status = broodi_ready();
    if (status != BROOD_OK)
        return status;
    if (!out)
        return broodi_fail(BROOD_INVALID, "out is NULL");
    status = broodi_object_take(BROODI_CONDITION, 0, &index);
    if (status == BROOD_OK)
        out->id = broodi_handle_of(BROODI_CONDITION, index);
    return status;
}

brood_status brood_condition_create(brood_condition *out)
{
    return broodi_answer("brood_condition_create", create(out));
}

static void end_wait(struct broodi_seat *seat, uint64_t word)
{
    if (broodi_seat_change(seat, word, 0))
        broodi_wake(&seat->state, 1);
}

// If the destroyer is killed in here, each waiter notices the end of the condition within a
// second.
static brood_status destroy(brood_condition condition)
{
    uint64_t word;
    struct broodi_seat *seat;
    const struct broodi_condition_slot *slot = find(condition);
    const brood_status status = broodi_object_destroy(BROODI_CONDITION, condition.id, "condition");
    if (status != BROOD_OK)
        return status;
    broodi_step(BROODI_STEP_CONDITION_ENDED);
    const uint64_t state = broodi_word_look(&slot->state);
    // If the slot has been reused, no waiter was left.
    if (!broodi_object_has_ended(condition.id, state))
        return BROOD_OK;
    for (uint32_t index = 0; (seat = next_seat(condition.id, &index, &word)) != NULL;) {
        choose_released(seat, word, condition.id, state);
        if (is_waiting(word) && !is_released(seat, state))
            end_wait(seat, word);
    }
    return BROOD_OK;
}

brood_status brood_condition_destroy(brood_condition condition)
{
    return broodi_answer("brood_condition_destroy", destroy(condition));
}

void broodi_conditions_end_waits(uint64_t lock)
{
    const uint32_t limit = seat_limit();
    for (uint32_t index = 0; index < limit; index++) {
        struct broodi_seat *seat = broodi_seat_at(index);
        const uint64_t word = broodi_word_look(&seat->state);
        if (is_waiting(word) && broodi_seat_has_lock(seat, lock))
            end_wait(seat, word);
    }
}

// Notifying

// The age of the ticket: how many tickets have been taken since, up to `state`. An age of more
// than half of all tickets means that the ticket was taken after `state`.
static uint32_t age(uint64_t word, uint64_t state)
{
    return (broodi_last_ticket(state) - broodi_seat_ticket(word)) & BROODI_TICKET;
}

static bool waited_when(const struct broodi_seat *seat, uint64_t word, uint64_t state)
{
    return is_waiting(word) && age(word, state) <= BROODI_TICKET / 2 &&
           broodi_seat_epoch(seat) == broodi_epoch(state);
}

// Each thread that takes a ticket renews the tickets of waiters older than OLDEST. Otherwise
// their age could pass half of all tickets, and a notifier would take them for later ones. The
// order among renewed tickets is lost.
static void renew_ticket(struct broodi_seat *seat, uint64_t word, uint64_t id, uint64_t state)
{
    if (waited_when(seat, word, state) && age(word, state) > OLDEST)
        (void)broodi_seat_change(
            seat, word,
            broodi_seat_word(id, broodi_last_ticket(state) - OLDEST, BROODI_SEAT_WAITING));
}

// The seat of the thread that has waited longest of those that waited in this state; NULL if
// there is none. `*out_empty` receives whether no thread waits for the condition or is about to.
static struct broodi_seat *find_first(uint64_t id, uint64_t state, uint64_t *out_word,
                                      bool *out_empty)
{
    uint64_t word;
    struct broodi_seat *seat;
    struct broodi_seat *first = NULL;
    *out_empty = true;
    for (uint32_t index = 0; (seat = next_seat(id, &index, &word)) != NULL;) {
        *out_empty = false;
        if (!waited_when(seat, word, state) || (first && age(word, state) <= age(*out_word, state)))
            continue;
        first = seat;
        *out_word = word;
    }
    return first;
}

// Ends a search that found no waiter to choose, and clears WAITERS if no thread waits at all.
// False if a ticket was taken or an epoch begun since `state` was loaded: then there may be a
// waiter to choose.
static bool end_search(broodi_word *condition, uint64_t state, bool empty)
{
    broodi_step(BROODI_STEP_CONDITION_EMPTY);
    return empty ? broodi_word_swap(condition, state, broodi_low(state) & ~WAITERS)
                 : broodi_word_look(condition) == state;
}

// The calling thread in the form that replaces the ticket of a claimed seat. 0 if it has no slot,
// or the last one that there can be, which does not fit.
static uint32_t claimant(void)
{
    const uint32_t slot = broodi_self_slot();
    if (slot == BROODI_NONE || slot + 1 >= UINT32_C(1) << BROODI_CLAIM_SLOT_BITS)
        return 0;
    return (broodi_thread_turn(slot) << BROODI_CLAIM_SLOT_BITS | (slot + 1)) & BROODI_TICKET;
}

// A notifier without that form chooses its waiters one by one.
static bool claim(struct broodi_seat *seat, uint64_t word, uint64_t id, uint32_t notifier)
{
    if (notifier == 0)
        return choose(seat, word);
    if (!broodi_seat_change(seat, word, broodi_seat_word(id, notifier, BROODI_SEAT_CLAIMED)))
        return false;
    broodi_step(BROODI_STEP_CONDITION_CLAIMED);
    return true;
}

// Chooses up to `count` waiters, or claims them if there is a notifier.
static void choose_some(broodi_word *condition, uint64_t id, uint32_t count, uint32_t notifier)
{
    while (count > 0) {
        uint64_t word;
        bool empty;
        const uint64_t state = broodi_word_look(condition);
        if (!broodi_handle_is_current(id, state) || !(broodi_low(state) & WAITERS))
            return;
        struct broodi_seat *seat = find_first(id, state, &word, &empty);
        if (!seat && end_search(condition, state, empty))
            return;
        if (!seat)
            continue;
        if (is_abandoned(seat))
            (void)broodi_seat_change(seat, word, 0);
        else
            count -= claim(seat, word, id, notifier);
    }
}

static void choose_claimed(uint64_t id, uint32_t notifier)
{
    const uint64_t claimed = broodi_seat_word(id, notifier, BROODI_SEAT_CLAIMED);
    const uint32_t limit = seat_limit();
    for (uint32_t index = 0; index < limit; index++) {
        struct broodi_seat *seat = broodi_seat_at(index);
        if (broodi_word_look(&seat->state) == claimed)
            (void)choose(seat, claimed);
    }
}

static void notify_some(broodi_word *condition, uint64_t id, uint32_t count)
{
    const uint32_t notifier = count > 1 ? claimant() : 0;
    choose_some(condition, id, count, notifier);
    if (notifier)
        choose_claimed(id, notifier);
}

// False if the state was not `state` any more.
static bool notify_all(broodi_word *condition, uint64_t id, uint64_t state)
{
    uint64_t word;
    struct broodi_seat *seat;
    const uint32_t epoch = (broodi_epoch(state) + 1) & BROODI_EPOCH;
    const uint32_t low = broodi_last_ticket(state) << BROODI_TICKET_AT | epoch << BROODI_EPOCH_AT;
    const uint64_t released = broodi_state(broodi_generation(state), low);
    uint64_t seen = state;
    if (!atomic_compare_exchange_strong_explicit(&condition->state, &seen, released,
                                                 memory_order_seq_cst, memory_order_relaxed))
        return false;
    broodi_step(BROODI_STEP_CONDITION_RELEASED);
    for (uint32_t index = 0; (seat = next_seat(id, &index, &word)) != NULL;)
        choose_released(seat, word, id, released);
    return true;
}

static brood_status notify(brood_condition condition, uint32_t count)
{
    struct broodi_condition_slot *slot = find(condition);
    if (!slot)
        return not_found();
    broodi_race_release(slot);
    for (;;) {
        const uint64_t state = broodi_word_look(&slot->state);
        if (!broodi_handle_is_current(condition.id, state))
            return BROOD_STALE;
        if (!(broodi_low(state) & WAITERS))
            return BROOD_OK;
        if (count < BROODI_ALL)
            notify_some(&slot->state, condition.id, count);
        else if (!notify_all(&slot->state, condition.id, state))
            continue;
        return BROOD_OK;
    }
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
    brood_condition condition;
    brood_lock lock;
    broodi_word *word; // of the condition
    struct broodi_seat *seat;
    uint32_t epoch; // of the ticket
    int64_t deadline;
};

// Whether the thread in this seat waits with another lock, one that still exists. A thread that
// was released does not wait any more.
static bool has_another_lock(struct broodi_seat *seat, uint64_t word, uint64_t state,
                             const struct waiting *waiting)
{
    if (seat == waiting->seat || (is_waiting(word) && is_released(seat, state)) ||
        broodi_seat_has_lock(seat, waiting->lock.id))
        return false;
    return broodi_lock_exists(atomic_load_explicit(&seat->lock, memory_order_relaxed)) &&
           !is_abandoned(seat);
}

// Called by the thread whose ticket made this state, if others may wait: renews old tickets, and
// returns whether another waiter has another lock.
static bool check_others(const struct waiting *waiting, uint64_t state)
{
    uint64_t word;
    bool differ = false;
    struct broodi_seat *seat;
    for (uint32_t index = 0; (seat = next_seat(waiting->condition.id, &index, &word)) != NULL;) {
        renew_ticket(seat, word, waiting->condition.id, state);
        differ = differ || has_another_lock(seat, word, state, waiting);
    }
    return differ;
}

// `state` is the one that the ticket of the calling thread made.
static void write_ticket(struct waiting *waiting, uint64_t state)
{
    const uint64_t word =
        broodi_seat_word(waiting->condition.id, broodi_last_ticket(state), BROODI_SEAT_WAITING);
    waiting->epoch = broodi_epoch(state);
    broodi_seat_set_lock(waiting->seat, waiting->lock.id, waiting->epoch);
    // seq_cst, as are the load of the state in await, the swap in notify_all and its loads of the
    // seats: either the waiter sees the new epoch, or the notifier sees the seat.
    atomic_store_explicit(&waiting->seat->state.state, word, memory_order_seq_cst);
}

// Stores ENTERING in the seat before it takes the ticket, so a thread that sees the ticket finds
// the seat.
static brood_status take_ticket(struct waiting *waiting)
{
    broodi_seat_set_lock(waiting->seat, waiting->lock.id, 0);
    atomic_store_explicit(&waiting->seat->state.state,
                          broodi_seat_word(waiting->condition.id, 0, BROODI_SEAT_ENTERING),
                          memory_order_release);
    broodi_step(BROODI_STEP_CONDITION_ENTERED);
    for (;;) {
        const uint64_t state = broodi_word_look(waiting->word);
        const uint32_t low = (broodi_low(state) + ONE_TICKET) | WAITERS;
        const uint64_t own = broodi_state(broodi_generation(state), low);
        if (!broodi_handle_is_current(waiting->condition.id, state))
            return BROOD_STALE;
        if (!broodi_word_swap(waiting->word, state, low))
            continue;
        broodi_step(BROODI_STEP_CONDITION_TICKET);
        if ((broodi_low(state) & WAITERS) && check_others(waiting, own))
            return broodi_fail(BROOD_INVALID,
                               "other threads wait for the condition with another lock");
        write_ticket(waiting, own);
        return BROOD_OK;
    }
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

// Waits, as a claimed waiter, until the notifier has claimed the rest and chosen all, or until
// the notifier has ended.
static void await_notifier(broodi_word *word, uint64_t seen)
{
    const uint32_t notifier = broodi_seat_ticket(seen);
    const uint32_t slot = (notifier & ((UINT32_C(1) << BROODI_CLAIM_SLOT_BITS) - 1)) - 1;
    const uint32_t turn = notifier >> BROODI_CLAIM_SLOT_BITS;
    const uint32_t mask = ((UINT32_C(1) << BROODI_CLAIM_TURN_BITS) - 1) << 1;
    broodi_wait(word, seen, slot, INT64_MAX);
    if (broodi_thread_fate(slot, turn << 1, mask) != BROODI_FATE_LIVES)
        (void)broodi_seat_change((struct broodi_seat *)(void *)word, seen,
                                 (seen & ~BROODI_SEAT_PHASE) | BROODI_SEAT_CHOSEN);
}

static brood_status await(const struct waiting *waiting)
{
    broodi_word *word = &waiting->seat->state;
    for (;;) {
        const uint64_t seen = broodi_word_look(word);
        if (!broodi_seat_is_for(seen, waiting->condition.id)) // its wait was ended
            return BROOD_STALE;
        if (broodi_seat_phase_of(seen) == BROODI_SEAT_CHOSEN)
            return BROOD_OK;
        if (broodi_seat_phase_of(seen) == BROODI_SEAT_CLAIMED) {
            await_notifier(word, seen);
            continue;
        }
        const brood_status status =
            judge(waiting, atomic_load_explicit(&waiting->word->state, memory_order_seq_cst));
        if (status == BROOD_BUSY)
            broodi_wait(word, seen, BROODI_NONE, waiting->deadline);
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
    broodi_object_await(waiting->condition.id, waiting->word);
    const brood_status status = wait_unlocked(waiting, &depth);
    broodi_object_await_no_more();
    broodi_race_acquire(waiting->word);
    if (depth == 0 || status == BROOD_STALE)
        return status;
    const brood_status taken = broodi_lock_reacquire(waiting->lock, depth);
    return taken == BROOD_OK ? status : taken;
}

static brood_status prepare(struct waiting *waiting)
{
    struct broodi_condition_slot *slot = find(waiting->condition);
    if (!slot)
        return not_found();
    brood_status status = broodi_lock_is_held(waiting->lock);
    if (status != BROOD_OK)
        return status;
    const uint32_t self = broodi_self_slot(); // exists: the thread holds a lock
    status = broodi_slot_reach(BROODI_SEAT, self);
    waiting->word = &slot->state;
    waiting->seat = broodi_seat_at(self);
    return status;
}

static brood_status wait_until(brood_condition condition, brood_lock lock, int64_t deadline)
{
    struct waiting waiting = { .condition = condition, .lock = lock, .deadline = deadline };
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
    struct waiting waiting = { .condition = condition, .lock = lock };
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
