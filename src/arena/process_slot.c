// SPDX-License-Identifier: MIT
// The life of process slots.
//
// A process slot:
//
//   free --the parent takes it--> DYING --it is filled--> STARTING --the child has begun--> LIVE
//   LIVE --its fork server reports how it ended--> ENDED
//   STARTING, LIVE, ENDED --the parent or a sweep--> DYING --its threads are buried--> free
//
// The thread whose compare-and-swap stores DYING, the worker, is the only one that frees the slot.
// If the worker's process dies first, a sweep stores its own name over it and goes on.
#include "arena/process_slot.h"

#include "arena/allocator.h"
#include "arena/family.h"
#include "arena/here.h"
#include "base/invariant.h"
#include "base/label.h"
#include "base/step.h"
#include "os/os_process.h"

enum { PHASE_BITS = 2, PHASE_MASK = 3 };

static struct broodi_process_slot *process_at(uint32_t index)
{
    return broodi_slot(BROODI_PROCESS, index);
}

void broodi_process_slot_count(uint32_t process)
{
    atomic_fetch_add_explicit(&process_at(process)->threads, 1, memory_order_release);
}

void broodi_process_slot_note(uint32_t process, uint32_t thread)
{
    uint32_t none = BROODI_NONE;
    (void)atomic_compare_exchange_strong_explicit(&process_at(process)->first_thread, &none, thread,
                                                  memory_order_release, memory_order_relaxed);
}

void broodi_process_slot_discount(uint32_t process)
{
    atomic_fetch_sub_explicit(&process_at(process)->threads, 1, memory_order_release);
}

enum broodi_process_phase broodi_process_phase_of(uint64_t state)
{
    return broodi_slot_is_live(state) ? (enum broodi_process_phase)(broodi_low(state) & PHASE_MASK)
                                      : BROODI_PROCESS_DYING;
}

// Stores another low word: a phase, with a report or a worker beside it.
static bool set_process(uint32_t index, uint64_t state, uint32_t low)
{
    return broodi_word_swap(&process_at(index)->state, state, low);
}

// DYING with its worker: the slot of this process plus one. 0, which no sweep takes over, for a
// process that has no slot yet, and for a guest.
uint32_t broodi_process_low_dying(void)
{
    const uint32_t self = broodi_here.role == BROODI_GUEST ? BROODI_NONE : broodi_here.process;
    return (self + 1) << PHASE_BITS | BROODI_PROCESS_DYING;
}

brood_status broodi_process_slot_allocate(const struct broodi_process_facts *facts,
                                          uint32_t *out_index)
{
    const brood_status status =
        broodi_slot_allocate(BROODI_PROCESS, broodi_process_low_dying(), out_index);
    if (status != BROOD_OK)
        return status;
    broodi_step(BROODI_STEP_PROCESS_TAKEN);
    struct broodi_process_slot *slot = process_at(*out_index);
    uint64_t state = 0;
    if (facts->parent != BROODI_NONE)
        state = atomic_load_explicit(&process_at(facts->parent)->state.state, memory_order_relaxed);
    atomic_store_explicit(&slot->pid, 0, memory_order_relaxed);
    atomic_store_explicit(&slot->parent_generation, broodi_generation(state), memory_order_relaxed);
    atomic_store_explicit(&slot->parent, facts->parent, memory_order_relaxed);
    atomic_store_explicit(&slot->code, 0, memory_order_relaxed);
    atomic_store_explicit(&slot->stop.state, 0, memory_order_relaxed);
    // Release: in ended_in_order() a thread that loads this value, of the slot's next process, then
    // finds that the threads of the last one are buried.
    atomic_store_explicit(&slot->record, BROODI_RECORD_NONE, memory_order_release);
    atomic_store_explicit(&slot->origin, (uint32_t)facts->origin, memory_order_relaxed);
    atomic_store_explicit(&slot->daemon, facts->daemon, memory_order_relaxed);
    atomic_store_explicit(&slot->threads, 0, memory_order_relaxed);
    atomic_store_explicit(&slot->first_thread, BROODI_NONE, memory_order_relaxed);
    broodi_label_fit(slot->name, BROODI_LABEL, facts->name);
    // All of the slot is filled: from now on other processes read it.
    state = atomic_load_explicit(&slot->state.state, memory_order_relaxed);
    broodi_assert(broodi_slot_is_live(state) &&
                  broodi_process_phase_of(state) == BROODI_PROCESS_DYING);
    const uint32_t generation = broodi_generation(state);
    atomic_store_explicit(&slot->state.state, broodi_state(generation, BROODI_PROCESS_STARTING),
                          memory_order_release);
    return BROOD_OK;
}

// The state STARTING with the generation of `live`.
static uint64_t starting(uint64_t live)
{
    return broodi_state(broodi_generation(live), BROODI_PROCESS_STARTING);
}

void broodi_process_slot_announce(uint32_t index, uint64_t live, int64_t pid)
{
    if (index >= broodi_slot_limit(BROODI_PROCESS)) // the request names no slot
        return;
    struct broodi_process_slot *slot = process_at(index);
    if (atomic_load_explicit(&slot->state.state, memory_order_acquire) != starting(live))
        return;
    atomic_store_explicit(&slot->pid, pid, memory_order_relaxed);
    atomic_store_explicit(&slot->space, broodi_here.space, memory_order_relaxed);
}

bool broodi_process_slot_begin(uint32_t index, uint64_t live, int64_t pid)
{
    struct broodi_process_slot *slot = process_at(index);
    const uint64_t state = atomic_load_explicit(&slot->state.state, memory_order_acquire);
    if (state != starting(live))
        return false;
    atomic_store_explicit(&slot->pid, pid, memory_order_relaxed);
    atomic_store_explicit(&slot->space, broodi_here.space, memory_order_relaxed);
    return set_process(index, state, BROODI_PROCESS_LIVE);
}

uint64_t broodi_process_slot_live(uint32_t index)
{
    const uint64_t state =
        atomic_load_explicit(&process_at(index)->state.state, memory_order_relaxed);
    return broodi_state(broodi_generation(state), BROODI_PROCESS_LIVE);
}

bool broodi_process_slot_has_begun(uint32_t index)
{
    const uint64_t state =
        atomic_load_explicit(&process_at(index)->state.state, memory_order_acquire);
    return broodi_process_phase_of(state) != BROODI_PROCESS_STARTING;
}

// Whether the parent that took the slot still has its own.
static bool has_parent(const struct broodi_process_slot *slot)
{
    const uint32_t parent = atomic_load_explicit(&slot->parent, memory_order_relaxed);
    if (parent == BROODI_NONE)
        return false;
    const uint64_t state =
        atomic_load_explicit(&process_at(parent)->state.state, memory_order_relaxed);
    return broodi_slot_is_live(state) &&
           broodi_generation(state) ==
               atomic_load_explicit(&slot->parent_generation, memory_order_relaxed);
}

bool broodi_process_has_number(const struct broodi_process_slot *slot)
{
    return atomic_load_explicit(&slot->space, memory_order_relaxed) == broodi_here.space;
}

// Whether the process is known to have ended. False for one whose number is of another namespace,
// and when the system has reused the number: both keep the slot longer.
static bool has_ended(const struct broodi_process_slot *slot)
{
    return broodi_process_has_number(slot) &&
           brood_os_process_birth(atomic_load_explicit(&slot->pid, memory_order_relaxed)) == 0;
}

// Whether the worker of a DYING slot has ended. False when another process has the worker's slot by
// now: that keeps the DYING slot until that process has ended.
static bool is_abandoned(uint64_t state)
{
    const uint32_t worker = broodi_low(state) >> PHASE_BITS;
    if (worker == 0)
        return false;
    const struct broodi_process_slot *slot = process_at(worker - 1);
    const uint64_t of_worker = atomic_load_explicit(&slot->state.state, memory_order_acquire);
    return !broodi_slot_is_live(of_worker) ||
           (broodi_process_phase_of(of_worker) == BROODI_PROCESS_LIVE && has_ended(slot));
}

// Whether the slot, which has no living parent, belongs to a process that has ended or will never
// begin. A STARTING process whose parent has ended will never begin; a process that took its own
// slot has no parent, and is about to begin.
static bool is_gone(const struct broodi_process_slot *slot, uint64_t state)
{
    switch (broodi_process_phase_of(state)) {
    case BROODI_PROCESS_DYING:
        return is_abandoned(state);
    case BROODI_PROCESS_STARTING:
        return atomic_load_explicit(&slot->parent, memory_order_relaxed) != BROODI_NONE;
    default:
        return has_ended(slot);
    }
}

// A slot whose parent has a slot is left to the parent, which reads the exit record first.
bool broodi_process_is_left(const struct broodi_process_slot *slot, uint64_t state)
{
    const bool is_kept = broodi_process_phase_of(state) != BROODI_PROCESS_DYING && has_parent(slot);
    return broodi_slot_is_live(state) && !is_kept && is_gone(slot, state);
}
