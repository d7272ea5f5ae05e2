// SPDX-License-Identifier: MIT
// What becomes of the slots of dead threads and processes; see burial.c.
#ifndef BURIAL_H
#define BURIAL_H

#include "arena/kinds.h"

#include <stdint.h>

// The sweep of each kind, for broodi_kinds_prepare.
extern const broodi_sweep broodi_sweeps[BROODI_KINDS];

// Frees the slot and buries the threads of its process, unless another process does so already.
void broodi_process_slot_end(uint32_t index);

#endif
