// SPDX-License-Identifier: MIT
// The entries of barriers. barrier.c describes the rounds, and the state of a barrier.
//
// A barrier for N parties has N party slots with two entries each: one for even turns, one for odd
// turns (the halves). A participant first writes its name into an entry of its turn's half, then
// counts itself. The states of one entry:
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
//   NAMED or BAD    EMPTY           its participant: the round had ended before it counted itself
//   NAMED(round)    LEFT            its participant, when it has read how the round ended
//   BAD             LEFT            its participant, likewise; BAD stays set beside LEFT
//   NAMED(round)    BAD             the reset of that round
//   LEFT            EMPTY           a reset in the epoch of the name
//
// Each change is a compare-and-swap of the entry's word. A participant that is killed leaves the
// entry as it is: NAMED, if it was killed before it has left.
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
// breaking the barrier. Whether that thread has counted itself is unknown, so the entry is taken
// only when no other is free. If the thread had, the round completes although one entry of the half
// is still that of a participant of two turns before. Turns would be mistaken only if that happened
// in seven rounds of the half while that participant does not run.
//
// 4. The names of the current round and of the one before are in the entries, since those rounds
// have different halves. When a thread that they name is killed, the barrier is broken, also if the
// thread has LEFT: waiters check this once a second, and the burial of a thread does so for that
// thread. The death of a participant of the round before counts because the current round usually
// waits for the same threads.
//
// 5. The number of a round comes again after 2048 resets. A participant that had not read how its
// round ended then finds BAD, and the names of those that had left are EMPTY.
#include "sync/parties.h"

#include "arena/allocator.h"
#include "arena/groups.h"
#include "arena/owner.h"
#include "arena/thread_slot.h"
#include "base/invariant.h"
#include "base/step.h"
#include "sync/object.h"

static struct broodi_party_slot *party_at(uint32_t index)
{
    return broodi_slot(BROODI_PARTY, index);
}

// The word of an entry: {BAD, LEFT, round 15, short owner 47}; 0 for EMPTY. NAMED has neither BAD
// nor LEFT.

enum { OWNER_BITS = 47, LEFT_AT = OWNER_BITS + BROODI_ROUND_BITS, BAD_AT };

_Static_assert(BAD_AT == 63, "owner, round and flags fill the word of an entry");

#define LEFT (UINT64_C(1) << LEFT_AT)
#define BAD (UINT64_C(1) << BAD_AT)

static uint64_t entry_word(broodi_owner thread, uint32_t round)
{
    broodi_assert(round <= BROODI_ROUND && thread);
    return (uint64_t)round << OWNER_BITS | broodi_owner_shorten(thread, OWNER_BITS);
}

static uint32_t round_before(uint32_t round)
{
    return broodi_round_add(round, BROODI_ROUND_TURN); // 15 of 16 turns
}

static uint32_t round_named(uint64_t word)
{
    return (uint32_t)(word >> OWNER_BITS) & BROODI_ROUND;
}

// True for LEFT, too: the death of a participant that has left still breaks the barrier.
static bool is_of_round(uint64_t word, uint32_t round)
{
    return word && !(word & BAD) && round_named(word) == round;
}

static bool is_thread(uint64_t word, broodi_owner thread)
{
    return broodi_owner_shorten(word ^ thread, OWNER_BITS) == 0;
}

// The thread that the entry names; 0 if it is buried.
static broodi_owner thread_of(uint64_t word)
{
    return broodi_owner_complete(BROODI_THREAD, broodi_owner_shorten(word, OWNER_BITS), OWNER_BITS);
}

static bool is_living(uint64_t word)
{
    return broodi_owner_state(thread_of(word)) == BROODI_OWNER_LIVES;
}

// Whether the process in this slot has stored its exit record: then it has ended in order, and its
// threads with it. Acquire: pairs with the release of that store (ending.c), and with that of NONE
// for the next process in the slot (process_slot.c).
static bool was_in_order(uint32_t process)
{
    return process >= broodi_slot_limit(BROODI_PROCESS) ||
           atomic_load_explicit(
               &((const struct broodi_process_slot *)broodi_slot(BROODI_PROCESS, process))->record,
               memory_order_acquire) != BROODI_RECORD_NONE;
}

// The record of the process is loaded first. If `barrier_generation` is still set afterwards, the
// thread was not buried when the record was loaded, so the slot of the process was still that of
// the thread's own process: the worker that frees that slot has cleared `barrier_generation`
// before. Acquire: pairs with the clearing in the burial. A thread that loads 0 finds the barriers
// broken.
bool broodi_participant_was_killed(broodi_owner thread)
{
    if (broodi_owner_state(thread) != BROODI_OWNER_DEAD)
        return false;
    const struct broodi_thread_slot *slot = broodi_slot(BROODI_THREAD, broodi_owner_slot(thread));
    const uint64_t state = broodi_word_load(&slot->state);
    const bool in_order = was_in_order(broodi_thread_process_of(state));
    const uint32_t barrier_generation =
        atomic_load_explicit(&slot->barrier_generation, memory_order_acquire);
    return barrier_generation == broodi_owner_generation(thread) && !in_order;
}

static bool has_died(uint64_t word)
{
    return broodi_participant_was_killed(thread_of(word));
}

// Acquire: pairs with the swap that wrote the name. A thread that loads the name finds the thread's
// `barrier_generation` set.
static uint64_t load_entry(const struct broodi_party_slot *party, uint32_t round)
{
    return atomic_load_explicit(&party->entries[round & 1], memory_order_acquire);
}

bool broodi_party_names(const struct broodi_party_slot *party, uint32_t round, broodi_owner thread)
{
    const uint32_t before = round_before(round);
    const uint64_t now = load_entry(party, round);
    const uint64_t then = load_entry(party, before);
    return (is_of_round(now, round) && is_thread(now, thread)) ||
           (is_of_round(then, before) && is_thread(then, thread));
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

bool broodi_parties_have_dead(const struct broodi_barrier_slot *slot, uint64_t id, uint32_t round)
{
    const struct broodi_party_slot *party;
    uint32_t index = atomic_load_explicit(&slot->first, memory_order_relaxed);
    while ((party = next_party(id, &index)) != NULL)
        if (names_dead(party, round))
            return true;
    return false;
}

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
    (void)broodi_slot_free(BROODI_PARTY, index, broodi_word_load(&party->state));
}

void broodi_parties_free(uint64_t id, uint32_t first)
{
    for (uint32_t index = first, next = first; next_party(id, &next) != NULL; index = next)
        free_party(index, id);
}

static brood_status add_party(struct broodi_barrier_slot *slot, uint64_t id)
{
    uint32_t index;
    const brood_status status = broodi_slot_allocate(BROODI_PARTY, 0, &index);
    if (status != BROOD_OK)
        return status;
    struct broodi_party_slot *party = party_at(index);
    broodi_step(BROODI_STEP_PARTY_TAKEN);
    for (int i = 0; i < 2; i++)
        atomic_store_explicit(&party->entries[i], 0, memory_order_relaxed);
    atomic_store_explicit(&party->next, atomic_load_explicit(&slot->first, memory_order_relaxed),
                          memory_order_relaxed);
    // Release: pairs with the acquire loads in next_party() and in break_all_for() of barrier.c,
    // which find the entries empty and `next` set.
    atomic_store_explicit(&party->barrier, id, memory_order_release);
    broodi_step(BROODI_STEP_PARTY_TIED);
    // Release: pairs with the acquire in destroy() of barrier.c. The other loads are relaxed: their
    // callers got the handle from the creator, after this.
    atomic_store_explicit(&slot->first, index, memory_order_release);
    return BROOD_OK;
}

brood_status broodi_parties_add(struct broodi_barrier_slot *slot, uint64_t id, uint32_t parties)
{
    brood_status status = BROOD_OK;
    atomic_store_explicit(&slot->first, BROODI_NONE, memory_order_relaxed);
    for (uint32_t i = 0; status == BROOD_OK && i < parties; i++)
        status = add_party(slot, id);
    if (status != BROOD_OK)
        broodi_parties_free(id, atomic_load_explicit(&slot->first, memory_order_relaxed));
    return status;
}

void broodi_parties_sweep(void)
{
    const uint32_t limit = broodi_slot_limit(BROODI_PARTY);
    for (uint32_t index = 0; (index = broodi_slot_next(BROODI_PARTY, index, limit)) < limit;
         index++) {
        const uint64_t id = atomic_load_explicit(&party_at(index)->barrier, memory_order_acquire);
        const struct broodi_barrier_slot *slot = id ? broodi_object_find(BROODI_BARRIER, id) : NULL;
        if (slot && !broodi_handle_is_current(id, broodi_word_load(&slot->state)))
            free_party(index, id);
    }
}

// Whether a thread that joins `round` may take the entry: it is EMPTY or LEFT, or was written in
// another round by a thread that has ended.
static bool is_free(uint64_t word, uint32_t round)
{
    return !word || (word & LEFT) || (!is_of_round(word, round) && !is_living(word));
}

// Whether the entry names, for this very round, a thread that has ended without breaking the
// barrier: by its return, or with its process in order. It will not mark the entry LEFT.
static bool is_abandoned(uint64_t word, uint32_t round)
{
    return is_of_round(word, round) && !is_living(word) && !has_died(word);
}

// Whether the barrier still exists, and its round is this one.
static bool is_current(const struct broodi_participant *participant, uint32_t round)
{
    const uint64_t state = broodi_word_load(&participant->slot->state);
    return broodi_handle_is_current(participant->barrier, state) && broodi_round_of(state) == round;
}

// Writes the participant's name into a free entry of this round or, with `abandoned`, into an
// abandoned one; NULL when there is none.
static _Atomic uint64_t *take_entry(const struct broodi_participant *participant, uint32_t round,
                                    bool abandoned)
{
    struct broodi_party_slot *party;
    uint32_t index = atomic_load_explicit(&participant->slot->first, memory_order_relaxed);
    while ((party = next_party(participant->barrier, &index)) != NULL) {
        _Atomic uint64_t *entry = &party->entries[round & 1];
        uint64_t word = atomic_load_explicit(entry, memory_order_acquire);
        if (!(abandoned ? is_abandoned(word, round) : is_free(word, round)))
            continue;
        // The state is loaded after the entry. The round cannot complete without a free entry: if
        // it is still the current round, it stays incomplete until the entry changes, and then the
        // compare-and-swap fails. In three cases the name is written although the round has ended;
        // then the participant is not counted, and erases the name. The round may have been broken
        // or reset; with an abandoned entry it may have completed; and the barrier may have been
        // destroyed, so that the entry is an EMPTY one of the next barrier in the party slot. In
        // that last case a participant that is killed before it erases its name breaks a barrier
        // that it does not wait for.
        if (is_current(participant, round) &&
            atomic_compare_exchange_strong_explicit(entry, &word,
                                                    entry_word(participant->thread, round),
                                                    memory_order_acq_rel, memory_order_relaxed))
            return entry;
    }
    return NULL;
}

_Atomic uint64_t *broodi_entry_take(const struct broodi_participant *participant, uint32_t round)
{
    _Atomic uint64_t *entry = take_entry(participant, round, false);
    return entry ? entry : take_entry(participant, round, true);
}

// Whether the word is the participant's name for this round. Once the barrier is destroyed, the
// entry may belong to another barrier and name another thread.
static bool is_own(const struct broodi_participant *participant, uint64_t word, uint32_t round)
{
    const bool own = word && round_named(word) == round && is_thread(word, participant->thread);
    broodi_assert(!own || !(word & LEFT)); // the participant itself stores LEFT, and is here once
    return own;
}

bool broodi_entry_is_bad(const struct broodi_participant *participant, uint32_t round,
                         const _Atomic uint64_t *entry)
{
    const uint64_t word = atomic_load_explicit(entry, memory_order_acquire);
    return is_own(participant, word, round) && (word & BAD);
}

void broodi_entry_leave(const struct broodi_participant *participant, uint32_t round,
                        _Atomic uint64_t *entry, bool erase)
{
    uint64_t word = atomic_load_explicit(entry, memory_order_acquire);
    while (is_own(participant, word, round) &&
           !atomic_compare_exchange_weak_explicit(entry, &word, erase ? 0 : word | LEFT,
                                                  memory_order_acq_rel, memory_order_acquire))
        continue;
}

// The word of an entry after the reset of `round`: names of its epoch with LEFT are erased, names
// of the round without LEFT become BAD. After 2048 resets the number of the round comes again, and
// neither may count as a name of that later round.
static uint64_t after_reset(uint64_t word, uint32_t round)
{
    const uint32_t named = round_named(word);
    if (!word || ((named ^ round) & BROODI_ROUND_EPOCH) != 0)
        return word;
    if (word & LEFT)
        return 0;
    return named == round ? word | BAD : word;
}

void broodi_parties_reset(const struct broodi_barrier_slot *slot, uint64_t id, uint32_t round)
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
