// SPDX-License-Identifier: MIT
// The entries of a barrier: which thread takes part in which round; see parties.c.
#ifndef PARTIES_H
#define PARTIES_H

#include "arena/family.h"
#include "arena/slots.h"

#include <brood/status.h>
#include <stdbool.h>
#include <stdint.h>

// The number of a round is {epoch 11, turn 4}. It stands above the count of 16 bits in the low word
// of a barrier's state.
enum {
    BROODI_ROUND_AT = 16,
    BROODI_ROUND_TURN_BITS = 4,
    BROODI_ROUND_EPOCH_BITS = 11,
    BROODI_ROUND_BITS = BROODI_ROUND_TURN_BITS + BROODI_ROUND_EPOCH_BITS,
};

#define BROODI_ROUND ((UINT32_C(1) << BROODI_ROUND_BITS) - 1)
#define BROODI_ROUND_TURN ((UINT32_C(1) << BROODI_ROUND_TURN_BITS) - 1)
#define BROODI_ROUND_EPOCH (BROODI_ROUND & ~BROODI_ROUND_TURN)

static inline uint32_t broodi_round_of(uint64_t state)
{
    return broodi_low(state) >> BROODI_ROUND_AT & BROODI_ROUND;
}

// The round of the same epoch that is `turns` later.
static inline uint32_t broodi_round_add(uint32_t round, uint32_t turns)
{
    return (round & BROODI_ROUND_EPOCH) | ((round + turns) & BROODI_ROUND_TURN);
}

// A thread that waits for a barrier.
struct broodi_participant {
    uint64_t barrier; // the handle
    struct broodi_barrier_slot *slot;
    broodi_owner thread;
};

// Adds `parties` party slots to the barrier, which has none yet. If that fails, the barrier has
// none afterwards. Fails as broodi_slot_allocate.
brood_status broodi_parties_add(struct broodi_barrier_slot *slot, uint64_t id, uint32_t parties);

// Frees the party slots, from `first` on, of the barrier `id`, which is destroyed or was not
// completely created.
void broodi_parties_free(uint64_t id, uint32_t first);

// Frees the party slots of destroyed barriers whose destroyer was killed before it freed them.
void broodi_parties_sweep(void);

// Writes the participant's name, for the round, into an entry that it may take; NULL if there is
// none, or if `round` is not the current round any more. The name may be written just after the
// round has ended: the caller counts itself, which fails then, and erases the name.
_Atomic uint64_t *broodi_entry_take(const struct broodi_participant *participant, uint32_t round);

// Whether the participant's entry is BAD: a reset ended the round.
bool broodi_entry_is_bad(const struct broodi_participant *participant, uint32_t round,
                         const _Atomic uint64_t *entry);

// Marks the participant's entry LEFT; with `erase`, for one that was not counted, makes it EMPTY.
void broodi_entry_leave(const struct broodi_participant *participant, uint32_t round,
                        _Atomic uint64_t *entry, bool erase);

// Whether the party slot names the thread, for this round or for the one before.
bool broodi_party_names(const struct broodi_party_slot *party, uint32_t round, broodi_owner thread);

// Whether the thread was killed after it had waited for a barrier, and its burial has not yet
// broken the barriers that name it. False for a thread that is buried.
bool broodi_participant_was_killed(broodi_owner thread);

// Whether an entry names, for this round or for the one before, a participant that was killed, as
// broodi_participant_was_killed says.
bool broodi_parties_have_dead(const struct broodi_barrier_slot *slot, uint64_t id, uint32_t round);

// Changes the entries after the reset that has ended `round`: LEFT becomes EMPTY, and NAMED becomes
// BAD.
void broodi_parties_reset(const struct broodi_barrier_slot *slot, uint64_t id, uint32_t round);

#endif
