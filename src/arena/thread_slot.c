// SPDX-License-Identifier: MIT
// The life of thread slots. The phases of a slot, and which thread changes them:
//
//   from             to         by
//   free             STARTING   a thread that needs a slot
//   STARTING         LIVE       the same thread, when its life has begun
//   STARTING         free       the same thread, if its life could not begin
//   LIVE             STARTING   the same thread at its orderly end, if `held` is 0
//   STARTING         free       the same thread, when its life has ended
//   LIVE             DEAD       the same thread at its orderly end, if `held` is not 0
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
// STARTING no thread checks that, and the slot becomes DEAD when its process is buried. A thread
// that stores DEAD itself ends its life just after that.
#include "arena/thread_slot.h"

#include "arena/family.h"
#include "arena/groups.h"
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

brood_os_life_id broodi_life_id_of(uint32_t index, uint64_t state)
{
    const struct broodi_header *header = broodi_family.header;
    return (brood_os_life_id){ .family = { header->family[0], header->family[1] },
                               .slot = index,
                               .generation = broodi_generation(state) };
}

brood_os_life_id broodi_life_id(uint32_t index)
{
    return broodi_life_id_of(
        index, atomic_load_explicit(&thread_at(index)->state.state, memory_order_relaxed));
}

bool broodi_thread_mark_dead(uint32_t index, uint64_t state)
{
    broodi_assert(phase_of(state) == BROODI_THREAD_LIVE ||
                  phase_of(state) == BROODI_THREAD_STARTING);
    const uint64_t dead = (state & ~(uint64_t)PHASE_MASK) | BROODI_THREAD_DEAD;
    return atomic_compare_exchange_strong_explicit(&thread_at(index)->state.state, &state, dead,
                                                   memory_order_acq_rel, memory_order_relaxed);
}

// Without the lowest bit of the generation, which is 1 in every taken slot.
static uint32_t turn_of(uint64_t state)
{
    return broodi_generation(state) >> 1 & ((1U << BROODI_THREAD_TURN_BITS) - 1);
}

uint32_t broodi_thread_turn(uint32_t index)
{
    return turn_of(atomic_load_explicit(&thread_at(index)->state.state, memory_order_relaxed));
}

bool broodi_thread_has_ended(uint32_t index, uint64_t state)
{
    const brood_os_life_id id = broodi_life_id_of(index, state);
    switch (phase_of(state)) {
    case BROODI_THREAD_LIVE:
        if (!brood_os_life_is_over(&thread_at(index)->life, &id))
            return false;
        return broodi_thread_mark_dead(index, state);
    case BROODI_THREAD_DEAD:
        return true;
    default: // STARTING or free
        return false;
    }
}

bool broodi_thread_is_over(uint32_t index, uint32_t turn)
{
    const uint64_t state =
        atomic_load_explicit(&thread_at(index)->state.state, memory_order_acquire);
    return turn_of(state) == turn && broodi_thread_has_ended(index, state);
}

// Whether the thread's process has stored its exit record: then the process has ended in order, and
// its threads with it. Acquire: pairs with the release of that store (ending.c), and with that of
// NONE for the next process in the slot (process_slot.c).
static bool ended_in_order(uint64_t state)
{
    const uint32_t process = broodi_thread_process_of(state);
    return process >= broodi_slot_limit(BROODI_PROCESS) ||
           atomic_load_explicit(
               &((const struct broodi_process_slot *)broodi_slot(BROODI_PROCESS, process))->record,
               memory_order_acquire) != BROODI_RECORD_NONE;
}

// The record of the process is loaded first. If `barrier_generation` is still set afterwards, the
// thread was not buried when the record was loaded, so the slot of the process was still that of
// the thread's own process: the worker that frees that slot has cleared `barrier_generation`
// before.
bool broodi_thread_breaks_barriers(uint32_t index, uint64_t state)
{
    const bool in_order = ended_in_order(state);
    const uint32_t barrier_generation =
        atomic_load_explicit(&thread_at(index)->barrier_generation, memory_order_acquire);
    return barrier_generation == broodi_generation(state) && !in_order;
}

enum broodi_thread_fate broodi_thread_fate(uint32_t index, uint32_t generation, uint32_t mask)
{
    const uint64_t state =
        atomic_load_explicit(&thread_at(index)->state.state, memory_order_acquire);
    if (((broodi_generation(state) ^ generation) & mask) != 0 || !broodi_slot_is_live(state))
        return BROODI_FATE_GONE;
    if (!broodi_thread_has_ended(index, state))
        return BROODI_FATE_LIVES;
    return broodi_thread_breaks_barriers(index, state) ? BROODI_FATE_DIED : BROODI_FATE_GONE;
}

bool broodi_thread_is_alive(uint32_t index)
{
    const uint64_t state =
        atomic_load_explicit(&thread_at(index)->state.state, memory_order_acquire);
    return phase_of(state) == BROODI_THREAD_LIVE && !broodi_thread_has_ended(index, state);
}

static bool waits_for(uint32_t thread, uint64_t what)
{
    return atomic_load_explicit(&thread_at(thread)->waits, memory_order_acquire) == what &&
           broodi_thread_is_alive(thread);
}

// Whether waiters read in the free slot how their waits ended. Decided by the kind and not by the
// kept word, since 0 may be an answer, too: that of a barrier after a complete round, and that of
// an event whose count has wrapped around.
static bool leaves_answer(enum broodi_kind kind)
{
    return kind == BROODI_SEMAPHORE || kind == BROODI_EVENT || kind == BROODI_CONDITION ||
           kind == BROODI_BARRIER;
}

// Relaxed: the waiter sets `awaited` before it swaps the object's state, and the caller has loaded
// a later state with acquire. The acquire in waits_for() pairs with the release by which the waiter
// erases the handle, so what the waiter has read in the slot is not overwritten before.
bool broodi_slot_is_awaited(enum broodi_kind kind, uint32_t index, uint64_t state)
{
    broodi_assert(!broodi_slot_is_live(state));
    if (!leaves_answer(kind))
        return false;
    const struct broodi_awaited_slot *slot = broodi_slot(kind, index);
    if (!atomic_load_explicit(&slot->awaited, memory_order_relaxed))
        return false;
    const uint64_t id =
        broodi_handle_pack((struct broodi_handle){ .tag = broodi_family.tag,
                                                   .kind = (uint32_t)kind,
                                                   .generation = broodi_generation(state) - 1,
                                                   .slot = index });
    const uint64_t what = broodi_waits_for(BROODI_WAITS_OBJECT, id);
    const uint32_t limit = broodi_slot_limit(BROODI_THREAD);
    for (uint32_t thread = 0; (thread = broodi_slot_next(BROODI_THREAD, thread, limit)) < limit;
         thread++)
        if (waits_for(thread, what))
            return true;
    return false;
}
