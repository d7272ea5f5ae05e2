// SPDX-License-Identifier: MIT
#ifndef BARRIER_H
#define BARRIER_H

#include <stdint.h>

// Breaks every barrier that has a name of this dead thread for its current round or the one before.
// To be called before the thread's slot, and with it the generation, is freed.
void broodi_barriers_break_for(uint32_t thread, uint32_t generation);

#endif
