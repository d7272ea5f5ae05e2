// SPDX-License-Identifier: MIT
// The heap: the part of the window that blocks of up to 1 MiB and the library's own pieces of
// memory are allocated in. A chunk of 64 KiB is free, or divided into cells of one size, or part of
// a run of chunks that is one cell. All cells of a chunk are blocks, or all are pieces,
// so no page of a block holds data of the library's own.
//
// The heap's data is a map that can be rebuilt, because the slots of blocks and pieces record where
// the cells are (memory/memory_slot.h). So all of it is plain data under one lock: the heir of a
// holder that died resets the map, and marks the cells that the slots name.
//
// A cell whose size is a power of two up to 64 KiB is aligned to its size, as an offset in the
// window.
#ifndef HEAP_H
#define HEAP_H

#include <brood/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The caller of these functions holds the heap's lock, except for broodi_heap_access and
// broodi_heap_populate.

enum broodi_heap_user { BROODI_HEAP_BLOCKS, BROODI_HEAP_PIECES };

// Allocates a cell of at least `size` bytes; returns its offset in the window, and whether its
// bytes are known to be zero. Fails with BROOD_NO_MEMORY.
brood_status broodi_heap_allocate(enum broodi_heap_user user, size_t size, uint64_t *out_place,
                                  bool *out_zero);

// Makes a committed cell accessible in this process. Fails with BROOD_NO_MEMORY.
brood_status broodi_heap_access(uint64_t place, size_t size);

// For a cell that is accessible and zero, before this process writes to all of it. The caller needs
// no lock.
void broodi_heap_populate(uint64_t place, size_t size);

// Frees the cell that was allocated there with this size.
void broodi_heap_free(uint64_t place, size_t size);

// Rebuilding the map: resets it, so that all chunks are free; and marks one cell as allocated. The
// free chunks are trimmed (chunk.h) when all cells are marked.
void broodi_heap_forget(void);
void broodi_heap_mark(enum broodi_heap_user user, uint64_t place, size_t size);

#endif
