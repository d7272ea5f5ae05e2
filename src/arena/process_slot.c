// SPDX-License-Identifier: MIT
// The life of process slots. The phases of a slot, and which process changes them:
//
//   from                    to         by
//   free                    DYING      the parent; the main process and a guest for themselves
//   DYING                   STARTING   the same process, when the slot is filled
//   STARTING                LIVE       the process itself, when it has stored its pid
//   LIVE                    ENDED      the fork server that forked the process (report.c)
//   STARTING, LIVE, ENDED   DYING      the parent, when it has read the exit record or given up
//   STARTING, LIVE, ENDED   DYING      a sweep, if broodi_process_is_left()
//   DYING                   DYING      a sweep, if the worker's process has ended
//   DYING                   free       the worker, when the threads are buried (burial.c)
//
// Each change is a compare-and-swap, except that of DYING to STARTING, which is a store. It is a
// release: a process that loads another phase than DYING with acquire sees the filled slot.
//
// Invariants:
//
// 1. The process that stores DYING is the worker, and DYING names it as a short owner. While the
// worker lives no other process changes the state. If it is killed, a sweep becomes the worker in
// its place. A worker without a slot of its own is named 0: if it is killed, the slot stays DYING
// until the family ends.
//
// 2. While the parent has a slot, only the parent makes the slot DYING. (It may be dead: its own
// slot is then freed first, by its parent or a sweep.)
//
// 3. A slot becomes free only when the burial of the threads that name it has decided for each
// whether barriers are broken. Threads that a lock names may keep their slots longer.
//
// 4. A process that finds its slot given up, however late, has changed nothing in it that belongs
// to the slot's next process: `pid` and `space` are swapped in its own generation only.
//
// A process that is killed while STARTING or LIVE leaves the phase as it is. The parent learns of
// the end from the system, a sweep by `pid`. The slot of a fork server is freed when its requester
// drops the server, which may then still run: it has no thread slots.
#include "arena/process_slot.h"

#include "arena/allocator.h"
#include "arena/family.h"
#include "arena/here.h"
#include "arena/owner.h"
#include "base/invariant.h"
#include "base/label.h"
#include "base/step.h"
#include "os/os_process.h"

enum { PHASE_BITS = 2, PHASE_MASK = 3, WORKER_BITS = 32 - PHASE_BITS };

static struct broodi_process_slot *process_at(uint32_t index)
{
    return broodi_slot(BROODI_PROCESS, index);
}

// Release, in these three: pairs with the acquire loads in bury_threads() of burial.c, which finds
// the slot of a thread that is not counted any more free, and the first slot taken.
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

// Stores another phase, with a report or a worker above it; false if the state is not `state` any
// more.
static bool set_process(uint32_t index, uint64_t state, uint32_t low)
{
    return broodi_word_swap(&process_at(index)->state, state, low);
}

// The worker is this process; none, so that no sweep takes the slot over, if it has no slot yet.
uint32_t broodi_process_low_dying(void)
{
    const broodi_owner self = broodi_owner_at(BROODI_PROCESS, broodi_here_process());
    const uint32_t worker = (uint32_t)broodi_owner_shorten(self, WORKER_BITS);
    return worker << PHASE_BITS | BROODI_PROCESS_DYING;
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
    const uint64_t state = atomic_load_explicit(&slot->state.state, memory_order_relaxed);
    broodi_assert(broodi_slot_is_live(state) &&
                  broodi_process_phase_of(state) == BROODI_PROCESS_DYING);
    const uint32_t generation = broodi_generation(state);
    const uint64_t none = broodi_state(generation, 0);
    // Release, in the stores of what snapshot.c copies: pairs with its acquire loads. A thread that
    // has copied a member of this process finds another state than that of the last one.
    atomic_store_explicit(&slot->space.state, none, memory_order_release);
    atomic_store_explicit(&slot->pid.state, none, memory_order_release);
    atomic_store_explicit(&slot->parent, broodi_owner_at(BROODI_PROCESS, facts->parent),
                          memory_order_release);
    atomic_store_explicit(&slot->code, 0, memory_order_relaxed);
    atomic_store_explicit(&slot->stop.state, 0, memory_order_release);
    // Release: pairs with the acquire in was_in_order() of parties.c. A thread that loads this
    // value, of the slot's next process, then finds `barrier_generation` cleared in the threads of
    // the last one.
    atomic_store_explicit(&slot->record, BROODI_RECORD_NONE, memory_order_release);
    const uint32_t daemon = facts->daemon ? BROODI_ORIGIN_DAEMON : 0;
    atomic_store_explicit(&slot->origin, (uint32_t)facts->origin | daemon, memory_order_release);
    atomic_store_explicit(&slot->threads, 0, memory_order_relaxed);
    atomic_store_explicit(&slot->first_thread, BROODI_NONE, memory_order_relaxed);
    atomic_store_explicit(&slot->uses, 0, memory_order_relaxed);
    broodi_label_fit(slot->name, BROODI_LABEL, facts->name);
    // The slot is filled, except for `pid` and `space`: from now on other processes read it.
    atomic_store_explicit(&slot->state.state, broodi_state(generation, BROODI_PROCESS_STARTING),
                          memory_order_release);
    return BROOD_OK;
}

// Stores the low word if the word still has the generation of `state`. In that generation only the
// process itself stores `pid` and `space`, and later its fork server.
static void store_low(broodi_word *word, uint64_t state, uint32_t low)
{
    const uint64_t seen = broodi_word_load(word);
    if (broodi_generation(seen) == broodi_generation(state))
        (void)broodi_word_swap(word, seen, low);
}

void broodi_process_slot_announce(uint32_t index, uint64_t live, int64_t pid)
{
    if (index >= broodi_slot_limit(BROODI_PROCESS)) // the request names no slot
        return;
    struct broodi_process_slot *slot = process_at(index);
    store_low(&slot->space, live, (uint32_t)broodi_here.space);
    store_low(&slot->pid, live, (uint32_t)pid);
}

void broodi_process_slot_retract(uint32_t index, uint64_t state)
{
    store_low(&process_at(index)->pid, state, 0);
}

bool broodi_process_slot_begin(uint32_t index, uint64_t live, int64_t pid)
{
    const uint32_t generation = broodi_generation(live);
    broodi_process_slot_announce(index, live, pid);
    return set_process(index, broodi_state(generation, BROODI_PROCESS_STARTING),
                       BROODI_PROCESS_LIVE);
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

// Whether the parent that took the slot still has its own slot, be it alive or dead.
static bool has_parent(const struct broodi_process_slot *slot)
{
    const broodi_owner parent = atomic_load_explicit(&slot->parent, memory_order_relaxed);
    return parent && broodi_owner_at(BROODI_PROCESS, broodi_owner_slot(parent)) == parent;
}

int64_t broodi_process_pid(const struct broodi_process_slot *slot)
{
    return broodi_low(broodi_word_load(&slot->pid));
}

// Acquire: the swap of `pid` is a release, so a `space` of the same generation as a pid is the
// pid's.
int64_t broodi_process_pid_here(const struct broodi_process_slot *slot)
{
    const uint64_t pid = broodi_word_load(&slot->pid);
    const uint64_t here = broodi_state(broodi_generation(pid), (uint32_t)broodi_here.space);
    return broodi_word_load(&slot->space) == here ? broodi_low(pid) : 0;
}

// Whether the process of a LIVE or ENDED slot is known to have ended. False if its pid is of
// another namespace, and while another process has the pid: both keep the slot longer.
static bool has_ended(const struct broodi_process_slot *slot)
{
    const int64_t pid = broodi_process_pid_here(slot);
    return pid != 0 && brood_os_process_birth(pid) == 0;
}

enum broodi_owner_state broodi_process_state(broodi_owner process)
{
    const uint32_t index = broodi_owner_slot(process);
    if (broodi_owner_at(BROODI_PROCESS, index) != process)
        return BROODI_OWNER_GONE;
    const struct broodi_process_slot *slot = process_at(index);
    switch (broodi_process_phase_of(broodi_word_load(&slot->state))) {
    case BROODI_PROCESS_STARTING:
        return BROODI_OWNER_LIVES;
    case BROODI_PROCESS_LIVE:
        return has_ended(slot) ? BROODI_OWNER_DEAD : BROODI_OWNER_LIVES;
    case BROODI_PROCESS_ENDED:
        return BROODI_OWNER_DEAD;
    default:
        return BROODI_OWNER_GONE;
    }
}

// Whether the worker of a DYING slot is known to have ended.
static bool is_abandoned(uint64_t state)
{
    const uint32_t worker = broodi_low(state) >> PHASE_BITS;
    return worker && broodi_process_state(broodi_owner_complete(BROODI_PROCESS, worker,
                                                                WORKER_BITS)) != BROODI_OWNER_LIVES;
}

// Whether the slot, whose parent has no slot any more, belongs to a process that has ended or will
// never begin; for a DYING slot, whether its worker has ended. If the parent of a STARTING process
// has no slot any more, the process will never begin, since it finds the slot changed. A process
// that took its own slot has no parent, and is about to begin.
static bool is_gone(const struct broodi_process_slot *slot, uint64_t state)
{
    switch (broodi_process_phase_of(state)) {
    case BROODI_PROCESS_DYING:
        return is_abandoned(state);
    case BROODI_PROCESS_STARTING:
        return atomic_load_explicit(&slot->parent, memory_order_relaxed) != 0;
    default:
        return has_ended(slot);
    }
}

// A slot whose parent has a slot is kept for the parent, which reads the exit record first. A DYING
// slot is its worker's, whoever the parent is.
bool broodi_process_is_left(const struct broodi_process_slot *slot, uint64_t state)
{
    const bool is_kept = broodi_process_phase_of(state) != BROODI_PROCESS_DYING && has_parent(slot);
    return broodi_slot_is_live(state) && !is_kept && is_gone(slot, state);
}
