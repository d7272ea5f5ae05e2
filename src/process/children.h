// SPDX-License-Identifier: MIT
// The children of this process. Two lists, of daemons and of the others, hold a reference to each
// child that is not known to have ended, and was not given up at the end of this process.
// "Reaping" a served child, here, is reading the report of its server, which reaps it.
#ifndef CHILDREN_H
#define CHILDREN_H

#include <brood/process.h>
#include <stdbool.h>
#include <stdint.h>

// Adds a started child to its list. Returns false if the end of the process has closed the lists.
bool broodi_children_add(brood_process *process);

// Checks a few of the children, in turn, and reaps those of them that have ended.
void broodi_children_reap_some(void);

// Returns a reference to the oldest child on the list of the daemons or of the others; NULL if that
// list is empty.
brood_process *broodi_children_any(bool daemon);

// Reaps the child if it has ended. Returns true if it has, now or before.
bool broodi_child_reap(brood_process *process);

// Waits for the child, without the checks of brood_process_join.
brood_status broodi_child_join(brood_process *process, int64_t deadline);

// Asks all daemons to end, kills after a second those that still run, and waits for their ends.
// Fails with BROOD_TIMEOUT.
brood_status broodi_children_stop_daemons(int64_t deadline);

// Closes the lists: from now on no child can be added.
void broodi_children_close(void);

// In a forked child: empties the lists, whose children are the parent's.
void broodi_children_forget(void);

// Returns the number of the next child, from 1.
unsigned broodi_children_number(void);

#endif
