// SPDX-License-Identifier: MIT
// Port contract: the shared memory of a family. It has no name in any file system.
#ifndef OS_MEMORY_H
#define OS_MEMORY_H

#include <brood/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct brood_os_arena {
    unsigned char *base; // where the window is mapped in this process
    size_t size;         // bytes of address space reserved there
    intptr_t object;     // the descriptor or HANDLE, never inherited by accident
} brood_os_arena;

// Makes a new arena and maps a window of as much address space as the system grants, `least` bytes or more. Nothing is
// committed. Fails with BROOD_NO_MEMORY, BROOD_NO_RESOURCES.
brood_status brood_os_arena_create(brood_os_arena *out, size_t least);

// Maps an arena that another process made; takes `object` over, also when it fails. `size` as the maker's.
// Fails with BROOD_NO_MEMORY; BROOD_INVALID when `object` is no arena.
brood_status brood_os_arena_open(brood_os_arena *out, intptr_t object, size_t size);

// Makes the bytes [offset, offset + length) usable in every process; those that were not yet are zero. Repeating it is
// harmless, so two processes may do it at once and one may die in it. A multiple of 64 KiB both.
// Fails with BROOD_NO_MEMORY, never by a signal, now or when the memory is touched.
brood_status brood_os_arena_commit(const brood_os_arena *arena, size_t offset, size_t length);

// Gives such bytes back: they are as if they had never been committed. False where the system cannot do it in a window;
// then they are as they were. Repeating it is harmless.
bool brood_os_arena_decommit(const brood_os_arena *arena, size_t offset, size_t length);

// A section: memory outside of the window, for one large block. A process maps it when it needs it.
typedef struct brood_os_section {
    uint64_t
        at; // where it lies in a system that has one file for all: behind the window, a multiple of 64 KiB, and nobody else's
    uint64_t length; // bytes, a multiple of 64 KiB
    uint64_t name;   // for the port, where that is not enough; 0: none
    int64_t keeper;  // the process that keeps it in being, where the system keeps nothing by itself
} brood_os_section;

// This process as a keeper: no later one has the same name. 0 where none is needed.
int64_t brood_os_section_keeper(void);

// Makes one, all zero: sets `out->name`, and `out->keeper` if that is another process than the one asked for. It stays when its maker dies, and
// ends by brood_os_section_destroy or with its keeper. `lazy`: its pages need to be there only when they are touched.
// Fails with BROOD_NO_MEMORY, BROOD_NO_RESOURCES.
brood_status brood_os_section_create(const brood_os_arena *arena, bool lazy, brood_os_section *out);

// Ends one: its memory is given back, once nobody maps it in systems where a mapping keeps it. It may be done again, without the name.
void brood_os_section_destroy(const brood_os_arena *arena, const brood_os_section *section);

// Maps one into this process. Fails with BROOD_NO_MEMORY; BROOD_NOT_FOUND when it has ended.
brood_status brood_os_section_map(const brood_os_arena *arena, const brood_os_section *section, void **out);
void brood_os_section_unmap(void *address, uint64_t length);

// Sections have to end at this place or before.
uint64_t brood_os_section_limit(void);

#endif
