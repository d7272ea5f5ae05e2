// SPDX-License-Identifier: MIT
#include "arena/heap.h"

#include "arena/allocator.h"
#include "arena/cell.h"
#include "arena/family.h"
#include "arena/race.h"
#include "arena/space.h"
#include "base/fail.h"
#include "base/invariant.h"
#include "base/step.h"
#include "os/os_guard.h"

#include <string.h>

enum {
    RUN = BROODI_HEAP_CLASSES + 1, // the use of a chunk that is part of a run
    SPARE = 16,                    // free chunks that stay committed
};

// Whether a chunk is committed. If a holder of the lock dies while a chunk is CHANGING, that is
// unknown.
enum { NO, COMMITTED, CHANGING };

static struct broodi_heap *heap(void)
{
    return &broodi_family.header->heap;
}

static struct broodi_chunk *chunk_at(uint32_t index)
{
    return broodi_slot(BROODI_CHUNK, index);
}

static uint64_t place_of(uint32_t chunk)
{
    return broodi_family.heap_at + (uint64_t)chunk * BROODI_HEAP_CHUNK;
}

static uint32_t chunk_of(uint64_t place)
{
    return (uint32_t)((place - broodi_family.heap_at) / BROODI_HEAP_CHUNK);
}

static brood_os_range range_of(uint32_t chunk)
{
    const uint64_t group = broodi_space_of_group(chunk / BROODI_HEAP_GROUP);
    return (brood_os_range){ .offset = (size_t)place_of(chunk),
                             .length = BROODI_HEAP_CHUNK,
                             .place = group +
                                      (uint64_t)(chunk % BROODI_HEAP_GROUP) * BROODI_HEAP_CHUNK };
}

// Returns how many chunks fit into the window.
static uint32_t capacity(void)
{
    const size_t chunks = (broodi_family.arena.size - broodi_family.heap_at) / BROODI_HEAP_CHUNK;
    const uint32_t most = broodi_family.views[BROODI_CHUNK].capacity;
    return chunks < most ? (uint32_t)chunks : most;
}

// Free chunks

static bool is_free(uint32_t index)
{
    return heap()->free[index / 64] >> (index % 64) & 1;
}

static void set_free(uint32_t index, bool free)
{
    const uint64_t bit = UINT64_C(1) << (index % 64);
    if (free)
        heap()->free[index / 64] |= bit;
    else
        heap()->free[index / 64] &= ~bit;
}

// Finds `count` free chunks in a row; false when there are none.
static bool find_free(uint32_t count, uint32_t *out_first)
{
    uint32_t found = 0;
    for (uint32_t index = 0; index < heap()->chunks; index++) {
        if (index % 64 == 0 && heap()->free[index / 64] == 0) {
            found = 0;
            index += 63;
            continue;
        }
        found = is_free(index) ? found + 1 : 0;
        if (found == count) {
            *out_first = index + 1 - count;
            return true;
        }
    }
    return false;
}

// Adds `count` chunks, or as many as the window has left: together with free chunks before them,
// fewer may suffice.
static brood_status grow(uint32_t count)
{
    broodi_assert(heap()->chunks <= capacity());
    const uint32_t left = capacity() - heap()->chunks;
    if (left == 0)
        return broodi_fail(BROOD_NO_MEMORY, "the arena's window of %llu bytes is full",
                           (unsigned long long)broodi_family.arena.size);
    if (count > left)
        count = left;
    const brood_status status = broodi_slot_commit(BROODI_CHUNK, heap()->chunks + count - 1);
    if (status != BROOD_OK)
        return status;
    broodi_step(BROODI_STEP_HEAP_GROWN);
    for (; count > 0; count--) {
        set_free(heap()->chunks, true);
        heap()->chunks++;
    }
    return BROOD_OK;
}

// The check costs as much as committing some pages, so it is made once for each MiB that the family
// commits; after a failed check at every commit, until one succeeds.
static brood_status check_memory(void)
{
    enum { CHECKED = 1 << 20 };
    heap()->unchecked += BROODI_HEAP_CHUNK;
    if (heap()->unchecked < CHECKED)
        return BROOD_OK;
    const brood_status status = brood_os_memory_check(CHECKED);
    heap()->unchecked = status == BROOD_OK ? 0 : CHECKED;
    return status;
}

static brood_status commit(uint32_t index)
{
    struct broodi_chunk *chunk = chunk_at(index);
    broodi_assert(is_free(index) && chunk->committed != CHANGING);
    if (chunk->committed)
        return BROOD_OK;
    brood_status status = check_memory();
    if (status != BROOD_OK)
        return status;
    const brood_os_range range = range_of(index);
    chunk->committed = CHANGING;
    status = brood_os_arena_commit(&broodi_family.arena, &range);
    broodi_step(BROODI_STEP_HEAP_COMMITTED);
    chunk->committed = status == BROOD_OK ? COMMITTED : NO;
    heap()->spare += chunk->committed;
    return status;
}

// Resets `used` only after the memory has been decommitted, so that a chunk whose bytes may be
// other than zero never counts as zero, also if the caller dies in here. On failure the chunk stays
// CHANGING.
static bool decommit(uint32_t index)
{
    struct broodi_chunk *chunk = chunk_at(index);
    const brood_os_range range = range_of(index);
    chunk->committed = CHANGING;
    broodi_step(BROODI_STEP_HEAP_VACATED);
    const bool done = brood_os_arena_decommit(&broodi_family.arena, &range);
    broodi_step(BROODI_STEP_HEAP_DECOMMITTED);
    if (!done)
        return false;
    chunk->used = false;
    chunk->committed = NO;
    return true;
}

// Decommits a free chunk if more than SPARE free chunks are committed.
static void release(uint32_t index)
{
    struct broodi_chunk *chunk = chunk_at(index);
    broodi_assert(is_free(index));
    if (!chunk->committed || heap()->spare <= SPARE)
        return;
    if (decommit(index))
        heap()->spare--;
    else
        chunk->committed = COMMITTED;
}

static brood_status commit_all(uint32_t first, uint32_t count)
{
    brood_status status = BROOD_OK;
    for (uint32_t i = 0; status == BROOD_OK && i < count; i++)
        status = commit(first + i);
    for (uint32_t i = 0; status != BROOD_OK && i < count; i++)
        release(first + i);
    return status;
}

static void occupy(uint32_t index, uint32_t use)
{
    struct broodi_chunk *chunk = chunk_at(index);
    broodi_assert(is_free(index) && chunk->committed == COMMITTED && heap()->spare > 0);
    set_free(index, false);
    heap()->spare -= chunk->committed;
    chunk->use = use;
    chunk->taken = 0;
    memset(chunk->cells, 0, sizeof chunk->cells);
}

// Finds free chunks in a row and commits them; they stay free until the caller occupies them.
static brood_status find_committed(uint32_t count, uint32_t *out_first)
{
    brood_status status = BROOD_OK;
    while (status == BROOD_OK && !find_free(count, out_first))
        status = grow(count);
    return status == BROOD_OK ? commit_all(*out_first, count) : status;
}

static void vacate(uint32_t index)
{
    broodi_assert(!is_free(index) && chunk_at(index)->use != 0);
    chunk_at(index)->use = 0;
    set_free(index, true);
    heap()->spare++;
    release(index);
}

// Lists of chunks that have a free cell

static void add_to_list(uint32_t index, uint32_t class)
{
    struct broodi_chunk *chunk = chunk_at(index);
    chunk->previous = 0;
    chunk->next = heap()->room[class];
    if (chunk->next)
        chunk_at(chunk->next - 1)->previous = index + 1;
    heap()->room[class] = index + 1;
}

// Whether the neighbours in the list refer to the chunk.
static bool is_linked(uint32_t index, uint32_t class)
{
    const struct broodi_chunk *chunk = chunk_at(index);
    const uint32_t before =
        chunk->previous ? chunk_at(chunk->previous - 1)->next : heap()->room[class];
    return before == index + 1 &&
           (!chunk->next || chunk_at(chunk->next - 1)->previous == index + 1);
}

static void remove_from_list(uint32_t index, uint32_t class)
{
    const struct broodi_chunk *chunk = chunk_at(index);
    broodi_assert(is_linked(index, class));
    if (chunk->next)
        chunk_at(chunk->next - 1)->previous = chunk->previous;
    if (chunk->previous)
        chunk_at(chunk->previous - 1)->next = chunk->next;
    else
        heap()->room[class] = chunk->next;
}

static uint32_t first_free_cell(const struct broodi_chunk *chunk)
{
    uint32_t word = 0;
    uint32_t bit = 0;
    while (chunk->cells[word] == UINT64_MAX)
        word++;
    while (chunk->cells[word] >> bit & 1)
        bit++;
    return word * 64 + bit;
}

static bool is_allocated(const struct broodi_chunk *chunk, uint32_t cell)
{
    return chunk->cells[cell / 64] >> (cell % 64) & 1;
}

static void allocate_cell(uint32_t index, uint32_t class, uint32_t cell)
{
    struct broodi_chunk *chunk = chunk_at(index);
    broodi_assert(chunk->use == class + 1 && chunk->taken < broodi_cell_count(class));
    broodi_assert(cell < broodi_cell_count(class) && !is_allocated(chunk, cell));
    chunk->cells[cell / 64] |= UINT64_C(1) << (cell % 64);
    chunk->used = true;
    broodi_step(BROODI_STEP_HEAP_TAKEN);
    if (++chunk->taken == broodi_cell_count(class))
        remove_from_list(index, class);
}

static void free_cell(uint32_t index, uint32_t class, uint32_t cell)
{
    struct broodi_chunk *chunk = chunk_at(index);
    broodi_assert(chunk->use == class + 1 && chunk->taken > 0 && is_allocated(chunk, cell));
    chunk->cells[cell / 64] &= ~(UINT64_C(1) << (cell % 64));
    if (chunk->taken-- == broodi_cell_count(class))
        add_to_list(index, class);
    if (chunk->taken > 0)
        return;
    remove_from_list(index, class);
    vacate(index);
}

// Allocating and freeing

static brood_status allocate_small(uint32_t class, uint64_t *out_place)
{
    uint32_t index = heap()->room[class] - 1;
    if (!heap()->room[class]) {
        const brood_status status = find_committed(1, &index);
        if (status != BROOD_OK)
            return status;
        occupy(index, class + 1);
        broodi_step(BROODI_STEP_HEAP_OCCUPIED);
        add_to_list(index, class);
    }
    const uint32_t cell = first_free_cell(chunk_at(index));
    allocate_cell(index, class, cell);
    *out_place = place_of(index) + (uint64_t)cell * broodi_cell_size(class);
    return BROOD_OK;
}

static brood_status allocate_run(uint32_t count, uint64_t *out_place, bool *out_zero)
{
    uint32_t first;
    const brood_status status = find_committed(count, &first);
    if (status != BROOD_OK)
        return status;
    *out_zero = true;
    for (uint32_t index = first; index < first + count; index++) {
        *out_zero &= !chunk_at(index)->used;
        occupy(index, RUN);
        chunk_at(index)->used = true;
    }
    *out_place = place_of(first);
    return BROOD_OK;
}

brood_status broodi_heap_allocate(size_t size, uint64_t *out_place, bool *out_zero)
{
    *out_zero = false;
    return broodi_cell_is_run(size)
               ? allocate_run(broodi_cell_run_length(size), out_place, out_zero)
               : allocate_small(broodi_cell_class_of(size), out_place);
}

// Access. In each group, chunks become accessible from the first one on, up to the last that this
// process has used: so their mapping ends where committed memory ends, and a group is one mapping.

// How many chunks of each group are accessible in this process.
static _Atomic uint32_t accessible[BROODI_HEAP_CHUNKS / BROODI_HEAP_GROUP];

// The caller holds the guard, so that each chunk is mapped once: a checker of data races treats a
// new mapping as a write by the thread that makes it.
static bool map_chunks(uint32_t group, uint32_t chunks)
{
    broodi_assert(brood_os_guard_is_held() && chunks <= BROODI_HEAP_GROUP);
    uint32_t known = atomic_load_explicit(&accessible[group], memory_order_relaxed);
    if (known >= chunks)
        return true;
    brood_os_range range = range_of(group * BROODI_HEAP_GROUP + known);
    range.length = (size_t)(chunks - known) * BROODI_HEAP_CHUNK;
    if (!brood_os_arena_access(&broodi_family.arena, &range))
        return false;
    broodi_race_release(&accessible[group]);
    return atomic_compare_exchange_strong_explicit(&accessible[group], &known, chunks,
                                                   memory_order_release, memory_order_relaxed);
}

static bool access_group(uint32_t group, uint32_t chunks)
{
    bool mapped = atomic_load_explicit(&accessible[group], memory_order_acquire) >= chunks;
    if (!mapped) {
        brood_os_guard_lock();
        mapped = map_chunks(group, chunks);
        brood_os_guard_unlock();
    }
    broodi_race_acquire(&accessible[group]);
    return mapped;
}

brood_status broodi_heap_access(uint64_t place, size_t size)
{
    const uint32_t first = chunk_of(place);
    const uint32_t last = chunk_of(place + size - 1);
    for (uint32_t group = first / BROODI_HEAP_GROUP; group <= last / BROODI_HEAP_GROUP; group++) {
        const uint32_t chunks =
            last / BROODI_HEAP_GROUP > group ? BROODI_HEAP_GROUP : last % BROODI_HEAP_GROUP + 1;
        if (last >= capacity() || !access_group(group, chunks))
            return broodi_fail(BROOD_NO_MEMORY, "no address space for a block of %zu bytes", size);
    }
    return BROOD_OK;
}

static uint32_t cell_at(uint64_t place, uint32_t class)
{
    return (uint32_t)((place - broodi_family.heap_at) % BROODI_HEAP_CHUNK) /
           broodi_cell_size(class);
}

void broodi_heap_free(uint64_t place, size_t size)
{
    const uint32_t first = chunk_of(place);
    const uint32_t class = broodi_cell_class_of(size);
    if (!broodi_cell_is_run(size)) {
        free_cell(first, class, cell_at(place, class));
        return;
    }
    for (uint32_t index = first; index < first + broodi_cell_run_length(size); index++) {
        broodi_assert(chunk_at(index)->use == RUN);
        vacate(index);
    }
}

// Rebuilding the map

// Frees the chunks below `chunks` only. The dead holder may have been in grow(), and have set the
// bit of the next chunk without counting it: find_free() ignores that bit, and grow() sets it
// again.
void broodi_heap_forget(void)
{
    memset(heap()->room, 0, sizeof heap()->room);
    heap()->spare = 0;
    for (uint32_t index = 0; index < heap()->chunks; index++) {
        set_free(index, true);
        chunk_at(index)->use = 0;
        if (chunk_at(index)->committed == CHANGING && !decommit(index))
            chunk_at(index)->committed = NO; // so it is committed again before it is used
        heap()->spare += chunk_at(index)->committed;
    }
}

void broodi_heap_mark(uint64_t place, size_t size)
{
    const uint32_t first = chunk_of(place);
    const uint32_t class = broodi_cell_class_of(size);
    if (broodi_cell_is_run(size)) {
        for (uint32_t index = first; index < first + broodi_cell_run_length(size); index++)
            occupy(index, RUN);
        return;
    }
    if (!chunk_at(first)->use) {
        occupy(first, class + 1);
        add_to_list(first, class);
    }
    allocate_cell(first, class, cell_at(place, class));
}

void broodi_heap_trim(void)
{
    for (uint32_t index = 0; index < heap()->chunks; index++)
        if (is_free(index))
            release(index);
}
