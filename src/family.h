// SPDX-License-Identifier: MIT
// The arena of a family: one shared memory object, a header, and a table of typed slots for each
// kind of thing.
//
//   window   header, first slots of every table | processes | threads | ... | chunks | heap ...
//
// Every process reserves the whole window as address space without access, and makes those parts
// accessible that it uses. The first BROODI_FIRST slots of every table share the pages behind the
// header, which are accessible from the start; the rest of a table has a fixed place of its own and
// is committed in steps, each twice as large as all before. Where in the object a step lies is
// claimed when the step is committed (space.h), so the object holds nothing but what is in use.
//
// A slot keeps its kind for the life of the family, so a stale handle always finds a state word
// where it looks for one. Behind the tables, on pages of its own, lies what blocks are made of:
// heap.h.
#ifndef FAMILY_H
#define FAMILY_H

#include "groups.h"
#include "handle.h"
#include "heap.h"
#include "os/os_life.h"
#include "os/os_memory.h"
#include "shared.h"
#include "space.h"
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
    _Atomic uint32_t
        live; // slots taken or spent; a hint, since a process may die between the two steps
    _Atomic uint32_t laps; // how often the generations of a slot may have come round: see family.c
};

struct broodi_header {
    uint64_t magic;
    uint32_t layout;
    uint32_t kinds;
    uint64_t family[2]; // random; the tag of handles is a part of it
    uint64_t window; // bytes of address space that the first process reserved; the layout follows
                     // from it
    uint64_t names;  // the registry's lock
    _Atomic uint64_t thread_ids;
    _Atomic int64_t keeper;       // the main process, which keeps the sections of large blocks
    _Atomic uint32_t method_told; // 1 when a process has told that BROOD_START_METHOD is ignored
    struct broodi_table_state tables[BROODI_KINDS];
    struct broodi_space space;
    struct broodi_groups groups;
    struct broodi_heap heap;
};

enum {
    BROODI_FIRST = 64, // slots of each table behind the header
    BROODI_BOOT =
        2 *
        BROODI_HEAP_CHUNK, // bytes of the window that are committed and accessible from the start
};

// A table as this process sees it.
struct broodi_view {
    unsigned char *first; // the first BROODI_FIRST slots
    unsigned char
        *rest; // where the table would begin if all slots were contiguous with the later ones
    size_t stride;
    uint32_t capacity;
    _Atomic uint32_t
        limit; // slots that are accessible in this process; only grows, up to the shared limit
};

struct broodi_family {
    brood_os_arena arena;
    struct broodi_header *header;
    uint32_t tag;
    size_t heap_at; // where the heap begins in the window
    struct broodi_view views[BROODI_KINDS];
};

// Set by brood_init and never changed after.
extern struct broodi_family broodi_family;

// Makes the arena of a new family; or opens that of the starter, whose random number must be
// `family`.
brood_status broodi_family_create(void);
brood_status broodi_family_open(intptr_t object, uint64_t window, const uint64_t family[2]);

// The bytes that this table has committed behind the first slots.
size_t broodi_table_size(enum broodi_kind kind);

// The bytes of the table's n-th step; 0 behind the last.
size_t broodi_table_step_size(enum broodi_kind kind, uint32_t step);

// Makes all committed slots of the table accessible in this process. Async-signal-safe. False when
// the system has no memory for the mapping; broodi_family_is_short() says so until it succeeds.
bool broodi_view_extend(enum broodi_kind kind);
bool broodi_family_is_short(void);

// The same, for slots that the caller cannot do without: ends the process with one line when it
// fails.
void broodi_view_need(enum broodi_kind kind);

static inline bool broodi_view_has(enum broodi_kind kind, uint32_t index)
{
    return index < atomic_load_explicit(&broodi_family.views[kind].limit, memory_order_acquire);
}

// The address of a slot that is accessible in this process.
static inline void *broodi_slot_here(enum broodi_kind kind, uint32_t index)
{
    const struct broodi_view *view = &broodi_family.views[kind];
    return (index < BROODI_FIRST ? view->first : view->rest) + index * view->stride;
}

// The address of a committed slot: made accessible if need be.
static inline void *broodi_slot(enum broodi_kind kind, uint32_t index)
{
    if (!broodi_view_has(kind, index))
        broodi_view_need(kind);
    return broodi_slot_here(kind, index);
}

// Which slot this is the address of.
static inline uint32_t broodi_slot_index(enum broodi_kind kind, const void *slot)
{
    const struct broodi_view *view = &broodi_family.views[kind];
    const unsigned char *at = slot;
    const bool first = at >= view->first && at < view->first + BROODI_FIRST * view->stride;
    return (uint32_t)((size_t)(at - (first ? view->first : view->rest)) / view->stride);
}

// How many slots of the kind are committed; all of them are accessible.
static inline uint32_t broodi_slot_limit(enum broodi_kind kind)
{
    const uint32_t limit =
        atomic_load_explicit(&broodi_family.header->tables[kind].limit, memory_order_acquire);
    if (limit > 0 && !broodi_view_has(kind, limit - 1))
        broodi_view_need(kind);
    return limit;
}

// Takes a free slot; its state word is {generation, low} from that moment. Fails with
// BROOD_NO_MEMORY, BROOD_NO_RESOURCES.
brood_status broodi_slot_take(enum broodi_kind kind, uint32_t low, uint32_t *out_index);

// Commits the slot at `index`, for a kind whose slots are not taken but belong to those of another.
// Fails with BROOD_NO_MEMORY.
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

// Whether the state is still that of the object that `id` names; if not, it was destroyed:
// BROOD_STALE.
static inline bool broodi_handle_is_current(uint64_t id, uint64_t state)
{
    return (((id >> BROODI_SLOT_BITS) ^ (state >> 32)) & BROODI_GENERATION_MASK) == 0;
}

// The slot that a handle names, in a look at its first bits: NULL when it is none of this kind and
// family (BROOD_INVALID).
static inline void *broodi_handle_slot(enum broodi_kind kind, uint64_t id)
{
    const uint64_t family_and_kind =
        (uint64_t)broodi_family.tag << BROODI_KIND_BITS | (uint64_t)kind;
    const uint32_t index = (uint32_t)id & BROODI_SLOT_MASK;
    const bool taken = id >> BROODI_SLOT_BITS & 1; // an odd generation
    if (id >> BROODI_KIND_AT != family_and_kind || !taken ||
        (!broodi_view_has(kind, index) &&
         (!broodi_view_extend(kind) || !broodi_view_has(kind, index))))
        return NULL;
    return broodi_slot_here(kind, index);
}

#endif
