// SPDX-License-Identifier: MIT
// The calling thread: its private state and its slot; and the slot of this process.
#ifndef SELF_H
#define SELF_H

#include "arena/here.h"
#include "arena/owner.h"
#include "arena/slots.h"
#include "base/atomic.h"
#include "os/os_thread.h"

#include <brood/brood.h>
#include <stdbool.h>
#include <stdint.h>

// blocking.c: the wait that the thread is in, which may have several parts: broodi_waits_for(), 0
// if it is in none or the log did not want its line; when the first part began; and whether the
// line has been passed on.
struct broodi_current_wait {
    uint64_t what;
    int64_t since;
    bool has_line;
};

// The private state of a thread. Only the thread loads and stores it; `*asked` is shared.
struct broodi_self {
    // The value of broodi_here.serial when the rest was stored. If that has another value by now, a
    // fork has copied the rest.
    uint64_t serial;
    broodi_owner owner; // 0 until the thread has taken a slot, for its first shared object
    uint64_t id;        // the number of the thread; 0: none yet
    // Of a thread that brood started; NULL, "", false and NULL for another one.
    struct brood_thread *thread;
    const char *name;
    bool daemon;
    // A thread of the library that attends to pools: see struct broodi_ending_pools.
    bool attends_pools;
    atomic_bool *asked; // in the thread object: whether the thread was requested to stop

    // spin.c. How often the thread has polled; and for how many ns it polls, 0: not known yet. For
    // how many more polls it makes no pauses, and how often in succession it came to that.
    uint32_t spins;
    uint32_t spin_budget;
    uint32_t spin_rest;
    uint32_t vain_rests;
    // How many of its last yields took long, and how often it polls without yielding.
    uint32_t long_yields;
    uint32_t yield_rest;

    // log.c. The thread is inside the log's handler, which handles the line of a wait of the
    // thread: its slot keeps naming that wait.
    bool reports_wait;
    struct broodi_current_wait wait;

    // wait_any.c. When a wait that was over at once last checked thoroughly.
    int64_t checked;

    struct broodi_local_value *locals; // local.c
    uint32_t local_count;
};

// BROOD_OK after brood_init, else BROOD_NOT_INITIALIZED. In a process that was started as a child
// and has not called brood_init yet: prints one line and ends the process.
brood_status broodi_ready(void);

// The state of the calling thread, which the first call allocates. NULL, with a message, when out
// of memory.
struct broodi_self *broodi_self(void);

// The same when it was allocated in this process, else NULL. State that was copied by a fork does
// not count.
static inline struct broodi_self *broodi_self_known(void)
{
    struct broodi_self *self = brood_os_self_get();
    return self && self->serial == broodi_here.serial ? self : NULL;
}

// Takes a slot for the calling thread if it has none, and returns the thread as an owner. 0, with a
// message, when none can be taken; the next call tries again.
broodi_owner broodi_self_take_slot(void);

// The calling thread as an owner; the first call takes its slot. 0, with a message, when there is
// none.
static inline broodi_owner broodi_owner_self(void)
{
    const struct broodi_self *self = broodi_self_known();
    return self && self->owner ? self->owner : broodi_self_take_slot();
}

// The slot of the calling thread; BROODI_NONE, with a message, when there is none.
static inline uint32_t broodi_self_slot(void)
{
    const broodi_owner self = broodi_owner_self();
    return self ? broodi_owner_slot(self) : BROODI_NONE;
}

// Bracket a wait of the calling thread: in between, its slot says what the thread blocks on, for
// brood_dump and the allocator. The first returns what the slot said before, for the second.
// Brackets may nest; the inner one must name the same object as the outer one, if that is an
// object.
uint64_t broodi_self_block(enum broodi_waits kind, uint64_t number);
void broodi_self_unblock(uint64_t before);

// Inside a wait that broodi_self_block has begun: logs that it has lasted for a second. The log's
// handler may acquire locks, and the wait goes on when it returns: so meanwhile the wait counts as
// one with a deadline, which is part of no deadlock.
void broodi_self_log_wait(enum broodi_waits kind, uint64_t number, int64_t deadline);

// The slot of this process. A guest takes one at the first call; BROODI_NONE when it cannot.
uint32_t broodi_self_process(void);

// The orderly end of the calling thread: calls the hooks, frees `self`, and ends the thread's life.
// Frees its slot too, unless it holds a lock: the slot is DEAD then.
void broodi_self_end(void *self);

// Called before each start of a thread or child: calls the hook.
brood_status broodi_self_admit_start(void);

// When this process was started, as brood_os_process_birth returns it. The first call asks the
// system.
uint64_t broodi_self_birth(void);

// A new thread number, unique in the family.
uint64_t broodi_thread_number(void);

// What brood_init passes in, since it is implemented in layers above this one.
struct broodi_self_hooks {
    // Called when the calling thread ends, while it still has its state.
    void (*leave)(struct broodi_self *self);
    // Called last, when the state of the calling thread is freed and its slot is free or DEAD. Not
    // called in a thread that brood did not start, and not in a copy of the thread by fork().
    void (*complete)(struct brood_thread *thread);
    // Whether the calling thread may start a thread or a child. Fails with BROOD_WRONG_STATE,
    // BROOD_NO_MEMORY.
    brood_status (*admit_start)(void);
    // Called in the child of any fork, in its only thread: resets what describes the parent's
    // threads and children.
    void (*forget)(void);
};

// Prepares the ends of threads and the children of forks; called once per image.
brood_status broodi_self_prepare(const struct broodi_self_hooks *hooks);

#endif
