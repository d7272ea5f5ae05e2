// SPDX-License-Identifier: MIT
// The life of thread slots.
//
// A thread slot:
//
//   free --the thread takes it--> STARTING --its life has begun--> LIVE
//   LIVE --the thread ends in order, holding no lock--> STARTING --> free
//   LIVE --the thread ends in order, holding a lock--> DEAD
//   LIVE --another thread finds that it has ended--> DEAD
//   LIVE, STARTING --its process has ended--> DEAD
//   DEAD --burial, when no lock names the slot--> free
//
// DEAD is a quarantine. A lock names its holder by the slot, so the slot is not used again while a
// lock names it. Burial does, in this order: pass on the wake that the thread had received; break
// the barriers that name it, if it was killed; free the slot, unless a lock names it. It may be
// repeated, and several threads may do it at the same time.
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

// LIVE or STARTING becomes DEAD; false when the state has changed.
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

// Whether the thread with this state of the slot has ended; LIVE becomes DEAD then.
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

// Whether the thread's process has written its exit record, so that its end is an orderly one.
static bool ended_in_order(uint64_t state)
{
    const uint32_t process = broodi_thread_process_of(state);
    return process >= broodi_slot_limit(BROODI_PROCESS) ||
           atomic_load_explicit(
               &((const struct broodi_process_slot *)broodi_slot(BROODI_PROCESS, process))->record,
               memory_order_acquire) != BROODI_RECORD_NONE;
}

// Whether the thread, which has ended, was killed and barriers may still name it. The record of its
// process is loaded first. If `barrier_generation` is still set afterwards, the thread was not
// buried when the record was loaded, so the slot of the process was still that of its own process.
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

// Decided by the kind and not by the kept word, since 0 may be an answer, too: that of a barrier
// after a complete round, and that of an event whose count has come round.
static bool leaves_answer(enum broodi_kind kind)
{
    return kind == BROODI_SEMAPHORE || kind == BROODI_EVENT || kind == BROODI_CONDITION ||
           kind == BROODI_BARRIER;
}

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
