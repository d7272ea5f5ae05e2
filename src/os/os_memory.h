// SPDX-License-Identifier: MIT
// Port contract: the shared memory of a family. It has no name in any file system.
#ifndef OS_MEMORY_H
#define OS_MEMORY_H

#include <brood/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct brood_os_arena {
    unsigned char *base; // where the window is reserved in this process
    size_t size;         // bytes of address space reserved there
    intptr_t object;     // the descriptor or HANDLE, never inherited by accident
} brood_os_arena;

// A part of the window, and where its bytes lie in the object in systems where that is another
// place. All multiples of 64 KiB.
typedef struct brood_os_range {
    size_t offset; // in the window
    size_t length;
    uint64_t place; // in the object
} brood_os_range;

// Makes a new arena and reserves a window of as much address space as the system grants, `least`
// bytes or more. Nothing is committed, and nothing accessible. Fails with BROOD_NO_MEMORY,
// BROOD_NO_RESOURCES.
brood_status brood_os_arena_create(brood_os_arena *out, size_t least);

// Opens an arena that another process made, and reserves a window of `size` bytes, or of as much as
// the system grants, `least` bytes or more; takes `object` over, also when it fails. Fails with
// BROOD_NO_MEMORY; BROOD_INVALID when `object` is no arena.
brood_status brood_os_arena_open(brood_os_arena *out, intptr_t object, size_t size, size_t least);

// Provides memory for a range, for all processes; what was not committed yet is zero. Repeating it
// is harmless, so two processes may do it at once and one may die in it. A range has the same place
// in every call. The caller has asked brood_os_memory_check(). Fails with BROOD_NO_MEMORY, never by
// a signal, now or when the memory is touched.
brood_status brood_os_arena_commit(const brood_os_arena *arena, const brood_os_range *range);

// Makes a range accessible in this process, of which the last chunk has been committed. Repeating
// it is harmless, also while other threads use the range. Async-signal-safe. False when the system
// has no memory for the mapping.
bool brood_os_arena_access(const brood_os_arena *arena, const brood_os_range *range);

// Gives such bytes back: they are as if they had never been committed. False where the system
// cannot do it in a window; then they are as they were. Repeating it is harmless.
bool brood_os_arena_decommit(const brood_os_arena *arena, const brood_os_range *range);

// Whether so many bytes more can be committed: by the machine, and by the limits that are set to
// this process. Nothing is reserved. Fails with BROOD_NO_MEMORY.
brood_status brood_os_memory_check(uint64_t length);

// A section: memory outside of the window, for one large block. A process maps it when it needs it.
typedef struct brood_os_section {
    uint64_t at;     // where it lies in a system that has one object for all: a multiple of 64 KiB
    uint64_t length; // bytes, a multiple of 64 KiB
    uint64_t name;   // for the port, where that is not enough; 0: none
    int64_t keeper;  // the process that keeps it in being, where the system keeps nothing by itself
    // NULL, or told of each piece that has been committed, with `user`.
    void (*progress)(void *user, uint64_t piece);
    void *user;
} brood_os_section;

// This process as a keeper: no later one has the same name. 0 where none is needed.
int64_t brood_os_section_keeper(void);

// Makes one, all zero: sets `out->name`, and `out->keeper` if that is another process than the one
// asked for. It stays when its maker dies, and ends by brood_os_section_destroy or with its keeper.
// `lazy`: its pages need to be there only when they are touched. The caller has asked
// brood_os_memory_check(). Fails with BROOD_NO_MEMORY, BROOD_NO_RESOURCES.
brood_status brood_os_section_create(const brood_os_arena *arena, bool lazy, brood_os_section *out);

// Ends one: its memory is given back, once nobody maps it in systems where a mapping keeps it. It
// may be done again, without the name.
void brood_os_section_destroy(const brood_os_arena *arena, const brood_os_section *section);

// Maps one into this process. Fails with BROOD_NO_MEMORY; BROOD_NOT_FOUND when it has ended.
brood_status brood_os_section_map(const brood_os_arena *arena, const brood_os_section *section,
                                  void **out);
void brood_os_section_unmap(void *address, uint64_t length);

// Sections have to end at this place or before.
uint64_t brood_os_section_limit(void);

#endif
