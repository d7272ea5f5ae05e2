// SPDX-License-Identifier: MIT
// Barriers.
//
// The low word of a barrier's state is {BROKEN 1, round 15, count 16}. `count` participants have
// counted themselves in the current round. The number of a round is {epoch 11, turn 4}: the turn
// counts complete rounds, the epoch counts resets. A round ends by one compare-and-swap of the
// state, which also sets the count to 0:
//
//   the last participant completes it      turn + 1; the epoch stays
//   a reset discards it                    epoch + 1; the turn stays; BROKEN is cleared
//   an abort, a timeout, a death break it  BROKEN; the number stays; no thread joins until a reset
//
// A participant of round {epoch, turn} therefore reads from any later state how its round ended:
//
//   another turn                       it was complete
//   the same turn in another epoch     it was reset
//   the same number, and BROKEN        it was broken
//
// The free slot of a destroyed barrier keeps the last low word, so a participant reads the same
// there. The answer would be wrong if 16 rounds were complete, or 2048 resets done, before the
// participant loads the state. The entries prevent that: parties.c describes them. A participant
// writes its name into an entry before it counts itself.
//
// The count only says how many threads have counted themselves. If one of them ends, it is not
// lowered: a thread that is killed breaks the round, and one that ends in order stays counted.
#include "sync/barrier.h"

#include "arena/allocator.h"
#include "arena/blocking.h"
#include "arena/groups.h"
#include "arena/owner.h"
#include "arena/race.h"
#include "base/deadline.h"
#include "base/fail.h"
#include "base/invariant.h"
#include "base/step.h"
#include "os/os_clock.h"
#include "sync/object.h"
#include "sync/parties.h"

#include <brood/barrier.h>

#define COUNT UINT32_C(0xffff)
#define BROKEN (UINT32_C(1) << 31)

enum {
    SHORT_WAIT = 1000000, // ns
    LONG_WAIT = 1000000000,
};

_Static_assert(COUNT == BROOD_BARRIER_MAX, "the count holds every number of parties");
_Static_assert(BROODI_ROUND_AT == 16 && BROODI_ROUND_BITS == 15,
               "count, round and BROKEN fill the low word");

static uint32_t count_of(uint64_t state)
{
    return broodi_low(state) & COUNT;
}

static uint32_t next_epoch(uint32_t round)
{
    return (round + BROODI_ROUND_TURN + 1) & BROODI_ROUND;
}

// Stores `low` and wakes all waiters; false when the state is not `state` any more.
static bool end_round(struct broodi_barrier_slot *slot, uint64_t state, uint32_t low)
{
    broodi_assert((low & COUNT) == 0);
    if (!broodi_word_swap(&slot->state, state, low))
        return false;
    broodi_step(BROODI_STEP_BARRIER_ENDED);
    broodi_changed(BROODI_BARRIER, &slot->state, BROODI_ALL);
    return true;
}

static bool break_round(struct broodi_barrier_slot *slot, uint64_t state)
{
    return end_round(slot, state, (broodi_low(state) & ~COUNT) | BROKEN);
}

// Creating and destroying

static brood_status make(brood_barrier *out, uint32_t parties)
{
    uint64_t id;
    brood_status status = broodi_object_create(BROODI_BARRIER, 0, &id);
    if (status != BROOD_OK)
        return status;
    struct broodi_barrier_slot *slot = broodi_object_find(BROODI_BARRIER, id);
    broodi_step(BROODI_STEP_BARRIER_TAKEN);
    status = broodi_parties_add(slot, id, parties);
    if (status != BROOD_OK) {
        (void)broodi_slot_free(BROODI_BARRIER, broodi_handle_unpack(id).slot,
                               broodi_word_load(&slot->state));
        return status;
    }
    // Release: pairs with the acquire in count_in(). The number belongs to this barrier if the
    // state, which is loaded after it, does.
    atomic_store_explicit(&slot->parties, parties, memory_order_release);
    out->id = id;
    return BROOD_OK;
}

static brood_status create(brood_barrier *out, uint32_t parties)
{
    const brood_status status = broodi_object_check_out(out);
    if (status != BROOD_OK)
        return status;
    if (parties == 0 || parties > BROOD_BARRIER_MAX)
        return broodi_fail(BROOD_INVALID, "invalid number of parties: %u", (unsigned)parties);
    return make(out, parties);
}

brood_status brood_barrier_create(brood_barrier *out, uint32_t parties)
{
    return broodi_answer("brood_barrier_create", create(out, parties));
}

static brood_status destroy(brood_barrier barrier)
{
    const struct broodi_barrier_slot *slot = broodi_object_find(BROODI_BARRIER, barrier.id);
    const uint32_t first =
        slot ? atomic_load_explicit(&slot->first, memory_order_acquire) : BROODI_NONE;
    const brood_status status = broodi_object_destroy(BROODI_BARRIER, barrier.id);
    if (status == BROOD_OK)
        broodi_parties_free(barrier.id, first);
    return status;
}

brood_status brood_barrier_destroy(brood_barrier barrier)
{
    return broodi_answer("brood_barrier_destroy", destroy(barrier));
}

// Deaths

// Breaks the barrier if this party slot names the thread, for the current round or the one before.
static void break_for(const struct broodi_party_slot *party, uint64_t id, broodi_owner thread)
{
    struct broodi_barrier_slot *slot = broodi_object_find(BROODI_BARRIER, id);
    while (slot) {
        const uint64_t state = broodi_word_load(&slot->state);
        if (!broodi_party_names(party, broodi_round_of(state), thread) ||
            !broodi_handle_is_current(id, state) || (broodi_low(state) & BROKEN) ||
            break_round(slot, state))
            return;
    }
}

static void break_all_for(broodi_owner thread)
{
    const uint32_t limit = broodi_slot_limit(BROODI_PARTY);
    for (uint32_t index = 0; (index = broodi_slot_next(BROODI_PARTY, index, limit)) < limit;
         index++) {
        const struct broodi_party_slot *party = broodi_slot(BROODI_PARTY, index);
        const uint64_t id = atomic_load_explicit(&party->barrier, memory_order_acquire);
        if (id)
            break_for(party, id, thread);
    }
}

// Clears `barrier_generation` at the end, so that no later burial decides this again: a lock may
// keep the thread's slot longer than its process has one, and the exit record of the next process
// in that slot must not count. If two threads do this at the same time, each breaks the barriers
// before it clears.
void broodi_barriers_bury(broodi_owner thread)
{
    struct broodi_thread_slot *slot = broodi_slot(BROODI_THREAD, broodi_owner_slot(thread));
    uint32_t generation = broodi_owner_generation(thread);
    if (broodi_participant_was_killed(thread))
        break_all_for(thread);
    (void)atomic_compare_exchange_strong_explicit(&slot->barrier_generation, &generation, 0,
                                                  memory_order_acq_rel, memory_order_relaxed);
}

// Waiting

struct waiter {
    struct broodi_participant self;
    int64_t deadline;
};

// Counts the caller, which has an entry, and stores its number in the round, from 0. The last one
// completes the round. False if the round has ended before: then the caller is not counted.
static bool count_in(const struct broodi_participant *self, uint32_t round, uint32_t *out_number)
{
    const uint32_t parties = atomic_load_explicit(&self->slot->parties, memory_order_acquire);
    for (;;) {
        const uint64_t state = broodi_word_load(&self->slot->state);
        if (!broodi_handle_is_current(self->barrier, state) || (broodi_low(state) & BROKEN) ||
            broodi_round_of(state) != round)
            return false;
        *out_number = count_of(state);
        broodi_assert(*out_number < parties);
        if (*out_number + 1 >= parties
                ? end_round(self->slot, state, broodi_round_add(round, 1) << BROODI_ROUND_AT)
                : broodi_word_swap(&self->slot->state, state, broodi_low(state) + 1))
            return true;
    }
}

// Checks the deadline and the participants, then waits up to `span` ns while the state is `state`.
// BROOD_TIMEOUT: the deadline has passed and this call broke the barrier. BROOD_OK: the caller is
// to load the state again.
static brood_status check_and_wait(const struct waiter *waiter, uint64_t state, int64_t span)
{
    const int64_t now = brood_os_clock();
    if (now >= waiter->deadline)
        return break_round(waiter->self.slot, state) ? BROOD_TIMEOUT : BROOD_OK;
    if (broodi_parties_have_dead(waiter->self.slot, waiter->self.barrier, broodi_round_of(state))) {
        (void)break_round(waiter->self.slot, state);
        return BROOD_OK;
    }
    broodi_block_on(BROODI_WAITS_OBJECT, waiter->self.barrier, &waiter->self.slot->state, state,
                    BROODI_NONE, broodi_until(waiter->deadline, now, span));
    return BROOD_OK;
}

// How the round ended for the caller, which was counted in it; BROOD_BUSY while it has not ended.
// `bad` is whether the caller's entry was BAD before `state` was loaded. If it becomes BAD after
// that, and the number of the round comes again before `state` is loaded, this returns BROOD_BUSY,
// and the next check finds BAD.
static brood_status outcome(const struct broodi_participant *self, uint64_t state, uint32_t round,
                            bool bad)
{
    const uint32_t present = broodi_round_of(state);
    const bool current = broodi_handle_is_current(self->barrier, state);
    if (!current && !broodi_object_has_ended(self->barrier, state))
        return BROOD_STALE;
    // Checked first: the number of the round may have come again since the reset that set BAD.
    if (bad)
        return BROOD_BROKEN;
    if ((present ^ round) & BROODI_ROUND_TURN)
        return BROOD_OK;
    if (present != round || (broodi_low(state) & BROKEN))
        return BROOD_BROKEN;
    return current ? BROOD_BUSY : BROOD_STALE;
}

static brood_status await(const struct waiter *waiter, uint32_t round,
                          const _Atomic uint64_t *entry)
{
    for (;;) {
        const bool bad = broodi_entry_is_bad(&waiter->self, round, entry);
        const uint64_t state = broodi_word_load(&waiter->self.slot->state);
        const brood_status status = outcome(&waiter->self, state, round, bad);
        if (status != BROOD_BUSY)
            return status;
        if (check_and_wait(waiter, state, LONG_WAIT) == BROOD_TIMEOUT)
            return BROOD_TIMEOUT;
    }
}

// Counts the caller, which has an entry, and waits for the end of the round. False when the round
// had ended before the caller could count itself.
static bool take_part(const struct waiter *waiter, uint32_t round, _Atomic uint64_t *entry,
                      uint32_t *out_number, brood_status *out_status)
{
    broodi_step(BROODI_STEP_BARRIER_ENTRY);
    const bool counted = count_in(&waiter->self, round, out_number);
    broodi_step(BROODI_STEP_BARRIER_COUNTED);
    if (counted)
        *out_status = await(waiter, round, entry);
    broodi_step(BROODI_STEP_BARRIER_SEEN);
    broodi_entry_leave(&waiter->self, round, entry, !counted);
    return counted;
}

// Takes part in the first round that has an entry for the caller.
static brood_status join(const struct waiter *waiter, uint32_t *out_number)
{
    brood_status status = BROOD_OK;
    int64_t span = SHORT_WAIT;
    uint32_t round = BROODI_ROUND + 1; // none: no round has this number
    while (status == BROOD_OK) {
        const uint64_t state = broodi_word_load(&waiter->self.slot->state);
        if (!broodi_handle_is_current(waiter->self.barrier, state))
            return BROOD_STALE;
        if (broodi_low(state) & BROKEN)
            return BROOD_BROKEN;
        if (broodi_round_of(state) != round) // a new round: poll at short intervals again
            span = SHORT_WAIT;
        round = broodi_round_of(state);
        _Atomic uint64_t *entry = broodi_entry_take(&waiter->self, round);
        if (entry && take_part(waiter, round, entry, out_number, &status))
            return status;
        if (entry)
            continue;
        // All entries of this half are in use: by participants of the round before last that have
        // not left, or by participants of this round that have not counted themselves yet. Neither
        // change wakes a thread, so poll with backoff.
        status = check_and_wait(waiter, state, span);
        span = span < LONG_WAIT / 2 ? 2 * span : LONG_WAIT;
    }
    return status;
}

// Sets `thread` to the calling thread, and notes in its slot that it has waited for a barrier.
// Relaxed: the swap that writes the thread's name into an entry comes later, and is a release.
static brood_status name_self(struct broodi_participant *self)
{
    self->thread = broodi_owner_self();
    if (!self->thread)
        return BROOD_NO_RESOURCES;
    struct broodi_thread_slot *slot = broodi_slot(BROODI_THREAD, broodi_owner_slot(self->thread));
    atomic_store_explicit(&slot->barrier_generation, broodi_owner_generation(self->thread),
                          memory_order_relaxed);
    return BROOD_OK;
}

static brood_status wait_for_all(brood_barrier barrier, brood_duration timeout, uint32_t *out_index)
{
    uint32_t number = 0;
    struct waiter waiter = { .self = { .barrier = barrier.id,
                                       .slot = broodi_object_find(BROODI_BARRIER, barrier.id) },
                             .deadline = broodi_deadline(timeout) };
    if (!waiter.self.slot)
        return broodi_object_not_found(BROODI_BARRIER);
    const brood_status named = name_self(&waiter.self);
    if (named != BROOD_OK)
        return named;
    // The swap that broodi_object_wait_begin() demands is that of count_in(). A thread that is
    // never counted reads no answer in a free slot.
    const uint64_t before = broodi_object_wait_begin(barrier.id, waiter.self.slot);
    broodi_race_release(waiter.self.slot);
    const brood_status status = join(&waiter, &number);
    broodi_race_acquire(waiter.self.slot);
    broodi_object_wait_end(barrier.id, before);
    if (status == BROOD_OK && out_index)
        *out_index = number;
    return status;
}

brood_status brood_barrier_wait(brood_barrier barrier, brood_duration timeout, uint32_t *out_index)
{
    return broodi_answer("brood_barrier_wait", wait_for_all(barrier, timeout, out_index));
}

// Reset, abort, queries

// The new round is open from the compare-and-swap on. The names that broodi_parties_reset() changes
// are of the epoch before, so they do not count in the new round.
static bool try_reset(const struct broodi_object *barrier)
{
    const uint32_t round = broodi_round_of(barrier->state);
    if (!broodi_object_swap(barrier, next_epoch(round) << BROODI_ROUND_AT))
        return false;
    broodi_step(BROODI_STEP_BARRIER_RESET);
    broodi_changed(BROODI_BARRIER, barrier->slot, BROODI_ALL);
    broodi_step(BROODI_STEP_BARRIER_RESET_WOKEN);
    broodi_parties_reset(barrier->slot, barrier->id, round);
    return true;
}

static brood_status reset(brood_barrier barrier)
{
    struct broodi_object object;
    brood_status status = broodi_object_open(BROODI_BARRIER, barrier.id, &object);
    while (status == BROOD_OK && !try_reset(&object))
        status = broodi_object_load(&object);
    return status;
}

brood_status brood_barrier_reset(brood_barrier barrier)
{
    return broodi_answer("brood_barrier_reset", reset(barrier));
}

static brood_status break_current(brood_barrier barrier)
{
    struct broodi_object object;
    brood_status status = broodi_object_open(BROODI_BARRIER, barrier.id, &object);
    while (status == BROOD_OK && !(broodi_low(object.state) & BROKEN) &&
           !break_round(object.slot, object.state))
        status = broodi_object_load(&object);
    return status;
}

brood_status brood_barrier_abort(brood_barrier barrier)
{
    return broodi_answer("brood_barrier_abort", break_current(barrier));
}

brood_status brood_barrier_is_broken(brood_barrier barrier, bool *out)
{
    struct broodi_object object;
    const brood_status status = broodi_object_query(BROODI_BARRIER, barrier.id, out, &object);
    if (status == BROOD_OK)
        *out = broodi_low(object.state) & BROKEN;
    return broodi_answer("brood_barrier_is_broken", status);
}

brood_status brood_barrier_waiting(brood_barrier barrier, uint32_t *out)
{
    struct broodi_object object;
    const brood_status status = broodi_object_query(BROODI_BARRIER, barrier.id, out, &object);
    if (status == BROOD_OK)
        *out = count_of(object.state);
    return broodi_answer("brood_barrier_waiting", status);
}
