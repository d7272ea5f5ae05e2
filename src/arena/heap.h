// SPDX-License-Identifier: MIT
// The heap: the part of the window that blocks of up to 1 MiB are allocated in. A chunk of 64 KiB
// is free, or divided into cells of one size, or part of a run of chunks that is one cell.
//
// The heap's data is a map that can be rebuilt, because the slots of the blocks (block.c) record
// where the cells are. So all of it is plain data under one lock: the heir of a holder that died
// resets the map, and marks the cells that the slots name.
#ifndef HEAP_H
#define HEAP_H

#include "base/atomic.h"

#include <brood/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    BROODI_HEAP_CHUNK = 65536,
    BROODI_HEAP_CHUNKS = SIZE_MAX <= UINT32_MAX ? 1 << 12 : 1 << 18, // the most in a window
    BROODI_HEAP_GROUP = 16, // chunks that are contiguous in the object, too: an extent (space.h)
    BROODI_HEAP_UNIT = 64,  // bytes: a cache line
    BROODI_HEAP_CLASSES = 32,
    BROODI_HEAP_LARGEST = 1 << 20, // bytes; a larger block is a section
};

// In the header of the arena. The lock guards all of it.
struct broodi_heap {
    uint64_t lock;
    uint32_t chunks;    // how many have a slot
    uint32_t spare;     // chunks that are free and committed
    uint32_t unchecked; // bytes committed since the last check of the memory left, see heap.c

    // The heads of one list for each class: a chunk in which a cell is free, plus one; 0: none.
    uint32_t room[BROODI_HEAP_CLASSES];

    // gap.c: a range between sections that is known to be free.
    uint64_t gap;
    uint64_t gap_length;

    // gap.c: a search for a gap of so many bytes has failed, and no section has ended since; 0:
    // none has failed.
    uint64_t hopeless;

    uint32_t swept;                         // block.c: the slot that was checked last
    uint64_t free[BROODI_HEAP_CHUNKS / 64]; // a bit for each chunk
};

// The slot of a chunk. The heap's lock guards all but `object_at`.
struct broodi_chunk {
    uint32_t use;       // 0: free; the class of its cells plus one; or RUN, see heap.c
    uint32_t taken;     // how many cells are allocated
    uint32_t next;      // in the list of its class: a chunk plus one; 0: none
    uint32_t previous;  // the same
    uint32_t committed; // see heap.c
    uint32_t used;      // whether its bytes may be other than zero

    // In the first chunk of a group: where the group lies in the object; 0: not claimed.
    _Atomic uint64_t object_at;

    uint64_t cells[BROODI_HEAP_CHUNK / BROODI_HEAP_UNIT / 64]; // a bit for each allocated cell
};

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
