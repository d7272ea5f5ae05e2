// SPDX-License-Identifier: MIT
// Port contract: the shared memory of a family. It has no name in any file system.
#ifndef OS_MEMORY_H
#define OS_MEMORY_H

#include <brood/status.h>
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

#endif
