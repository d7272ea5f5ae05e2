// SPDX-License-Identifier: MIT
// Port contract: whether a thread of the family lives, and how to wake it. Both live in the
// thread's slot in shared memory.
#ifndef OS_LIFE_H
#define OS_LIFE_H

#include <brood/status.h>
#include <stdbool.h>
#include <stdint.h>

// What a port keeps in a thread's slot.
typedef struct brood_os_life {
    _Alignas(8) unsigned char opaque[96];
} brood_os_life;

// Who a thread is, for ports that go by names: the random number of the family, and the slot with
// its generation, which is never the same for two threads.
typedef struct brood_os_life_id {
    uint64_t family[2];
    uint32_t slot;
    uint32_t generation;
} brood_os_life_id;

// Called by the thread itself: from now on its end, however it comes, is noticed; and it has a
// doorbell. The bytes of `life` may be anything. Fails with BROOD_NO_RESOURCES, BROOD_NO_MEMORY.
brood_status brood_os_life_begin(brood_os_life *life, const brood_os_life_id *id);

// Called by the thread itself at its orderly end.
void brood_os_life_end(brood_os_life *life);

// Tells whether a thread that began has ended, orderly or not. Any process may ask; never blocks.
// One answer "no" may be wrong while the system still cleans up.
bool brood_os_life_is_over(brood_os_life *life, const brood_os_life_id *id);

// Closes what this process may have opened to ask that, or to ring: the thread has ended, and its
// slot will be another one's.
void brood_os_life_forget(const brood_os_life_id *id);

// Rings the doorbell of a thread, in any process; that of a thread that has ended is nobody's. A
// ring is remembered until the thread awaits its bell.
void brood_os_bell_ring(brood_os_life *life, const brood_os_life_id *id);

// Blocks the calling thread, whose `own` life it is, until its bell was rung since the last return,
// until the thread `holder` (may be NULL; with `holder_id`) has ended, or for `timeout` ns. May
// also return early: the caller looks again. Where the end of a holder cannot be awaited, it
// returns after 50 ms at most when there is a holder.
void brood_os_bell_await(brood_os_life *own, brood_os_life *holder,
                         const brood_os_life_id *holder_id, int64_t timeout);

#endif
