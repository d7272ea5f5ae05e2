// SPDX-License-Identifier: MIT
// Owners: which thread or process a thing in shared memory belongs to, and whether it still lives.
//
// An owner is the slot of a thread or of a process, with the slot's generation, in one word. So it
// never stands for the next thread or process in the slot, and it is loaded and stored at once:
//
//   {0 15, generation without its lowest bit 31, slot 17, 1}
//
// The lowest bit of a generation is 1 in every taken slot. Here it is the lowest bit of the word,
// so no owner is 0: 0 is no owner. Whether the word names a thread or a process depends on where it
// is stored.
//
// A short owner, for a field with fewer bits, is the lowest bits of an owner: the slot, and some
// bits of its generation. broodi_owner_complete() finds the owner that it stands for. A field that
// need not tell none from slot 0 may leave out the lowest bit as well.
#ifndef OWNER_H
#define OWNER_H

#include "base/handle.h"
#include "base/invariant.h"
#include "base/word.h"
#include "os/os_life.h"

#include <stdbool.h>
#include <stdint.h>

enum { BROODI_OWNER_SLOT_BITS = 17, BROODI_OWNER_GENERATION_AT = 1 + BROODI_OWNER_SLOT_BITS };

// The owner of a taken slot with this state.
static inline broodi_owner broodi_owner_of(uint32_t slot, uint64_t state)
{
    broodi_assert((broodi_generation(state) & 1) && slot >> BROODI_OWNER_SLOT_BITS == 0);
    return (uint64_t)(broodi_generation(state) >> 1) << BROODI_OWNER_GENERATION_AT |
           (uint64_t)slot << 1 | 1;
}

// The slot of an owner, or of a short owner.
static inline uint32_t broodi_owner_slot(broodi_owner owner)
{
    return (uint32_t)(owner >> 1) & ((UINT32_C(1) << BROODI_OWNER_SLOT_BITS) - 1);
}

static inline uint32_t broodi_owner_generation(broodi_owner owner)
{
    return (uint32_t)(owner >> BROODI_OWNER_GENERATION_AT) << 1 | 1;
}

// Whether the owner's slot, which has this state, still belongs to the owner.
static inline bool broodi_owner_has_slot(broodi_owner owner, uint64_t state)
{
    return owner && broodi_generation(state) == broodi_owner_generation(owner);
}

// The short owner of `bits` bits, more than BROODI_OWNER_GENERATION_AT; 0 for none.
static inline uint64_t broodi_owner_shorten(broodi_owner owner, unsigned bits)
{
    return owner & ((UINT64_C(1) << bits) - 1);
}

// The owner of a slot of the kind, BROODI_THREAD or BROODI_PROCESS; 0 if the slot is free or does
// not exist.
broodi_owner broodi_owner_at(enum broodi_kind kind, uint32_t slot);

// The owner that a short owner of `bits` bits stands for; 0 if its slot is free, or belongs to an
// owner of which the short owner would be another one.
broodi_owner broodi_owner_complete(enum broodi_kind kind, uint64_t name, unsigned bits);

enum broodi_owner_state {
    BROODI_OWNER_LIVES,
    // The owner has ended, and still has its slot: what it owns may be taken over or repaired.
    BROODI_OWNER_DEAD,
    // The owner does not have the slot any more, or it begins or ends in order. Also for 0. No lock
    // names such an owner: the lock's word has changed since it was loaded. Anything else that it
    // owns may be taken over or repaired.
    BROODI_OWNER_GONE
};

// The state of a thread. If it is found ended here, its slot becomes DEAD. For a process see
// broodi_process_state().
enum broodi_owner_state broodi_owner_state(broodi_owner thread);

// The identity of a thread for the port.
brood_os_life_id broodi_owner_life_id(broodi_owner thread);

#endif
