// SPDX-License-Identifier: MIT
// The children of this process. The list holds those that have not been reaped, each with a
// reference.
#ifndef CHILDREN_H
#define CHILDREN_H

#include "atomic.h"
#include "os/os_process.h"

#include <brood/process.h>
#include <stdbool.h>
#include <stdint.h>

// Also the fork server of this process is one, which is on no list.
struct brood_process {
    _Atomic uint32_t references;
    uint64_t serial; // of the process that it belongs to
    uint32_t slot;   // in the arena, until it is reaped
    uint64_t born;   // the slot's state while it lives, unless its server reports
    bool daemon;
    bool detached;        // the fork server: its slot goes with the last reference
    brood_os_child child; // the descriptors stay until the last reference goes
    brood_process *
        server; // a reference to the fork server that made it, and reaps it; NULL: this process did
    // Guarded by the guard.
    uint32_t asked; // the signals that brood has sent, one bit each
    bool ended;
    brood_exit end;
    uint64_t added; // a number that grows from child to child
    struct brood_process *next;
    struct brood_process *previous;
    char name[];
};

// A child-to-be with one reference; NULL when out of memory.
brood_process *broodi_child_new(const char *name, bool daemon);
void broodi_child_retain(brood_process *process);

// Ends the child, which has not been reaped. Nothing is signalled when it has ended with its
// server.
brood_status broodi_child_end(const brood_process *process, bool hard);

// Waits for what its server says of a child that has ended; false when the server has died before.
bool broodi_child_await_report(const brood_process *process);

// Puts a started child on the list; false when the end of the process has closed it.
bool broodi_children_add(brood_process *process);

// Looks at some of the children, at others each time, and reaps those of them that have ended.
void broodi_children_reap_some(void);

// A reference to a child on the list, a daemon or another; NULL when there is none.
brood_process *broodi_children_any(bool daemon);

// Waits for the child, without the checks of brood_process_join.
brood_status broodi_child_join(brood_process *process, int64_t deadline);

// Asks all daemons to end, then makes sure of it. BROOD_TIMEOUT.
brood_status broodi_children_stop_daemons(int64_t deadline);

// From now on nothing is added.
void broodi_children_close(void);

// In a forked child: an object of its ancestors stays reachable, and is never used.
void broodi_children_inherit(brood_process *process);

// In a forked child: they are not its children.
void broodi_children_forget(void);

// The number of the next child, from 1.
unsigned broodi_children_number(void);

#endif
