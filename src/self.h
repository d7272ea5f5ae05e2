// SPDX-License-Identifier: MIT
// The state of this process and of the calling thread.
#ifndef SELF_H
#define SELF_H

#include "os/os_thread.h"
#include "shared.h"

#include <brood/brood.h>
#include <stdbool.h>
#include <stdint.h>

enum broodi_role {
    BROODI_MAIN,   // the first process of the family
    BROODI_CHILD,  // started by brood
    BROODI_SERVER, // started by brood, as a fork server
    // Forked by the program, not by brood. It uses the shared objects; brood does not join it, stop
    // it or report how it ended.
    BROODI_GUEST
};

// This process. Stored by brood_init and in the child of a fork, while there is one thread;
// constant otherwise.
struct broodi_process_self {
    bool initialized;
    // os/os_race.h: a checker of data races runs the process. Stored before everything else.
    bool race_checked;
    enum broodi_role role;
    // The number of this image among those that it was forked from. An object with another serial
    // was created by an ancestor.
    uint64_t serial;
    uint32_t process; // slot; BROODI_NONE for a guest that has not needed one yet
    bool daemon;
    // This is a child in an image that was executed for it or for its fork server, so the handlers
    // of exit() are its own. False in every copy that fork() makes of a process that runs the
    // program's code.
    bool is_fresh;
    // This process, or one that it is a copy of, was forked while there were other threads: a
    // stream may stay locked for ever by a thread that was not copied.
    bool forked_with_threads;
    int64_t pid;
    uint64_t space; // the namespace of `pid`: brood_os_process_space
    int64_t parent_pid;
    uint64_t parent_birth;
    const char *name;
    const brood_resource *resources; // handed over by the parent
    size_t resource_count;
    const char *identity; // "1:2" is the second child of the first; "" in the main process
};

extern struct broodi_process_self broodi_here;

// The private state of a thread.
struct broodi_self {
    uint64_t serial; // of the process; another one: the rest was copied by a fork
    uint32_t slot;   // BROODI_NONE until the thread uses a shared object
    uint32_t turn;   // of the slot
    uint64_t id;
    struct brood_thread *thread;       // the thread object, when brood started the thread
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

// The slot of the calling thread, which the first call takes. BROODI_NONE, with a message, when
// there is none.
uint32_t broodi_self_take_slot(void);

static inline uint32_t broodi_self_slot(void)
{
    const struct broodi_self *self = broodi_self_known();
    return self && self->slot != BROODI_NONE ? self->slot : broodi_self_take_slot();
}

// The state of the calling thread, with a slot; NULL when there is none.
static inline const struct broodi_self *broodi_self_with_slot(void)
{
    const struct broodi_self *self = broodi_self_known();
    if (self && self->slot != BROODI_NONE)
        return self;
    return broodi_self_take_slot() == BROODI_NONE ? NULL : broodi_self_known();
}

// Stores in the thread's slot what it is about to block on, or BROODI_WAITS_NOT afterwards: for
// brood_dump and broodi_object_await.
void broodi_self_waits(enum broodi_waits kind, uint64_t number);

// The slot of this process. A guest takes one at the first call; BROODI_NONE when there is none.
uint32_t broodi_self_process(void);

// The end of the calling thread: frees its locals, its slot and `self`, and completes its thread
// object.
void broodi_self_end(void *self);

// When this process was started, as brood_os_process_birth returns it. The first call asks the
// system.
uint64_t broodi_self_birth(void);

// A new thread number, unique in the family.
uint64_t broodi_thread_number(void);

// Prepares the ends of threads and the children of forks; called once per image.
brood_status broodi_self_prepare(void);

#endif
