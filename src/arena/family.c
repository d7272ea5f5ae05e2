// SPDX-License-Identifier: MIT
#include "arena/family.h"

#include "arena/kinds.h"
#include "arena/race.h"
#include "arena/thread_slot.h"
#include "base/fail.h"
#include "base/step.h"
#include "os/os_random.h"
#include "os/os_stdio.h"
#include "os/os_thread.h"

#include <string.h>

enum { CHUNK = BROODI_HEAP_CHUNK };

#define ROUND_UP(size) (((size_t)(size) + CHUNK - 1) / CHUNK * CHUNK)

enum {
    LEAST_HEAP = 1 << 24,
    WIDE = 1 << 30,
};

struct broodi_family broodi_family;

// The layout

static uint32_t capacity_of(int kind, size_t window)
{
    return window < WIDE ? broodi_kinds[kind].narrow : broodi_kinds[kind].capacity;
}

// The size of a table behind its first slots.
static size_t rest_size(int kind, uint32_t capacity)
{
    return ROUND_UP((capacity - BROODI_FIRST) * broodi_kinds[kind].stride);
}

static size_t end_of_tables(size_t window)
{
    size_t at = BROODI_BOOT;
    for (int kind = 1; kind < BROODI_KINDS; kind++)
        at += rest_size(kind, capacity_of(kind, window));
    return at;
}

static void attach(const brood_os_arena *arena, size_t window)
{
    size_t at = BROODI_BOOT;
    for (int kind = 1; kind < BROODI_KINDS; kind++) {
        struct broodi_view *view = &broodi_family.views[kind];
        view->first = arena->base + broodi_kinds[kind].first;
        view->rest = arena->base + at - BROODI_FIRST * broodi_kinds[kind].stride;
        view->stride = broodi_kinds[kind].stride;
        view->capacity = capacity_of(kind, window);
        atomic_store_explicit(&view->limit, BROODI_FIRST, memory_order_relaxed);
        at += rest_size(kind, view->capacity);
    }
    broodi_family.arena = *arena;
    broodi_family.header = (struct broodi_header *)(void *)arena->base;
    broodi_family.heap_at = at;
    const uint32_t tag = (uint32_t)broodi_family.header->family[0] & BROODI_TAG_MASK;
    broodi_family.tag = tag ? tag : 1;
    broodi_groups_prepare();
    broodi_race_ignore(arena->base, BROODI_BOOT);
    broodi_race_ignore(&broodi_family, sizeof broodi_family);
}

static brood_status access_boot(const brood_os_arena *arena)
{
    const brood_os_range boot = { .length = BROODI_BOOT };
    return brood_os_arena_access(arena, &boot)
               ? BROOD_OK
               : broodi_fail(BROOD_NO_MEMORY, "the header of the shared memory cannot be mapped");
}

brood_status broodi_family_create(void)
{
    brood_os_arena arena;
    uint64_t family[2];
    const brood_os_range boot = { .length = BROODI_BOOT };
    brood_status status = brood_os_random(family, sizeof family);
    if (status == BROOD_OK)
        status = brood_os_arena_create(&arena, end_of_tables(0) + LEAST_HEAP);
    if (status == BROOD_OK)
        status = brood_os_arena_commit(&arena, &boot);
    if (status == BROOD_OK)
        status = access_boot(&arena);
    if (status != BROOD_OK)
        return status;
    struct broodi_header *header = (struct broodi_header *)(void *)arena.base;
    header->magic = BROODI_ARENA_MAGIC;
    header->layout = BROODI_ARENA_LAYOUT;
    header->kinds = BROODI_KINDS;
    memcpy(header->family, family, sizeof family);
    header->window = arena.size;
    attach(&arena, arena.size);
    broodi_space_prepare(BROODI_BOOT);
    for (int kind = 1; kind < BROODI_KINDS; kind++)
        atomic_store_explicit(&header->tables[kind].limit, BROODI_FIRST, memory_order_release);
    return BROOD_OK;
}

brood_status broodi_family_open(intptr_t object, uint64_t window, const uint64_t family[2])
{
    brood_os_arena arena;
    if (window > SIZE_MAX || window < end_of_tables((size_t)window) + LEAST_HEAP)
        return broodi_fail(BROOD_INVALID, "invalid size of the shared memory: %llu bytes",
                           (unsigned long long)window);
    brood_status status = brood_os_arena_open(&arena, object, (size_t)window,
                                              end_of_tables((size_t)window) + LEAST_HEAP);
    if (status == BROOD_OK)
        status = access_boot(&arena);
    if (status != BROOD_OK)
        return status;
    const struct broodi_header *header = (const struct broodi_header *)(void *)arena.base;
    if (header->magic != BROODI_ARENA_MAGIC || header->layout != BROODI_ARENA_LAYOUT ||
        header->kinds != BROODI_KINDS || header->window != window ||
        memcmp(header->family, family, sizeof header->family) != 0)
        return broodi_fail(BROOD_MISMATCH, "the shared memory belongs to another family");
    attach(&arena, (size_t)window);
    return BROOD_OK;
}

// The steps of a table

static size_t whole_size(enum broodi_kind kind)
{
    return rest_size((int)kind, broodi_family.views[kind].capacity);
}

// The size of the first `steps` steps. The first is one chunk, each later one as large as all
// before it.
static size_t size_of_steps(enum broodi_kind kind, uint32_t steps)
{
    const size_t whole = whole_size(kind);
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

// Raises `limit` to at least `to`. Other threads may do so at the same time.
static void raise_limit(_Atomic uint32_t *limit, uint32_t to)
{
    uint32_t known = atomic_load_explicit(limit, memory_order_relaxed);
    while (known < to && !atomic_compare_exchange_weak_explicit(
                             limit, &known, to, memory_order_acq_rel, memory_order_acquire))
        continue;
}

// Access by this process

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

// Retries, since a mapping may fail while the system is short of memory for a moment.
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

// Slots

static broodi_word *word_of(enum broodi_kind kind, uint32_t index)
{
    return broodi_slot(kind, index); // every slot begins with its state
}

// The generations of a slot that handles name begin at a random odd number, which depends on the
// family, the kind and the slot: a handle of another family that has the same tag by chance is not
// current here.
//
// A handle has the low bits of the generation. A free slot is spent when its next handle would
// equal the first one that it had. A spent slot is not taken until the table has its full size and
// all of its free slots are spent. Then the next lap begins, in which each slot may be used as
// often again.

static uint32_t first_generation(enum broodi_kind kind, uint32_t index)
{
    if (kind >= BROODI_HANDLE_KINDS)
        return 1;
    uint64_t mixed = broodi_family.header->family[1] ^ ((uint64_t)kind << 32 | index);
    mixed = (mixed ^ mixed >> 32) * UINT64_C(0xd6e8feb86659fd93);
    mixed = (mixed ^ mixed >> 32) * UINT64_C(0xd6e8feb86659fd93);
    return (uint32_t)(mixed >> 32) | 1;
}

// The generation that a free slot has once it is taken.
static uint32_t next_generation(enum broodi_kind kind, uint32_t index, uint64_t state)
{
    return state ? broodi_generation(state) + 1 : first_generation(kind, index);
}

static bool is_spent(enum broodi_kind kind, uint32_t index, uint64_t state)
{
    if (kind >= BROODI_HANDLE_KINDS || broodi_slot_is_live(state))
        return false;
    const uint32_t age = next_generation(kind, index, state) - first_generation(kind, index);
    return age >> BROODI_GENERATION_BITS >
           atomic_load_explicit(&broodi_family.header->tables[kind].laps, memory_order_relaxed);
}

static bool may_take(enum broodi_kind kind, uint32_t index, uint64_t state)
{
    return !broodi_slot_is_live(state) && !is_spent(kind, index, state) &&
           !broodi_slot_is_awaited(kind, index, state);
}

static bool take_at(enum broodi_kind kind, uint32_t index, uint32_t low)
{
    broodi_word *word = word_of(kind, index);
    uint64_t state = broodi_word_load(word);
    const uint32_t next = next_generation(kind, index, state);
    if (!may_take(kind, index, state))
        return false;
    broodi_groups_expect(kind, index);
    return atomic_compare_exchange_strong_explicit(&word->state, &state, broodi_state(next, low),
                                                   memory_order_acq_rel, memory_order_relaxed);
}

// Searches from the cursor once around the table.
static bool search(enum broodi_kind kind, uint32_t low, uint32_t *out_index)
{
    struct broodi_table_state *table = &broodi_family.header->tables[kind];
    const uint32_t limit = broodi_slot_limit(kind);
    const uint32_t first =
        limit ? atomic_load_explicit(&table->cursor, memory_order_relaxed) % limit : 0;
    for (uint32_t n = 0; n < limit; n++) {
        const uint32_t index = (first + n) % limit;
        if (!take_at(kind, index, low))
            continue;
        broodi_step(BROODI_STEP_SLOT_TAKEN);
        broodi_groups_add(kind, index);
        atomic_store_explicit(&table->cursor, index + 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&table->live, 1, memory_order_relaxed);
        *out_index = index;
        return true;
    }
    return false;
}

// Commits one more step of the table. Several processes may do so at the same time.
static brood_status grow(enum broodi_kind kind)
{
    const uint32_t limit = broodi_slot_limit(kind);
    const uint32_t capacity = broodi_family.views[kind].capacity;
    if (limit >= capacity)
        return broodi_fail(BROOD_NO_RESOURCES, "all %u slots of the family are taken", capacity);
    const uint32_t step = steps_of(kind, limit);
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

static uint64_t state_at(enum broodi_kind kind, uint32_t index)
{
    return atomic_load_explicit(&word_of(kind, index)->state, memory_order_relaxed);
}

// Whether this fraction of the table is in use; false for a table of full size.
static bool is_filled(enum broodi_kind kind, uint32_t numerator, uint32_t denominator)
{
    const uint32_t limit = broodi_slot_limit(kind);
    const struct broodi_table_state *table = &broodi_family.header->tables[kind];
    // Signed: a count that is wrong may be below zero.
    const int32_t live = (int32_t)atomic_load_explicit(&table->live, memory_order_relaxed);
    return live > 0 && limit < broodi_family.views[kind].capacity &&
           (uint64_t)live * denominator >= (uint64_t)limit * numerator;
}

// The count becomes wrong by one when a process is killed between the change of a slot and that of
// the count. The process may also be killed before it has marked the slot's group.
static void recount(enum broodi_kind kind)
{
    uint32_t live = 0;
    const uint32_t limit = broodi_slot_limit(kind);
    for (uint32_t index = 0; index < limit; index++) {
        const uint64_t state = state_at(kind, index);
        live += broodi_slot_is_live(state) || is_spent(kind, index, state);
        if (broodi_slot_is_live(state))
            broodi_groups_expect(kind, index);
    }
    atomic_store_explicit(&broodi_family.header->tables[kind].live, live, memory_order_relaxed);
}

static void sweep(enum broodi_kind kind)
{
    broodi_kind_sweep(kind);
    recount(kind);
}

// Called when three quarters of the table are in use, since searches would become long. First frees
// the slots of the dead. If half of the table is still in use, it grows, because otherwise a sweep
// would soon be necessary again.
static void make_room(enum broodi_kind kind)
{
    sweep(kind);
    if (is_filled(kind, 1, 2))
        (void)grow(kind); // a failure does not matter while there are free slots
}

// Begins the next lap of a table of full size, whose free slots are all spent or awaited. False
// when none is spent: then a lap would not help.
static bool begin_lap(enum broodi_kind kind)
{
    struct broodi_table_state *table = &broodi_family.header->tables[kind];
    const uint32_t limit = broodi_slot_limit(kind);
    uint32_t lap = atomic_load_explicit(&table->laps, memory_order_relaxed);
    for (uint32_t index = 0; limit == broodi_family.views[kind].capacity && index < limit;
         index++) {
        if (!is_spent(kind, index, state_at(kind, index)))
            continue;
        (void)atomic_compare_exchange_strong_explicit(&table->laps, &lap, lap + 1,
                                                      memory_order_relaxed, memory_order_relaxed);
        recount(kind);
        return true;
    }
    return false;
}

brood_status broodi_slot_allocate(enum broodi_kind kind, uint32_t low, uint32_t *out_index)
{
    if (is_filled(kind, 3, 4))
        make_room(kind);
    for (;;) {
        if (search(kind, low, out_index))
            return BROOD_OK;
        const brood_status grown = grow(kind);
        if (grown == BROOD_OK)
            continue;
        sweep(kind);
        if (search(kind, low, out_index))
            return BROOD_OK;
        if (!begin_lap(kind))
            return grown;
    }
}

brood_status broodi_slot_commit(enum broodi_kind kind, uint32_t index)
{
    brood_status status = BROOD_OK;
    while (status == BROOD_OK && index >= broodi_slot_limit(kind))
        status = grow(kind);
    return status;
}

bool broodi_slot_free_keeping(enum broodi_kind kind, uint32_t index, uint64_t state, uint32_t kept)
{
    const uint64_t freed = broodi_state(broodi_generation(state) + 1, kept);
    if (!atomic_compare_exchange_strong_explicit(&word_of(kind, index)->state, &state, freed,
                                                 memory_order_acq_rel, memory_order_relaxed))
        return false;
    broodi_step(BROODI_STEP_SLOT_FREED);
    if (!is_spent(kind, index, freed))
        atomic_fetch_sub_explicit(&broodi_family.header->tables[kind].live, 1,
                                  memory_order_relaxed);
    return true;
}

bool broodi_slot_free(enum broodi_kind kind, uint32_t index, uint64_t state)
{
    return broodi_slot_free_keeping(kind, index, state, 0);
}

uint64_t broodi_handle_of(enum broodi_kind kind, uint32_t index)
{
    const uint64_t state = atomic_load_explicit(&word_of(kind, index)->state, memory_order_relaxed);
    return broodi_handle_pack((struct broodi_handle){ .tag = broodi_family.tag,
                                                      .kind = (uint32_t)kind,
                                                      .generation = broodi_generation(state),
                                                      .slot = index });
}
