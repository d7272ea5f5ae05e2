// SPDX-License-Identifier: MIT
#ifndef BARRIER_H
#define BARRIER_H

#include <stdint.h>

// Breaks every barrier that still counts on this thread, which has died: before its slot, and its
// generation, are given away.
void broodi_barriers_miss(uint32_t thread, uint32_t generation);

// Frees the party slots whose barrier is gone, since who destroyed it died.
void broodi_parties_sweep(void);

#endif
