// SPDX-License-Identifier: MIT
#ifndef BLOCK_H
#define BLOCK_H

#include <brood/status.h>
#include <stdbool.h>

// Creates the heap's lock. Called once, during brood_init.
brood_status broodi_blocks_prepare(void);

// Frees the blocks whose worker has died or has abandoned them; returns whether there were any. The
// caller holds the heap's lock, as it does whenever a slot of this kind is allocated.
bool broodi_blocks_sweep(void);

#endif
