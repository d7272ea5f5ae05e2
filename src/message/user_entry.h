// SPDX-License-Identifier: MIT
// Inside the lists of users: the entries; see users.c.
#ifndef USER_ENTRY_H
#define USER_ENTRY_H

#include "arena/family.h"
#include "arena/owner.h"
#include "arena/slots.h"

#include <stdbool.h>
#include <stdint.h>

// The phase of a taken entry, in the lowest bits of its low word. Above it, with MAKING: the
// worker, a short owner of a process; with USING: the lowest bits of the number of the use.
enum broodi_user_phase {
    BROODI_USER_MAKING, // the worker fills the entry, or frees it
    BROODI_USER_USING,  // `process` is in the list, or has died and is not found dead yet
    BROODI_USER_LEFT,   // the last process left, or ended in order
    BROODI_USER_LOST,   // the last process was killed
    BROODI_USER_UNUSED, // no process was in the list by this entry
};

enum { BROODI_USER_PHASE_BITS = 3, BROODI_USER_NAME_BITS = 32 - BROODI_USER_PHASE_BITS };

static inline enum broodi_user_phase broodi_user_phase_of(uint64_t state)
{
    const uint32_t mask = (UINT32_C(1) << BROODI_USER_PHASE_BITS) - 1;
    return (enum broodi_user_phase)(broodi_low(state) & mask);
}

// The low word with this phase, and the lowest bits of a worker or of the number of a use.
static inline uint32_t broodi_user_low(enum broodi_user_phase phase, uint64_t name)
{
    return (uint32_t)name << BROODI_USER_PHASE_BITS | (uint32_t)phase;
}

static inline uint32_t broodi_user_name(uint64_t state)
{
    return broodi_low(state) >> BROODI_USER_PHASE_BITS;
}

// Whether the state is that of a process's use, and the count that of the same use.
static inline bool broodi_user_is_using(uint64_t state, uint64_t count)
{
    return broodi_low(state) == broodi_user_low(BROODI_USER_USING, broodi_generation(count));
}

static inline bool broodi_user_count_swap(struct broodi_user_slot *slot, uint64_t *seen,
                                          uint64_t next)
{
    return atomic_compare_exchange_strong_explicit(&slot->count.state, seen, next,
                                                   memory_order_acq_rel, memory_order_acquire);
}

// Begins the next use of an entry, unless the one in `seen` has passed already. `keep`: with the
// same count, else with 0.
static inline void broodi_user_next_use(struct broodi_user_slot *slot, uint64_t seen, bool keep)
{
    const uint32_t use = broodi_generation(seen);
    while (broodi_generation(seen) == use &&
           !broodi_user_count_swap(slot, &seen, broodi_state(use + 1, keep ? broodi_low(seen) : 0)))
        continue;
}

// Whether the list is that of the object.
static inline bool broodi_user_list_is_of(const struct broodi_user_list *list, uint64_t id)
{
    const uint64_t first = atomic_load_explicit(&list->first, memory_order_acquire);
    return first >> BROODI_SLOT_BITS == id >> BROODI_SLOT_BITS;
}

// The first entry of the list, plus one; 0 if it has none, or belongs to another object.
static inline uint32_t broodi_user_first(const struct broodi_user_list *list, uint64_t id)
{
    const uint64_t first = atomic_load_explicit(&list->first, memory_order_acquire);
    const bool is_its = first >> BROODI_SLOT_BITS == id >> BROODI_SLOT_BITS;
    return is_its ? (uint32_t)first & BROODI_SLOT_MASK : 0;
}

// The entry at `*next`, which becomes that of the next one; NULL after the last, and when the entry
// does not belong to the object any more.
static inline struct broodi_user_slot *broodi_user_next(uint64_t id, uint32_t *next)
{
    if (*next == 0 || *next > broodi_slot_limit(BROODI_USER))
        return NULL;
    struct broodi_user_slot *slot = broodi_slot(BROODI_USER, *next - 1);
    if (atomic_load_explicit(&slot->object, memory_order_acquire) != id)
        return NULL;
    *next = atomic_load_explicit(&slot->next, memory_order_relaxed);
    return slot;
}

// This process, which takes a slot if it has none; 0, with a message, when it cannot.
broodi_owner broodi_user_self(void);

// A thread of an entry's process that lives: the one that entered, or else the first that the
// process had. 0: there is none of these.
broodi_owner broodi_user_living_thread(const struct broodi_user_slot *slot);

// Whether such a thread has died, not in order, and is not buried yet: then its process probably
// has.
bool broodi_user_is_suspect(const struct broodi_user_slot *slot);

// Whether the worker of a MAKING entry is known to have died.
bool broodi_user_is_abandoned(uint64_t state);

// Ends the use of an entry with this state, which is USING; false when another thread has done so.
bool broodi_user_depart(struct broodi_user_slot *slot, uint64_t state,
                        enum broodi_user_phase phase);

// Frees an entry of the object `id`, which does not exist any more, or an entry without an object.
// If another living process is filling or freeing it, that process frees it.
void broodi_user_free(struct broodi_user_slot *slot, uint64_t id);

#endif
