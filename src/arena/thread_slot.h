// SPDX-License-Identifier: MIT
// The life of thread slots; see thread_slot.c.
#ifndef THREAD_SLOT_H
#define THREAD_SLOT_H

#include "arena/slots.h"

#include <stdbool.h>
#include <stdint.h>

// The turn of a thread slot: 8 bits of its generation, those above the lowest, which is always 1. A
// lock names its holder by slot and turn. That suffices, since a slot is not reused while a lock
// names it: the turn only tells a name that was loaded before from that of the next thread.
enum { BROODI_THREAD_TURN_BITS = 8 };
uint32_t broodi_thread_turn(uint32_t index);

// Whether the thread that took the slot in that turn has ended; LIVE becomes DEAD then. False also
// when the slot has another turn or is changed at the same time: then the name that the caller has
// loaded may be out of date, and the caller loads it again.
bool broodi_thread_is_over(uint32_t index, uint32_t turn);

// The fate of the thread that took the slot with this generation, of which the caller knows the
// bits in `mask`.
enum broodi_thread_fate {
    // It lives, or is STARTING, or its end is not known yet.
    BROODI_FATE_LIVES,
    // The thread was killed, has waited for a barrier, and its burial has not broken the barriers
    // yet.
    BROODI_FATE_DIED,
    // It has ended in any other way, or is buried: barriers do not count on it.
    BROODI_FATE_GONE
};
enum broodi_thread_fate broodi_thread_fate(uint32_t index, uint32_t generation, uint32_t mask);

// Whether the slot is LIVE and its thread has not ended. False for a STARTING slot.
bool broodi_thread_is_alive(uint32_t index);

// The low word of a thread slot, and its parts in a slot's state. The phase of a free slot is 0;
// its process is meaningless.
uint32_t broodi_thread_low(enum broodi_thread_phase phase, uint32_t process);
enum broodi_thread_phase broodi_thread_phase_of(uint64_t state);
uint32_t broodi_thread_process_of(uint64_t state);

// The identity of a thread for the port: of the one that has the slot now, and of the one that had
// it in this state.
brood_os_life_id broodi_life_id(uint32_t index);
brood_os_life_id broodi_life_id_of(uint32_t index, uint64_t state);

// For burial.c. Whether the thread with this state of the slot has ended; LIVE becomes DEAD then.
// False for a STARTING and for a free slot, and when the state is changed at the same time.
bool broodi_thread_has_ended(uint32_t index, uint64_t state);

// For burial.c. Changes the phase, LIVE or STARTING, to DEAD; false when the state is not `state`
// any more.
bool broodi_thread_mark_dead(uint32_t index, uint64_t state);

// For burial.c. Whether the thread, which has ended, was killed after it had waited for a barrier,
// and its burial has not broken the barriers yet.
bool broodi_thread_breaks_barriers(uint32_t index, uint64_t state);

// Whether a living thread waited for the last object in this free slot, and has not read yet how
// its wait ended. `state` is the slot's state, loaded with acquire. False for kinds without struct
// broodi_awaited_slot.
bool broodi_slot_is_awaited(enum broodi_kind kind, uint32_t index, uint64_t state);

#endif
