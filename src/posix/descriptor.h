// SPDX-License-Identifier: MIT
// Inside the POSIX port: the library's own descriptors.
#ifndef POSIX_DESCRIPTOR_H
#define POSIX_DESCRIPTOR_H

#include <stdbool.h>
#include <stdint.h>

// Moves a descriptor above the three standard numbers, where no code of the program prints into
// it by mistake: a program may run without standard streams. Returns the new number; -1, with
// errno, if that fails (the descriptor is then closed) or if it was -1.
int broodi_descriptor_up(int descriptor);

// Makes a socket pair of the library's own, above the standard numbers and close-on-exec; false
// with errno.
bool broodi_descriptor_pair(int type, int ends[2]);

// The library notes its own descriptors in this process, so that a copy of the process can close
// them. A descriptor is opened and noted between these two calls, which a fork waits for: a copy
// is made before or after. The calling thread takes no signals meanwhile.
void broodi_descriptors_lock(void);
void broodi_descriptors_unlock(void);

// Notes the descriptor as the library's own; called between those two. -1 stays -1; if out of
// memory the descriptor is closed, and the result is -1 with ENOMEM.
int broodi_descriptor_note(int descriptor);

// Closes the descriptor if it is noted. In a copy it is not: whatever has its number there stays
// open. Keeps errno.
void broodi_descriptor_close(int descriptor);

// Sets which noted descriptor, or all of them, stays open in the copy that this thread makes
// next; -1: none.
enum { BROODI_DESCRIPTOR_ALL = -2 };
void broodi_descriptor_keep(int descriptor);

// Called first of all in a copy: closes the noted descriptors, and unlocks.
void broodi_descriptors_forget(void);

// Returns how often this process and those that it was copied from have been copied: a number that
// differs between a process and its copy.
unsigned broodi_descriptors_copies(void);

// Opens a descriptor of the library's own that polls readable when the process has ended: a pidfd
// or, on macOS, a kqueue. -1 with errno, ESRCH if the process has ended.
int broodi_descriptor_of_process(int64_t pid);

#endif
