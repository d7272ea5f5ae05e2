// SPDX-License-Identifier: MIT
// Conditions.
//
// Every thread has a seat beside its slot. One that waits for a condition writes there for which, and its ticket; who notifies looks through the
// seats, takes the lowest tickets of those alive, and writes into the seat that it has been chosen:
//
//   0 --enter--> ENTERING --ticket--> WAITING --notify--> CHOSEN --leave--> 0
//                                        |---timeout, destroy--> 0
//
// All changes of a seat that two may want to make are one compare-and-swap of its whole word, so that a waiter either was chosen or left
// before, and never both. One that has died is not chosen, since its slot says so; it needs nobody's help.
//
// The low word of the condition's state counts the tickets and has a flag, WAITERS: somebody waits, or may. Who finds nobody takes the flag away,
// if no ticket has been taken since it began to look; one who has a ticket, or is about to take one, already sits.
#include "deadline.h"
#include "fail.h"
#include "lock.h"
#include "object.h"
#include "os/os_clock.h"
#include "step.h"
#include "wait.h"

#include <brood/condition.h>

#define WAITERS UINT32_C(1)
#define ONE_TICKET UINT32_C(2)

// The word of a seat: {the handle's generation and slot 42, ticket 20, phase 2}.
enum { ENTERING = 1, WAITING, CHOSEN };

enum { PHASE_BITS = 2, TICKET_BITS = 20, HANDLE_AT = PHASE_BITS + TICKET_BITS };

#define PHASE ((UINT64_C(1) << PHASE_BITS) - 1)
#define TICKET ((UINT32_C(1) << TICKET_BITS) - 1)
#define OLDEST (TICKET / 4)

_Static_assert(HANDLE_AT + BROODI_GENERATION_BITS + BROODI_SLOT_BITS == 64, "a seat's word has room for all");

static struct broodi_condition_slot *find(brood_condition condition)
{
    return broodi_object_find(BROODI_CONDITION, condition.id);
}

static brood_status not_found(void)
{
    return broodi_object_missing("condition");
}

static struct broodi_seat *seat_at(uint32_t thread)
{
    return broodi_slot(BROODI_SEAT, thread);
}

static uint64_t sitting(uint64_t id, uint32_t ticket, uint64_t phase)
{
    return id << HANDLE_AT | (uint64_t)(ticket & TICKET) << PHASE_BITS | phase;
}

static bool is_for(uint64_t word, uint64_t id)
{
    return word && (word ^ sitting(id, 0, 0)) >> HANDLE_AT == 0;
}

static uint32_t ticket_of(uint64_t word)
{
    return (uint32_t)(word >> PHASE_BITS) & TICKET;
}

// The last ticket that was taken.
static uint32_t last_ticket(uint64_t state)
{
    return broodi_low(state) / ONE_TICKET & TICKET;
}

static bool change_seat(struct broodi_seat *seat, uint64_t from, uint64_t to)
{
    return atomic_compare_exchange_strong_explicit(&seat->state.state, &from, to, memory_order_acq_rel,
                                                   memory_order_relaxed);
}

static uint32_t seat_limit(void)
{
    const uint32_t seats = broodi_slot_limit(BROODI_SEAT);
    const uint32_t threads = broodi_slot_limit(BROODI_THREAD);
    return seats < threads ? seats : threads;
}

static bool is_deserted(const struct broodi_seat *seat)
{
    return !broodi_thread_is_alive(broodi_slot_index(BROODI_SEAT, seat));
}

// The next seat from `*index` on in which somebody waits for the condition or is about to; NULL when there is none. Whether that is a living thread is asked
// by who needs to know, for in some systems the question is a dear one; one that died before it had a ticket is cleared in passing.
static struct broodi_seat *next_seat(uint64_t id, uint32_t *index, uint64_t *out_word)
{
    const uint32_t limit = seat_limit();
    while (*index < limit) {
        struct broodi_seat *seat = seat_at((*index)++);
        const uint64_t word = broodi_word_look(&seat->state);
        if (!is_for(word, id) || (word & PHASE) == CHOSEN)
            continue;
        if ((word & PHASE) == ENTERING && is_deserted(seat)) {
            (void)change_seat(seat, word, 0);
            continue;
        }
        *out_word = word;
        return seat;
    }
    return NULL;
}

// Creating and destroying

static brood_status create(brood_condition *out)
{
    uint32_t index;
    brood_status status = broodi_ready();
    if (status != BROOD_OK)
        return status;
    if (!out)
        return broodi_fail(BROOD_INVALID, "no place for the condition");
    status = broodi_slot_take(BROODI_CONDITION, 0, &index);
    if (status == BROOD_OK)
        out->id = broodi_handle_of(BROODI_CONDITION, index);
    return status;
}

brood_status brood_condition_create(brood_condition *out)
{
    return broodi_answer("brood_condition_create", create(out));
}

static brood_status destroy(brood_condition condition)
{
    const brood_status status = broodi_object_destroy(BROODI_CONDITION, condition.id, "condition");
    uint64_t word;
    struct broodi_seat *seat;
    if (status != BROOD_OK)
        return status;
    broodi_step(BROODI_STEP_CONDITION_ENDED);
    // Who is killed in here leaves some to see it for themselves, within a second.
    for (uint32_t index = 0; (seat = next_seat(condition.id, &index, &word)) != NULL;)
        if ((word & PHASE) == WAITING && change_seat(seat, word, 0))
            broodi_wake(&seat->state, 1);
    return BROOD_OK;
}

brood_status brood_condition_destroy(brood_condition condition)
{
    return broodi_answer("brood_condition_destroy", destroy(condition));
}

// Notifying

static bool choose(struct broodi_seat *seat, uint64_t word)
{
    if (!change_seat(seat, word, (word & ~PHASE) | CHOSEN))
        return false;
    broodi_step(BROODI_STEP_CONDITION_CHOSEN);
    broodi_wake(&seat->state, 1);
    return true;
}

// How long ago the ticket was taken, in tickets; more than half of all there are: not yet when `last` was.
static uint32_t age(uint64_t word, uint32_t last)
{
    return (last - ticket_of(word)) & TICKET;
}

static bool waited_when(uint64_t word, uint32_t last)
{
    return (word & PHASE) == WAITING && age(word, last) <= TICKET / 2;
}

// Whoever takes a ticket sees to it that those who wait do not grow older than that: past half of all tickets they would be taken for ones who
// come later. The order among the very old is lost.
static void keep_young(struct broodi_seat *seat, uint64_t word, uint64_t id, uint32_t last)
{
    if (waited_when(word, last) && age(word, last) > OLDEST)
        (void)change_seat(seat, word, sitting(id, last - OLDEST, WAITING));
}

// The seat of who has waited longest of those who did when `last` was the last ticket. `*out_empty` is whether nobody sits at all.
static struct broodi_seat *find_first(uint64_t id, uint32_t last, uint64_t *out_word, bool *out_empty)
{
    uint64_t word;
    struct broodi_seat *seat;
    struct broodi_seat *first = NULL;
    *out_empty = true;
    for (uint32_t index = 0; (seat = next_seat(id, &index, &word)) != NULL;) {
        *out_empty = false;
        if (!waited_when(word, last) || (first && age(word, last) <= age(*out_word, last)))
            continue;
        first = seat;
        *out_word = word;
    }
    return first;
}

static void forget_waiters(broodi_word *condition, uint64_t state)
{
    broodi_step(BROODI_STEP_CONDITION_EMPTY);
    (void)broodi_word_swap(condition, state, broodi_low(state) & ~WAITERS);
}

static void notify_some(broodi_word *condition, uint64_t id, uint64_t state, uint32_t count)
{
    uint64_t word;
    bool empty = false;
    struct broodi_seat *seat;
    while (count > 0 && (seat = find_first(id, last_ticket(state), &word, &empty)) != NULL) {
        if (is_deserted(seat))
            (void)change_seat(seat, word, 0);
        else
            count -= choose(seat, word);
    }
    if (empty)
        forget_waiters(condition, state);
}

// False when nobody waits there any more who did when `last` was the last ticket.
static bool choose_surely(struct broodi_seat *seat, uint64_t word, uint64_t id, uint32_t last)
{
    while (is_for(word, id) && waited_when(word, last)) {
        if (choose(seat, word))
            return true;
        word = broodi_word_look(&seat->state); // its ticket is another one, or he has left
    }
    return false;
}

static void notify_all(broodi_word *condition, uint64_t id, uint64_t state)
{
    uint64_t word;
    bool empty = true;
    struct broodi_seat *seat;
    for (uint32_t index = 0; (seat = next_seat(id, &index, &word)) != NULL;)
        empty &= choose_surely(seat, word, id, last_ticket(state));
    if (empty)
        forget_waiters(condition, state);
}

static brood_status notify(brood_condition condition, uint32_t count)
{
    struct broodi_condition_slot *slot = find(condition);
    if (!slot)
        return not_found();
    const uint64_t state = broodi_word_look(&slot->state);
    if (!broodi_handle_is_current(condition.id, state))
        return BROOD_STALE;
    if (!(broodi_low(state) & WAITERS))
        return BROOD_OK;
    if (count == BROODI_ALL)
        notify_all(&slot->state, condition.id, state);
    else
        notify_some(&slot->state, condition.id, state, count);
    return BROOD_OK;
}

brood_status brood_condition_notify(brood_condition condition, uint32_t count)
{
    return broodi_answer("brood_condition_notify", notify(condition, count));
}

brood_status brood_condition_notify_all(brood_condition condition)
{
    return broodi_answer("brood_condition_notify_all", notify(condition, BROODI_ALL));
}

// Waiting

struct waiting {
    brood_condition condition;
    brood_lock lock;
    broodi_word *word; // of the condition
    struct broodi_seat *seat;
    int64_t deadline;
};

static bool has_another_lock(struct broodi_seat *seat, const struct waiting *waiting)
{
    return seat != waiting->seat &&
           atomic_load_explicit(&seat->lock, memory_order_relaxed) != waiting->lock.id && !is_deserted(seat);
}

// What one with this ticket owes to the others: whether one of them has another lock.
static bool look_at_others(const struct waiting *waiting, uint32_t ticket)
{
    uint64_t word;
    bool differ = false;
    struct broodi_seat *seat;
    for (uint32_t index = 0; (seat = next_seat(waiting->condition.id, &index, &word)) != NULL;) {
        keep_young(seat, word, waiting->condition.id, ticket);
        differ = differ || has_another_lock(seat, waiting);
    }
    return differ;
}

// The seat is taken before the ticket: who sees the ticket finds it.
static brood_status take_ticket(struct waiting *waiting)
{
    atomic_store_explicit(&waiting->seat->lock, waiting->lock.id, memory_order_relaxed);
    atomic_store_explicit(&waiting->seat->state.state, sitting(waiting->condition.id, 0, ENTERING),
                          memory_order_release);
    broodi_step(BROODI_STEP_CONDITION_ENTERED);
    for (;;) {
        const uint64_t state = broodi_word_look(waiting->word);
        const uint32_t low = (broodi_low(state) + ONE_TICKET) | WAITERS;
        if (!broodi_handle_is_current(waiting->condition.id, state))
            return BROOD_STALE;
        if (!broodi_word_swap(waiting->word, state, low))
            continue;
        broodi_step(BROODI_STEP_CONDITION_TICKET);
        const uint32_t ticket = low / ONE_TICKET;
        if ((broodi_low(state) & WAITERS) && look_at_others(waiting, ticket))
            return broodi_fail(BROOD_INVALID, "others wait for the condition with another lock");
        atomic_store_explicit(&waiting->seat->state.state, sitting(waiting->condition.id, ticket, WAITING),
                              memory_order_release);
        return BROOD_OK;
    }
}

static brood_status await(const struct waiting *waiting)
{
    broodi_word *word = &waiting->seat->state;
    for (;;) {
        const uint64_t seen = broodi_word_look(word);
        if ((seen & PHASE) == CHOSEN)
            return BROOD_OK;
        if (!is_for(seen, waiting->condition.id)) // sent home
            return BROOD_STALE;
        const bool stale = !broodi_handle_is_current(waiting->condition.id, broodi_word_look(waiting->word));
        if (stale || brood_os_clock() >= waiting->deadline) {
            if (change_seat(waiting->seat, seen, 0))
                return stale ? BROOD_STALE : BROOD_TIMEOUT;
            continue;
        }
        broodi_wait(word, seen, BROODI_NONE, waiting->deadline);
    }
}

static brood_status give_up_and_wait(struct waiting *waiting)
{
    const brood_status entered = take_ticket(waiting);
    if (entered != BROOD_OK) {
        broodi_seat_clear(waiting->seat);
        if (entered == BROOD_STALE) // the lock is not held then, whenever it is found
            (void)broodi_lock_give_up(waiting->lock);
        return entered;
    }
    broodi_step(BROODI_STEP_CONDITION_SEATED);
    const uint32_t depth = broodi_lock_give_up(waiting->lock);
    broodi_step(BROODI_STEP_CONDITION_UNLOCKED);
    broodi_self_waits(BROODI_WAITS_OBJECT, waiting->condition.id);
    const brood_status status = await(waiting);
    broodi_self_waits(BROODI_WAITS_NOT, 0);
    broodi_step(BROODI_STEP_CONDITION_OVER);
    broodi_seat_clear(waiting->seat);
    broodi_step(BROODI_STEP_CONDITION_RISEN);
    if (status == BROOD_STALE)
        return status;
    const brood_status taken = broodi_lock_take_back(waiting->lock, depth);
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
    const uint32_t self = broodi_self_slot(); // there is one: it holds a lock
    status = broodi_slot_reach(BROODI_SEAT, self);
    waiting->word = &slot->state;
    waiting->seat = seat_at(self);
    return status;
}

static brood_status wait_until(brood_condition condition, brood_lock lock, int64_t deadline)
{
    struct waiting waiting = { .condition = condition, .lock = lock, .deadline = deadline };
    const brood_status status = prepare(&waiting);
    return status == BROOD_OK ? give_up_and_wait(&waiting) : status;
}

brood_status brood_condition_wait(brood_condition condition, brood_lock lock, brood_duration timeout)
{
    return broodi_answer("brood_condition_wait", wait_until(condition, lock, broodi_deadline(timeout)));
}

static brood_status wait_for(brood_condition condition, brood_lock lock, bool (*predicate)(void *), void *arg,
                             brood_duration timeout)
{
    const int64_t deadline = broodi_deadline(timeout);
    struct waiting waiting = { .condition = condition, .lock = lock };
    if (!predicate)
        return broodi_fail(BROOD_INVALID, "no predicate");
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

brood_status brood_condition_wait_for(brood_condition condition, brood_lock lock, bool (*predicate)(void *),
                                      void *arg, brood_duration timeout)
{
    return broodi_answer("brood_condition_wait_for", wait_for(condition, lock, predicate, arg, timeout));
}
