// SPDX-License-Identifier: MIT
// Port contract: the shared memory of a family. It has no name in any file system.
#ifndef OS_MEMORY_H
#define OS_MEMORY_H

#include <brood/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct brood_os_arena {
    unsigned char *base; // of the window in this process
    size_t size;         // of the window: bytes of address space reserved
    intptr_t object;     // the descriptor or HANDLE, never inherited by accident
} brood_os_arena;

// A part of the window, and the position of its bytes in the object, which differs from the
// offset on some systems. All are multiples of 64 KiB.
typedef struct brood_os_range {
    size_t offset; // in the window
    size_t length;
    uint64_t place; // in the object
} brood_os_range;

// Creates an arena and reserves a window of as much address space as the system grants, at least
// `least` bytes. Nothing is committed, and nothing is accessible. Fails with BROOD_NO_MEMORY,
// BROOD_NO_RESOURCES.
brood_status brood_os_arena_create(brood_os_arena *out, size_t least);

// Opens an arena that another process created, and reserves a window of `size` bytes, or of as
// much as the system grants, at least `least` bytes. Takes ownership of `object`, also on
// failure. Fails with BROOD_NO_MEMORY; BROOD_INVALID if `object` is not an arena.
brood_status brood_os_arena_open(brood_os_arena *out, intptr_t object, size_t size, size_t least);

// Commits memory for a range, for all processes; what was not committed before is zero. Repeating
// it is harmless, so two processes may do it at once and a process may die in it. The range of a
// given offset has the same `place` in every call. The caller has called brood_os_memory_check().
// Lack of memory is reported here as BROOD_NO_MEMORY, never by a signal, neither now nor when the
// memory is touched.
brood_status brood_os_arena_commit(const brood_os_arena *arena, const brood_os_range *range);

// Makes a range accessible in this process; its last chunk has been committed. Repeating it is
// harmless, also while other threads use the range. Async-signal-safe. Returns false if the
// system has no memory for the mapping.
bool brood_os_arena_access(const brood_os_arena *arena, const brood_os_range *range);

// Tells the system that this process is about to write to a committed range which is accessible and
// which no process has used. A hint: saves page faults where the system can do so.
void brood_os_arena_populate(const brood_os_arena *arena, const brood_os_range *range);

// Frees the memory of a committed range, which is then as if never committed. Returns false, with
// the range unchanged, where the system cannot do that in a window. Repeating it is harmless.
bool brood_os_arena_decommit(const brood_os_arena *arena, const brood_os_range *range);

// Checks whether `length` more bytes can be committed, by the memory of the machine and by the
// limits set for this process. Reserves nothing. Fails with BROOD_NO_MEMORY.
brood_status brood_os_memory_check(uint64_t length);

// A section: memory outside the window, for one large block. Each process maps it when it uses
// it.
typedef struct brood_os_section {
    uint64_t at;     // position in the object, where all sections are in one: a multiple of 64 KiB
    uint64_t length; // bytes, a multiple of 64 KiB
    uint64_t name;   // for ports where each section is an object of its own; 0: none
    int64_t keeper;  // the process that keeps it alive, where the system does not; 0: none
    // NULL, or called with `user` after each piece that has been committed.
    void (*progress)(void *user, uint64_t piece);
    void *user;
} brood_os_section;

// Returns the number that names this process as a keeper, which no later process gets. 0 where no
// keeper is needed.
int64_t brood_os_section_keeper(void);

// Creates a section, all zero. Sets `out->name`, and `out->keeper` if the keeper is another
// process than the requested one. The section outlives its creator; it ends by
// brood_os_section_destroy or with its keeper. With `lazy` its pages may be allocated when they
// are first touched. The caller has called brood_os_memory_check(). Fails with BROOD_NO_MEMORY,
// BROOD_NO_RESOURCES.
brood_status brood_os_section_create(const brood_os_arena *arena, bool lazy, brood_os_section *out);

// Destroys a section. Its memory is freed, on systems where a mapping keeps it once no process
// maps it. May be repeated, also without the name.
void brood_os_section_destroy(const brood_os_arena *arena, const brood_os_section *section);

// Maps a section into this process. Fails with BROOD_NO_MEMORY; BROOD_NOT_FOUND if it no longer
// exists.
brood_status brood_os_section_map(const brood_os_arena *arena, const brood_os_section *section,
                                  void **out);
void brood_os_section_unmap(void *address, uint64_t length);

// Returns the position in the object at which every section must end at the latest.
uint64_t brood_os_section_limit(void);

#endif
