// SPDX-License-Identifier: MIT
// The chunks of the heap: which are free, and which are committed. heap.c divides them into cells.
//
// A free chunk may stay committed, because committing one anew costs much more than allocating it:
// up to 64 MiB of them while the heap is in use. Once no chunk has been allocated for a second, all
// but 1 MiB are to be decommitted ("trimmed"). The next call of the heap does that, or a thread
// that waits (broodi_heap_rest() of memory/heap_lock.h).
//
// The caller of these functions holds the heap's lock.
#ifndef CHUNK_H
#define CHUNK_H

#include "arena/family.h"

#include <brood/status.h>
#include <stdbool.h>
#include <stdint.h>

static inline struct broodi_chunk *broodi_chunk_at(uint32_t index)
{
    return broodi_slot(BROODI_CHUNK, index);
}

// The offset of a chunk in the window, and the chunk that has an offset.
static inline uint64_t broodi_chunk_place(uint32_t index)
{
    return broodi_family.heap_at + (uint64_t)index * BROODI_HEAP_CHUNK;
}

static inline uint32_t broodi_chunk_of(uint64_t place)
{
    return (uint32_t)((place - broodi_family.heap_at) / BROODI_HEAP_CHUNK);
}

brood_os_range broodi_chunk_range(uint32_t index);

// Returns how many chunks fit into the window.
uint32_t broodi_chunk_capacity(void);

// Finds `count` free chunks in a row and commits them; they stay free until the caller occupies
// them. Fails with BROOD_NO_MEMORY.
brood_status broodi_chunks_find(uint32_t count, uint32_t *out_first);

// Marks a free and committed chunk as used: `use` is not 0.
void broodi_chunk_occupy(uint32_t index, uint32_t use);

// Frees `count` chunks.
void broodi_chunks_vacate(uint32_t first, uint32_t count);

// Decommits free chunks until 1 MiB of them is left; returns whether there were more. The second
// function does so only if no chunk has been allocated for a second.
bool broodi_chunks_trim(void);
void broodi_chunks_trim_if_due(void);

// For the heir of the lock: marks all chunks as free.
void broodi_chunks_forget(void);

#endif
