// SPDX-License-Identifier: MIT
// The life of thread slots; see thread_slot.c.
#ifndef THREAD_SLOT_H
#define THREAD_SLOT_H

#include "arena/slots.h"

#include <stdbool.h>
#include <stdint.h>

// The turn of a thread slot: the low bits of its generation, without the lowest, which is always 1.
// A lock names its holder by slot and turn.
enum { BROODI_THREAD_TURN_BITS = 8 };
uint32_t broodi_thread_turn(uint32_t index);

// Whether the thread that had the slot in that turn has ended. If the slot was still LIVE, it
// becomes DEAD. False also when the slot has another turn by now: then the name that the caller has
// loaded is out of date, and the caller loads it again.
bool broodi_thread_is_over(uint32_t index, uint32_t turn);

// The fate of the thread that took the slot with this generation, of which the caller knows the
// bits in `mask`.
enum broodi_thread_fate {
    BROODI_FATE_LIVES,
    // The thread was killed, has waited for a barrier, and its burial has not broken the barriers
    // yet.
    BROODI_FATE_DIED,
    // It has ended in any other way, or is buried: barriers do not count on it.
    BROODI_FATE_GONE
};
enum broodi_thread_fate broodi_thread_fate(uint32_t index, uint32_t generation, uint32_t mask);

// Whether a thread has this slot now and has not ended.
bool broodi_thread_is_alive(uint32_t index);

// The low word of a thread slot, and the parts of a taken slot's state.
uint32_t broodi_thread_low(enum broodi_thread_phase phase, uint32_t process);
enum broodi_thread_phase broodi_thread_phase_of(uint64_t state);
uint32_t broodi_thread_process_of(uint64_t state);

// The identity of the thread for the port; of the thread with this state of the slot.
brood_os_life_id broodi_life_id(uint32_t index);
brood_os_life_id broodi_life_id_of(uint32_t index, uint64_t state);

// For burial.c. Whether the thread with this state of the slot has ended; LIVE becomes DEAD then.
bool broodi_thread_has_ended(uint32_t index, uint64_t state);

// For burial.c. LIVE or STARTING becomes DEAD; false when the state has changed.
bool broodi_thread_mark_dead(uint32_t index, uint64_t state);

// For burial.c. Whether the thread, which has ended, was killed and barriers may still name it.
bool broodi_thread_breaks_barriers(uint32_t index, uint64_t state);

// Whether a living thread has waited for the last object in this free slot and has not read yet how
// its wait ended. `state` is the slot's state. False for kinds without struct broodi_awaited_slot.
bool broodi_slot_is_awaited(enum broodi_kind kind, uint32_t index, uint64_t state);

#endif
