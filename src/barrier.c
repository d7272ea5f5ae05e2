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
// participant loads the state. The entries prevent that.
//
// Entries. A barrier for N parties has N party slots with two entries each: one for even turns, one
// for odd turns (the halves). A participant first writes its name into an entry of its turn's half,
// then counts itself. The states of one entry:
//
//   EMPTY           names no thread
//   NAMED(round)    the participant has not read yet how that round ended
//   LEFT            the participant has read it; name and round stay in the entry
//   BAD             the round was reset before the participant had read how it ended
//
//   from            to              by
//   EMPTY or LEFT   NAMED(round)    a thread that joins the current round, `round`
//   NAMED(other)    NAMED(round)    the same, when the named thread has ended
//   BAD             NAMED(round)    the same, when the named thread has ended
//   NAMED(round)    NAMED(round)    the same, when the entry is abandoned (invariant 3)
//   NAMED(round)    EMPTY           its participant: the round had ended before it counted itself
//   NAMED(round)    LEFT            its participant, when it has read how the round ended
//   BAD             LEFT            its participant, likewise; BAD stays set beside LEFT
//   NAMED(round)    BAD             the reset of that round
//   LEFT            EMPTY           a reset in the epoch of the name
//
// Invariants:
//
// 1. A thread counts itself in a round only while an entry names it for that round.
//
// 2. No thread takes an entry that names a living participant of an earlier round that has not
// left. So while a participant of turn t has not left, turn t + 2 lacks an entry and cannot
// complete: the participant reads t, t + 1 or t + 2, whatever number of resets comes between.
//
// 3. An entry is abandoned when it names, for the current round, a thread that has ended without
// breaking the barrier. Whether it has counted itself is unknown, so the entry is taken only when
// no other is free. If it had, one round of the half completes with one entry fewer. Turns would
// be mistaken only if that happened in seven rounds of the half while one participant does not run.
//
// 4. The names of the current round and of the one before are in the entries, since those rounds
// have different halves. When a thread that they name is killed, the barrier is broken: waiters
// check this once a second, and the burial of a thread checks it for that thread.
//
// 5. The number of a round comes again after 2048 resets. A participant that had not read how its
// round ended then finds BAD, and the names of those that had left are EMPTY.
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
    TURN_BITS = 4, // the low bits of a round's number
    EPOCH_BITS = 11,
    SHORT_WAIT = 1000000, // ns
    LONG_WAIT = 1000000000,
};

_Static_assert(COUNT == BROOD_BARRIER_MAX, "the count holds every number of parties");

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

_Static_assert(TURN_BITS + EPOCH_BITS == 15, "epoch and turn fill the number of a round");

// The round of the same epoch that is `turns` later.
static uint32_t add_turns(uint32_t round, uint32_t turns)
{
    return (round & EPOCH) | ((round + turns) & TURN);
}

static uint32_t round_before(uint32_t round)
{
    return add_turns(round, TURN); // 15 of 16 turns
}

static uint32_t next_epoch(uint32_t round)
{
    return (round + TURN + 1) & ROUND;
}

// Stores `low` and wakes all waiters; false when the state is not `state` any more.
static bool end_round(struct broodi_barrier_slot *slot, uint64_t state, uint32_t low)
{
    if (!broodi_word_swap(&slot->state, state, low))
        return false;
    broodi_step(BROODI_STEP_BARRIER_ENDED);
    broodi_wake(&slot->state, BROODI_ALL);
    return true;
}

static bool break_round(struct broodi_barrier_slot *slot, uint64_t state)
{
    return end_round(slot, state, (broodi_low(state) & ~COUNT) | BROKEN);
}

// The word of an entry: {generation of the thread's slot 26, BAD, LEFT, round 15, slot + 1 21}; 0
// for EMPTY. NAMED has neither BAD nor LEFT.

enum { THREAD_BITS = 21, LEFT_AT = THREAD_BITS + 15, BAD_AT, GENERATION_AT };

#define LEFT (UINT64_C(1) << LEFT_AT)
#define BAD (UINT64_C(1) << BAD_AT)
#define GENERATION_MASK ((UINT32_C(1) << (64 - GENERATION_AT)) - 1)

static uint64_t entry_word(uint32_t thread, uint32_t generation, uint32_t round)
{
    return (uint64_t)generation << GENERATION_AT | (uint64_t)round << THREAD_BITS | (thread + 1);
}

static uint32_t round_named(uint64_t word)
{
    return (uint32_t)(word >> THREAD_BITS) & ROUND;
}

// True for LEFT, too: the death of a participant that has left still breaks the barrier.
static bool is_of_round(uint64_t word, uint32_t round)
{
    return word && !(word & BAD) && round_named(word) == round;
}

static uint32_t thread_of(uint64_t word)
{
    return ((uint32_t)word & ((1U << THREAD_BITS) - 1)) - 1;
}

static bool is_thread(uint64_t word, uint32_t thread, uint32_t generation)
{
    return thread_of(word) == thread && word >> GENERATION_AT == (generation & GENERATION_MASK);
}

// The state of the thread that the entry names.
static enum broodi_thread_fate fate_of(uint64_t word)
{
    const uint32_t thread = thread_of(word);
    if (thread >= broodi_slot_limit(BROODI_THREAD))
        return BROODI_FATE_GONE;
    return broodi_thread_fate(thread, (uint32_t)(word >> GENERATION_AT), GENERATION_MASK);
}

// Whether that thread was killed and is not buried yet.
static bool has_died(uint64_t word)
{
    return fate_of(word) == BROODI_FATE_DIED;
}

static uint64_t load_entry(const struct broodi_party_slot *party, uint32_t round)
{
    return atomic_load_explicit(&party->entries[round & 1], memory_order_acquire);
}

// Whether the party slot names a dead thread, for this round or for the one before.
static bool names_dead(const struct broodi_party_slot *party, uint32_t round)
{
    const uint32_t before = round_before(round);
    const uint64_t now = load_entry(party, round);
    const uint64_t then = load_entry(party, before);
    return (is_of_round(now, round) && has_died(now)) ||
           (is_of_round(then, before) && has_died(then));
}

// The party slot at `*index`, which becomes the index of the next one; NULL after the last, and
// when the slot belongs to another barrier by now.
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

static bool has_dead_participant(const struct broodi_barrier_slot *slot, uint64_t id,
                                 uint32_t round)
{
    const struct broodi_party_slot *party;
    uint32_t index = atomic_load_explicit(&slot->first, memory_order_relaxed);
    while ((party = next_party(id, &index)) != NULL)
        if (names_dead(party, round))
            return true;
    return false;
}

// Creating and destroying

// Frees a party slot of the destroyed barrier `id`. Several processes may do so at the same time:
// the one that clears `barrier` frees the slot. The others find another value there, 0 or the next
// barrier to which the slot belongs.
static void free_party(uint32_t index, uint64_t id)
{
    struct broodi_party_slot *party = party_at(index);
    broodi_step(BROODI_STEP_PARTY_ENDED);
    if (!atomic_compare_exchange_strong_explicit(&party->barrier, &id, 0, memory_order_acq_rel,
                                                 memory_order_relaxed))
        return;
    broodi_step(BROODI_STEP_PARTY_FREED);
    (void)broodi_slot_give(BROODI_PARTY, index, broodi_word_look(&party->state));
}

static void free_parties(uint64_t id, uint32_t first)
{
    for (uint32_t index = first, next = first; next_party(id, &next) != NULL; index = next)
        free_party(index, id);
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
        atomic_store_explicit(&party->entries[i], 0, memory_order_relaxed);
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
        free_parties(id, atomic_load_explicit(&slot->first, memory_order_relaxed));
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
        return broodi_fail(BROOD_INVALID, "out is NULL");
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
    const struct broodi_barrier_slot *slot = find(barrier);
    const uint32_t first =
        slot ? atomic_load_explicit(&slot->first, memory_order_acquire) : BROODI_NONE;
    const brood_status status = broodi_object_destroy(BROODI_BARRIER, barrier.id, "barrier");
    if (status == BROOD_OK)
        free_parties(barrier.id, first);
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
            free_party(index, id);
    }
}

// Deaths

// Breaks the barrier if this party slot names the thread, for the current round or the one before.
static void break_for(const struct broodi_party_slot *party, uint64_t id, uint32_t thread,
                      uint32_t generation)
{
    struct broodi_barrier_slot *slot = find((brood_barrier){ id });
    while (slot) {
        const uint64_t state = broodi_word_look(&slot->state);
        const uint32_t round = round_of(state);
        const uint32_t before = round_before(round);
        const uint64_t now = load_entry(party, round);
        const uint64_t then = load_entry(party, before);
        const bool counts = (is_of_round(now, round) && is_thread(now, thread, generation)) ||
                            (is_of_round(then, before) && is_thread(then, thread, generation));
        if (!counts || !broodi_handle_is_current(id, state) || (broodi_low(state) & BROKEN) ||
            break_round(slot, state))
            return;
    }
}

void broodi_barriers_break_for(uint32_t thread, uint32_t generation)
{
    const uint32_t limit = broodi_slot_limit(BROODI_PARTY);
    for (uint32_t index = 0; (index = broodi_slot_next(BROODI_PARTY, index, limit)) < limit;
         index++) {
        const struct broodi_party_slot *party = party_at(index);
        const uint64_t id = atomic_load_explicit(&party->barrier, memory_order_acquire);
        if (id)
            break_for(party, id, thread, generation);
    }
}

// Waiting

struct waiter {
    brood_barrier barrier;
    struct broodi_barrier_slot *slot;
    uint32_t thread;
    uint32_t generation;
    int64_t deadline;
};

// Whether a thread that joins `round` may take the entry: it is EMPTY or LEFT, or was written in
// another round by a thread that has ended.
static bool is_free(uint64_t word, uint32_t round)
{
    return !word || (word & LEFT) ||
           (!is_of_round(word, round) && fate_of(word) != BROODI_FATE_LIVES);
}

// Whether the entry names, for this very round, a thread that has ended without breaking the
// barrier: by its return, or with its process in order. It will not mark the entry LEFT.
static bool is_abandoned(uint64_t word, uint32_t round)
{
    return is_of_round(word, round) && fate_of(word) == BROODI_FATE_GONE;
}

// Writes the caller's name into an entry that `fits`, for the round of `state`; NULL when there is
// none.
static _Atomic uint64_t *take_entry(const struct waiter *waiter, uint64_t state,
                                    bool (*fits)(uint64_t word, uint32_t round))
{
    struct broodi_party_slot *party;
    const uint32_t round = round_of(state);
    uint32_t index = atomic_load_explicit(&waiter->slot->first, memory_order_relaxed);
    while ((party = next_party(waiter->barrier.id, &index)) != NULL) {
        _Atomic uint64_t *entry = &party->entries[round & 1];
        uint64_t word = atomic_load_explicit(entry, memory_order_acquire);
        // The state is loaded after the entry. A free entry implies that the round cannot complete
        // without it: if the round is still the current one, it stays incomplete until the entry
        // changes, and then the compare-and-swap fails. With an abandoned entry the round may have
        // completed before the name was written; count_in() detects that, and the name is erased.
        if (fits(word, round) && round_of(broodi_word_look(&waiter->slot->state)) == round &&
            atomic_compare_exchange_strong_explicit(
                entry, &word, entry_word(waiter->thread, waiter->generation, round),
                memory_order_acq_rel, memory_order_relaxed))
            return entry;
    }
    return NULL;
}

// Counts the caller, which has an entry, and returns its number in the round; false when the round
// has ended before.
static bool count_in(const struct waiter *waiter, uint32_t round, uint32_t *out_number)
{
    const uint32_t parties = atomic_load_explicit(&waiter->slot->parties, memory_order_acquire);
    for (;;) {
        const uint64_t state = broodi_word_look(&waiter->slot->state);
        if (!broodi_handle_is_current(waiter->barrier.id, state) || (broodi_low(state) & BROKEN) ||
            round_of(state) != round)
            return false;
        *out_number = count_of(state);
        if (*out_number + 1 >= parties
                ? end_round(waiter->slot, state, add_turns(round, 1) << ROUND_AT)
                : broodi_word_swap(&waiter->slot->state, state, broodi_low(state) + 1))
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
        return break_round(waiter->slot, state) ? BROOD_TIMEOUT : BROOD_OK;
    if (has_dead_participant(waiter->slot, waiter->barrier.id, round_of(state))) {
        (void)break_round(waiter->slot, state);
        return BROOD_OK;
    }
    broodi_wait(&waiter->slot->state, state, BROODI_NONE,
                broodi_until(waiter->deadline, now, span));
    return BROOD_OK;
}

// Whether the word is the caller's name for this round. Once the barrier is destroyed, the entry
// may belong to another barrier and name another thread.
static bool is_own(const struct waiter *waiter, uint64_t word, uint32_t round)
{
    return word && round_named(word) == round &&
           is_thread(word, waiter->thread, waiter->generation);
}

// How the round ended for the caller, which was counted in it; BROOD_BUSY while it has not ended.
// `word` is the caller's entry, loaded before `state`.
static brood_status outcome(const struct waiter *waiter, uint64_t state, uint32_t round,
                            uint64_t word)
{
    const uint32_t present = round_of(state);
    const bool current = broodi_handle_is_current(waiter->barrier.id, state);
    if (!current && !broodi_object_has_ended(waiter->barrier.id, state))
        return BROOD_STALE;
    // Checked first: the number of the round may have come again since the reset that set BAD.
    if (is_own(waiter, word, round) && (word & BAD))
        return BROOD_BROKEN;
    if ((present ^ round) & TURN)
        return BROOD_OK;
    if (present != round || (broodi_low(state) & BROKEN))
        return BROOD_BROKEN;
    return current ? BROOD_BUSY : BROOD_STALE;
}

static brood_status await(const struct waiter *waiter, uint32_t round,
                          const _Atomic uint64_t *entry)
{
    for (;;) {
        const uint64_t word = atomic_load_explicit(entry, memory_order_acquire);
        const uint64_t state = broodi_word_look(&waiter->slot->state);
        const brood_status status = outcome(waiter, state, round, word);
        if (status != BROOD_BUSY)
            return status;
        if (check_and_wait(waiter, state, LONG_WAIT) == BROOD_TIMEOUT)
            return BROOD_TIMEOUT;
    }
}

// Marks the caller's entry LEFT; with `erase`, for a caller that was not counted, makes it EMPTY.
static void leave_entry(const struct waiter *waiter, uint32_t round, _Atomic uint64_t *entry,
                        bool erase)
{
    uint64_t word = atomic_load_explicit(entry, memory_order_acquire);
    while (is_own(waiter, word, round) &&
           !atomic_compare_exchange_weak_explicit(entry, &word, erase ? 0 : word | LEFT,
                                                  memory_order_acq_rel, memory_order_acquire))
        continue;
}

// Counts the caller, which has an entry, and waits for the end of the round. False when the round
// had ended before the caller could count itself.
static bool take_part(const struct waiter *waiter, uint32_t round, _Atomic uint64_t *entry,
                      uint32_t *out_number, brood_status *out_status)
{
    broodi_step(BROODI_STEP_BARRIER_PLACE);
    const bool counted = count_in(waiter, round, out_number);
    broodi_step(BROODI_STEP_BARRIER_COUNTED);
    if (counted)
        *out_status = await(waiter, round, entry);
    broodi_step(BROODI_STEP_BARRIER_SEEN);
    leave_entry(waiter, round, entry, !counted);
    return counted;
}

// Takes part in the first round that has an entry for the caller.
static brood_status join(const struct waiter *waiter, uint32_t *out_number)
{
    brood_status status = BROOD_OK;
    int64_t span = SHORT_WAIT;
    uint32_t round = ROUND + 1; // none: no round has this number
    while (status == BROOD_OK) {
        const uint64_t state = broodi_word_look(&waiter->slot->state);
        if (!broodi_handle_is_current(waiter->barrier.id, state))
            return BROOD_STALE;
        if (broodi_low(state) & BROKEN)
            return BROOD_BROKEN;
        if (round_of(state) != round) // a new round: poll at short intervals again
            span = SHORT_WAIT;
        round = round_of(state);
        _Atomic uint64_t *entry = take_entry(waiter, state, is_free);
        if (!entry)
            entry = take_entry(waiter, state, is_abandoned);
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

static brood_status wait_for_all(brood_barrier barrier, brood_duration timeout, uint32_t *out_index)
{
    uint32_t number = 0;
    struct waiter waiter = { .barrier = barrier,
                             .slot = find(barrier),
                             .deadline = broodi_deadline(timeout) };
    if (!waiter.slot)
        return not_found();
    waiter.thread = broodi_self_slot();
    if (waiter.thread == BROODI_NONE)
        return BROOD_NO_RESOURCES;
    struct broodi_thread_slot *self = broodi_slot(BROODI_THREAD, waiter.thread);
    waiter.generation =
        broodi_generation(atomic_load_explicit(&self->state.state, memory_order_relaxed));
    atomic_store_explicit(&self->barrier_generation, waiter.generation, memory_order_relaxed);
    broodi_object_await(barrier.id, waiter.slot);
    broodi_race_release(waiter.slot);
    const brood_status status = join(&waiter, &number);
    broodi_race_acquire(waiter.slot);
    broodi_object_await_no_more();
    if (status == BROOD_OK && out_index)
        *out_index = number;
    return status;
}

brood_status brood_barrier_wait(brood_barrier barrier, brood_duration timeout, uint32_t *out_index)
{
    return broodi_answer("brood_barrier_wait", wait_for_all(barrier, timeout, out_index));
}

// Reset, abort, queries

// Calls `fn` with the current state until it succeeds. It fails only when the state has changed.
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

// The word of an entry after the reset of `round`: names of its epoch with LEFT are erased, names
// of the round without LEFT become BAD. After 2048 resets the number of the round comes again, and
// neither may count as a name of that later round.
static uint64_t after_reset(uint64_t word, uint32_t round)
{
    const uint32_t named = round_named(word);
    if (!word || ((named ^ round) & EPOCH) != 0)
        return word;
    if (word & LEFT)
        return 0;
    return named == round ? word | BAD : word;
}

static void clean_entries(const struct broodi_barrier_slot *slot, uint64_t id, uint32_t round)
{
    struct broodi_party_slot *party;
    uint32_t index = atomic_load_explicit(&slot->first, memory_order_relaxed);
    while ((party = next_party(id, &index)) != NULL) {
        for (int i = 0; i < 2; i++) {
            uint64_t word = atomic_load_explicit(&party->entries[i], memory_order_acquire);
            while (after_reset(word, round) != word &&
                   !atomic_compare_exchange_weak_explicit(
                       &party->entries[i], &word, after_reset(word, round), memory_order_acq_rel,
                       memory_order_acquire))
                continue;
        }
    }
}

// The new round is open from the compare-and-swap on. The names that clean_entries() changes are of
// the epoch before, so they do not count in the new round.
static bool try_reset(struct broodi_barrier_slot *slot, uint64_t id, uint64_t state)
{
    const uint32_t round = round_of(state);
    if (!broodi_word_swap(&slot->state, state, next_epoch(round) << ROUND_AT))
        return false;
    broodi_step(BROODI_STEP_BARRIER_RESET);
    broodi_wake(&slot->state, BROODI_ALL);
    broodi_step(BROODI_STEP_BARRIER_RESET_TOLD);
    clean_entries(slot, id, round);
    return true;
}

static bool try_abort(struct broodi_barrier_slot *slot, uint64_t id, uint64_t state)
{
    (void)id;
    return (broodi_low(state) & BROKEN) || break_round(slot, state);
}

brood_status brood_barrier_reset(brood_barrier barrier)
{
    return broodi_answer("brood_barrier_reset", change(barrier, try_reset));
}

brood_status brood_barrier_abort(brood_barrier barrier)
{
    return broodi_answer("brood_barrier_abort", change(barrier, try_abort));
}

static brood_status load_state(brood_barrier barrier, const void *out, uint64_t *out_state)
{
    const struct broodi_barrier_slot *slot = find(barrier);
    if (!slot)
        return not_found();
    if (!out)
        return broodi_fail(BROOD_INVALID, "out is NULL");
    *out_state = broodi_word_look(&slot->state);
    return broodi_handle_is_current(barrier.id, *out_state) ? BROOD_OK : BROOD_STALE;
}

brood_status brood_barrier_is_broken(brood_barrier barrier, bool *out)
{
    uint64_t state = 0;
    const brood_status status = load_state(barrier, out, &state);
    if (status == BROOD_OK)
        *out = broodi_low(state) & BROKEN;
    return broodi_answer("brood_barrier_is_broken", status);
}

brood_status brood_barrier_waiting(brood_barrier barrier, uint32_t *out)
{
    uint64_t state = 0;
    const brood_status status = load_state(barrier, out, &state);
    if (status == BROOD_OK)
        *out = count_of(state);
    return broodi_answer("brood_barrier_waiting", status);
}
