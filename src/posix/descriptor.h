// SPDX-License-Identifier: MIT
// Inside the POSIX port: descriptors of the library's own.
#ifndef POSIX_DESCRIPTOR_H
#define POSIX_DESCRIPTOR_H

#include <stdbool.h>
#include <stdint.h>

// The same descriptor above the three standard numbers, where nobody prints into it: a program may run without standard streams. -1, with
// errno, stays -1; so does one that cannot be moved.
int broodi_descriptor_up(int descriptor);

// A socket pair above them, close-on-exec; false with errno.
bool broodi_descriptor_pair(int type, int ends[2]);

// A descriptor above them that can be polled for the end of the process: a pidfd, or what comes closest. -1 with errno, ESRCH when it has ended.
int broodi_descriptor_of_process(int64_t pid);

#endif
