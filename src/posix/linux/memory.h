// SPDX-License-Identifier: MIT
// Inside the POSIX port, on Linux: the file of the arena.
#ifndef POSIX_MEMORY_H
#define POSIX_MEMORY_H

#include "os/os_memory.h"

// Checks that the descriptor is still that of the family's memory: a program that closes all
// descriptors closes it too, and may then get its number for a file of its own. BROOD_WRONG_STATE
// otherwise.
brood_status broodi_memory_check(const brood_os_arena *arena);

#endif
