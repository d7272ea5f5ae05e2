// SPDX-License-Identifier: MIT
// The life of process slots; see process_slot.c.
#ifndef PROCESS_SLOT_H
#define PROCESS_SLOT_H

#include "arena/slots.h"

#include <brood/process.h>
#include <brood/status.h>
#include <stdbool.h>
#include <stdint.h>

// The thread count of a process slot: `count` before a thread of the process takes a slot; `note`
// when it has taken `thread`; `discount` when it could not take one or has freed it.
void broodi_process_slot_count(uint32_t process);
void broodi_process_slot_note(uint32_t process, uint32_t thread);
void broodi_process_slot_discount(uint32_t process);

// What is known of a process before it begins.
struct broodi_process_facts {
    uint32_t parent; // slot, or BROODI_NONE
    enum broodi_origin origin;
    const char *name;
    bool daemon;
};

// Takes a slot for a process, which is STARTING then. Fails as broodi_slot_allocate.
brood_status broodi_process_slot_allocate(const struct broodi_process_facts *facts,
                                          uint32_t *out_index);

// The phase in a slot's state; DYING for a free slot.
enum broodi_process_phase broodi_process_phase_of(uint64_t state);

// Called by the process itself: STARTING becomes LIVE, and `pid` is stored. `live` is the state
// that broodi_process_slot_live returned to the parent. False when the slot was freed meanwhile,
// because the parent has died or has given up the start.
bool broodi_process_slot_begin(uint32_t index, uint64_t live, int64_t pid);

// Called by a process that will later call broodi_process_slot_begin for the slot: stores `pid`, so
// that broodi_report_write finds the slot if the process ends before that.
void broodi_process_slot_announce(uint32_t index, uint64_t live, int64_t pid);

// The state LIVE with the slot's present generation.
uint64_t broodi_process_slot_live(uint32_t index);

// Whether the process is not STARTING any more.
bool broodi_process_slot_has_begun(uint32_t index);

// Whether `pid` in the slot is a number of this process's namespace. If not, the number means no
// process here, or an unrelated one.
bool broodi_process_has_number(const struct broodi_process_slot *slot);

// For burial.c. The low word of the phase DYING, with this process as the worker.
uint32_t broodi_process_low_dying(void);

// For burial.c. Whether the slot with this state is taken, its process has ended or will never
// begin, and no living process is responsible for it.
bool broodi_process_is_left(const struct broodi_process_slot *slot, uint64_t state);

#endif
