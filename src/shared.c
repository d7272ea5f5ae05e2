// SPDX-License-Identifier: MIT
// The life of process and thread slots, and burial.
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
//
// A process slot:
//
//   free --the parent takes it--> DYING --it is filled--> STARTING --the child has begun--> LIVE
//   LIVE --its fork server reports how it ended--> ENDED
//   STARTING, LIVE, ENDED --the parent or a sweep--> DYING --its threads are buried--> free
//
// The thread whose compare-and-swap stores DYING, the worker, is the only one that frees the slot.
// If the worker's process dies first, a sweep stores its own name over it and goes on.
#include "shared.h"

#include "barrier.h"
#include "block.h"
#include "family.h"
#include "here.h"
#include "label.h"
#include "lock.h"
#include "os/os_process.h"
#include "parties.h"
#include "step.h"
#include "wait.h"

#include <string.h>

enum { PHASE_BITS = 2, PHASE_MASK = 3 };

static struct broodi_thread_slot *thread_at(uint32_t index)
{
    return broodi_slot(BROODI_THREAD, index);
}

static struct broodi_process_slot *process_at(uint32_t index)
{
    return broodi_slot(BROODI_PROCESS, index);
}

void broodi_slot_label(_Atomic uint64_t label[BROODI_LABEL], const char *name)
{
    size_t length = strlen(name);
    if (length > BROODI_LABEL * sizeof *label) {
        length = BROODI_LABEL * sizeof *label;
        // Not within a character of UTF-8.
        while (length > 0 && ((unsigned char)name[length] & 0xC0) == 0x80)
            length--;
    }
    broodi_label_write(label, BROODI_LABEL, name, length);
}

static uint32_t phase_of(uint64_t state)
{
    return broodi_slot_is_live(state) ? broodi_low(state) & PHASE_MASK : 0;
}

uint32_t broodi_thread_low(enum broodi_thread_phase phase, uint32_t process)
{
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

static brood_os_life_id life_id(uint32_t index, uint64_t state)
{
    const struct broodi_header *header = broodi_family.header;
    return (brood_os_life_id){ .family = { header->family[0], header->family[1] },
                               .slot = index,
                               .generation = broodi_generation(state) };
}

brood_os_life_id broodi_life_id(uint32_t index)
{
    return life_id(index,
                   atomic_load_explicit(&thread_at(index)->state.state, memory_order_relaxed));
}

// LIVE or STARTING becomes DEAD; false when the state has changed.
static bool mark_dead(uint32_t index, uint64_t state)
{
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
static bool is_over(uint32_t index, uint64_t state)
{
    const brood_os_life_id id = life_id(index, state);
    switch (phase_of(state)) {
    case BROODI_THREAD_LIVE:
        if (!brood_os_life_is_over(&thread_at(index)->life, &id))
            return false;
        return mark_dead(index, state);
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
    return turn_of(state) == turn && is_over(index, state);
}

// Whether the thread's process has written its exit record, so that its end is an orderly one.
static bool ended_in_order(uint64_t state)
{
    const uint32_t process = broodi_thread_process_of(state);
    return process >= broodi_slot_limit(BROODI_PROCESS) ||
           atomic_load_explicit(&process_at(process)->record, memory_order_acquire) !=
               BROODI_RECORD_NONE;
}

// Whether the thread, which has ended, was killed and barriers may still name it. The record of its
// process is loaded first. If `barrier_generation` is still set afterwards, the thread was not
// buried when the record was loaded, so the slot of the process was still that of its own process.
static bool breaks_barriers(uint32_t index, uint64_t state)
{
    const bool in_order = ended_in_order(state);
    const uint32_t barrier_generation =
        atomic_load_explicit(&thread_at(index)->barrier_generation, memory_order_acquire);
    return barrier_generation == broodi_generation(state) && !in_order;
}

// Breaks the barriers that name the thread, which has ended, if it was killed. Clearing
// `barrier_generation` makes sure that this is decided once: a lock may keep the thread's slot
// longer than its process's, and then the record that the next process writes there must not count.
static void break_barriers(uint32_t index, uint64_t state)
{
    uint32_t generation = broodi_generation(state);
    if (breaks_barriers(index, state))
        broodi_barriers_break_for(index, generation);
    (void)atomic_compare_exchange_strong_explicit(&thread_at(index)->barrier_generation,
                                                  &generation, 0, memory_order_acq_rel,
                                                  memory_order_relaxed);
}

enum broodi_thread_fate broodi_thread_fate(uint32_t index, uint32_t generation, uint32_t mask)
{
    const uint64_t state =
        atomic_load_explicit(&thread_at(index)->state.state, memory_order_acquire);
    if (((broodi_generation(state) ^ generation) & mask) != 0 || !broodi_slot_is_live(state))
        return BROODI_FATE_GONE;
    if (!is_over(index, state))
        return BROODI_FATE_LIVES;
    return breaks_barriers(index, state) ? BROODI_FATE_DIED : BROODI_FATE_GONE;
}

bool broodi_thread_is_alive(uint32_t index)
{
    const uint64_t state =
        atomic_load_explicit(&thread_at(index)->state.state, memory_order_acquire);
    return phase_of(state) == BROODI_THREAD_LIVE && !is_over(index, state);
}

// Buries the thread in the slot, if that is DEAD.
static void bury(uint32_t index)
{
    struct broodi_thread_slot *slot = thread_at(index);
    const uint64_t state = atomic_load_explicit(&slot->state.state, memory_order_acquire);
    if (phase_of(state) != BROODI_THREAD_DEAD)
        return;
    broodi_wait_bury(slot);
    break_barriers(index, state);
    if (atomic_load_explicit(&slot->held, memory_order_relaxed) > 0 && broodi_lock_names(index))
        return;
    const brood_os_life_id id = life_id(index, state);
    brood_os_life_forget(&id);
    (void)broodi_slot_give(BROODI_THREAD, index, state);
}

// The phase changes before the life ends, so that an orderly end is not mistaken for a death: with
// STARTING no other thread asks for the life. With DEAD, because the thread holds a lock, waiters
// for the lock find at once that it has ended.
void broodi_thread_slot_end(uint32_t index)
{
    struct broodi_thread_slot *slot = thread_at(index);
    const uint64_t state = atomic_load_explicit(&slot->state.state, memory_order_relaxed);
    const bool holds = atomic_load_explicit(&slot->held, memory_order_relaxed) > 0;
    const enum broodi_thread_phase phase = holds ? BROODI_THREAD_DEAD : BROODI_THREAD_STARTING;
    const uint32_t low = broodi_thread_low(phase, broodi_thread_process_of(state));
    atomic_store_explicit(&slot->barrier_generation, 0, memory_order_relaxed);
    (void)broodi_word_swap(&slot->state, state, low);
    brood_os_life_end(&slot->life);
    broodi_step(BROODI_STEP_THREAD_ENDED);
    if (!holds &&
        broodi_slot_give(BROODI_THREAD, index, broodi_state(broodi_generation(state), low)))
        broodi_process_slot_discount(broodi_thread_process_of(state));
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

// Buries the thread in the slot if it belongs to this process, which has ended.
static bool bury_of(uint32_t process, uint32_t index)
{
    const uint64_t state =
        atomic_load_explicit(&thread_at(index)->state.state, memory_order_acquire);
    const uint32_t phase = phase_of(state);
    if (!phase || broodi_thread_process_of(state) != process)
        return false;
    if (phase != BROODI_THREAD_DEAD)
        (void)mark_dead(index, state);
    bury(index);
    return true;
}

// The process has ended, so its thread count does not change any more. A scan does not stop after
// `count` threads: a DEAD thread that a lock keeps may name this process slot for the process that
// had it before.
void broodi_threads_bury(uint32_t process)
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
        if (is_over(index, state))
            bury(index);
    }
}

// Processes

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
static uint32_t dying(void)
{
    const uint32_t self = broodi_here.role == BROODI_GUEST ? BROODI_NONE : broodi_here.process;
    return (self + 1) << PHASE_BITS | BROODI_PROCESS_DYING;
}

brood_status broodi_process_slot_take(const struct broodi_process_facts *facts, uint32_t *out_index)
{
    const brood_status status = broodi_slot_take(BROODI_PROCESS, dying(), out_index);
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
    broodi_slot_label(slot->name, facts->name);
    // All of the slot is filled: from now on other processes read it.
    const uint32_t generation =
        broodi_generation(atomic_load_explicit(&slot->state.state, memory_order_relaxed));
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
    struct broodi_process_slot *slot = process_at(index);
    if (index >= broodi_slot_limit(BROODI_PROCESS) ||
        atomic_load_explicit(&slot->state.state, memory_order_acquire) != starting(live))
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

// Frees the slot and buries its threads; false when the state has changed. The process that stores
// DYING does the rest alone.
static bool end_process(uint32_t index, uint64_t state)
{
    const uint32_t low = dying();
    if (!set_process(index, state, low))
        return false;
    broodi_step(BROODI_STEP_PROCESS_DYING);
    broodi_threads_bury(index);
    (void)broodi_slot_give(BROODI_PROCESS, index, broodi_state(broodi_generation(state), low));
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

// A report beside the phase ENDED: kind, crash, and the system's code, which has 8 bits on systems
// with fork servers.

enum { KIND_AT = 2, CRASH_AT = 6, NATIVE_AT = 10, FIELD = 15, NATIVE_FIELD = 0xffff };

static uint32_t pack(brood_exit seen)
{
    return BROODI_PROCESS_ENDED | ((uint32_t)seen.kind & FIELD) << KIND_AT |
           ((uint32_t)seen.crash & FIELD) << CRASH_AT |
           ((uint32_t)seen.native & NATIVE_FIELD) << NATIVE_AT;
}

static brood_exit unpack(uint32_t low)
{
    brood_exit seen = { .kind = (int32_t)(low >> KIND_AT & FIELD),
                        .crash = (int32_t)(low >> CRASH_AT & FIELD),
                        .native = low >> NATIVE_AT & NATIVE_FIELD };
    if (seen.kind == BROOD_EXITED)
        seen.code = (int32_t)seen.native;
    return seen;
}

// Whether the process in this slot is a child of the calling fork server, as far as the slot tells:
// it came from a fork server, and has the server's own parent. The number alone would not do, since
// an earlier process with the same number may still have a slot.
static bool is_served(const struct broodi_process_slot *slot)
{
    const struct broodi_process_slot *own = process_at(broodi_here.process);
    return atomic_load_explicit(&slot->origin, memory_order_relaxed) == BROODI_ORIGIN_FORKSERVER &&
           atomic_load_explicit(&slot->parent, memory_order_relaxed) ==
               atomic_load_explicit(&own->parent, memory_order_relaxed);
}

void broodi_process_slot_report(int64_t pid, brood_exit seen)
{
    const uint32_t limit = broodi_slot_limit(BROODI_PROCESS);
    for (uint32_t index = 0; (index = broodi_slot_next(BROODI_PROCESS, index, limit)) < limit;
         index++) {
        struct broodi_process_slot *slot = process_at(index);
        const uint64_t state = atomic_load_explicit(&slot->state.state, memory_order_acquire);
        const enum broodi_process_phase phase = broodi_process_phase_of(state);
        const bool is_announced = phase == BROODI_PROCESS_STARTING;
        if (atomic_load_explicit(&slot->pid, memory_order_relaxed) != pid ||
            (!is_announced && phase != BROODI_PROCESS_LIVE) || !broodi_process_has_number(slot) ||
            !is_served(slot))
            continue;
        if (is_announced) // it ended before it began: the number is not its own any more
            atomic_store_explicit(&slot->pid, 0, memory_order_relaxed);
        else if (set_process(index, state, pack(seen)))
            broodi_wake(&slot->state, BROODI_ALL);
        return;
    }
}

bool broodi_process_slot_reported(uint32_t index, brood_exit *out)
{
    const uint64_t state =
        atomic_load_explicit(&process_at(index)->state.state, memory_order_acquire);
    if (broodi_process_phase_of(state) != BROODI_PROCESS_ENDED)
        return false;
    *out = unpack(broodi_low(state));
    return true;
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

// A slot whose parent has a slot is left to the parent, which reads the exit record first. A slot
// that this sweep frees may have been the parent of others; they are freed by the next sweep.
static void sweep_processes(void)
{
    const uint32_t limit = broodi_slot_limit(BROODI_PROCESS);
    for (uint32_t index = 0; (index = broodi_slot_next(BROODI_PROCESS, index, limit)) < limit;
         index++) {
        struct broodi_process_slot *slot = process_at(index);
        const uint64_t state = atomic_load_explicit(&slot->state.state, memory_order_acquire);
        const bool is_kept =
            broodi_process_phase_of(state) != BROODI_PROCESS_DYING && has_parent(slot);
        if (broodi_slot_is_live(state) && !is_kept && is_gone(slot, state))
            (void)end_process(index, state);
    }
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

bool broodi_shared_is_awaited(enum broodi_kind kind, uint32_t index, uint64_t state)
{
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

static void sweep_blocks(void)
{
    (void)broodi_blocks_sweep();
}

const broodi_sweep broodi_sweeps[BROODI_KINDS] = { [BROODI_THREAD] = sweep_threads,
                                                   [BROODI_PROCESS] = sweep_processes,
                                                   [BROODI_PARTY] = broodi_parties_sweep,
                                                   [BROODI_BLOCK] = sweep_blocks };
