// SPDX-License-Identifier: MIT
#include "arena/chunk.h"

#include "arena/allocator.h"
#include "arena/space.h"
#include "base/deadline.h"
#include "base/fail.h"
#include "base/invariant.h"
#include "base/step.h"
#include "os/os_clock.h"

#include <string.h>

enum {
    SPARE = (1 << 20) / BROODI_HEAP_CHUNK, // free chunks that always stay committed
    KEPT = (64 << 20) / BROODI_HEAP_CHUNK, // the most that stay committed while the heap is used
    CHECKED = 1 << 20,                     // bytes: see check_memory()
};

// Whether a chunk is committed. If a holder of the lock dies while a chunk is CHANGING, that is
// unknown.
enum { NO, COMMITTED, CHANGING };

static struct broodi_heap *heap(void)
{
    return &broodi_family.header->heap;
}

brood_os_range broodi_chunk_range(uint32_t index)
{
    const uint64_t group = broodi_space_of_group(index / BROODI_HEAP_GROUP);
    return (brood_os_range){ .offset = (size_t)broodi_chunk_place(index),
                             .length = BROODI_HEAP_CHUNK,
                             .place = group +
                                      (uint64_t)(index % BROODI_HEAP_GROUP) * BROODI_HEAP_CHUNK };
}

uint32_t broodi_chunk_capacity(void)
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
    if (!free) {
        heap()->free[index / 64] &= ~bit;
        return;
    }
    heap()->free[index / 64] |= bit;
    if (index < heap()->lowest)
        heap()->lowest = index;
}

// Returns the first chunk from `index` on that may be free: skips words without a free one.
static uint32_t skip_occupied(uint32_t index)
{
    while (index < heap()->chunks && index % 64 == 0 && heap()->free[index / 64] == 0)
        index += 64;
    return index;
}

// Raises `lowest` to the first free chunk.
static uint32_t first_free(void)
{
    uint32_t index = skip_occupied(heap()->lowest);
    while (index < heap()->chunks && !is_free(index))
        index = skip_occupied(index + 1);
    heap()->lowest = index < heap()->chunks ? index : heap()->chunks;
    return heap()->lowest;
}

// Finds `count` free chunks in a row; false when there are none.
static bool find_free(uint32_t count, uint32_t *out_first)
{
    uint32_t first = first_free();
    for (uint32_t index = first; index < heap()->chunks;) {
        if (!is_free(index)) {
            first = index = skip_occupied(index + 1);
            continue;
        }
        index++;
        if (index - first < count)
            continue;
        *out_first = first;
        return true;
    }
    return false;
}

static uint32_t count_free_at_end(void)
{
    uint32_t count = 0;
    while (count < heap()->chunks && is_free(heap()->chunks - 1 - count))
        count++;
    return count;
}

// Adds as many chunks as are necessary so that the last `count` chunks are free.
static brood_status grow(uint32_t count)
{
    broodi_assert(heap()->chunks <= broodi_chunk_capacity() && count > count_free_at_end());
    uint32_t missing = count - count_free_at_end();
    if (missing > broodi_chunk_capacity() - heap()->chunks)
        return broodi_fail(BROOD_NO_MEMORY, "the arena's window of %llu bytes is full",
                           (unsigned long long)broodi_family.arena.size);
    const brood_status status = broodi_slot_commit(BROODI_CHUNK, heap()->chunks + missing - 1);
    if (status != BROOD_OK)
        return status;
    broodi_step(BROODI_STEP_HEAP_GROWN);
    for (; missing > 0; missing--) {
        set_free(heap()->chunks, true);
        heap()->chunks++;
    }
    return BROOD_OK;
}

// Committed memory

// The check costs as much as committing some pages, so it is made once for each MiB that the family
// commits; after a failed check at every commit, until one succeeds.
static brood_status check_memory(void)
{
    heap()->unchecked += BROODI_HEAP_CHUNK;
    if (heap()->unchecked < CHECKED)
        return BROOD_OK;
    const brood_status status = brood_os_memory_check(CHECKED);
    heap()->unchecked = status == BROOD_OK ? 0 : CHECKED;
    return status;
}

static brood_status commit(uint32_t index)
{
    struct broodi_chunk *chunk = broodi_chunk_at(index);
    broodi_assert(is_free(index) && chunk->committed != CHANGING);
    if (chunk->committed)
        return BROOD_OK;
    brood_status status = check_memory();
    if (status != BROOD_OK)
        return status;
    const brood_os_range range = broodi_chunk_range(index);
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
    struct broodi_chunk *chunk = broodi_chunk_at(index);
    const brood_os_range range = broodi_chunk_range(index);
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

// Decommits a free chunk if more than `kept` free chunks are committed; false if it was not, or
// cannot be done on this system.
static bool release(uint32_t index, uint32_t kept)
{
    struct broodi_chunk *chunk = broodi_chunk_at(index);
    broodi_assert(is_free(index));
    if (!chunk->committed || heap()->spare <= kept)
        return false;
    const bool done = decommit(index);
    if (done)
        heap()->spare--;
    else
        chunk->committed = COMMITTED;
    return done;
}

// A request for more than CHECKED bytes is checked as a whole, before any of it is committed.
static brood_status check_run(uint32_t first, uint32_t count)
{
    uint64_t missing = 0;
    for (uint32_t i = 0; i < count; i++)
        missing += broodi_chunk_at(first + i)->committed ? 0 : BROODI_HEAP_CHUNK;
    return missing > CHECKED ? brood_os_memory_check(missing) : BROOD_OK;
}

static brood_status commit_all(uint32_t first, uint32_t count)
{
    brood_status status = check_run(first, count);
    for (uint32_t i = 0; status == BROOD_OK && i < count; i++)
        status = commit(first + i);
    return status;
}

// When memory is short, what other free chunks have is returned to the system before the second
// attempt; and what the attempts have committed.
static brood_status commit_or_trim(uint32_t first, uint32_t count)
{
    brood_status status = commit_all(first, count);
    if (status != BROOD_OK && broodi_chunks_trim())
        status = commit_all(first, count);
    if (status != BROOD_OK)
        (void)broodi_chunks_trim();
    return status;
}

// Trimming. `trim_at` is the time from which on free chunks are to be trimmed; 0 when no more than
// SPARE are committed, or the system cannot decommit them.

static void set_trim_at(int64_t time)
{
    atomic_store_explicit(&heap()->trim_at, time, memory_order_relaxed);
}

static int64_t trim_at(void)
{
    return atomic_load_explicit(&heap()->trim_at, memory_order_relaxed);
}

// The first chunks stay committed, since they are the first to be found free.
bool broodi_chunks_trim(void)
{
    bool any = false;
    for (uint32_t index = heap()->chunks; index-- > 0 && heap()->spare > SPARE;)
        if (is_free(index))
            any |= release(index, SPARE);
    set_trim_at(0);
    return any;
}

void broodi_chunks_trim_if_due(void)
{
    const int64_t due = trim_at();
    if (due && brood_os_clock() >= due)
        (void)broodi_chunks_trim();
}

static void postpone_trim(void)
{
    set_trim_at(heap()->spare > SPARE ? broodi_deadline(BROOD_SECONDS(1)) : 0);
}

// Allocating and freeing chunks

brood_status broodi_chunks_find(uint32_t count, uint32_t *out_first)
{
    broodi_chunks_trim_if_due();
    if (!find_free(count, out_first)) {
        const brood_status status = grow(count);
        if (status != BROOD_OK)
            return status;
        *out_first = heap()->chunks - count;
    }
    const brood_status status = commit_or_trim(*out_first, count);
    postpone_trim();
    return status;
}

void broodi_chunk_occupy(uint32_t index, uint32_t use)
{
    struct broodi_chunk *chunk = broodi_chunk_at(index);
    broodi_assert(is_free(index) && chunk->committed == COMMITTED && heap()->spare > 0);
    set_free(index, false);
    heap()->spare -= chunk->committed;
    chunk->use = use;
    chunk->taken = 0;
    memset(chunk->cells, 0, sizeof chunk->cells);
}

void broodi_chunks_vacate(uint32_t first, uint32_t count)
{
    for (uint32_t index = first; index < first + count; index++) {
        broodi_assert(!is_free(index) && broodi_chunk_at(index)->use != 0);
        broodi_chunk_at(index)->use = 0;
        set_free(index, true);
        heap()->spare++;
        (void)release(index, KEPT);
    }
    if (!trim_at())
        postpone_trim();
}

// Frees the chunks that the map has only. The dead holder may have been in grow(), and have set the
// bit of the next chunk without counting it: find_free() ignores that bit, and grow() sets it
// again.
void broodi_chunks_forget(void)
{
    heap()->spare = 0;
    heap()->lowest = 0;
    for (uint32_t index = 0; index < heap()->chunks; index++) {
        set_free(index, true);
        broodi_chunk_at(index)->use = 0;
        if (broodi_chunk_at(index)->committed == CHANGING && !decommit(index))
            broodi_chunk_at(index)->committed = NO; // so it is committed again before it is used
        heap()->spare += broodi_chunk_at(index)->committed;
    }
}
