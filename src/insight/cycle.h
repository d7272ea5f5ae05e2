// SPDX-License-Identifier: MIT
// Deadlocks: cycles of threads of the family, each of which waits for the next one.
//
// A cycle consists of waits that only one thread can end:
//
//   a wait for a lock                 the thread that holds it
//   a join of a thread                that thread
//   a join of a process               the thread that runs `main` or the target of that process
//   a wait for the end of the parent  the same thread of the parent
//
// and that have no deadline. Other waits have no part in one: any thread may set an event, for
// example, or come to a barrier. (A process may also end by an exit() of another thread, or be
// killed. Nothing else ends such a cycle.)
//
// Each thread waits for one thing, so there is one way to go on from it, and a cycle is found by
// following that way. But the threads change while they are read, so what was found may be made of
// moments that never met. Therefore it is checked: (1) the members were read with their `blocks`;
// (2) what each of them waits for is read again; (3) `blocks` and the waits are read again. If a
// member is the same in (1) and (3), it was blocked in the same wait throughout (2). If all are, no
// lock could change its holder in (2), and no thread or process could end. So the cycle existed at
// the end of (2), and exists until a process is killed.
#ifndef CYCLE_H
#define CYCLE_H

#include "arena/slots.h"

#include <stdbool.h>
#include <stdint.h>

enum { BROODI_CYCLE_MOST = 64 }; // members; longer cycles are not found

struct broodi_cycle_member {
    broodi_owner thread;
    uint64_t blocks; // as in the slot of the thread
    uint64_t waits;
};

struct broodi_cycle {
    uint32_t length;
    struct broodi_cycle_member members[BROODI_CYCLE_MOST]; // each waits for the next one
};

// Finds the next cycle; false if there is none. The caller's index starts at 0. The first member is
// the one with the lowest slot, so each cycle is found once.
bool broodi_cycle_next(uint32_t *index, struct broodi_cycle *out);

// Steps (2) and (3). For the test.
bool broodi_cycle_is_certain(const struct broodi_cycle *cycle);

#endif
