// SPDX-License-Identifier: MIT
// A handle identifies a shared object in 64 bits: {family tag 18, kind 4, generation 22, slot
// 20}. A leaf.
#ifndef HANDLE_H
#define HANDLE_H

#include "base/invariant.h"

#include <stdint.h>

// Kinds of slots. Handles exist for those before BROODI_HANDLE_KINDS.
enum broodi_kind {
    BROODI_PRIVATE, // of no slot: memory of this process alone
    BROODI_LOCK,
    BROODI_SEMAPHORE,
    BROODI_EVENT,
    BROODI_CONDITION,
    BROODI_BARRIER,
    BROODI_BLOCK,
    BROODI_QUEUE,
    BROODI_CONNECTION,
    BROODI_QUEUE_LOCK, // two for each queue: no public call accepts this kind
    BROODI_OWN_LOCK,   // the library's own locks: no public call accepts this kind
    BROODI_HANDLE_KINDS,
    BROODI_PROCESS = BROODI_HANDLE_KINDS,
    BROODI_THREAD,
    BROODI_NAME,
    BROODI_SEAT,   // belongs to a thread
    BROODI_KEY,    // belongs to a thread
    BROODI_WATCH,  // belongs to a thread
    BROODI_POLLER, // belongs to a process
    BROODI_PARTY,  // belongs to a barrier
    BROODI_USER,   // belongs to an object: a process that uses it
    BROODI_PIECE,  // memory that belongs to an object, for the library's own use
    BROODI_CHUNK,  // of the heap
    BROODI_KINDS
};

enum {
    BROODI_SLOT_BITS = 20,
    BROODI_GENERATION_BITS = 22,
    BROODI_KIND_BITS = 4,
    BROODI_KIND_AT = BROODI_SLOT_BITS + BROODI_GENERATION_BITS,
    BROODI_TAG_AT = BROODI_KIND_AT + BROODI_KIND_BITS,
    BROODI_TAG_BITS = 64 - BROODI_TAG_AT,
};

_Static_assert(BROODI_HANDLE_KINDS <= 1 << BROODI_KIND_BITS,
               "every kind of a handle fits its bits");

#define BROODI_SLOT_MASK ((UINT32_C(1) << BROODI_SLOT_BITS) - 1)
#define BROODI_GENERATION_MASK ((UINT32_C(1) << BROODI_GENERATION_BITS) - 1)
#define BROODI_KIND_MASK ((UINT32_C(1) << BROODI_KIND_BITS) - 1)
#define BROODI_TAG_MASK ((UINT32_C(1) << BROODI_TAG_BITS) - 1)

#define BROODI_NONE UINT32_MAX // in the place of a slot: none

struct broodi_handle {
    uint32_t tag; // of the family, never 0
    uint32_t kind;
    uint32_t generation; // the low bits of the slot's generation
    uint32_t slot;
};

// Which thread or process a thing belongs to: see arena/owner.h. 0: none.
typedef uint64_t broodi_owner;

static inline uint64_t broodi_handle_pack(struct broodi_handle handle)
{
    broodi_assert(handle.tag <= BROODI_TAG_MASK && handle.kind <= BROODI_KIND_MASK &&
                  handle.slot <= BROODI_SLOT_MASK);
    return (uint64_t)handle.tag << BROODI_TAG_AT | (uint64_t)handle.kind << BROODI_KIND_AT |
           (uint64_t)(handle.generation & BROODI_GENERATION_MASK) << BROODI_SLOT_BITS | handle.slot;
}

static inline struct broodi_handle broodi_handle_unpack(uint64_t id)
{
    return (struct broodi_handle){
        .tag = (uint32_t)(id >> BROODI_TAG_AT),
        .kind = (uint32_t)(id >> BROODI_KIND_AT) & BROODI_KIND_MASK,
        .generation = (uint32_t)(id >> BROODI_SLOT_BITS) & BROODI_GENERATION_MASK,
        .slot = (uint32_t)id & BROODI_SLOT_MASK,
    };
}

#endif
