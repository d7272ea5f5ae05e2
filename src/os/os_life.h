// SPDX-License-Identifier: MIT
// Port contract: whether a thread of the family is alive, and its doorbell, which wakes it. Both
// are kept in the thread's slot in shared memory.
#ifndef OS_LIFE_H
#define OS_LIFE_H

#include <brood/status.h>
#include <stdbool.h>
#include <stdint.h>

// The part of a thread's slot that belongs to the port.
typedef struct brood_os_life {
    _Alignas(8) unsigned char opaque[96];
} brood_os_life;

// Identifies a thread, for ports that need names: the random number of the family, and the slot
// with its generation, which two threads never share.
typedef struct brood_os_life_id {
    uint64_t family[2];
    uint32_t slot;
    uint32_t generation;
} brood_os_life_id;

// Called by the thread itself. From now on its end is detected, however it comes, and it has a
// doorbell. The bytes of `life` may have any value before. Fails with BROOD_NO_RESOURCES,
// BROOD_NO_MEMORY.
brood_status brood_os_life_begin(brood_os_life *life, const brood_os_life_id *id);

// Called by the thread itself at its orderly end.
void brood_os_life_end(brood_os_life *life);

// Returns whether a thread that called brood_os_life_begin has ended, orderly or not. Callable
// from any process; never blocks. May still return false for a short time while the system cleans
// up after the thread.
bool brood_os_life_is_over(brood_os_life *life, const brood_os_life_id *id);

// Closes what this process may have opened to check that thread or to ring its doorbell. Called
// when the thread has ended, before its slot is used for another one.
void brood_os_life_forget(const brood_os_life_id *id);

// Rings the doorbell of a thread of any process; has no effect if that thread has ended. A ring
// is remembered until the thread awaits its doorbell.
void brood_os_bell_ring(brood_os_life *life, const brood_os_life_id *id);

// Blocks the calling thread, which owns the life `own`, until its doorbell has been rung since the
// last return, until the thread `holder` (may be NULL; with `holder_id`) has ended, or for
// `timeout` ns. May return early: the caller checks its condition again. If there is a holder whose
// end the system cannot wait for beside the doorbell, returns after 50 ms at most.
void brood_os_bell_await(brood_os_life *own, brood_os_life *holder,
                         const brood_os_life_id *holder_id, int64_t timeout);

#endif
