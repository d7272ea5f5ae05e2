// SPDX-License-Identifier: MIT
// The life of thread slots; see thread_slot.c. Whether a thread lives: owner.h.
#ifndef THREAD_SLOT_H
#define THREAD_SLOT_H

#include "arena/slots.h"

#include <stdbool.h>
#include <stdint.h>

// The low word of a thread slot, and its parts in a slot's state. The phase of a free slot is 0;
// its process is meaningless.
uint32_t broodi_thread_low(enum broodi_thread_phase phase, uint32_t process);
enum broodi_thread_phase broodi_thread_phase_of(uint64_t state);
uint32_t broodi_thread_process_of(uint64_t state);

// Changes the phase, LIVE or STARTING, to DEAD; false when the state is not `state` any more.
bool broodi_thread_mark_dead(uint32_t index, uint64_t state);

#endif
