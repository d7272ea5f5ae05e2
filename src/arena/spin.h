// SPDX-License-Identifier: MIT
// Polling for a short time before a thread blocks, in case what it waits for comes soon: a wake of
// a sleeping thread costs more than a few microseconds of polling.
//
//   struct broodi_spin spin = broodi_spin_begin(FIRST, LAST);
//   while (!(found = is_there()) && broodi_spin_wait(&spin))
//       continue;
//   broodi_spin_end(&spin, found);
//   // not found: block
//
// The loads of is_there() lie FIRST ns apart, then twice as far each time, up to LAST. A load takes
// the cache line away from threads that write it: so locks, whose word is written by each thread
// that passes, load it seldom.
//
// With one processor nothing changes while a thread pauses, so it yields a few times and blocks.
// Otherwise it pauses for up to its budget and then yields a few times. Each thread has a budget,
// which is halved when it has paused in vain, and doubled when a pause was enough. A pause was in
// vain, too, if what the thread waits for came only once it had yielded: then the thread that it
// waits for most likely needed this processor.
//
// A thread that pauses in vain with the least budget rests: it yields and blocks without pauses, 64
// times at first, and twice as often each time that it finds the same. So threads that share one
// processor do not pause, whatever the reason is for which they share it. Then it probes: it pauses
// for longer than a blocked thread on a processor that sleeps takes to be woken and to answer. Two
// threads that take turns need that: while both block, no shorter pause is ever enough.
//
// If other threads use the processor, a yield takes as long as they may run: some milliseconds,
// where a thread that sleeps is woken within microseconds. So a thread that has made such a yield
// polls without yields for a while: 16 times at first, and longer each time that it finds the same.
#ifndef SPIN_H
#define SPIN_H

#include "arena/self.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    BROODI_SPIN_LEAST = 640, // ns: the bounds of a budget
    BROODI_SPIN_MOST = 20480,
    BROODI_SPIN_PROBE = 61440, // ns
    BROODI_SPIN_REST = 64,
    BROODI_SPIN_YIELDS = 3,
};

struct broodi_spin {
    struct broodi_self *self; // NULL: not known
    uint32_t budget;          // 0: no pauses, and nothing to adapt
    uint32_t interval;        // ns until the next load
    uint32_t last;            // the longest interval
    uint32_t left;            // of the budget
    uint32_t yields;          // left
    uint32_t granted;         // yields at the beginning
};

// Allocates nothing. Once in many calls it asks the system for the number of processors.
struct broodi_spin broodi_spin_begin(uint32_t first, uint32_t last);

// Lets some time pass. False when the caller should block.
bool broodi_spin_wait(struct broodi_spin *spin);

// Adapts the budget of the calling thread. `found` is whether what the thread waits for has come.
// If the caller has left the loop for another reason, the budget stays.
void broodi_spin_end(const struct broodi_spin *spin, bool found);

// For tests: the number of processors, as it is known. 0: it is asked for at the next begin.
extern _Atomic unsigned broodi_spin_processors;

#endif
