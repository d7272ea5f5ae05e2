// SPDX-License-Identifier: MIT
// The memory of the window that blocks are made of: chunks of 64 KiB, each of which is free, or cut
// into pieces of one size, or a part of a run of chunks that is one piece.
//
// What is written here is a map that can be drawn anew: where the pieces are stands in the slots of
// the blocks (block.c). So everything is plain data under one lock, and when somebody dies with
// that lock, whoever gets it next forgets the map and marks again what the slots say.
#ifndef HEAP_H
#define HEAP_H

#include "atomic.h"

#include <brood/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    BROODI_HEAP_CHUNK = 65536,
    BROODI_HEAP_CHUNKS =
        SIZE_MAX <= UINT32_MAX ? 1 << 12 : 1 << 18, // as many as there may be in a window
    BROODI_HEAP_GROUP = 16, // chunks that are contiguous in the object, too: an extent (space.h)
    BROODI_HEAP_UNIT = 64,  // bytes: a cache line
    BROODI_HEAP_CLASSES = 32,
    BROODI_HEAP_LARGEST = 1 << 20, // what is larger is a section
};

// In the header of the arena.
struct broodi_heap {
    uint64_t lock;
    uint32_t chunks;    // as many have a slot
    uint32_t spare;     // free ones that are committed
    uint32_t unchecked; // bytes committed since somebody asked how much the system has left
    uint32_t room[BROODI_HEAP_CLASSES]; // a list for each size: chunks in which a piece is free,
                                        // plus one
    uint64_t gap; // block.c: a place between sections that is free for so many bytes
    uint64_t gap_length;
    uint64_t hopeless; // no gap has so many bytes, until a section ends; 0: not known
    uint32_t swept;    // block.c: the last slot that was looked at
    uint64_t free[BROODI_HEAP_CHUNKS / 64]; // a bit for each chunk
};

// The slot of a chunk.
struct broodi_chunk {
    uint32_t use; // 0; or the class of its pieces plus one; or part of a run
    uint32_t taken;
    uint32_t next; // in the list of its class, plus one
    uint32_t previous;
    uint32_t committed;         // see heap.c
    uint32_t used;              // it may be other than zero
    _Atomic uint64_t object_at; // of the first chunk of a group: where the group lies in the
                                // object; 0: not claimed
    uint64_t pieces[BROODI_HEAP_CHUNK / BROODI_HEAP_UNIT / 64]; // a bit for each that is taken
};

// All of these with the lock held.

// Takes a piece of at least `size` bytes, at most BROODI_HEAP_LARGEST; tells where it lies in the
// window, and whether it is zero. Fails with BROOD_NO_MEMORY.
brood_status broodi_heap_take(size_t size, uint64_t *out_place, bool *out_zero);

// Makes a committed piece accessible in this process; without the lock, too. Fails with
// BROOD_NO_MEMORY.
brood_status broodi_heap_access(uint64_t place, size_t size);

// Gives one back.
void broodi_heap_give(uint64_t place, size_t size);

// Forgets all pieces. Knows one again. And, when all are known, gives back what nobody has.
void broodi_heap_forget(void);
void broodi_heap_mark(uint64_t place, size_t size);
void broodi_heap_trim(void);

#endif
