// SPDX-License-Identifier: MIT
// Freeing the memory of blocks and pieces: by their worker, or by a sweep if that has died.
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

// Frees the blocks whose worker has died or has abandoned them, and the pieces of which that is
// true or whose object has ended; returns whether there were any. As the sweep of a kind, these are
// called when a slot is allocated, for which the caller holds the lock as well.
bool broodi_blocks_sweep(void);
bool broodi_pieces_sweep(void);

// Does so for the next blocks of the table, a limited number. Called with each request for a large
// block.
void broodi_blocks_sweep_some(void);

// When memory is short: acquires the lock, sweeps blocks and pieces, and trims the heap; returns
// whether that freed any memory, so that a retry may find some.
bool broodi_memory_sweep(void);

#endif
