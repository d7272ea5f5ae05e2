// SPDX-License-Identifier: MIT
// Barriers.
//
// The low word of the state: how many participants have come, the number of the round, and whether
// the barrier is broken. The number has two parts, the turn, which counts complete rounds, and the
// epoch, which counts resets. All of it changes in one compare-and-swap:
//
//   the last participant completes the round: turn + 1
//   an abort or a timeout breaks it: the number stays, and nobody can join until a reset
//   a reset: epoch + 1, the turn stays; the new round is open at once
//
// A participant of round {epoch, turn} therefore reads how its round ended from any later state:
// another turn, the round was complete; the same turn in another epoch, it was reset. This needs
// that its turn does not come again before it has looked:
//
// Each participant has an entry where it writes its name before it counts itself, in two halves,
// for even and for odd turns: so the names of this round and of the one before are there. The
// waiters check them once a second, and so does whoever buries a dead thread. An entry is its
// participant's until that has seen how the round ended and says so, or has ended: another round of
// the same half cannot be complete before.
//
// The word that a destroyed barrier leaves in its free slot tells the same to those who have not
// looked yet.
#include "barrier.h"

#include "deadline.h"
#include "fail.h"
#include "object.h"
#include "os/os_clock.h"
#include "race.h"
#include "step.h"
#include "wait.h"

#include <brood/barrier.h>

#define COUNT UINT32_C(0xffff)
#define ROUND UINT32_C(0x7fff)
#define BROKEN (UINT32_C(1) << 31)

enum {
    ROUND_AT = 16,
    TURN_BITS = 4, // of a round's number: the low ones
    EPOCH_BITS = 11,
    SHORT_WAIT = 1000000, // ns
    LONG_WAIT = 1000000000,
};

_Static_assert(COUNT == BROOD_BARRIER_MAX, "as many can be counted as there may be");

static struct broodi_barrier_slot *find(brood_barrier barrier)
{
    return broodi_object_find(BROODI_BARRIER, barrier.id);
}

static brood_status not_found(void)
{
    return broodi_object_missing("barrier");
}

static struct broodi_party_slot *party_at(uint32_t index)
{
    return broodi_slot(BROODI_PARTY, index);
}

static uint32_t count_of(uint64_t state)
{
    return broodi_low(state) & COUNT;
}

static uint32_t round_of(uint64_t state)
{
    return broodi_low(state) >> ROUND_AT & ROUND;
}

#define TURN ((UINT32_C(1) << TURN_BITS) - 1)
#define EPOCH (ROUND & ~TURN)

_Static_assert(TURN_BITS + EPOCH_BITS == 15, "both parts fill the number of a round");

// The round of the same epoch that is `on` turns later; -1 is the one before.
static uint32_t same_epoch(uint32_t round, uint32_t on)
{
    return (round & EPOCH) | ((round + on) & TURN);
}

static uint32_t round_before(uint32_t round)
{
    return same_epoch(round, TURN);
}

static uint32_t next_epoch(uint32_t round)
{
    return (round + TURN + 1) & ROUND;
}

static bool end_round(struct broodi_barrier_slot *slot, uint64_t state, uint32_t low)
{
    if (!broodi_word_swap(&slot->state, state, low))
        return false;
    broodi_step(BROODI_STEP_BARRIER_ENDED);
    broodi_wake(&slot->state, BROODI_ALL);
    return true;
}

static bool break_it(struct broodi_barrier_slot *slot, uint64_t state)
{
    return end_round(slot, state, (broodi_low(state) & ~COUNT) | BROKEN);
}

// What is written in a place: {generation of the thread's slot 26, BAD, LEFT, round 15, slot + 1
// 21}.

enum { THREAD_BITS = 21, LEFT_AT = THREAD_BITS + 15, BAD_AT, GENERATION_AT };

#define LEFT (UINT64_C(1) << LEFT_AT) // has seen how the round ended
#define BAD (UINT64_C(1) << BAD_AT)   // it was reset
#define GENERATION_MASK ((UINT32_C(1) << (64 - GENERATION_AT)) - 1)

static uint64_t written(uint32_t thread, uint32_t generation, uint32_t round)
{
    return (uint64_t)generation << GENERATION_AT | (uint64_t)round << THREAD_BITS | (thread + 1);
}

static uint32_t round_named(uint64_t who)
{
    return (uint32_t)(who >> THREAD_BITS) & ROUND;
}

static bool is_of_round(uint64_t who, uint32_t round)
{
    return who && !(who & BAD) && round_named(who) == round;
}

static uint32_t thread_of(uint64_t who)
{
    return ((uint32_t)who & ((1U << THREAD_BITS) - 1)) - 1;
}

static bool is_thread(uint64_t who, uint32_t thread, uint32_t generation)
{
    return thread_of(who) == thread && who >> GENERATION_AT == (generation & GENERATION_MASK);
}

// How the thread that has written this is by now.
static enum broodi_thread_fate fate_of(uint64_t who)
{
    const uint32_t thread = thread_of(who);
    if (thread >= broodi_slot_limit(BROODI_THREAD))
        return BROODI_FATE_GONE;
    return broodi_thread_fate(thread, (uint32_t)(who >> GENERATION_AT), GENERATION_MASK);
}

static bool has_died(uint64_t who)
{
    return fate_of(who) == BROODI_FATE_DIED;
}

static uint64_t look_at(const struct broodi_party_slot *party, uint32_t round)
{
    return atomic_load_explicit(&party->who[round & 1], memory_order_acquire);
}

// Who stands there for this round or the one before, and has died.
static bool misses(const struct broodi_party_slot *party, uint32_t round)
{
    const uint32_t before = round_before(round);
    const uint64_t now = look_at(party, round);
    const uint64_t then = look_at(party, before);
    return (is_of_round(now, round) && has_died(now)) ||
           (is_of_round(then, before) && has_died(then));
}

// The next party of the barrier from `*index` on; NULL after the last, and when it turns out to be
// another barrier's by now.
static struct broodi_party_slot *next_party(uint64_t id, uint32_t *index)
{
    if (*index >= broodi_slot_limit(BROODI_PARTY))
        return NULL;
    struct broodi_party_slot *party = party_at(*index);
    if (atomic_load_explicit(&party->barrier, memory_order_acquire) != id)
        return NULL;
    *index = atomic_load_explicit(&party->next, memory_order_relaxed);
    return party;
}

static bool somebody_is_missed(const struct broodi_barrier_slot *slot, uint64_t id, uint32_t round)
{
    const struct broodi_party_slot *party;
    uint32_t index = atomic_load_explicit(&slot->first, memory_order_relaxed);
    while ((party = next_party(id, &index)) != NULL)
        if (misses(party, round))
            return true;
    return false;
}

// Creating and destroying

// Of a barrier that has ended. Who cuts it off gives it back: somebody else may have done so
// meanwhile, and it be another barrier's by now.
static void give_party(uint32_t index, uint64_t id)
{
    struct broodi_party_slot *party = party_at(index);
    broodi_step(BROODI_STEP_PARTY_ENDED);
    if (!atomic_compare_exchange_strong_explicit(&party->barrier, &id, 0, memory_order_acq_rel,
                                                 memory_order_relaxed))
        return;
    broodi_step(BROODI_STEP_PARTY_FREED);
    (void)broodi_slot_give(BROODI_PARTY, index, broodi_word_look(&party->state));
}

static void give_parties(uint64_t id, uint32_t first)
{
    for (uint32_t index = first, next = first; next_party(id, &next) != NULL; index = next)
        give_party(index, id);
}

static brood_status add_party(struct broodi_barrier_slot *slot, uint64_t id)
{
    uint32_t index;
    const brood_status status = broodi_slot_take(BROODI_PARTY, 0, &index);
    if (status != BROOD_OK)
        return status;
    struct broodi_party_slot *party = party_at(index);
    broodi_step(BROODI_STEP_PARTY_TAKEN);
    for (int i = 0; i < 2; i++)
        atomic_store_explicit(&party->who[i], 0, memory_order_relaxed);
    atomic_store_explicit(&party->next, atomic_load_explicit(&slot->first, memory_order_relaxed),
                          memory_order_relaxed);
    atomic_store_explicit(&party->barrier, id, memory_order_release);
    broodi_step(BROODI_STEP_PARTY_TIED);
    atomic_store_explicit(&slot->first, index, memory_order_release);
    return BROOD_OK;
}

static brood_status make(brood_barrier *out, uint32_t parties)
{
    uint32_t index;
    brood_status status = broodi_object_take(BROODI_BARRIER, 0, &index);
    if (status != BROOD_OK)
        return status;
    struct broodi_barrier_slot *slot = broodi_slot(BROODI_BARRIER, index);
    const uint64_t id = broodi_handle_of(BROODI_BARRIER, index);
    broodi_step(BROODI_STEP_BARRIER_TAKEN);
    atomic_store_explicit(&slot->first, BROODI_NONE, memory_order_relaxed);
    for (uint32_t i = 0; status == BROOD_OK && i < parties; i++)
        status = add_party(slot, id);
    if (status != BROOD_OK) {
        give_parties(id, atomic_load_explicit(&slot->first, memory_order_relaxed));
        (void)broodi_slot_give(BROODI_BARRIER, index, broodi_word_look(&slot->state));
        return status;
    }
    atomic_store_explicit(&slot->parties, parties, memory_order_release);
    out->id = id;
    return BROOD_OK;
}

static brood_status create(brood_barrier *out, uint32_t parties)
{
    const brood_status status = broodi_ready();
    if (status != BROOD_OK)
        return status;
    if (!out)
        return broodi_fail(BROOD_INVALID, "no place for the barrier");
    if (parties == 0 || parties > BROOD_BARRIER_MAX)
        return broodi_fail(BROOD_INVALID, "a barrier for %u", (unsigned)parties);
    return make(out, parties);
}

brood_status brood_barrier_create(brood_barrier *out, uint32_t parties)
{
    return broodi_answer("brood_barrier_create", create(out, parties));
}

static brood_status destroy(brood_barrier barrier)
{
    const struct broodi_barrier_slot *slot = find(barrier);
    const uint32_t first =
        slot ? atomic_load_explicit(&slot->first, memory_order_acquire) : BROODI_NONE;
    const brood_status status = broodi_object_destroy(BROODI_BARRIER, barrier.id, "barrier");
    if (status == BROOD_OK)
        give_parties(barrier.id, first);
    return status;
}

brood_status brood_barrier_destroy(brood_barrier barrier)
{
    return broodi_answer("brood_barrier_destroy", destroy(barrier));
}

void broodi_parties_sweep(void)
{
    const uint32_t limit = broodi_slot_limit(BROODI_PARTY);
    for (uint32_t index = 0; (index = broodi_slot_next(BROODI_PARTY, index, limit)) < limit;
         index++) {
        const uint64_t id = atomic_load_explicit(&party_at(index)->barrier, memory_order_acquire);
        const struct broodi_barrier_slot *slot = id ? find((brood_barrier){ id }) : NULL;
        if (slot && !broodi_handle_is_current(id, broodi_word_look(&slot->state)))
            give_party(index, id);
    }
}

// Those who have died

static void miss(const struct broodi_party_slot *party, uint64_t id, uint32_t thread,
                 uint32_t generation)
{
    struct broodi_barrier_slot *slot = find((brood_barrier){ id });
    while (slot) {
        const uint64_t state = broodi_word_look(&slot->state);
        const uint32_t round = round_of(state);
        const uint32_t before = round_before(round);
        const uint64_t now = look_at(party, round);
        const uint64_t then = look_at(party, before);
        const bool counts = (is_of_round(now, round) && is_thread(now, thread, generation)) ||
                            (is_of_round(then, before) && is_thread(then, thread, generation));
        if (!counts || !broodi_handle_is_current(id, state) || (broodi_low(state) & BROKEN) ||
            break_it(slot, state))
            return;
    }
}

void broodi_barriers_miss(uint32_t thread, uint32_t generation)
{
    const uint32_t limit = broodi_slot_limit(BROODI_PARTY);
    for (uint32_t index = 0; (index = broodi_slot_next(BROODI_PARTY, index, limit)) < limit;
         index++) {
        const struct broodi_party_slot *party = party_at(index);
        const uint64_t id = atomic_load_explicit(&party->barrier, memory_order_acquire);
        if (id)
            miss(party, id, thread, generation);
    }
}

// Waiting

struct visit {
    brood_barrier barrier;
    struct broodi_barrier_slot *slot;
    uint32_t thread;
    uint32_t generation;
    int64_t deadline;
};

// A place is free once its party has seen the end of its round, or cannot any more.
static bool is_free(uint64_t who, uint32_t round)
{
    return !who || (who & LEFT) || (!is_of_round(who, round) && fate_of(who) != BROODI_FATE_LIVES);
}

// A place of this round is deserted when its party cannot say any more that it has seen the end,
// and is not missed: nobody knows whether it has counted itself.
static bool is_deserted(uint64_t who, uint32_t round)
{
    return is_of_round(who, round) && fate_of(who) == BROODI_FATE_GONE;
}

// A place for the round that `state` is in, one that fits; NULL when there is none yet.
static _Atomic uint64_t *take_place(const struct visit *visit, uint64_t state,
                                    bool (*fits)(uint64_t who, uint32_t round))
{
    struct broodi_party_slot *party;
    const uint32_t round = round_of(state);
    uint32_t index = atomic_load_explicit(&visit->slot->first, memory_order_relaxed);
    while ((party = next_party(visit->barrier.id, &index)) != NULL) {
        _Atomic uint64_t *place = &party->who[round & 1];
        uint64_t who = atomic_load_explicit(place, memory_order_acquire);
        // Once the place was seen free the round is not over without it: so it must not have been
        // over then. It may be over without a deserted one, which the count finds out, and the name
        // is erased.
        if (fits(who, round) && round_of(broodi_word_look(&visit->slot->state)) == round &&
            atomic_compare_exchange_strong_explicit(
                place, &who, written(visit->thread, visit->generation, round), memory_order_acq_rel,
                memory_order_relaxed))
            return place;
    }
    return NULL;
}

// Counts the caller, who has a place: its number, or that the round is over before that.
static bool count_in(const struct visit *visit, uint32_t round, uint32_t *out_number)
{
    const uint32_t parties = atomic_load_explicit(&visit->slot->parties, memory_order_acquire);
    for (;;) {
        const uint64_t state = broodi_word_look(&visit->slot->state);
        if (!broodi_handle_is_current(visit->barrier.id, state) || (broodi_low(state) & BROKEN) ||
            round_of(state) != round)
            return false;
        *out_number = count_of(state);
        if (*out_number + 1 >= parties
                ? end_round(visit->slot, state, same_epoch(round, 1) << ROUND_AT)
                : broodi_word_swap(&visit->slot->state, state, broodi_low(state) + 1))
            return true;
    }
}

// One look, and a wait if there is nothing to see: BROOD_TIMEOUT when the caller has broken the
// barrier, for his time is over.
static brood_status look_and_wait(const struct visit *visit, uint64_t state, int64_t span)
{
    const int64_t now = brood_os_clock();
    if (now >= visit->deadline)
        return break_it(visit->slot, state) ? BROOD_TIMEOUT : BROOD_OK;
    if (somebody_is_missed(visit->slot, visit->barrier.id, round_of(state))) {
        (void)break_it(visit->slot, state);
        return BROOD_OK;
    }
    broodi_wait(&visit->slot->state, state, BROODI_NONE, broodi_until(visit->deadline, now, span));
    return BROOD_OK;
}

// Whether the name is that of this visit in this round; the place may be another barrier's by now,
// if this one was destroyed.
static bool is_own(const struct visit *visit, uint64_t who, uint32_t round)
{
    return who && round_named(who) == round && is_thread(who, visit->thread, visit->generation);
}

// How the round ended for the caller, who was counted in it: BROOD_BUSY while it has not ended.
static brood_status judge(const struct visit *visit, uint64_t state, uint32_t round, uint64_t who)
{
    const uint32_t present = round_of(state);
    const bool current = broodi_handle_is_current(visit->barrier.id, state);
    if (!current && !broodi_object_has_ended(visit->barrier.id, state))
        return BROOD_STALE;
    if (is_own(visit, who, round) &&
        (who & BAD)) // a reset, after which the number may have come again
        return BROOD_BROKEN;
    if ((present ^ round) & TURN)
        return BROOD_OK;
    if (present != round || (broodi_low(state) & BROKEN))
        return BROOD_BROKEN;
    return current ? BROOD_BUSY : BROOD_STALE;
}

static brood_status await(const struct visit *visit, uint32_t round, const _Atomic uint64_t *place)
{
    for (;;) {
        const uint64_t who = atomic_load_explicit(place, memory_order_acquire);
        const uint64_t state = broodi_word_look(&visit->slot->state);
        const brood_status status = judge(visit, state, round, who);
        if (status != BROOD_BUSY)
            return status;
        if (look_and_wait(visit, state, LONG_WAIT) == BROOD_TIMEOUT)
            return BROOD_TIMEOUT;
    }
}

// Says that the caller is through with the round, or with `erase` that it was never in.
static void leave_place(const struct visit *visit, uint32_t round, _Atomic uint64_t *place,
                        bool erase)
{
    uint64_t who = atomic_load_explicit(place, memory_order_acquire);
    while (is_own(visit, who, round) &&
           !atomic_compare_exchange_weak_explicit(place, &who, erase ? 0 : who | LEFT,
                                                  memory_order_acq_rel, memory_order_acquire))
        continue;
}

// With a place: counts itself and waits. False when the round was over before.
static bool take_part(const struct visit *visit, uint32_t round, _Atomic uint64_t *place,
                      uint32_t *out_number, brood_status *out_status)
{
    broodi_step(BROODI_STEP_BARRIER_PLACE);
    const bool counted = count_in(visit, round, out_number);
    broodi_step(BROODI_STEP_BARRIER_COUNTED);
    if (counted)
        *out_status = await(visit, round, place);
    broodi_step(BROODI_STEP_BARRIER_SEEN);
    leave_place(visit, round, place, !counted);
    return counted;
}

static brood_status attend(const struct visit *visit, uint32_t *out_number)
{
    brood_status status = BROOD_OK;
    int64_t span = SHORT_WAIT;
    uint32_t round = ROUND + 1; // none
    while (status == BROOD_OK) {
        const uint64_t state = broodi_word_look(&visit->slot->state);
        if (!broodi_handle_is_current(visit->barrier.id, state))
            return BROOD_STALE;
        if (broodi_low(state) & BROKEN)
            return BROOD_BROKEN;
        if (round_of(state) != round) // its places were not waited for yet
            span = SHORT_WAIT;
        round = round_of(state);
        _Atomic uint64_t *place = take_place(visit, state, is_free);
        if (!place)
            place = take_place(visit, state, is_deserted);
        if (place && take_part(visit, round, place, out_number, &status))
            return status;
        if (place)
            continue;
        // More come than there are parties: those of the last but one round have not all left, or
        // those of this one not all counted themselves, which nobody is told of.
        status = look_and_wait(visit, state, span);
        span = span < LONG_WAIT / 2 ? 2 * span : LONG_WAIT;
    }
    return status;
}

static brood_status wait_for_all(brood_barrier barrier, brood_duration timeout, uint32_t *out_index)
{
    uint32_t number = 0;
    struct visit visit = { .barrier = barrier,
                           .slot = find(barrier),
                           .deadline = broodi_deadline(timeout) };
    if (!visit.slot)
        return not_found();
    visit.thread = broodi_self_slot();
    if (visit.thread == BROODI_NONE)
        return BROOD_NO_RESOURCES;
    struct broodi_thread_slot *self = broodi_slot(BROODI_THREAD, visit.thread);
    visit.generation =
        broodi_generation(atomic_load_explicit(&self->state.state, memory_order_relaxed));
    atomic_store_explicit(&self->meets, visit.generation, memory_order_relaxed);
    broodi_object_await(barrier.id, visit.slot);
    broodi_race_release(visit.slot);
    const brood_status status = attend(&visit, &number);
    broodi_race_acquire(visit.slot);
    broodi_object_await_no_more();
    if (status == BROOD_OK && out_index)
        *out_index = number;
    return status;
}

brood_status brood_barrier_wait(brood_barrier barrier, brood_duration timeout, uint32_t *out_index)
{
    return broodi_answer("brood_barrier_wait", wait_for_all(barrier, timeout, out_index));
}

// Breaking, mending, looking

// Makes a change of the state, again until nobody comes between.
static brood_status change(brood_barrier barrier,
                           bool (*fn)(struct broodi_barrier_slot *, uint64_t, uint64_t))
{
    struct broodi_barrier_slot *slot = find(barrier);
    if (!slot)
        return not_found();
    for (;;) {
        const uint64_t state = broodi_word_look(&slot->state);
        if (!broodi_handle_is_current(barrier.id, state))
            return BROOD_STALE;
        if (fn(slot, barrier.id, state))
            return BROOD_OK;
    }
}

// What a place becomes after the reset of round `round`. The name of a participant that waited in
// it, and has not looked yet, gets a mark, and names of the epoch whose participants have seen the
// end are erased: no later round that happens to get the same number will count on either.
static uint64_t after_reset(uint64_t who, uint32_t round)
{
    const uint32_t named = round_named(who);
    if (!who || ((named ^ round) & EPOCH) != 0)
        return who;
    if (who & LEFT)
        return 0;
    return named == round ? who | BAD : who;
}

static void clean_places(const struct broodi_barrier_slot *slot, uint64_t id, uint32_t round)
{
    struct broodi_party_slot *party;
    uint32_t index = atomic_load_explicit(&slot->first, memory_order_relaxed);
    while ((party = next_party(id, &index)) != NULL) {
        for (int i = 0; i < 2; i++) {
            uint64_t who = atomic_load_explicit(&party->who[i], memory_order_acquire);
            while (after_reset(who, round) != who &&
                   !atomic_compare_exchange_weak_explicit(
                       &party->who[i], &who, after_reset(who, round), memory_order_acq_rel,
                       memory_order_acquire))
                continue;
        }
    }
}

static bool reset_it(struct broodi_barrier_slot *slot, uint64_t id, uint64_t state)
{
    const uint32_t round = round_of(state);
    if (!broodi_word_swap(&slot->state, state, next_epoch(round) << ROUND_AT))
        return false;
    broodi_step(BROODI_STEP_BARRIER_RESET);
    broodi_wake(&slot->state, BROODI_ALL);
    broodi_step(BROODI_STEP_BARRIER_RESET_TOLD);
    clean_places(slot, id, round);
    return true;
}

static bool abort_it(struct broodi_barrier_slot *slot, uint64_t id, uint64_t state)
{
    (void)id;
    return (broodi_low(state) & BROKEN) || break_it(slot, state);
}

brood_status brood_barrier_reset(brood_barrier barrier)
{
    return broodi_answer("brood_barrier_reset", change(barrier, reset_it));
}

brood_status brood_barrier_abort(brood_barrier barrier)
{
    return broodi_answer("brood_barrier_abort", change(barrier, abort_it));
}

static brood_status look(brood_barrier barrier, const void *out, uint64_t *out_state)
{
    const struct broodi_barrier_slot *slot = find(barrier);
    if (!slot)
        return not_found();
    if (!out)
        return broodi_fail(BROOD_INVALID, "no place for the answer");
    *out_state = broodi_word_look(&slot->state);
    return broodi_handle_is_current(barrier.id, *out_state) ? BROOD_OK : BROOD_STALE;
}

brood_status brood_barrier_is_broken(brood_barrier barrier, bool *out)
{
    uint64_t state = 0;
    const brood_status status = look(barrier, out, &state);
    if (status == BROOD_OK)
        *out = broodi_low(state) & BROKEN;
    return broodi_answer("brood_barrier_is_broken", status);
}

brood_status brood_barrier_waiting(brood_barrier barrier, uint32_t *out)
{
    uint64_t state = 0;
    const brood_status status = look(barrier, out, &state);
    if (status == BROOD_OK)
        *out = count_of(state);
    return broodi_answer("brood_barrier_waiting", status);
}
