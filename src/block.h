// SPDX-License-Identifier: MIT
#ifndef BLOCK_H
#define BLOCK_H

#include <brood/status.h>
#include <stdbool.h>

// Makes the lock of the heap, before brood_init is through.
brood_status broodi_blocks_prepare(void);

// Frees the blocks whose worker has died or has abandoned them; true when there were any. With the
// heap's lock held, as it is when a slot of this kind is taken.
bool broodi_blocks_sweep(void);

#endif
