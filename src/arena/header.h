// SPDX-License-Identifier: MIT
// The header of the arena: the family's data that belongs to no slot, with the part of each module.
// And the slot of a chunk, which belongs to the heap's map.
#ifndef HEADER_H
#define HEADER_H

#include "base/atomic.h"
#include "base/handle.h"

#include <stdint.h>

#define BROODI_ARENA_MAGIC UINT64_C(0x616e657261646f62) // "bodarena"
#define BROODI_ARENA_LAYOUT 8

enum {
    BROODI_HEAP_CHUNK = 65536,
    BROODI_HEAP_CHUNKS = SIZE_MAX <= UINT32_MAX ? 1 << 12 : 1 << 18, // the most in a window
    BROODI_HEAP_GROUP = 16, // chunks that are contiguous in the object, too: an extent (space.h)
    BROODI_HEAP_UNIT = 64,  // bytes: a cache line
    BROODI_HEAP_CLASSES = 32,
    BROODI_HEAP_LISTS = 2 * BROODI_HEAP_CLASSES, // for each class, one for each user (heap.h)
    BROODI_HEAP_LARGEST = 1 << 20,               // bytes; a larger block is a section
};

enum {
    // Slots of each table behind the header.
    BROODI_FIRST = 64,
    // Bytes of the window that are committed and accessible from the start.
    BROODI_BOOT = 3 * BROODI_HEAP_CHUNK,
};

struct broodi_table_state {
    // Slots with an index below this are committed; only grows. Raised with release once they are,
    // and loaded with acquire: see space.c.
    _Atomic uint32_t limit;
    // The end of the slots that were ever taken; only grows. It is raised before a slot is taken.
    _Atomic uint32_t end;
    // Where the next search for a free slot begins, modulo `limit`, so that slots are reused first
    // in, first out. A hint.
    _Atomic uint32_t cursor;
    // Slots taken or spent. A hint: it is changed after the slot, and a process may be killed in
    // between; and changes that are made during a count of the table may be lost.
    _Atomic uint32_t live;
    // The number of the lap: each slot may be taken 2^21 times for each lap from 0 to this one. See
    // allocator.c.
    _Atomic uint32_t laps;
};

// See space.h.
enum { BROODI_TABLE_STEPS = 16 };

struct broodi_space {
    // The end of the claimed part, and the extent that was claimed last.
    _Atomic uint64_t top;
    // By kind and step: the position of the step in the object; 0: not recorded. Stored once.
    _Atomic uint64_t steps[BROODI_KINDS][BROODI_TABLE_STEPS];
};

// See groups.h.
enum { BROODI_GROUPS = 4673 }; // of all tables that have groups: see groups.c

struct broodi_groups {
    _Atomic uint32_t words[BROODI_GROUPS];
};

// The map of the heap. The lock guards all of it.
struct broodi_heap {
    uint64_t lock;           // the handle of that lock, one of the library's own
    uint32_t chunks;         // chunks with an index below this have a slot and a bit in `free`
    uint32_t spare;          // chunks that are free and committed
    uint32_t lowest;         // no chunk below it is free
    uint32_t unchecked;      // bytes committed since the last check of the memory left, see chunk.c
    _Atomic int64_t trim_at; // chunk.c: when free chunks are to be decommitted; 0: never

    // The heads of the lists: a chunk in which a cell is free, plus one; 0: none.
    uint32_t room[BROODI_HEAP_LISTS];

    // gap.c: a range between sections that is known to be free.
    uint64_t gap;
    uint64_t gap_length;

    // gap.c: the number of bytes for which a search for a gap has failed; 0: none has failed since
    // a section ended.
    uint64_t hopeless;

    uint32_t swept;                         // sweep.c: the slot that was checked last
    uint64_t free[BROODI_HEAP_CHUNKS / 64]; // a bit for each chunk
};

// The slot of a chunk. The heap's lock guards all but `object_at`.
struct broodi_chunk {
    uint32_t use;       // 0: free; its list plus one; or RUN, see heap.c
    uint32_t taken;     // how many cells are allocated
    uint32_t next;      // in its list: a chunk plus one; 0: none
    uint32_t previous;  // the same
    uint32_t committed; // see chunk.c
    uint32_t used;      // whether its bytes may be other than zero

    // In the first chunk of a group: where the group lies in the object; 0: not claimed.
    _Atomic uint64_t object_at;

    uint64_t cells[BROODI_HEAP_CHUNK / BROODI_HEAP_UNIT / 64]; // a bit for each allocated cell
};

struct broodi_header {
    // The creator of the family stores these six before any other process opens the arena.
    uint64_t magic;
    uint32_t layout;
    uint32_t kinds;
    uint64_t family[2]; // random; the tag of handles is a part of it
    // Bytes of address space that the first process reserved. The layout follows from it.
    uint64_t window;
    uint64_t names;              // the handle of the registry's lock
    _Atomic uint64_t thread_ids; // the last number that a thread of the family was given
    _Atomic int64_t keeper;      // the main process, which keeps the sections of large blocks
    // 1 when a process could not ring a poller: see watch.h.
    _Atomic uint32_t rings_lost;
    // 1 when a process has printed that BROOD_START_METHOD is ignored.
    _Atomic uint32_t method_warned;
    struct broodi_table_state tables[BROODI_KINDS];
    struct broodi_space space;
    struct broodi_groups groups;
    struct broodi_heap heap;
};

#endif
