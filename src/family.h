// SPDX-License-Identifier: MIT
// The arena of a family: one mapping, a header, and a table of typed slots for each kind of thing.
//
//   header | processes | threads | names | locks | ... | blocks | chunks | heap ...
//
// The tables have fixed places in the window and are committed as they fill. A slot keeps its kind for the
// life of the family, so a stale handle always finds a state word where it looks for one. Behind them, on pages of its own, lies what
// blocks are made of: heap.h.
#ifndef FAMILY_H
#define FAMILY_H

#include "handle.h"
#include "heap.h"
#include "os/os_life.h"
#include "os/os_memory.h"
#include "word.h"

#include <brood/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BROODI_ARENA_MAGIC UINT64_C(0x616e657261646f62) // "bodarena"
#define BROODI_ARENA_LAYOUT 4

struct broodi_table_state {
    _Atomic uint32_t limit;  // slots committed; only grows
    _Atomic uint32_t cursor; // where the next search begins: reuse in first-in-first-out order
    _Atomic uint32_t live;   // slots taken or spent; a hint, since a process may die between the two steps
    _Atomic uint32_t laps;   // how often the generations of a slot may have come round: see family.c
};

struct broodi_header {
    uint64_t magic;
    uint32_t layout;
    uint32_t kinds;
    uint64_t family[2]; // random; the tag of handles is a part of it
    uint64_t window;    // bytes
    uint64_t names;     // the registry's lock
    _Atomic uint64_t thread_ids;
    _Atomic int64_t keeper;       // the main process, which keeps the sections of large blocks
    _Atomic uint32_t method_told; // 1 when a process has told that BROOD_START_METHOD is ignored
    struct broodi_table_state tables[BROODI_KINDS];
    struct broodi_heap heap;
};

struct broodi_family {
    brood_os_arena arena;
    struct broodi_header *header;
    uint32_t tag;
};

// Set by brood_init and never changed after.
extern struct broodi_family broodi_family;

// Makes the arena of a new family; or opens that of the starter, whose random number must be `family`.
brood_status broodi_family_create(void);
brood_status broodi_family_open(intptr_t object, uint64_t window, const uint64_t family[2]);

// Where the table of a kind stands in the window.
struct broodi_table {
    size_t at;
    size_t stride;
    uint32_t capacity;
};

extern const struct broodi_table broodi_tables[BROODI_KINDS];

// Where the window's heap begins, in the window.
extern const size_t broodi_heap_at;

// The address of a slot, which may or may not be committed.
static inline void *broodi_slot(enum broodi_kind kind, uint32_t index)
{
    return broodi_family.arena.base + broodi_tables[kind].at + index * broodi_tables[kind].stride;
}

// How many slots of the kind can be looked at.
static inline uint32_t broodi_slot_limit(enum broodi_kind kind)
{
    return atomic_load_explicit(&broodi_family.header->tables[kind].limit, memory_order_acquire);
}

// Takes a free slot; its state word is {generation, low} from that moment. Fails with BROOD_NO_MEMORY, BROOD_NO_RESOURCES.
brood_status broodi_slot_take(enum broodi_kind kind, uint32_t low, uint32_t *out_index);

// Commits the slot at `index`, for a kind whose slots are not taken but belong to those of another. Fails with BROOD_NO_MEMORY.
brood_status broodi_slot_reach(enum broodi_kind kind, uint32_t index);

// Frees a slot whose state is exactly `state`: false when it has changed. Nobody is woken.
bool broodi_slot_give(enum broodi_kind kind, uint32_t index, uint64_t state);

// The same for a kind of struct broodi_awaited_slot: the free slot keeps the low word `kept`.
bool broodi_slot_leave(enum broodi_kind kind, uint32_t index, uint64_t state, uint32_t kept);

// A generation is odd while the slot is taken.
static inline bool broodi_slot_is_live(uint64_t state)
{
    return broodi_generation(state) & 1;
}

// The handle of a taken slot.
uint64_t broodi_handle_of(enum broodi_kind kind, uint32_t index);

// Whether the state is still that of the object that `id` names; if not, it was destroyed: BROOD_STALE.
static inline bool broodi_handle_is_current(uint64_t id, uint64_t state)
{
    return (((id >> BROODI_SLOT_BITS) ^ (state >> 32)) & BROODI_GENERATION_MASK) == 0;
}

// The slot that a handle names, in a look at its first bits: NULL when it is none of this kind and family (BROOD_INVALID).
static inline void *broodi_handle_slot(enum broodi_kind kind, uint64_t id)
{
    const uint64_t family_and_kind = (uint64_t)broodi_family.tag << BROODI_KIND_BITS | (uint64_t)kind;
    const uint32_t index = (uint32_t)id & BROODI_SLOT_MASK;
    const bool taken = id >> BROODI_SLOT_BITS & 1; // an odd generation
    if (id >> BROODI_KIND_AT != family_and_kind || !taken || index >= broodi_slot_limit(kind))
        return NULL;
    return broodi_slot(kind, index);
}

#endif
