// SPDX-License-Identifier: MIT
// The arena of a family: one shared memory object with a header and, for each kind of slot, a
// table.
//
//   window   header, first slots of every table | processes | threads | ... | chunks | heap ...
//
// Every process reserves the window as address space without access, and makes accessible the parts
// that it uses. (A process with little address space reserves less of the heap.) The first
// BROODI_FIRST slots of every table lie behind the header, in pages that are accessible from the
// start. The rest of a table has a fixed place in the window and is committed in steps, each as
// large as all before it together. Where a step lies in the object is decided when the step is
// committed (space.c), so the object contains only what is in use.
//
// A slot keeps its kind for the life of the family, so a stale handle always finds a state word.
// The memory of blocks lies behind the tables, on pages of its own: heap.h.
#ifndef FAMILY_H
#define FAMILY_H

#include "arena/header.h"
#include "arena/slots.h"
#include "base/handle.h"
#include "base/invariant.h"
#include "base/word.h"
#include "os/os_life.h"
#include "os/os_memory.h"

#include <brood/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// A table as this process sees it.
struct broodi_view {
    // The first BROODI_FIRST slots.
    unsigned char *first;
    // Where slot 0 would lie if the first slots were contiguous with the rest.
    unsigned char *rest;
    size_t stride;
    uint32_t capacity;
    // Bytes behind the first slots.
    size_t size;
    // Slots with an index below this are accessible in this process; only grows, up to the shared
    // limit. Raised with release once they are mapped, and loaded with acquire.
    _Atomic uint32_t limit;
};

struct broodi_family {
    brood_os_arena arena;
    struct broodi_header *header;
    uint32_t tag;
    size_t heap_at; // where the heap begins in the window
    struct broodi_view views[BROODI_KINDS];
};

// Set by brood_init; constant afterwards, except for the limits of the views.
extern struct broodi_family broodi_family;

// In space.c. Makes all committed slots of the table accessible in this process. Async-signal-safe.
// False when the system has no memory for the mapping; broodi_family_is_short() is true from then
// until a mapping succeeds.
bool broodi_view_extend(enum broodi_kind kind);
bool broodi_family_is_short(void);

// The same for slots that the caller must have: on failure prints one line and ends the process.
void broodi_view_need(enum broodi_kind kind);

static inline bool broodi_view_has(enum broodi_kind kind, uint32_t index)
{
    return index < atomic_load_explicit(&broodi_family.views[kind].limit, memory_order_acquire);
}

// The address of a slot that is accessible in this process.
static inline void *broodi_slot_here(enum broodi_kind kind, uint32_t index)
{
    const struct broodi_view *view = &broodi_family.views[kind];
    broodi_assert(broodi_view_has(kind, index));
    return (index < BROODI_FIRST ? view->first : view->rest) + index * view->stride;
}

// The address of a committed slot, which is made accessible first if necessary. The slot may be
// free or taken.
static inline void *broodi_slot(enum broodi_kind kind, uint32_t index)
{
    if (!broodi_view_has(kind, index))
        broodi_view_need(kind);
    return broodi_slot_here(kind, index);
}

// The index of the slot at this address.
static inline uint32_t broodi_slot_index(enum broodi_kind kind, const void *slot)
{
    const struct broodi_view *view = &broodi_family.views[kind];
    const unsigned char *at = slot;
    const bool first = at >= view->first && at < view->first + BROODI_FIRST * view->stride;
    return (uint32_t)((size_t)(at - (first ? view->first : view->rest)) / view->stride);
}

// How many slots of the kind are committed. All of them are accessible when the function returns.
static inline uint32_t broodi_slot_limit(enum broodi_kind kind)
{
    const uint32_t limit =
        atomic_load_explicit(&broodi_family.header->tables[kind].limit, memory_order_acquire);
    if (limit > 0 && !broodi_view_has(kind, limit - 1))
        broodi_view_need(kind);
    return limit;
}

// The end of the slots of the kind that were ever taken, for scans: so a family with few objects
// has a short scan, whatever is committed. All of them are accessible afterwards.
static inline uint32_t broodi_slot_end(enum broodi_kind kind)
{
    const uint32_t end =
        atomic_load_explicit(&broodi_family.header->tables[kind].end, memory_order_acquire);
    if (end > 0 && !broodi_view_has(kind, end - 1))
        broodi_view_need(kind);
    return end;
}

// Whether the slot is taken: its generation is odd then. That says nothing of whether the thread or
// process that has the slot lives.
static inline bool broodi_slot_is_live(uint64_t state)
{
    return broodi_generation(state) & 1;
}

// Whether the state still belongs to the object that `id` names, which is a handle of this slot:
// the 22 bits of the generation that a handle has are the same. If not, the object was destroyed:
// BROOD_STALE.
static inline bool broodi_handle_is_current(uint64_t id, uint64_t state)
{
    return (((id >> BROODI_SLOT_BITS) ^ (state >> 32)) & BROODI_GENERATION_MASK) == 0;
}

// The slot that a handle names; NULL when `id` is no handle of this kind and family
// (BROOD_INVALID), or its table cannot be mapped (broodi_family_is_short()). Of the generation only
// the lowest bit is checked: the slot may be free, or have another object by now.
static inline void *broodi_handle_slot(enum broodi_kind kind, uint64_t id)
{
    const uint64_t family_and_kind =
        (uint64_t)broodi_family.tag << BROODI_KIND_BITS | (uint64_t)kind;
    const uint32_t index = (uint32_t)id & BROODI_SLOT_MASK;
    const bool taken = id >> BROODI_SLOT_BITS & 1; // the generation is odd
    if (id >> BROODI_KIND_AT != family_and_kind || !taken ||
        (!broodi_view_has(kind, index) &&
         (!broodi_view_extend(kind) || !broodi_view_has(kind, index))))
        return NULL;
    return broodi_slot_here(kind, index);
}

#endif
