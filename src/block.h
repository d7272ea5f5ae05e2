// SPDX-License-Identifier: MIT
#ifndef BLOCK_H
#define BLOCK_H

#include <brood/status.h>

// Makes the lock of the heap, before brood_init is through.
brood_status broodi_blocks_prepare(void);

// Frees the blocks that somebody was making or destroying when he died. With the heap's lock held, as it is when a slot of this kind is taken.
void broodi_blocks_sweep(void);

#endif
