// SPDX-License-Identifier: MIT
// Burial: what becomes of the slots of dead threads and processes. thread_slot.c and process_slot.c
// describe the phases of the slots.
#include "process/burial.h"

#include "arena/allocator.h"
#include "arena/family.h"
#include "arena/groups.h"
#include "arena/process_slot.h"
#include "arena/thread_slot.h"
#include "arena/wait.h"
#include "base/step.h"
#include "memory/block.h"
#include "sync/barrier.h"
#include "sync/lock.h"
#include "sync/parties.h"

static struct broodi_thread_slot *thread_at(uint32_t index)
{
    return broodi_slot(BROODI_THREAD, index);
}

static struct broodi_process_slot *process_at(uint32_t index)
{
    return broodi_slot(BROODI_PROCESS, index);
}

static bool pass_on_wake(uint32_t index, uint64_t state)
{
    (void)state;
    broodi_wait_bury(thread_at(index));
    return true;
}

// Breaks the barriers that name the thread, which has ended, if it was killed. Clearing
// `barrier_generation` makes sure that this is decided once: a lock may keep the thread's slot
// longer than its process's, and then the record that the next process writes there must not count.
static bool break_barriers(uint32_t index, uint64_t state)
{
    uint32_t generation = broodi_generation(state);
    if (broodi_thread_breaks_barriers(index, state))
        broodi_barriers_break_for(index, generation);
    (void)atomic_compare_exchange_strong_explicit(&thread_at(index)->barrier_generation,
                                                  &generation, 0, memory_order_acq_rel,
                                                  memory_order_relaxed);
    return true;
}

static bool is_released(uint32_t index, uint64_t state)
{
    (void)state;
    return atomic_load_explicit(&thread_at(index)->held, memory_order_relaxed) == 0 ||
           !broodi_lock_names(index);
}

// What is done for a dead thread, in this order. Each may be repeated. False: an object still names
// the slot, which is not freed.
static bool (*const on_death[])(uint32_t index, uint64_t state) = { pass_on_wake, break_barriers,
                                                                    is_released };

// Buries the thread in the slot, if that is DEAD.
static void bury(uint32_t index)
{
    const uint64_t state =
        atomic_load_explicit(&thread_at(index)->state.state, memory_order_acquire);
    if (broodi_thread_phase_of(state) != BROODI_THREAD_DEAD)
        return;
    for (size_t i = 0; i < sizeof on_death / sizeof on_death[0]; i++)
        if (!on_death[i](index, state))
            return;
    const brood_os_life_id id = broodi_life_id_of(index, state);
    brood_os_life_forget(&id);
    (void)broodi_slot_free(BROODI_THREAD, index, state);
}

// Buries the thread in the slot if it belongs to this process, which has ended.
static bool bury_of(uint32_t process, uint32_t index)
{
    const uint64_t state =
        atomic_load_explicit(&thread_at(index)->state.state, memory_order_acquire);
    const enum broodi_thread_phase phase = broodi_thread_phase_of(state);
    if (!phase || broodi_thread_process_of(state) != process)
        return false;
    if (phase != BROODI_THREAD_DEAD)
        (void)broodi_thread_mark_dead(index, state);
    bury(index);
    return true;
}

// Buries the threads of a process that has ended: marks their slots DEAD, passes on the wakes that
// they had received, breaks the barriers that name them if the process was killed, and frees the
// slots that no lock names.
//
// The process has ended, so its thread count does not change any more. A scan does not stop after
// `count` threads: a DEAD thread that a lock keeps may name this process slot for the process that
// had it before.
static void bury_threads(uint32_t process)
{
    const struct broodi_process_slot *slot = process_at(process);
    const uint32_t limit = broodi_slot_limit(BROODI_THREAD);
    const uint32_t count = atomic_load_explicit(&slot->threads, memory_order_acquire);
    const uint32_t first = atomic_load_explicit(&slot->first_thread, memory_order_acquire);
    const bool known = first < limit && bury_of(process, first);
    if (count == known)
        return;
    for (uint32_t index = 0; (index = broodi_slot_next(BROODI_THREAD, index, limit)) < limit;
         index++)
        (void)bury_of(process, index);
}

static void sweep_threads(void)
{
    const uint32_t limit = broodi_slot_limit(BROODI_THREAD);
    for (uint32_t index = 0; (index = broodi_slot_next(BROODI_THREAD, index, limit)) < limit;
         index++) {
        const uint64_t state =
            atomic_load_explicit(&thread_at(index)->state.state, memory_order_acquire);
        if (broodi_thread_has_ended(index, state))
            bury(index);
    }
}

// Frees the slot and buries its threads; false when the state has changed. The process that stores
// DYING does the rest alone.
static bool end_process(uint32_t index, uint64_t state)
{
    const uint32_t low = broodi_process_low_dying();
    if (!broodi_word_swap(&process_at(index)->state, state, low))
        return false;
    broodi_step(BROODI_STEP_PROCESS_DYING);
    bury_threads(index);
    (void)broodi_slot_free(BROODI_PROCESS, index, broodi_state(broodi_generation(state), low));
    return true;
}

// Repeated when the state has changed: the fork server may report at the same time.
void broodi_process_slot_end(uint32_t index)
{
    uint64_t state;
    do
        state = atomic_load_explicit(&process_at(index)->state.state, memory_order_relaxed);
    while (broodi_process_phase_of(state) != BROODI_PROCESS_DYING && !end_process(index, state));
}

// A slot that this sweep frees may have been the parent of others; they are freed by the next
// sweep.
static void sweep_processes(void)
{
    const uint32_t limit = broodi_slot_limit(BROODI_PROCESS);
    for (uint32_t index = 0; (index = broodi_slot_next(BROODI_PROCESS, index, limit)) < limit;
         index++) {
        struct broodi_process_slot *slot = process_at(index);
        const uint64_t state = atomic_load_explicit(&slot->state.state, memory_order_acquire);
        if (broodi_process_is_left(slot, state))
            (void)end_process(index, state);
    }
}

static void sweep_blocks(void)
{
    (void)broodi_blocks_sweep();
}

const broodi_sweep broodi_sweeps[BROODI_KINDS] = { [BROODI_THREAD] = sweep_threads,
                                                   [BROODI_PROCESS] = sweep_processes,
                                                   [BROODI_PARTY] = broodi_parties_sweep,
                                                   [BROODI_BLOCK] = sweep_blocks };
