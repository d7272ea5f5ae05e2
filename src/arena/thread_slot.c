// SPDX-License-Identifier: MIT
// The life of thread slots. The phases of a slot, and which thread changes them:
//
//   from             to         by
//   free             STARTING   a thread that needs a slot
//   STARTING         LIVE       the same thread, when its life has begun
//   STARTING         free       the same thread, if its life could not begin
//   LIVE             STARTING   the same thread at its orderly end, if `held` is 0
//   STARTING         free       the same thread, when its life has ended
//   LIVE             DEAD       the same thread, when its life has ended, if `held` is not 0
//   LIVE             DEAD       any thread that finds that the life is over
//   STARTING, LIVE   DEAD       the worker of the thread's process, which has ended (burial.c)
//   DEAD             free       any thread that buries it, if no lock names the slot
//
// Each change is a compare-and-swap, except that of STARTING to LIVE, which is a store: no other
// thread changes a STARTING slot while its process lives. It is a release, so a thread that loads
// LIVE with acquire may check the life.
//
// Invariants:
//
// 1. A thread that is named by a lock has a taken slot, of the generation with which it took the
// lock. So LIVE and DEAD slots are reused only after every lock has another holder, or none.
//
// 2. A thread that was killed after it waited for a barrier has a taken slot until the barriers
// that name it are broken. Barriers may name threads that ended in another way, whose slots are
// free.
//
// 3. Whoever changes the phase to DEAD, the burial is the same, and any thread may do it. It passes
// on the wake that the thread had received, breaks the barriers that name it if it was killed, and
// frees the slot unless a lock names it, in this order. Several threads may bury the same slot at
// the same time, and a burial that is interrupted anywhere is done again from the start.
//
// If the thread is killed while the slot is LIVE, any thread finds that by the life. While it is
// STARTING no thread checks that, and the slot becomes DEAD when its process is buried. No
// slot is DEAD before its thread's life has ended.
#include "arena/thread_slot.h"

#include "arena/family.h"
#include "base/invariant.h"

enum { PHASE_BITS = 2, PHASE_MASK = 3 };

static struct broodi_thread_slot *thread_at(uint32_t index)
{
    return broodi_slot(BROODI_THREAD, index);
}

static uint32_t phase_of(uint64_t state)
{
    return broodi_slot_is_live(state) ? broodi_low(state) & PHASE_MASK : 0;
}

uint32_t broodi_thread_low(enum broodi_thread_phase phase, uint32_t process)
{
    broodi_assert(process <= UINT32_MAX >> PHASE_BITS);
    return process << PHASE_BITS | (uint32_t)phase;
}

enum broodi_thread_phase broodi_thread_phase_of(uint64_t state)
{
    return (enum broodi_thread_phase)phase_of(state);
}

uint32_t broodi_thread_process_of(uint64_t state)
{
    return broodi_low(state) >> PHASE_BITS;
}

bool broodi_thread_mark_dead(uint32_t index, uint64_t state)
{
    broodi_assert(phase_of(state) == BROODI_THREAD_LIVE ||
                  phase_of(state) == BROODI_THREAD_STARTING);
    const uint64_t dead = (state & ~(uint64_t)PHASE_MASK) | BROODI_THREAD_DEAD;
    return atomic_compare_exchange_strong_explicit(&thread_at(index)->state.state, &state, dead,
                                                   memory_order_acq_rel, memory_order_relaxed);
}
