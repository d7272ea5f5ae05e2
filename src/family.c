// SPDX-License-Identifier: MIT
#include "family.h"

#include "fail.h"
#include "os/os_random.h"
#include "shared.h"
#include "step.h"

#include <string.h>

enum { CHUNK = BROODI_HEAP_CHUNK };

#define ROUND_UP(size) (((size_t)(size) + CHUNK - 1) / CHUNK * CHUNK)

// A narrow address space has room for less.
enum {
    NARROW = SIZE_MAX <= UINT32_MAX ? 4 : 0,
    PROCESSES = 1 << (16 - NARROW),
    THREADS = 1 << (17 - NARROW),
    NAMES = 1 << 12,
    OWN_LOCKS = 1 << 10,
    OBJECTS = 1 << (20 - NARROW), // of each other kind
    LEAST_HEAP = 1 << 24,
};

_Static_assert(OBJECTS <= 1 << BROODI_SLOT_BITS, "a handle can name every slot");

enum {
    HEADER_AT = 0,
    PROCESSES_AT = HEADER_AT + CHUNK,
    THREADS_AT = PROCESSES_AT + PROCESSES * (int)sizeof(struct broodi_process_slot),
    NAMES_AT = THREADS_AT + THREADS * (int)sizeof(struct broodi_thread_slot),
    LOCKS_AT = NAMES_AT + NAMES * (int)sizeof(struct broodi_name_slot),
    OWN_LOCKS_AT = LOCKS_AT + OBJECTS * (int)sizeof(struct broodi_lock_slot),
    SEMAPHORES_AT = OWN_LOCKS_AT + OWN_LOCKS * (int)sizeof(struct broodi_lock_slot),
    EVENTS_AT = SEMAPHORES_AT + OBJECTS * (int)sizeof(struct broodi_semaphore_slot),
    CONDITIONS_AT = EVENTS_AT + OBJECTS * (int)sizeof(struct broodi_event_slot),
    SEATS_AT = CONDITIONS_AT + OBJECTS * (int)sizeof(struct broodi_condition_slot),
    BARRIERS_AT = SEATS_AT + THREADS * (int)sizeof(struct broodi_seat),
    PARTIES_AT = BARRIERS_AT + OBJECTS * (int)sizeof(struct broodi_barrier_slot),
    BLOCKS_AT = PARTIES_AT + OBJECTS * (int)sizeof(struct broodi_party_slot),
    CHUNKS_AT = BLOCKS_AT + OBJECTS * (int)sizeof(struct broodi_block_slot),
    END = CHUNKS_AT + BROODI_HEAP_CHUNKS * (int)sizeof(struct broodi_chunk),
};

_Static_assert(sizeof(struct broodi_header) <= CHUNK, "the header has its chunk");
_Static_assert((THREADS_AT | NAMES_AT | LOCKS_AT | OWN_LOCKS_AT | SEMAPHORES_AT | EVENTS_AT | CONDITIONS_AT |
                SEATS_AT | BARRIERS_AT | PARTIES_AT | BLOCKS_AT | CHUNKS_AT) %
                       CHUNK ==
                   0,
               "every table can be committed by itself");

const size_t broodi_heap_at = ROUND_UP(END);

const struct broodi_table broodi_tables[BROODI_KINDS] = {
    [BROODI_PROCESS] = { PROCESSES_AT, sizeof(struct broodi_process_slot), PROCESSES },
    [BROODI_THREAD] = { THREADS_AT, sizeof(struct broodi_thread_slot), THREADS },
    [BROODI_LOCK] = { LOCKS_AT, sizeof(struct broodi_lock_slot), OBJECTS },
    [BROODI_OWN_LOCK] = { OWN_LOCKS_AT, sizeof(struct broodi_lock_slot), OWN_LOCKS },
    [BROODI_NAME] = { NAMES_AT, sizeof(struct broodi_name_slot), NAMES },
    [BROODI_SEMAPHORE] = { SEMAPHORES_AT, sizeof(struct broodi_semaphore_slot), OBJECTS },
    [BROODI_EVENT] = { EVENTS_AT, sizeof(struct broodi_event_slot), OBJECTS },
    [BROODI_CONDITION] = { CONDITIONS_AT, sizeof(struct broodi_condition_slot), OBJECTS },
    [BROODI_SEAT] = { SEATS_AT, sizeof(struct broodi_seat), THREADS },
    [BROODI_BARRIER] = { BARRIERS_AT, sizeof(struct broodi_barrier_slot), OBJECTS },
    [BROODI_PARTY] = { PARTIES_AT, sizeof(struct broodi_party_slot), OBJECTS },
    [BROODI_BLOCK] = { BLOCKS_AT, sizeof(struct broodi_block_slot), OBJECTS },
    [BROODI_CHUNK] = { CHUNKS_AT, sizeof(struct broodi_chunk), BROODI_HEAP_CHUNKS },
};

struct broodi_family broodi_family;

static void attach(const brood_os_arena *arena)
{
    broodi_family.arena = *arena;
    broodi_family.header = (struct broodi_header *)(void *)arena->base;
    const uint32_t tag = (uint32_t)broodi_family.header->family[0] & BROODI_TAG_MASK;
    broodi_family.tag = tag ? tag : 1;
}

brood_status broodi_family_create(void)
{
    brood_os_arena arena;
    uint64_t family[2];
    brood_status status = brood_os_random(family, sizeof family);
    if (status == BROOD_OK)
        status = brood_os_arena_create(&arena, broodi_heap_at + LEAST_HEAP);
    if (status == BROOD_OK)
        status = brood_os_arena_commit(&arena, HEADER_AT, CHUNK);
    if (status != BROOD_OK)
        return status;
    struct broodi_header *header = (struct broodi_header *)(void *)arena.base;
    header->magic = BROODI_ARENA_MAGIC;
    header->layout = BROODI_ARENA_LAYOUT;
    header->kinds = BROODI_KINDS;
    memcpy(header->family, family, sizeof family);
    header->window = arena.size;
    attach(&arena);
    return BROOD_OK;
}

brood_status broodi_family_open(intptr_t object, uint64_t window, const uint64_t family[2])
{
    brood_os_arena arena;
    if (window < broodi_heap_at + LEAST_HEAP || window > SIZE_MAX)
        return broodi_fail(BROOD_INVALID, "an arena of %llu bytes", (unsigned long long)window);
    const brood_status status = brood_os_arena_open(&arena, object, (size_t)window);
    if (status != BROOD_OK)
        return status;
    const struct broodi_header *header = (const struct broodi_header *)(void *)arena.base;
    if (header->magic != BROODI_ARENA_MAGIC || header->layout != BROODI_ARENA_LAYOUT ||
        header->kinds != BROODI_KINDS || memcmp(header->family, family, sizeof header->family) != 0)
        return broodi_fail(BROOD_MISMATCH, "the shared memory is not that of the starter's family");
    attach(&arena);
    return BROOD_OK;
}

static broodi_word *word_of(enum broodi_kind kind, uint32_t index)
{
    return broodi_slot(kind, index); // every slot begins with its state
}

// Generations. Those of a slot that handles name begin at a random odd number, another one for each
// slot and family: a handle of another family that has the same tag by chance is not current here.
// A handle has the low bits of the generation, so a handle can be met again once those have come
// round. A slot in which that is about to happen is spent: it is not taken again until the table has
// its full size and all free slots are spent. Then the next lap begins, for all of them.

static uint32_t first_generation(enum broodi_kind kind, uint32_t index)
{
    if (kind >= BROODI_HANDLE_KINDS)
        return 1;
    uint64_t mixed = broodi_family.header->family[1] ^ ((uint64_t)kind << 32 | index);
    mixed = (mixed ^ mixed >> 32) * UINT64_C(0xd6e8feb86659fd93);
    mixed = (mixed ^ mixed >> 32) * UINT64_C(0xd6e8feb86659fd93);
    return (uint32_t)(mixed >> 32) | 1;
}

// Which generation a free slot would have when it is taken.
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

static bool take_at(enum broodi_kind kind, uint32_t index, uint32_t low)
{
    broodi_word *word = word_of(kind, index);
    uint64_t state = broodi_word_look(word);
    const uint32_t next = next_generation(kind, index, state);
    return !broodi_slot_is_live(state) && !is_spent(kind, index, state) &&
           !broodi_shared_is_awaited(kind, index, state) &&
           atomic_compare_exchange_strong_explicit(&word->state, &state, broodi_state(next, low),
                                                   memory_order_acq_rel, memory_order_relaxed);
}

// From the cursor on, once around.
static bool search(enum broodi_kind kind, uint32_t low, uint32_t *out_index)
{
    struct broodi_table_state *table = &broodi_family.header->tables[kind];
    const uint32_t limit = broodi_slot_limit(kind);
    const uint32_t first = limit ? atomic_load_explicit(&table->cursor, memory_order_relaxed) % limit : 0;
    for (uint32_t n = 0; n < limit; n++) {
        const uint32_t index = (first + n) % limit;
        if (!take_at(kind, index, low))
            continue;
        broodi_step(BROODI_STEP_SLOT_TAKEN);
        atomic_store_explicit(&table->cursor, index + 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&table->live, 1, memory_order_relaxed);
        *out_index = index;
        return true;
    }
    return false;
}

// Commits more of the table, twice as much as there is. Two processes may do it at once.
static brood_status grow(enum broodi_kind kind)
{
    struct broodi_table_state *table = &broodi_family.header->tables[kind];
    uint32_t limit = broodi_slot_limit(kind);
    if (limit >= broodi_tables[kind].capacity)
        return broodi_fail(BROOD_NO_RESOURCES, "all %u slots of the family are taken",
                           broodi_tables[kind].capacity);
    const size_t used = ROUND_UP(limit * broodi_tables[kind].stride);
    const size_t whole = ROUND_UP(broodi_tables[kind].capacity * broodi_tables[kind].stride);
    const size_t wanted = used ? 2 * used : CHUNK;
    const size_t size = wanted < whole ? wanted : whole;
    const brood_status status =
        brood_os_arena_commit(&broodi_family.arena, broodi_tables[kind].at + used, size - used);
    if (status != BROOD_OK)
        return status;
    broodi_step(BROODI_STEP_TABLE_COMMITTED);
    const size_t fit = size / broodi_tables[kind].stride;
    const uint32_t more = fit < broodi_tables[kind].capacity ? (uint32_t)fit : broodi_tables[kind].capacity;
    while (limit < more && !atomic_compare_exchange_weak_explicit(&table->limit, &limit, more,
                                                                  memory_order_acq_rel, memory_order_acquire))
        continue;
    return BROOD_OK;
}

static uint64_t state_at(enum broodi_kind kind, uint32_t index)
{
    return atomic_load_explicit(&word_of(kind, index)->state, memory_order_relaxed);
}

// Whether that part of the table is in use; never of one that has its full size.
static bool is_filled(enum broodi_kind kind, uint32_t numerator, uint32_t denominator)
{
    const uint32_t limit = broodi_slot_limit(kind);
    const struct broodi_table_state *table = &broodi_family.header->tables[kind];
    const int32_t live =
        (int32_t)atomic_load_explicit(&table->live, memory_order_relaxed); // a wrong count may be below zero
    return live > 0 && limit < broodi_tables[kind].capacity &&
           (uint64_t)live * denominator >= (uint64_t)limit * numerator;
}

// The count goes wrong by one whenever a process dies between a slot and the count of it.
static void recount(enum broodi_kind kind)
{
    uint32_t live = 0;
    const uint32_t limit = broodi_slot_limit(kind);
    for (uint32_t index = 0; index < limit; index++) {
        const uint64_t state = state_at(kind, index);
        live += broodi_slot_is_live(state) || is_spent(kind, index, state);
    }
    atomic_store_explicit(&broodi_family.header->tables[kind].live, live, memory_order_relaxed);
}

static void sweep(enum broodi_kind kind)
{
    broodi_shared_sweep(kind);
    recount(kind);
}

// From three quarters on: a search then finds a free slot in a few steps. What the dead have left is
// freed first. The table grows unless that has halved it: otherwise every other slot that is taken
// would cost a sweep.
static void make_room(enum broodi_kind kind)
{
    sweep(kind);
    if (is_filled(kind, 1, 2))
        (void)grow(kind); // as long as there are free slots that is no fault
}

// False when no slot is spent: then the table is really full.
static bool begin_lap(enum broodi_kind kind)
{
    struct broodi_table_state *table = &broodi_family.header->tables[kind];
    const uint32_t limit = broodi_slot_limit(kind);
    uint32_t lap = atomic_load_explicit(&table->laps, memory_order_relaxed);
    for (uint32_t index = 0; limit == broodi_tables[kind].capacity && index < limit; index++) {
        if (!is_spent(kind, index, state_at(kind, index)))
            continue;
        (void)atomic_compare_exchange_strong_explicit(&table->laps, &lap, lap + 1, memory_order_relaxed,
                                                      memory_order_relaxed);
        recount(kind);
        return true;
    }
    return false;
}

brood_status broodi_slot_take(enum broodi_kind kind, uint32_t low, uint32_t *out_index)
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

brood_status broodi_slot_reach(enum broodi_kind kind, uint32_t index)
{
    brood_status status = BROOD_OK;
    while (status == BROOD_OK && index >= broodi_slot_limit(kind))
        status = grow(kind);
    return status;
}

bool broodi_slot_leave(enum broodi_kind kind, uint32_t index, uint64_t state, uint32_t kept)
{
    const uint64_t freed = broodi_state(broodi_generation(state) + 1, kept);
    if (!atomic_compare_exchange_strong_explicit(&word_of(kind, index)->state, &state, freed,
                                                 memory_order_acq_rel, memory_order_relaxed))
        return false;
    broodi_step(BROODI_STEP_SLOT_GIVEN);
    if (!is_spent(kind, index, freed))
        atomic_fetch_sub_explicit(&broodi_family.header->tables[kind].live, 1, memory_order_relaxed);
    return true;
}

bool broodi_slot_give(enum broodi_kind kind, uint32_t index, uint64_t state)
{
    return broodi_slot_leave(kind, index, state, 0);
}

uint64_t broodi_handle_of(enum broodi_kind kind, uint32_t index)
{
    const uint64_t state = atomic_load_explicit(&word_of(kind, index)->state, memory_order_relaxed);
    return broodi_handle_pack((struct broodi_handle){ .tag = broodi_family.tag,
                                                      .kind = (uint32_t)kind,
                                                      .generation = broodi_generation(state),
                                                      .slot = index });
}
