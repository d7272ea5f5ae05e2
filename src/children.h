// SPDX-License-Identifier: MIT
// The children of this process. Two lists, of daemons and of the others, hold a reference to each
// child that has not been reaped.
#ifndef CHILDREN_H
#define CHILDREN_H

#include "atomic.h"
#include "os/os_process.h"

#include <brood/process.h>
#include <stdbool.h>
#include <stdint.h>

// A child, or the fork server of this process, which is on no list.
struct brood_process {
    _Atomic uint32_t references;
    uint64_t serial;     // of the process that started the child
    uint32_t slot;       // in the arena; valid until the child is reaped
    uint64_t live_state; // state word of the slot while the child lives and its server has not
                         // reported its end
    bool daemon;
    bool detached;        // the fork server: its slot is freed with the last reference
    brood_os_child child; // its descriptors stay open until the last reference is dropped
    // A reference to the fork server that made the child and reaps it; NULL if this process does.
    brood_process *server;
    // Guarded by the guard.
    uint32_t signals_sent; // by brood, one bit each
    bool ended;
    brood_exit end;
    uint64_t added; // order of the starts; 0: not on a list
    struct brood_process *next;
    struct brood_process *previous;
    char name[];
};

// Allocates the object of a child that is about to be started, with one reference. Returns NULL
// when out of memory.
brood_process *broodi_child_new(const char *name, bool daemon);
void broodi_child_retain(brood_process *process);

// Ends the child, which must not have been reaped by this process. A child that is known by its pid
// alone is not signalled once its server has ended or has reported its end.
brood_status broodi_child_end(const brood_process *process, bool hard);

// Waits until the server of a child that has ended reports how. Returns false if the server ends
// without a report.
bool broodi_child_await_report(const brood_process *process);

// Adds a started child to its list. Returns false if the end of the process has closed the lists.
bool broodi_children_add(brood_process *process);

// Checks a few of the children, in turn, and reaps those of them that have ended.
void broodi_children_reap_some(void);

// Returns a reference to the oldest child on the list of the daemons or of the others; NULL if that
// list is empty.
brood_process *broodi_children_any(bool daemon);

// Waits for the child, without the checks of brood_process_join.
brood_status broodi_child_join(brood_process *process, int64_t deadline);

// Asks all daemons to end, kills after a second those that still run, and waits for their ends.
// Fails with BROOD_TIMEOUT.
brood_status broodi_children_stop_daemons(int64_t deadline);

// Closes the lists: from now on no child can be added.
void broodi_children_close(void);

// In a forked child: keeps an object of an ancestor reachable, so that it is no leak. It is never
// used.
void broodi_children_inherit(brood_process *process);

// In a forked child: empties the lists, whose children are the parent's.
void broodi_children_forget(void);

// Returns the number of the next child, from 1.
unsigned broodi_children_number(void);

#endif
