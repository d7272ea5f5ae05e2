// SPDX-License-Identifier: MIT
// The heap: the part of the window that blocks of up to 1 MiB are allocated in. A chunk of 64 KiB
// is free, or divided into cells of one size, or part of a run of chunks that is one cell.
//
// The heap's data is a map that can be rebuilt, because the slots of the blocks (block.c) record
// where the cells are. So all of it is plain data under one lock: the heir of a holder that died
// resets the map, and marks the cells that the slots name.
#ifndef HEAP_H
#define HEAP_H

#include <brood/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The caller of these functions holds the heap's lock, except for broodi_heap_access.

// Allocates a cell of at least `size` bytes, at most BROODI_HEAP_LARGEST; returns its offset in the
// window, and whether its bytes are known to be zero. Fails with BROOD_NO_MEMORY.
brood_status broodi_heap_allocate(size_t size, uint64_t *out_place, bool *out_zero);

// Makes a committed cell accessible in this process. Fails with BROOD_NO_MEMORY.
brood_status broodi_heap_access(uint64_t place, size_t size);

// Frees the cell that was allocated there with this size.
void broodi_heap_free(uint64_t place, size_t size);

// Rebuilding the map: resets it, so that all chunks are free; marks one cell as allocated; and,
// when all cells are marked, decommits the free chunks but for the spare ones.
void broodi_heap_forget(void);
void broodi_heap_mark(uint64_t place, size_t size);
void broodi_heap_trim(void);

#endif
