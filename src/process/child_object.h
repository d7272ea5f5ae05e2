// SPDX-License-Identifier: MIT
// The object of a child.
#ifndef CHILD_OBJECT_H
#define CHILD_OBJECT_H

#include "arena/members.h"
#include "arena/slots.h"
#include "base/atomic.h"
#include "os/os_process.h"

#include <brood/process.h>
#include <stdbool.h>
#include <stdint.h>

// A child, or the fork server of this process, which is on no list.
struct brood_process {
    struct broodi_member member;
    // In the arena. The child's until it is reaped; of a fork server, until its last reference is
    // dropped. BROODI_NONE before the slot is allocated.
    uint32_t slot;
    // The state word of the slot while the child lives and its server has not reported its end.
    uint64_t live_state;
    bool daemon;
    bool silent;          // its end is not logged: broodi_log_is_silent()
    bool detached;        // the fork server: its slot is freed with the last reference
    brood_os_child child; // its descriptors stay open until the last reference is dropped
    // A reference to the fork server that made the child and reaps it; NULL if this process does.
    brood_process *server;
    // Guarded by the guard. `end` is constant once `ended` is set.
    uint32_t signals_sent; // by brood, one bit each
    bool ended;            // the child was reaped
    brood_exit end;
};

// Returns the exit record that a process has left in its slot.
static inline uint32_t broodi_child_record(const struct broodi_process_slot *slot)
{
    // Acquire: pairs with the release in record() of ending.c.
    return atomic_load_explicit(&slot->record, memory_order_acquire);
}

#endif
