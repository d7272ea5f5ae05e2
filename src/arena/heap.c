// SPDX-License-Identifier: MIT
#include "arena/heap.h"

#include "arena/cell.h"
#include "arena/chunk.h"
#include "arena/race.h"
#include "base/fail.h"
#include "base/invariant.h"
#include "base/step.h"
#include "os/os_guard.h"

#include <string.h>

// What a chunk is used for: the number of its list plus one, or RUN.
enum { RUN = BROODI_HEAP_LISTS + 1 };

static struct broodi_heap *heap(void)
{
    return &broodi_family.header->heap;
}

// The list of the chunks that have cells of this class for this user.
static uint32_t list_of(enum broodi_heap_user user, uint32_t class)
{
    return (uint32_t)user * BROODI_HEAP_CLASSES + class;
}

// Lists of chunks that have a free cell

static void add_to_list(uint32_t index, uint32_t list)
{
    struct broodi_chunk *chunk = broodi_chunk_at(index);
    chunk->previous = 0;
    chunk->next = heap()->room[list];
    if (chunk->next)
        broodi_chunk_at(chunk->next - 1)->previous = index + 1;
    heap()->room[list] = index + 1;
}

// Whether the neighbours in the list refer to the chunk.
static bool is_linked(uint32_t index, uint32_t list)
{
    const struct broodi_chunk *chunk = broodi_chunk_at(index);
    const uint32_t before =
        chunk->previous ? broodi_chunk_at(chunk->previous - 1)->next : heap()->room[list];
    return before == index + 1 &&
           (!chunk->next || broodi_chunk_at(chunk->next - 1)->previous == index + 1);
}

static void remove_from_list(uint32_t index, uint32_t list)
{
    const struct broodi_chunk *chunk = broodi_chunk_at(index);
    broodi_assert(is_linked(index, list));
    if (chunk->next)
        broodi_chunk_at(chunk->next - 1)->previous = chunk->previous;
    if (chunk->previous)
        broodi_chunk_at(chunk->previous - 1)->next = chunk->next;
    else
        heap()->room[list] = chunk->next;
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

// The class of the cells of the chunk, which is in use and no part of a run.
static uint32_t class_in(const struct broodi_chunk *chunk)
{
    broodi_assert(chunk->use > 0 && chunk->use < RUN);
    return (chunk->use - 1) % BROODI_HEAP_CLASSES;
}

static void allocate_cell(uint32_t index, uint32_t cell)
{
    struct broodi_chunk *chunk = broodi_chunk_at(index);
    const uint32_t count = broodi_cell_count(class_in(chunk));
    broodi_assert(chunk->taken < count && cell < count && !is_allocated(chunk, cell));
    chunk->cells[cell / 64] |= UINT64_C(1) << (cell % 64);
    chunk->used = true;
    broodi_step(BROODI_STEP_HEAP_TAKEN);
    if (++chunk->taken == count)
        remove_from_list(index, chunk->use - 1);
}

static void free_cell(uint32_t index, uint32_t cell)
{
    struct broodi_chunk *chunk = broodi_chunk_at(index);
    broodi_assert(chunk->taken > 0 && is_allocated(chunk, cell));
    chunk->cells[cell / 64] &= ~(UINT64_C(1) << (cell % 64));
    if (chunk->taken-- == broodi_cell_count(class_in(chunk)))
        add_to_list(index, chunk->use - 1);
    if (chunk->taken > 0)
        return;
    remove_from_list(index, chunk->use - 1);
    broodi_chunks_vacate(index, 1);
}

// Allocating and freeing

// Divides a free chunk into the cells of a list.
static brood_status add_chunk(uint32_t list)
{
    uint32_t index;
    const brood_status status = broodi_chunks_find(1, &index);
    if (status != BROOD_OK)
        return status;
    broodi_chunk_occupy(index, list + 1);
    broodi_step(BROODI_STEP_HEAP_OCCUPIED);
    add_to_list(index, list);
    return BROOD_OK;
}

static brood_status allocate_small(uint32_t list, uint64_t *out_place, bool *out_zero)
{
    if (heap()->room[list]) {
        broodi_chunks_trim_if_due();
    } else {
        const brood_status status = add_chunk(list);
        if (status != BROOD_OK)
            return status;
    }
    const uint32_t index = heap()->room[list] - 1;
    const uint32_t cell = first_free_cell(broodi_chunk_at(index));
    *out_place = broodi_chunk_place(index) +
                 (uint64_t)cell * broodi_cell_size(class_in(broodi_chunk_at(index)));
    *out_zero = !broodi_chunk_at(index)->used;
    allocate_cell(index, cell);
    return BROOD_OK;
}

static brood_status allocate_run(uint32_t count, uint64_t *out_place, bool *out_zero)
{
    uint32_t first;
    const brood_status status = broodi_chunks_find(count, &first);
    if (status != BROOD_OK)
        return status;
    *out_zero = true;
    for (uint32_t index = first; index < first + count; index++) {
        *out_zero &= !broodi_chunk_at(index)->used;
        broodi_chunk_occupy(index, RUN);
        broodi_chunk_at(index)->used = true;
    }
    *out_place = broodi_chunk_place(first);
    return BROOD_OK;
}

brood_status broodi_heap_allocate(enum broodi_heap_user user, size_t size, uint64_t *out_place,
                                  bool *out_zero)
{
    *out_zero = false;
    if (size > broodi_family.arena.size)
        return broodi_fail(BROOD_NO_MEMORY, "%zu bytes requested, the arena's window has %zu", size,
                           broodi_family.arena.size);
    return broodi_cell_is_run(size)
               ? allocate_run(broodi_cell_run_length(size), out_place, out_zero)
               : allocate_small(list_of(user, broodi_cell_class_of(size)), out_place, out_zero);
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
    brood_os_range range = broodi_chunk_range(group * BROODI_HEAP_GROUP + known);
    range.length = (size_t)(chunks - known) * BROODI_HEAP_CHUNK;
    if (!brood_os_arena_access(&broodi_family.arena, &range))
        return false;
    broodi_race_release(&accessible[group]);
    // Release: pairs with the acquire load in access_group(): the chunks are mapped before.
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
    const uint32_t first = broodi_chunk_of(place);
    const uint32_t last = broodi_chunk_of(place + size - 1);
    for (uint32_t group = first / BROODI_HEAP_GROUP; group <= last / BROODI_HEAP_GROUP; group++) {
        const uint32_t chunks =
            last / BROODI_HEAP_GROUP > group ? BROODI_HEAP_GROUP : last % BROODI_HEAP_GROUP + 1;
        if (last >= broodi_chunk_capacity() || !access_group(group, chunks))
            return broodi_fail(BROOD_NO_MEMORY, "no address space for a block of %zu bytes", size);
    }
    return BROOD_OK;
}

void broodi_heap_populate(uint64_t place, size_t size)
{
    const uint32_t first = broodi_chunk_of(place);
    const uint32_t last = broodi_chunk_of(place + size - 1);
    brood_os_range range = broodi_chunk_range(first);
    range.length = (size_t)(last - first + 1) * BROODI_HEAP_CHUNK;
    brood_os_arena_populate(&broodi_family.arena, &range);
}

static uint32_t cell_at(uint64_t place)
{
    const struct broodi_chunk *chunk = broodi_chunk_at(broodi_chunk_of(place));
    return (uint32_t)((place - broodi_family.heap_at) % BROODI_HEAP_CHUNK) /
           broodi_cell_size(class_in(chunk));
}

void broodi_heap_free(uint64_t place, size_t size)
{
    const uint32_t first = broodi_chunk_of(place);
    broodi_chunks_trim_if_due();
    if (broodi_cell_is_run(size)) {
        broodi_assert(broodi_chunk_at(first)->use == RUN);
        broodi_chunks_vacate(first, broodi_cell_run_length(size));
        return;
    }
    broodi_assert(class_in(broodi_chunk_at(first)) == broodi_cell_class_of(size));
    free_cell(first, cell_at(place));
}

// Rebuilding the map

void broodi_heap_forget(void)
{
    memset(heap()->room, 0, sizeof heap()->room);
    broodi_chunks_forget();
}

void broodi_heap_mark(enum broodi_heap_user user, uint64_t place, size_t size)
{
    const uint32_t first = broodi_chunk_of(place);
    const uint32_t list = list_of(user, broodi_cell_class_of(size));
    if (broodi_cell_is_run(size)) {
        for (uint32_t index = first; index < first + broodi_cell_run_length(size); index++)
            broodi_chunk_occupy(index, RUN);
        return;
    }
    if (!broodi_chunk_at(first)->use) {
        broodi_chunk_occupy(first, list + 1);
        add_to_list(first, list);
    }
    broodi_assert(broodi_chunk_at(first)->use == list + 1);
    allocate_cell(first, cell_at(place));
}
