// SPDX-License-Identifier: MIT
// A handle names a shared object in 64 bits: {family tag 16, kind 6, generation 22, slot 20}. A leaf.
#ifndef HANDLE_H
#define HANDLE_H

#include <stdint.h>

enum broodi_kind {
    BROODI_PROCESS = 1,
    BROODI_THREAD,
    BROODI_LOCK,
    BROODI_NAME,
    BROODI_SEMAPHORE,
    BROODI_EVENT,
    BROODI_CONDITION,
    BROODI_SEAT, // belongs to a thread; no handle names one
    BROODI_BARRIER,
    BROODI_PARTY, // belongs to a barrier
    BROODI_BLOCK,
    BROODI_CHUNK, // of the window; no handle names one
    BROODI_KINDS
};

enum {
    BROODI_SLOT_BITS = 20,
    BROODI_GENERATION_BITS = 22,
    BROODI_KIND_BITS = 6,
};

#define BROODI_SLOT_MASK ((UINT32_C(1) << BROODI_SLOT_BITS) - 1)
#define BROODI_GENERATION_MASK ((UINT32_C(1) << BROODI_GENERATION_BITS) - 1)

struct broodi_handle {
    uint32_t tag; // of the family, never 0
    uint32_t kind;
    uint32_t generation; // the low bits of the slot's
    uint32_t slot;
};

static inline uint64_t broodi_handle_pack(struct broodi_handle handle)
{
    return (uint64_t)handle.tag << 48 | (uint64_t)handle.kind << 42 |
           (uint64_t)(handle.generation & BROODI_GENERATION_MASK) << BROODI_SLOT_BITS | handle.slot;
}

static inline struct broodi_handle broodi_handle_unpack(uint64_t id)
{
    return (struct broodi_handle){
        .tag = (uint32_t)(id >> 48),
        .kind = (uint32_t)(id >> 42) & ((1U << BROODI_KIND_BITS) - 1),
        .generation = (uint32_t)(id >> BROODI_SLOT_BITS) & BROODI_GENERATION_MASK,
        .slot = (uint32_t)id & BROODI_SLOT_MASK,
    };
}

#endif
