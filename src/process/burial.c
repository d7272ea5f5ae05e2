// SPDX-License-Identifier: MIT
// Burial: freeing the slots of threads and processes that have ended. thread_slot.c and
// process_slot.c describe the phases of the slots. A thread is buried by the worker of its process,
// and by a sweep of the table of threads; a process by its parent, and by a sweep of the table of
// processes. A sweep is run by a thread that allocates a slot of that table and finds it filled.
#include "process/burial.h"

#include "arena/allocator.h"
#include "arena/family.h"
#include "arena/groups.h"
#include "arena/owner.h"
#include "arena/process_slot.h"
#include "arena/thread_slot.h"
#include "arena/wait.h"
#include "base/step.h"
#include "memory/sweep.h"
#include "message/connection.h"
#include "message/queue.h"
#include "message/users.h"
#include "message/watcher.h"
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

static bool pass_on_wake(broodi_owner thread)
{
    broodi_wait_bury(broodi_owner_slot(thread));
    return true;
}

static bool break_barriers(broodi_owner thread)
{
    broodi_barriers_bury(thread);
    return true;
}

// `held` is only stored by the thread, which has ended, and is never below the number of locks that
// name the thread.
static bool is_released(broodi_owner thread)
{
    const struct broodi_thread_slot *slot = thread_at(broodi_owner_slot(thread));
    return atomic_load_explicit(&slot->held, memory_order_relaxed) == 0 ||
           !broodi_lock_names(thread);
}

// What is done for a dead thread, in this order. A kind of object that acts at the burial of a
// thread, or keeps its slot, adds one row. (A kind that names a full owner, and checks it when it
// needs the object, needs none.) The function may be called again for the same thread, also by
// several threads at the same time. False: an object still names the thread by a short owner and
// depends on its slot being DEAD. The slot is not freed then, and a later sweep tries again.
static bool (*const on_death[])(broodi_owner thread) = { pass_on_wake, break_barriers,
                                                         is_released };

// Buries the thread in the slot, if that is DEAD. All is done for the generation in `state`. If the
// slot is reused meanwhile, at most a wake of the next thread is passed on once more.
static void bury(uint32_t index)
{
    const uint64_t state =
        atomic_load_explicit(&thread_at(index)->state.state, memory_order_acquire);
    if (broodi_thread_phase_of(state) != BROODI_THREAD_DEAD)
        return;
    const broodi_owner thread = broodi_owner_of(index, state);
    for (size_t i = 0; i < sizeof on_death / sizeof on_death[0]; i++)
        if (!on_death[i](thread))
            return;
    const brood_os_life_id id = broodi_owner_life_id(thread);
    brood_os_life_forget(&id);
    (void)broodi_slot_free(BROODI_THREAD, index, state);
}

// Buries the thread in the slot if it belongs to this process, which has ended. False if it does
// not.
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

// Buries the threads of a process that has ended, also those that are STARTING. Slots that a lock
// names stay DEAD; a sweep buries them later.
//
// The process has ended, so its thread count does not change any more. If the first thread slot is
// the only one that is counted, no scan is made. A scan does not stop after `count` threads: a DEAD
// thread that a lock keeps may name this process slot for the process that had it before. A scan
// that finds fewer is repeated in all groups: a thread may have been killed before its group was
// marked. (But usually threads that are counted and not found have been buried before.)
static void bury_threads(uint32_t process)
{
    const struct broodi_process_slot *slot = process_at(process);
    const uint32_t limit = broodi_slot_limit(BROODI_THREAD);
    const uint32_t count = atomic_load_explicit(&slot->threads, memory_order_acquire);
    const uint32_t first = atomic_load_explicit(&slot->first_thread, memory_order_acquire);
    uint32_t found = first < limit && bury_of(process, first);
    if (found == count)
        return;
    for (uint32_t index = 0; (index = broodi_slot_next(BROODI_THREAD, index, limit)) < limit;
         index++)
        found += index != first && bury_of(process, index);
    for (uint32_t index = 0; found < count && index < limit; index++)
        (void)bury_of(process, index);
}

static void sweep_threads(void)
{
    const uint32_t limit = broodi_slot_limit(BROODI_THREAD);
    for (uint32_t index = 0; (index = broodi_slot_next(BROODI_THREAD, index, limit)) < limit;
         index++)
        if (broodi_owner_state(broodi_owner_at(BROODI_THREAD, index)) == BROODI_OWNER_DEAD)
            bury(index);
}

// Makes this process the worker of the slot, buries the threads and frees the slot; false when the
// state is not `state` any more. No other process changes the state after the first step, unless
// this one is killed: then a sweep repeats all steps.
static bool end_process(uint32_t index, uint64_t state)
{
    const uint32_t low = broodi_process_low_dying();
    if (!broodi_word_swap(&process_at(index)->state, state, low))
        return false;
    broodi_step(BROODI_STEP_PROCESS_DYING);
    bury_threads(index);
    broodi_users_bury(broodi_owner_of(index, state));
    (void)broodi_slot_free(BROODI_PROCESS, index, broodi_state(broodi_generation(state), low));
    return true;
}

// Repeated when the state has changed: the process may begin, or the fork server may report, at the
// same time.
void broodi_process_slot_end(uint32_t index)
{
    uint64_t state;
    do
        state = atomic_load_explicit(&process_at(index)->state.state, memory_order_relaxed);
    while (broodi_process_phase_of(state) != BROODI_PROCESS_DYING && !end_process(index, state));
}

// A slot that this sweep frees may be that of the parent of others. Those with a lower index are
// freed by the next sweep.
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

static void sweep_pieces(void)
{
    (void)broodi_pieces_sweep();
}

// A sweep of queues also frees those of connections that were destroyed.
static void sweep_queues(void)
{
    broodi_connections_sweep();
    broodi_queues_sweep();
}

const broodi_sweep broodi_sweeps[BROODI_KINDS] = {
    [BROODI_THREAD] = sweep_threads,        [BROODI_PROCESS] = sweep_processes,
    [BROODI_PARTY] = broodi_parties_sweep,  [BROODI_BLOCK] = sweep_blocks,
    [BROODI_QUEUE] = sweep_queues,          [BROODI_CONNECTION] = sweep_queues,
    [BROODI_PIECE] = sweep_pieces,          [BROODI_USER] = broodi_users_sweep,
    [BROODI_POLLER] = broodi_watchers_sweep
};

const broodi_user_gone broodi_users_gone[BROODI_HANDLE_KINDS] = {
    [BROODI_CONNECTION] = broodi_connection_user_gone,
    [BROODI_QUEUE] = broodi_queue_consumer_gone,
};
