// SPDX-License-Identifier: MIT
// Sections, the memory of large blocks: the range and the memory for one, its creation and its
// destruction. A process maps them by mapping.h.
#ifndef SECTION_H
#define SECTION_H

#include "memory/block_slot.h"

#include <brood/status.h>
#include <stdbool.h>
#include <stdint.h>

// Allocates a range for a section and, if it is not lazy, promises memory to it. The caller holds
// the heap's lock until the block is MAKING. Fails with BROOD_NO_MEMORY; BROOD_BUSY if the memory
// would suffice but for the promises to other blocks.
brood_status broodi_section_allocate(uint64_t size, bool lazy, uint64_t *out_place);

// Creates the section of a block that is MAKING, and commits its memory if it is not lazy. Fails as
// brood_os_section_create.
brood_status broodi_section_create(struct broodi_block_slot *block, bool lazy);

// Frees the memory of the section of an abandoned block, or of one that is ENDING and whose worker
// is the caller. May be repeated: a worker that was killed in here may have freed it already.
void broodi_section_destroy(struct broodi_block_slot *block);

#endif
