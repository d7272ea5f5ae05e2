// SPDX-License-Identifier: MIT
#include "arena/self.h"

#include "arena/allocator.h"
#include "arena/family.h"
#include "arena/log.h"
#include "arena/process_slot.h"
#include "arena/thread_slot.h"
#include "base/compiler.h"
#include "base/deadline.h"
#include "base/fail.h"
#include "base/fault.h"
#include "base/invariant.h"
#include "base/label.h"
#include "base/step.h"
#include "os/os_boot.h"
#include "os/os_guard.h"
#include "os/os_process.h"
#include "os/os_stdio.h"
#include "os/os_thread.h"

#include <errno.h>
#include <stdlib.h>

static const struct broodi_self_hooks *hooks;

// The calling thread runs `main` or the target of this process.
static BROODI_THREAD_LOCAL bool runs_target;

brood_status broodi_ready(void)
{
    if (broodi_here.initialized)
        return BROOD_OK;
    if (brood_os_boot_is_announced())
        brood_os_process_refuse(
            "this process was started as a child, but its main used brood before brood_init(), "
            "which must be the first statement");
    return broodi_fail(BROOD_NOT_INITIALIZED, "brood_init() must be the first statement of main");
}

struct broodi_self *broodi_self(void)
{
    struct broodi_self *self = broodi_self_known();
    if (self)
        return self;
    self = brood_os_self_get();
    struct broodi_self fresh = { .serial = broodi_here.serial, .name = "" };
    // Copied by a fork: the values of the locals stay; the slot and the id are the parent's.
    if (self) {
        fresh.locals = self->locals;
        fresh.local_count = self->local_count;
        *self = fresh;
        return self;
    }
    self = broodi_alloc(sizeof *self);
    if (!self) {
        (void)broodi_fail(BROOD_NO_RESOURCES, "out of memory for the state of a new thread");
        return NULL;
    }
    *self = fresh;
    if (brood_os_self_set(self) == BROOD_OK)
        return self;
    free(self);
    return NULL;
}

// 0: not known yet. Every thread that asks the system stores the same value.
static _Atomic uint64_t birth;

uint64_t broodi_self_birth(void)
{
    uint64_t known = atomic_load_explicit(&birth, memory_order_relaxed);
    if (known == 0) {
        known = brood_os_process_birth(broodi_here.pid);
        atomic_store_explicit(&birth, known, memory_order_relaxed);
    }
    return known;
}

uint64_t broodi_thread_number(void)
{
    return atomic_fetch_add_explicit(&broodi_family.header->thread_ids, 1, memory_order_relaxed) +
           1;
}

// Fills the slot that the calling thread has just taken, begins its life, and changes the phase
// from STARTING to LIVE; false, with the slot freed, if the life cannot begin. Until LIVE is stored
// no other thread acts on the fields but `waiting`: a waker may still claim a key of the thread
// that had the slot before.
static bool begin_slot(struct broodi_self *self, uint32_t process, uint32_t index)
{
    struct broodi_thread_slot *slot = broodi_slot(BROODI_THREAD, index);
    const uint64_t state = atomic_load_explicit(&slot->state.state, memory_order_relaxed);
    const broodi_owner owner = broodi_owner_of(index, state);
    const brood_os_life_id id = broodi_owner_life_id(owner);
    broodi_step(BROODI_STEP_THREAD_TAKEN);
    // Release, here and for `blocks`, `waits` and `id`: pairs with the acquire loads in snapshot.c.
    // A thread that has copied one of them finds another state than that of the slot's last thread.
    atomic_store_explicit(&slot->held, 0, memory_order_release);
    atomic_store_explicit(&slot->barrier_generation, 0, memory_order_relaxed);
    broodi_process_slot_note(process, index);
    if (index < broodi_slot_limit(BROODI_SEAT))
        broodi_seat_clear(broodi_slot(BROODI_SEAT, index));
    if (index < broodi_slot_limit(BROODI_KEY))
        broodi_key_clear(broodi_slot(BROODI_KEY, index));
    if (index < broodi_slot_limit(BROODI_WATCH))
        broodi_watch_clear(broodi_slot(BROODI_WATCH, index));
    atomic_store_explicit(&slot->blocks, runs_target ? BROODI_THREAD_TARGET : 0,
                          memory_order_release);
    atomic_store_explicit(&slot->waits, 0, memory_order_release);
    broodi_label_fit(slot->name, BROODI_LABEL, self->name);
    if (brood_os_life_begin(&slot->life, &id) != BROOD_OK) {
        (void)broodi_slot_free(BROODI_THREAD, index, state);
        return false;
    }
    if (self->id == 0)
        self->id = broodi_thread_number();
    atomic_store_explicit(&slot->id, self->id, memory_order_release);
    broodi_step(BROODI_STEP_THREAD_BEGUN);
    const uint32_t live = broodi_thread_low(BROODI_THREAD_LIVE, process);
    atomic_store_explicit(&slot->state.state, broodi_state(broodi_generation(state), live),
                          memory_order_release);
    self->owner = owner;
    return true;
}

static bool take_slot(struct broodi_self *self, uint32_t process)
{
    uint32_t index;
    const uint32_t starting = broodi_thread_low(BROODI_THREAD_STARTING, process);
    broodi_process_slot_count(process);
    if (broodi_slot_allocate(BROODI_THREAD, starting, &index) == BROOD_OK &&
        begin_slot(self, process, index))
        return true;
    broodi_process_slot_discount(process);
    return false;
}

// Stores in the slot of the calling thread what it waits for, and returns what was stored there.
static uint64_t set_waits(uint64_t waits)
{
    const uint32_t index = broodi_self_slot();
    if (index == BROODI_NONE)
        return 0;
    struct broodi_thread_slot *slot = broodi_slot(BROODI_THREAD, index);
    const uint64_t before = atomic_load_explicit(&slot->waits, memory_order_relaxed);
    // A thread that handles the line of a wait is still in that wait: the allocator must know it.
    if (broodi_self_known()->reports_wait)
        return before;
    const uint64_t blocks = atomic_load_explicit(&slot->blocks, memory_order_relaxed);
    // Release: pairs with the acquire in cycle.c.
    atomic_store_explicit(&slot->blocks, blocks + 2, memory_order_release);
    // Release: the caller's loads of the object are done before its slot stops naming the object.
    // Pairs with the acquire in waits_for() of allocator.c.
    atomic_store_explicit(&slot->waits, waits, memory_order_release);
    return before;
}

uint64_t broodi_self_block(enum broodi_waits kind, uint64_t number)
{
    return set_waits(broodi_waits_for(kind, number));
}

void broodi_self_unblock(uint64_t before)
{
    (void)set_waits(before);
}

broodi_owner broodi_self_take_slot(void)
{
    struct broodi_self *self = broodi_self();
    if (!self)
        return 0;
    if (self->owner)
        return self->owner;
    const int error = errno;
    const uint32_t process = broodi_self_process();
    if (process == BROODI_NONE || !take_slot(self, process))
        return 0;
    errno = error;
    return self->owner;
}

static uint32_t begin_guest(void)
{
    const struct broodi_process_facts facts = { .parent = BROODI_NONE,
                                                .origin = BROODI_ORIGIN_GUEST,
                                                .name = broodi_here.name };
    uint32_t index;
    if (broodi_process_slot_allocate(&facts, &index) != BROOD_OK)
        return BROODI_NONE;
    (void)broodi_process_slot_begin(index, broodi_process_slot_live(index), broodi_here.pid);
    return index;
}

// With the guard held.
static uint32_t take_process(void)
{
    uint32_t process = broodi_here_process();
    if (process == BROODI_NONE) {
        process = begin_guest();
        atomic_store_explicit(&broodi_here.process, process, memory_order_release);
    }
    return process;
}

uint32_t broodi_self_process(void)
{
    uint32_t process = broodi_here_process();
    if (process != BROODI_NONE || broodi_here.role != BROODI_GUEST)
        return process;
    brood_os_guard_lock();
    process = take_process();
    brood_os_guard_unlock();
    return process;
}

// If the thread holds no lock, the phase changes before the life ends, so that no other thread
// mistakes the orderly end for a death: while STARTING the life is not checked. If it holds a lock,
// the slot stays LIVE until the life has ended, which waiters for the lock find. Were it DEAD
// before, another thread could have the slot when this one ends the life in it. The thread's last
// store to `held` and the clearing of `barrier_generation` precede the swap and the end of the
// life, both of which are releases.
static void end_slot(uint32_t index)
{
    struct broodi_thread_slot *slot = broodi_slot(BROODI_THREAD, index);
    uint64_t state = atomic_load_explicit(&slot->state.state, memory_order_relaxed);
    const uint32_t process = broodi_thread_process_of(state);
    const uint32_t low = broodi_thread_low(BROODI_THREAD_STARTING, process);
    const bool holds = atomic_load_explicit(&slot->held, memory_order_relaxed) > 0;
    atomic_store_explicit(&slot->barrier_generation, 0, memory_order_relaxed);
    if (!holds && broodi_word_swap(&slot->state, state, low))
        state = broodi_state(broodi_generation(state), low);
    broodi_step(BROODI_STEP_THREAD_ENDING);
    brood_os_life_end(&slot->life);
    broodi_step(BROODI_STEP_THREAD_ENDED);
    if (holds)
        (void)broodi_thread_mark_dead(index, state);
    else if (broodi_slot_free(BROODI_THREAD, index, state))
        broodi_process_slot_discount(process);
}

// The thread object is completed last: then a thread that joins this one finds the rest done.
void broodi_self_end(void *arg)
{
    struct broodi_self *self = arg;
    hooks->leave(self);
    const struct broodi_self was = *self; // copied now, since a destructor may have taken the slot
    (void)brood_os_self_set(NULL);
    free(self);
    if (was.serial != broodi_here.serial)
        return;
    if (was.owner)
        end_slot(broodi_owner_slot(was.owner));
    if (was.thread)
        hooks->complete(was.thread);
}

brood_status broodi_self_admit_start(void)
{
    return hooks->admit_start();
}

// Runs in the child of any fork, in its only thread, before any other function of the core. The
// child of a start by fork is a guest, too, until become() in init.c has made it a child.
static void become_guest(void)
{
    const int64_t parent = broodi_here.pid;
    const uint64_t parent_birth = atomic_load_explicit(&birth, memory_order_relaxed);
    runs_target = true;
    broodi_here.serial++;
    broodi_here.role = BROODI_GUEST;
    broodi_here.is_fresh = false;
    atomic_store_explicit(&broodi_here.process, BROODI_NONE, memory_order_relaxed);
    broodi_here.resources = NULL;
    broodi_here.resource_count = 0;
    broodi_here.parent_pid = parent;
    broodi_here.parent_birth = parent_birth ? parent_birth : brood_os_process_birth(parent);
    broodi_here.pid = brood_os_process_id();
    broodi_here.space = brood_os_pid_namespace();
    atomic_store_explicit(&birth, 0, memory_order_relaxed);
    hooks->forget();
}

brood_status broodi_self_prepare(const struct broodi_self_hooks *passed)
{
    broodi_assert(passed->leave && passed->complete && passed->admit_start && passed->forget);
    hooks = passed;
    runs_target = true;
    broodi_here.pid = brood_os_process_id();
    broodi_here.space = brood_os_pid_namespace();
    const brood_status status = brood_os_self_prepare(broodi_self_end);
    return status == BROOD_OK ? brood_os_guard_watch_fork(become_guest) : status;
}

brood_pid brood_self_pid(void)
{
    return brood_os_process_id();
}

const char *brood_self_name(void)
{
    return broodi_here.name;
}

brood_pid brood_parent_pid(void)
{
    return broodi_here.parent_pid;
}

bool brood_parent_is_alive(void)
{
    const int error = errno;
    const int before = brood_os_thread_protect();
    const bool lives = broodi_here.parent_pid != 0 &&
                       brood_os_parent_await_end(broodi_here.parent_pid, broodi_here.parent_birth,
                                                 0) == BROOD_TIMEOUT;
    brood_os_thread_unprotect(before);
    errno = error;
    return lives;
}

void broodi_self_log_wait(enum broodi_waits kind, uint64_t number, int64_t deadline)
{
    (void)broodi_self_block(broodi_waits_until(kind, 0), number);
    broodi_log_wait(kind, number);
    (void)broodi_self_block(broodi_waits_until(kind, deadline), number);
}

static brood_status await_parent(int64_t deadline)
{
    if (deadline <= 0)
        return brood_os_parent_await_end(broodi_here.parent_pid, broodi_here.parent_birth, 0);
    const enum broodi_waits kind = broodi_waits_until(BROODI_WAITS_PARENT, deadline);
    const uint64_t before = broodi_self_block(kind, 0);
    brood_status status = BROOD_TIMEOUT;
    if (broodi_log_wants(BROOD_LOG_DEBUG)) {
        const int64_t soon = broodi_until(deadline, brood_clock(), BROOD_SECONDS(1));
        status = brood_os_parent_await_end(broodi_here.parent_pid, broodi_here.parent_birth, soon);
        if (status == BROOD_TIMEOUT)
            broodi_self_log_wait(BROODI_WAITS_PARENT, 0, deadline);
    }
    if (status == BROOD_TIMEOUT)
        status =
            brood_os_parent_await_end(broodi_here.parent_pid, broodi_here.parent_birth, deadline);
    broodi_self_unblock(before);
    return status;
}

brood_status brood_parent_wait(brood_duration timeout)
{
    static const char *const operation = "brood_parent_wait";
    brood_status status = broodi_ready();
    if (status == BROOD_OK && broodi_here.parent_pid == 0)
        status = broodi_fail(BROOD_WRONG_STATE, "the main process has no parent in the family");
    return broodi_answer(operation,
                         status == BROOD_OK ? await_parent(broodi_deadline(timeout)) : status);
}

uint64_t brood_self_thread_id(void)
{
    struct broodi_self *self = broodi_ready() == BROOD_OK ? broodi_self() : NULL;
    if (!self)
        return 0;
    if (self->id == 0)
        self->id = broodi_thread_number();
    return self->id;
}

static brood_status resource(size_t index, brood_resource *out)
{
    const brood_status status = broodi_ready();
    if (status != BROOD_OK)
        return status;
    if (!out)
        return broodi_fail(BROOD_INVALID, "out is NULL");
    if (index >= broodi_here.resource_count)
        return broodi_fail(BROOD_NOT_FOUND, "no resource %zu: the process has %zu", index,
                           broodi_here.resource_count);
    *out = broodi_here.resources[index];
    return BROOD_OK;
}

brood_status brood_self_resource(size_t index, brood_resource *out)
{
    return broodi_answer("brood_self_resource", resource(index, out));
}
