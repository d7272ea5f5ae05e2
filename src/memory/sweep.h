// SPDX-License-Identifier: MIT
// Freeing the memory of blocks and pieces: by a thread that frees one, or by a sweep if its worker
// has ended or abandoned it. memory_slot.h has the phases.
//
// The caller of these functions holds the heap's lock, except for broodi_memory_sweep().
#ifndef SWEEP_H
#define SWEEP_H

#include "base/handle.h"

#include <stdbool.h>
#include <stdint.h>

// Frees the slot of a block or a piece, if its state is exactly `state`, and its cell.
bool broodi_memory_free_cell(enum broodi_kind kind, uint32_t index, uint64_t state);

// Frees the slot of a large block and its range, after its section was destroyed.
void broodi_memory_free_range(uint32_t index);

// Free the abandoned blocks; the abandoned pieces, and the WHOLE ones whose object has ended.
// Return whether there were any. They are also the sweeps of their kinds (kinds.h):
// broodi_slot_allocate() calls them then, whose caller holds the heap's lock for these two kinds.
bool broodi_blocks_sweep(void);
bool broodi_pieces_sweep(void);

// Frees those of the next 1024 blocks of the table, in turn, that are abandoned. Called with each
// request for a large block.
void broodi_blocks_sweep_some(void);

// When memory is short: frees destroyed queues, acquires the lock, sweeps blocks and pieces, and
// trims the heap; returns whether that freed any memory, so that a retry may find some.
bool broodi_memory_sweep(void);

#endif
