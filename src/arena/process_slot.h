// SPDX-License-Identifier: MIT
// The life of process slots; see process_slot.c.
#ifndef PROCESS_SLOT_H
#define PROCESS_SLOT_H

#include "arena/owner.h"
#include "arena/slots.h"

#include <brood/process.h>
#include <brood/status.h>
#include <stdbool.h>
#include <stdint.h>

// The count of a process's thread slots. The thread that takes or frees one calls `count` before it
// takes a slot, `note` when it has taken `thread`, and `discount` when it could not take one or has
// freed it. So the count is never too low. Release: pairs with the acquire in bury_threads().
void broodi_process_slot_count(uint32_t process);
void broodi_process_slot_note(uint32_t process, uint32_t thread);
void broodi_process_slot_discount(uint32_t process);

// What is known of a process before it begins.
struct broodi_process_facts {
    uint32_t parent; // slot; BROODI_NONE for the main process and a guest
    enum broodi_origin origin;
    const char *name;
    bool daemon;
};

// Takes a slot for a process and fills it; the slot is STARTING when the function returns. If the
// caller is killed before that, the slot is DYING, with the caller as the worker if it has a slot.
// Fails as broodi_slot_allocate.
brood_status broodi_process_slot_allocate(const struct broodi_process_facts *facts,
                                          uint32_t *out_index);

// The phase in a slot's state; DYING for a free slot.
enum broodi_process_phase broodi_process_phase_of(uint64_t state);

// Called by the process itself: stores its pid, then changes STARTING to LIVE. `live` is the state
// that broodi_process_slot_live returned to the parent. False when the slot is not STARTING in that
// generation any more, because the parent has given up the start, or has no slot any more; then a
// later process's pid is not changed.
bool broodi_process_slot_begin(uint32_t index, uint64_t live, int64_t pid);

// Called by a process that will later call broodi_process_slot_begin for the slot: stores its pid,
// if the slot still has that generation. So the parent can kill the process if it does not get that
// far, until broodi_report_write has called retract, which clears the pid again.
void broodi_process_slot_announce(uint32_t index, uint64_t live, int64_t pid);
void broodi_process_slot_retract(uint32_t index, uint64_t state);

// The state LIVE with the slot's present generation.
uint64_t broodi_process_slot_live(uint32_t index);

// Whether the slot is not STARTING any more. The caller is the parent and has not freed the slot.
bool broodi_process_slot_has_begun(uint32_t index);

// The pid in the slot; 0 while none is stored.
int64_t broodi_process_pid(const struct broodi_process_slot *slot);

// The same, but 0 also if it is a pid of another namespace than this process's: then no process
// here has it, or an unrelated one has.
int64_t broodi_process_pid_here(const struct broodi_process_slot *slot);

// The state of a process as an owner. LIVES also while it is not known to have ended, because its
// number is of another namespace or was reused. A system call or a few, so not for fast paths.
enum broodi_owner_state broodi_process_state(broodi_owner process);

// For burial.c. The low word of the phase DYING, with this process as the worker; without a worker
// if this process has no slot.
uint32_t broodi_process_low_dying(void);

// For burial.c. Whether a sweep may make the slot with this state DYING and free it. It is taken;
// and either its parent has no slot any more, and its process has ended or will never begin, or it
// is DYING and its worker has ended.
bool broodi_process_is_left(const struct broodi_process_slot *slot, uint64_t state);

#endif
