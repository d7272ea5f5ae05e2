// SPDX-License-Identifier: MIT
// The sections that this process has mapped. The process that creates a section maps it at once,
// any other process at its first use. The guard guards the list, which is private to the process.
// When another process destroys the block, the mapping stays until this process next adds one.
#ifndef MAPPING_H
#define MAPPING_H

#include "memory/block_slot.h"

#include <brood/status.h>
#include <stdint.h>

// The address of the section of this block, which is mapped first if this process has not done so.
// Fails with BROOD_STALE if the block is not WHOLE, BROOD_NO_MEMORY, or as brood_os_section_map.
brood_status broodi_mapping_find(uint64_t id, const struct broodi_block_slot *block, void **out);

// The same for a section that this process has not mapped yet.
brood_status broodi_mapping_add(uint64_t id, const struct broodi_block_slot *block, void **out);

// Unmaps the section of this block, which is not WHOLE any more, if this process has mapped it.
void broodi_mapping_forget(uint64_t id);

#endif
