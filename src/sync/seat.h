// SPDX-License-Identifier: MIT
// Seats, in which threads wait for conditions, and the words in them. Each thread slot has a seat
// with the same number.
//
// The word of a seat is {the condition's generation and slot 42, ticket 19, phase 3}:
//
//   0 --enter--> ENTERING --ticket--> WAITING --notify--> CHOSEN --leave--> 0
//                                     |     |--notify of several--> CLAIMED --> CHOSEN
//                                     |--timeout, destroy--> 0
//
// A second word of the seat holds the lock that the thread released for the wait, and the
// condition's epoch when the ticket was taken: {epoch 22, generation and slot of the lock 42}.
//
// The low word of a condition is {last ticket 19, epoch 12, WAITERS}.
#ifndef SEAT_H
#define SEAT_H

#include "arena/family.h"
#include "arena/slots.h"

#include <stdbool.h>
#include <stdint.h>

enum broodi_seat_phase {
    BROODI_SEAT_ENTERING = 1, // the thread has no ticket yet and still holds the lock
    BROODI_SEAT_WAITING,
    BROODI_SEAT_CLAIMED, // instead of the ticket, the notifier, which has not claimed all yet
    BROODI_SEAT_CHOSEN,
};

enum {
    BROODI_SEAT_PHASE_BITS = 3,
    BROODI_TICKET_BITS = 19,
    BROODI_EPOCH_BITS = 12,
    BROODI_SEAT_HANDLE_BITS = BROODI_GENERATION_BITS + BROODI_SLOT_BITS,
    BROODI_SEAT_HANDLE_AT = BROODI_SEAT_PHASE_BITS + BROODI_TICKET_BITS,
    BROODI_EPOCH_AT = 1,
    BROODI_TICKET_AT = BROODI_EPOCH_AT + BROODI_EPOCH_BITS,
};

_Static_assert(BROODI_SEAT_HANDLE_AT + BROODI_SEAT_HANDLE_BITS == 64,
               "handle, ticket and phase fill a seat's word");
_Static_assert(BROODI_TICKET_AT + BROODI_TICKET_BITS == 32,
               "a ticket that wraps around changes no other field");
_Static_assert(BROODI_EPOCH_BITS <= 64 - BROODI_SEAT_HANDLE_BITS, "an epoch fits above a lock");

#define BROODI_SEAT_PHASE ((UINT64_C(1) << BROODI_SEAT_PHASE_BITS) - 1)
#define BROODI_SEAT_HANDLE ((UINT64_C(1) << BROODI_SEAT_HANDLE_BITS) - 1)
#define BROODI_TICKET ((UINT32_C(1) << BROODI_TICKET_BITS) - 1)
#define BROODI_EPOCH ((UINT32_C(1) << BROODI_EPOCH_BITS) - 1)

static inline struct broodi_seat *broodi_seat_at(uint32_t thread)
{
    return broodi_slot(BROODI_SEAT, thread);
}

static inline uint64_t broodi_seat_word(uint64_t id, uint32_t ticket, enum broodi_seat_phase phase)
{
    return id << BROODI_SEAT_HANDLE_AT |
           (uint64_t)(ticket & BROODI_TICKET) << BROODI_SEAT_PHASE_BITS | (uint64_t)phase;
}

static inline bool broodi_seat_is_for(uint64_t word, uint64_t id)
{
    return word && (word ^ broodi_seat_word(id, 0, 0)) >> BROODI_SEAT_HANDLE_AT == 0;
}

static inline enum broodi_seat_phase broodi_seat_phase_of(uint64_t word)
{
    return (enum broodi_seat_phase)(word & BROODI_SEAT_PHASE);
}

// In a claimed seat this is the notifier.
static inline uint32_t broodi_seat_ticket(uint64_t word)
{
    return (uint32_t)(word >> BROODI_SEAT_PHASE_BITS) & BROODI_TICKET;
}

static inline bool broodi_seat_change(struct broodi_seat *seat, uint64_t from, uint64_t to)
{
    return atomic_compare_exchange_strong_explicit(&seat->state.state, &from, to,
                                                   memory_order_acq_rel, memory_order_relaxed);
}

static inline void broodi_seat_set_lock(struct broodi_seat *seat, uint64_t lock, uint32_t epoch)
{
    atomic_store_explicit(&seat->lock,
                          (uint64_t)epoch << BROODI_SEAT_HANDLE_BITS | (lock & BROODI_SEAT_HANDLE),
                          memory_order_relaxed);
}

static inline bool broodi_seat_has_lock(const struct broodi_seat *seat, uint64_t lock)
{
    return ((atomic_load_explicit(&seat->lock, memory_order_relaxed) ^ lock) &
            BROODI_SEAT_HANDLE) == 0;
}

static inline uint32_t broodi_seat_epoch(const struct broodi_seat *seat)
{
    return (uint32_t)(atomic_load_explicit(&seat->lock, memory_order_relaxed) >>
                      BROODI_SEAT_HANDLE_BITS) &
           BROODI_EPOCH;
}

// The ticket and the epoch in a condition's state.
static inline uint32_t broodi_last_ticket(uint64_t state)
{
    return broodi_low(state) >> BROODI_TICKET_AT;
}

static inline uint32_t broodi_epoch(uint64_t state)
{
    return broodi_low(state) >> BROODI_EPOCH_AT & BROODI_EPOCH;
}

static inline bool broodi_seat_is_waiting(uint64_t word)
{
    return broodi_seat_phase_of(word) == BROODI_SEAT_WAITING;
}

// Whether a notify of all, before or at this state, has released the waiter in the seat. Epochs
// are compared by distance: up to half of their number apart, the seat's is the earlier one.
static inline bool broodi_seat_is_released(const struct broodi_seat *seat, uint64_t state)
{
    const uint32_t passed = (broodi_epoch(state) - broodi_seat_epoch(seat)) & BROODI_EPOCH;
    return passed > 0 && passed <= BROODI_EPOCH / 2;
}

// The number of seats that a scan has to visit.
uint32_t broodi_seat_limit(void);

// Whether no living thread has the seat.
bool broodi_seat_is_abandoned(const struct broodi_seat *seat);

// Finds the next seat from `*index` on in which a thread waits for the condition, or is about to,
// and is neither claimed nor chosen; NULL if there is none. The caller checks whether that thread
// is alive, if it needs to know: on some systems the check is a system call. Only the seat of a
// thread that died before it had a ticket is cleared here.
struct broodi_seat *broodi_seat_next(uint64_t id, uint32_t *index, uint64_t *out_word);

// Marks a released waiter CHOSEN, unless it has seen the epoch and left. If the swap fails
// because the seat's ticket was renewed, it is tried again.
void broodi_seat_choose_released(struct broodi_seat *seat, uint64_t word, uint64_t id,
                                 uint64_t state);

// Ends the wait with BROOD_STALE, unless the word is not `word` any more.
void broodi_seat_end_wait(struct broodi_seat *seat, uint64_t word);

// Ends, with BROOD_STALE, the waits of all threads that released this lock for a condition: the
// lock was destroyed.
void broodi_seats_end_waits(uint64_t lock);

// Renews the ticket if it is older than a quarter of all tickets. Each thread that takes a ticket
// does so for all waiters. Otherwise the age of a ticket could pass half of all tickets, and a
// notifier would take it for a later one. The order among renewed tickets is lost.
void broodi_seat_renew_ticket(struct broodi_seat *seat, uint64_t word, uint64_t id, uint64_t state);

// The seat of the thread that has waited longest of those that waited in this state; NULL if
// there is none. `*out_empty` receives whether no thread waits for the condition or is about to.
struct broodi_seat *broodi_seat_first(uint64_t id, uint64_t state, uint64_t *out_word,
                                      bool *out_empty);

// Claims the seat for the notifier, the calling thread; without one, 0, chooses the waiter at once.
// False if the word was not `word` any more.
bool broodi_seat_claim(struct broodi_seat *seat, uint64_t word, uint64_t id, broodi_owner notifier);

// Chooses all waiters that the notifier has claimed.
void broodi_seat_choose_claimed(uint64_t id, broodi_owner notifier);

// Waits, as the waiter in this claimed seat, until the notifier has claimed the rest and chosen
// all, or until the notifier has ended. `seen` is the word of the seat, `id` the condition.
void broodi_seat_await_claim(struct broodi_seat *seat, uint64_t seen, uint64_t id);

#endif
