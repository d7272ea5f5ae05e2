// SPDX-License-Identifier: MIT
#include "arena/space.h"

#include "arena/family.h"
#include "arena/race.h"
#include "base/fail.h"
#include "base/invariant.h"
#include "base/step.h"
#include "os/os_stdio.h"
#include "os/os_thread.h"

enum {
    CHUNK = BROODI_HEAP_CHUNK,
    CLAIM_BITS = 20,
    GROUPS_FROM = BROODI_KINDS * BROODI_TABLE_STEPS,
};

// The steps of a table

// The size of the first `steps` steps. The first is one chunk, each later one as large as all
// before it.
static size_t size_of_steps(enum broodi_kind kind, uint32_t steps)
{
    const size_t whole = broodi_family.views[kind].size;
    if (steps == 0)
        return 0;
    return steps <= BROODI_TABLE_STEPS && (size_t)CHUNK << (steps - 1) < whole
               ? (size_t)CHUNK << (steps - 1)
               : whole;
}

size_t broodi_table_step_size(enum broodi_kind kind, uint32_t step)
{
    return size_of_steps(kind, step + 1) - size_of_steps(kind, step);
}

static uint32_t slots_in_steps(enum broodi_kind kind, uint32_t steps)
{
    const struct broodi_view *view = &broodi_family.views[kind];
    const size_t slots = BROODI_FIRST + size_of_steps(kind, steps) / view->stride;
    return slots < view->capacity ? (uint32_t)slots : view->capacity;
}

// How many steps are needed for `slots` slots.
static uint32_t steps_of(enum broodi_kind kind, uint32_t slots)
{
    uint32_t steps = 0;
    while (slots_in_steps(kind, steps) < slots)
        steps++;
    return steps;
}

size_t broodi_table_size(enum broodi_kind kind)
{
    const uint32_t limit =
        atomic_load_explicit(&broodi_family.header->tables[kind].limit, memory_order_acquire);
    return size_of_steps(kind, steps_of(kind, limit));
}

// Extents

// `top` is {end of the claimed part in chunks 44, claim 20}. The claim is the number of the extent
// that was claimed last; 0 when what was claimed last needs no record: the boot part, or a section.
#define CLAIM ((UINT64_C(1) << CLAIM_BITS) - 1)

static struct broodi_space *space(void)
{
    return &broodi_family.header->space;
}

void broodi_space_prepare(uint64_t used)
{
    broodi_assert(used % CHUNK == 0);
    // Relaxed: no other process has the arena yet.
    atomic_store_explicit(&space()->top, used / CHUNK << CLAIM_BITS, memory_order_relaxed);
}

static uint64_t end_of(uint64_t top)
{
    return (top >> CLAIM_BITS) * CHUNK;
}

// Extents that are steps have numbers from BROODI_TABLE_STEPS on, since kinds are numbered from 1
// on; the groups of chunks follow from GROUPS_FROM on.
static uint32_t claim_of_step(enum broodi_kind kind, uint32_t step)
{
    return (uint32_t)kind * BROODI_TABLE_STEPS + step;
}

static _Atomic uint64_t *record_of_group(uint32_t group)
{
    struct broodi_chunk *first = broodi_slot(BROODI_CHUNK, group * BROODI_HEAP_GROUP);
    return &first->object_at;
}

static _Atomic uint64_t *record_of(uint32_t claim)
{
    if (claim >= GROUPS_FROM)
        return record_of_group(claim - GROUPS_FROM);
    return &space()->steps[claim / BROODI_TABLE_STEPS][claim % BROODI_TABLE_STEPS];
}

static uint64_t size_of(uint32_t claim)
{
    if (claim >= GROUPS_FROM)
        return (uint64_t)BROODI_HEAP_GROUP * CHUNK;
    return broodi_table_step_size((enum broodi_kind)(claim / BROODI_TABLE_STEPS),
                                  claim % BROODI_TABLE_STEPS);
}

// Records the extent that `top` names, which ends where the claimed part ends. Any number of
// threads may do so, also with a `top` that has changed since: the record is stored by then, and
// only the first one is. acq_rel: pairs with the acquire in recorded().
static void record(uint64_t top)
{
    const uint32_t claim = (uint32_t)(top & CLAIM);
    if (claim == 0)
        return;
    broodi_assert(claim >= BROODI_TABLE_STEPS && end_of(top) >= BROODI_BOOT + size_of(claim));
    uint64_t none = 0;
    (void)atomic_compare_exchange_strong_explicit(record_of(claim), &none,
                                                  end_of(top) - size_of(claim),
                                                  memory_order_acq_rel, memory_order_relaxed);
}

// Claims `length` bytes at the end and records them, unless `top` is not `from` any more. The
// caller has called record(from).
// Release: pairs with the acquire loads of `top` in this file. A thread that loads the new `top`
// finds the records of all earlier claims, since the caller has called record() before.
static bool move_top(uint64_t from, uint64_t length, uint32_t claim)
{
    broodi_assert(length > 0 && length % CHUNK == 0 && claim <= CLAIM);
    const uint64_t to = (end_of(from) + length) / CHUNK << CLAIM_BITS | claim;
    if (!atomic_compare_exchange_strong_explicit(&space()->top, &from, to, memory_order_acq_rel,
                                                 memory_order_relaxed))
        return false;
    broodi_step(BROODI_STEP_SPACE_CLAIMED);
    record(to);
    return true;
}

static uint64_t recorded(uint32_t claim)
{
    return atomic_load_explicit(record_of(claim), memory_order_acquire);
}

// The position of the extent, which is claimed if necessary. The record is loaded again after
// record(top): if it is still empty then, the extent was not claimed when `top` was loaded, and the
// compare-and-swap of `top` succeeds only if it has not been claimed since.
static uint64_t position_of(uint32_t claim)
{
    // Loaded first: record() may have to map the slot of a chunk, and then calls this function for
    // that step of the table of chunks, which is committed and therefore recorded.
    uint64_t known = recorded(claim);
    while (!known) {
        const uint64_t top = atomic_load_explicit(&space()->top, memory_order_acquire);
        record(top);
        if (!recorded(claim))
            (void)move_top(top, size_of(claim), claim);
        known = recorded(claim);
    }
    return known;
}

uint64_t broodi_space_of_step(enum broodi_kind kind, uint32_t step)
{
    return position_of(claim_of_step(kind, step));
}

uint64_t broodi_space_of_group(uint32_t group)
{
    return position_of(GROUPS_FROM + group);
}

uint64_t broodi_space_end(void)
{
    const uint64_t top = atomic_load_explicit(&space()->top, memory_order_acquire);
    record(top); // so that broodi_space_extent() finds all extents up to here
    return end_of(top);
}

bool broodi_space_append(uint64_t length, uint64_t limit, uint64_t *out_at)
{
    for (;;) {
        const uint64_t top = atomic_load_explicit(&space()->top, memory_order_acquire);
        record(top);
        if (length > limit || end_of(top) > limit - length)
            return false;
        if (!move_top(top, length, 0))
            continue;
        *out_at = end_of(top);
        return true;
    }
}

uint32_t broodi_space_count(void)
{
    return GROUPS_FROM +
           (broodi_family.header->heap.chunks + BROODI_HEAP_GROUP - 1) / BROODI_HEAP_GROUP;
}

bool broodi_space_extent(uint32_t number, uint64_t *out_from, uint64_t *out_to)
{
    // No extents have these numbers. The first one stands for the boot part, which is in use from
    // the start.
    if (number < BROODI_TABLE_STEPS) {
        *out_from = 0;
        *out_to = BROODI_BOOT;
        return number == 0;
    }
    *out_from = recorded(number);
    *out_to = *out_from + size_of(number);
    return *out_from != 0;
}

// Committed steps, and access by this process

static brood_os_range range_of(enum broodi_kind kind, uint32_t step)
{
    const struct broodi_view *view = &broodi_family.views[kind];
    const unsigned char *begin = view->rest + BROODI_FIRST * view->stride;
    return (brood_os_range){
        .offset = (size_t)(begin - broodi_family.arena.base) + size_of_steps(kind, step),
        .length = broodi_table_step_size(kind, step),
        .place = broodi_space_of_step(kind, step),
    };
}

// Release: pairs with the acquire loads of the limits, of which most are in family.h. A thread that
// loads the new limit finds the position of the step recorded or, for the limit of this process,
// the step mapped.
//
// Raises `limit` to at least `to`. Other threads may do so at the same time. Release: pairs with
// the acquire loads of the limit, after which the slots below it are committed (for the limit of a
// view: mapped).
static void raise_limit(_Atomic uint32_t *limit, uint32_t to)
{
    uint32_t known = atomic_load_explicit(limit, memory_order_relaxed);
    while (known < to && !atomic_compare_exchange_weak_explicit(
                             limit, &known, to, memory_order_acq_rel, memory_order_acquire))
        continue;
}

static _Atomic bool is_short;

bool broodi_family_is_short(void)
{
    return atomic_load_explicit(&is_short, memory_order_relaxed);
}

bool broodi_view_extend(enum broodi_kind kind)
{
    struct broodi_view *view = &broodi_family.views[kind];
    const uint32_t shared =
        atomic_load_explicit(&broodi_family.header->tables[kind].limit, memory_order_acquire);
    uint32_t known = atomic_load_explicit(&view->limit, memory_order_acquire);
    while (known < shared) {
        const uint32_t step = steps_of(kind, known);
        broodi_assert(slots_in_steps(kind, step) == known);
        const brood_os_range range = range_of(kind, step);
        const bool done = brood_os_arena_access(&broodi_family.arena, &range);
        atomic_store_explicit(&is_short, !done, memory_order_relaxed);
        if (!done)
            return false;
        broodi_race_ignore(broodi_family.arena.base + range.offset, range.length);
        raise_limit(&view->limit, slots_in_steps(kind, step + 1));
        known = atomic_load_explicit(&view->limit, memory_order_acquire);
    }
    return true;
}

// Retries, since a mapping may fail only because the system is short of memory for a moment.
void broodi_view_need(enum broodi_kind kind)
{
    enum { TRIES = 100 };
    for (int i = 0; i < TRIES; i++) {
        if (broodi_view_extend(kind))
            return;
        brood_os_thread_yield();
    }
    brood_os_process_refuse("no memory to map a table that the family shares");
}

// Several processes may commit the same step at the same time, which is harmless.
brood_status broodi_table_grow(enum broodi_kind kind)
{
    const uint32_t limit = broodi_slot_limit(kind);
    const uint32_t capacity = broodi_family.views[kind].capacity;
    if (limit >= capacity)
        return broodi_fail(BROOD_NO_RESOURCES, "all %u slots of the family are taken", capacity);
    const uint32_t step = steps_of(kind, limit);
    broodi_assert(slots_in_steps(kind, step) == limit);
    const brood_os_range range = range_of(kind, step);
    brood_status status = brood_os_memory_check(range.length);
    if (status == BROOD_OK)
        status = brood_os_arena_commit(&broodi_family.arena, &range);
    if (status != BROOD_OK)
        return status;
    broodi_step(BROODI_STEP_TABLE_COMMITTED);
    raise_limit(&broodi_family.header->tables[kind].limit, slots_in_steps(kind, step + 1));
    return broodi_view_extend(kind) ? BROOD_OK
                                    : broodi_fail(BROOD_NO_MEMORY, "a table cannot be mapped");
}
