// SPDX-License-Identifier: MIT
// Inside the POSIX port: descriptors of the library's own.
#ifndef POSIX_DESCRIPTOR_H
#define POSIX_DESCRIPTOR_H

#include <stdbool.h>
#include <stdint.h>

// The same descriptor above the three standard numbers, where nobody prints into it: a program may
// run without standard streams. -1, with errno, stays -1; so does one that cannot be moved.
int broodi_descriptor_up(int descriptor);

// A socket pair above them, close-on-exec, of the library's own; false with errno.
bool broodi_descriptor_pair(int type, int ends[2]);

// The library's own descriptors in this process, which a copy of it is not to have. Whoever makes
// one does that between the two: a copy of this process is made before or after. No signal is taken
// meanwhile.
void broodi_descriptors_lock(void);
void broodi_descriptors_unlock(void);

// Between the two: the descriptor is one of them. -1 stays -1; when out of memory it is closed, and
// -1 with ENOMEM.
int broodi_descriptor_note(int descriptor);

// Closes it if it is one of them: a copy does not have it any more, nor does it close what has its
// number there. Keeps errno.
void broodi_descriptor_close(int descriptor);

// The copy that this thread makes next has this one all the same, or all of them; -1: none.
enum { BROODI_DESCRIPTOR_ALL = -2 };
void broodi_descriptor_keep(int descriptor);

// In a copy, first of all: closes them, and unlocks.
void broodi_descriptors_forget(void);

// A descriptor above them that can be polled for the end of the process, of the library's own: a
// pidfd, or what comes closest. -1 with errno, ESRCH when it has ended.
int broodi_descriptor_of_process(int64_t pid);

#endif
