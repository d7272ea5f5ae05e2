// SPDX-License-Identifier: MIT
// Creating and opening the arena of a family.
#ifndef ARENA_H
#define ARENA_H

#include <brood/status.h>
#include <stdint.h>

// Creates the arena of a new family. And opens the arena of the parent, which must have the random
// number `family`.
brood_status broodi_family_create(void);
brood_status broodi_family_open(intptr_t object, uint64_t window, const uint64_t family[2]);

#endif
