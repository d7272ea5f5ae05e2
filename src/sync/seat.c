// SPDX-License-Identifier: MIT
#include "sync/seat.h"

#include "arena/blocking.h"
#include "arena/groups.h"
#include "arena/owner.h"
#include "arena/self.h"
#include "base/invariant.h"
#include "base/step.h"

// Tickets older than this are renewed.
#define OLDEST (BROODI_TICKET / 4)

uint32_t broodi_seat_limit(void)
{
    const uint32_t seats = broodi_slot_limit(BROODI_SEAT);
    const uint32_t threads = broodi_slot_end(BROODI_THREAD);
    return seats < threads ? seats : threads;
}

bool broodi_seat_is_abandoned(const struct broodi_seat *seat)
{
    const uint32_t thread = broodi_slot_index(BROODI_SEAT, seat);
    return broodi_owner_state(broodi_owner_at(BROODI_THREAD, thread)) != BROODI_OWNER_LIVES;
}

struct broodi_seat *broodi_seat_next(uint64_t id, uint32_t *index, uint64_t *out_word)
{
    const uint32_t limit = broodi_seat_limit();
    while ((*index = broodi_slot_next(BROODI_THREAD, *index, limit)) < limit) {
        struct broodi_seat *seat = broodi_seat_at((*index)++);
        const uint64_t word = atomic_load_explicit(&seat->state.state, memory_order_seq_cst);
        const enum broodi_seat_phase phase = broodi_seat_phase_of(word);
        if (!broodi_seat_is_for(word, id) || phase > BROODI_SEAT_WAITING)
            continue;
        if (phase == BROODI_SEAT_ENTERING && broodi_seat_is_abandoned(seat)) {
            (void)broodi_seat_change(seat, word, 0);
            continue;
        }
        *out_word = word;
        return seat;
    }
    return NULL;
}

// Changes the word to CHOSEN and wakes the waiter. False if the word was not `word` any more.
static bool choose(struct broodi_seat *seat, uint64_t word)
{
    broodi_assert(broodi_seat_is_waiting(word) ||
                  broodi_seat_phase_of(word) == BROODI_SEAT_CLAIMED);
    const uint64_t chosen = (word & ~BROODI_SEAT_PHASE) | BROODI_SEAT_CHOSEN;
    if (!broodi_seat_change(seat, word, chosen))
        return false;
    broodi_step(BROODI_STEP_CONDITION_CHOSEN);
    broodi_changed(BROODI_SEAT, &seat->state, 1);
    return true;
}

void broodi_seat_choose_released(struct broodi_seat *seat, uint64_t word, uint64_t id,
                                 uint64_t state)
{
    while (broodi_seat_is_for(word, id) && broodi_seat_is_waiting(word) &&
           broodi_seat_is_released(seat, state) && !choose(seat, word))
        word = broodi_word_load(&seat->state);
}

void broodi_seat_end_wait(struct broodi_seat *seat, uint64_t word)
{
    if (broodi_seat_change(seat, word, 0))
        broodi_changed(BROODI_SEAT, &seat->state, 1);
}

void broodi_seats_end_waits(uint64_t lock)
{
    const uint32_t limit = broodi_seat_limit();
    for (uint32_t index = 0; index < limit; index++) {
        struct broodi_seat *seat = broodi_seat_at(index);
        const uint64_t word = broodi_word_load(&seat->state);
        if (broodi_seat_is_waiting(word) && broodi_seat_has_lock(seat, lock))
            broodi_seat_end_wait(seat, word);
    }
}

// The age of the ticket: how many tickets have been taken since, up to `state`. An age of more
// than half of all tickets means that the ticket was taken after `state`.
static uint32_t age(uint64_t word, uint64_t state)
{
    return (broodi_last_ticket(state) - broodi_seat_ticket(word)) & BROODI_TICKET;
}

static bool waited_when(const struct broodi_seat *seat, uint64_t word, uint64_t state)
{
    return broodi_seat_is_waiting(word) && age(word, state) <= BROODI_TICKET / 2 &&
           broodi_seat_epoch(seat) == broodi_epoch(state);
}

void broodi_seat_renew_ticket(struct broodi_seat *seat, uint64_t word, uint64_t id, uint64_t state)
{
    if (waited_when(seat, word, state) && age(word, state) > OLDEST)
        (void)broodi_seat_change(
            seat, word,
            broodi_seat_word(id, broodi_last_ticket(state) - OLDEST, BROODI_SEAT_WAITING));
}

struct broodi_seat *broodi_seat_first(uint64_t id, uint64_t state, uint64_t *out_word,
                                      bool *out_empty)
{
    uint64_t word;
    struct broodi_seat *seat;
    struct broodi_seat *first = NULL;
    *out_empty = true;
    for (uint32_t index = 0; (seat = broodi_seat_next(id, &index, &word)) != NULL;) {
        *out_empty = false;
        if (!waited_when(seat, word, state) || (first && age(word, state) <= age(*out_word, state)))
            continue;
        first = seat;
        *out_word = word;
    }
    return first;
}

// A claimed seat has no room for the lowest bit of a short owner, which is always 1.
enum { CLAIM_BITS = BROODI_TICKET_BITS + 1 };

_Static_assert((int)CLAIM_BITS > (int)BROODI_OWNER_GENERATION_AT,
               "a claimed seat tells a notifier from the next thread in its slot");

static uint64_t claimed_word(uint64_t id, broodi_owner notifier)
{
    return broodi_seat_word(id, (uint32_t)(notifier >> 1), BROODI_SEAT_CLAIMED);
}

bool broodi_seat_claim(struct broodi_seat *seat, uint64_t word, uint64_t id, broodi_owner notifier)
{
    broodi_assert(broodi_seat_is_waiting(word) && broodi_seat_is_for(word, id));
    if (notifier == 0)
        return choose(seat, word);
    if (!broodi_seat_change(seat, word, claimed_word(id, notifier)))
        return false;
    broodi_step(BROODI_STEP_CONDITION_CLAIMED);
    return true;
}

void broodi_seat_choose_claimed(uint64_t id, broodi_owner notifier)
{
    const uint64_t claimed = claimed_word(id, notifier);
    const uint32_t limit = broodi_seat_limit();
    for (uint32_t index = 0; index < limit; index++) {
        struct broodi_seat *seat = broodi_seat_at(index);
        if (broodi_word_load(&seat->state) == claimed)
            (void)choose(seat, claimed);
    }
}

void broodi_seat_await_claim(struct broodi_seat *seat, uint64_t seen, uint64_t id)
{
    broodi_assert(broodi_seat_phase_of(seen) == BROODI_SEAT_CLAIMED);
    const uint64_t notifier = (uint64_t)broodi_seat_ticket(seen) << 1 | 1;
    broodi_block_on(BROODI_WAITS_OBJECT, id, &seat->state, seen, broodi_owner_slot(notifier),
                    INT64_MAX);
    if (broodi_owner_state(broodi_owner_complete(BROODI_THREAD, notifier, CLAIM_BITS)) !=
        BROODI_OWNER_LIVES)
        (void)broodi_seat_change(seat, seen, (seen & ~BROODI_SEAT_PHASE) | BROODI_SEAT_CHOSEN);
}
