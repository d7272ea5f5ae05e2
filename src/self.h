// SPDX-License-Identifier: MIT
// Who we are: this process, and the calling thread.
#ifndef SELF_H
#define SELF_H

#include "os/os_thread.h"
#include "shared.h"

#include <brood/brood.h>
#include <stdbool.h>
#include <stdint.h>

enum broodi_role {
    BROODI_MAIN,   // called brood_init on its own account
    BROODI_CHILD,  // started by brood
    BROODI_SERVER, // started by brood, to serve
    BROODI_GUEST   // forked by the program: uses the shared objects; nothing is done on its behalf
};

// This process. Written by brood_init and in the child of a fork, when there is one thread;
// constant otherwise.
struct broodi_process_self {
    bool initialized;
    bool race_checked; // os/os_race.h: by a checker of data races; written first of all
    enum broodi_role role;
    uint64_t
        serial; // this image among those it was forked from: objects of an ancestor are told by it
    uint32_t process; // slot; BROODI_NONE for a guest that has not needed one
    bool daemon;
    // A child in an image that was executed for it, or for its fork server: the handlers of exit()
    // are its own. False in every copy that fork() makes of a process that runs the program's code.
    bool is_fresh;
    // It, or one that it is a copy of: a stream may be locked for ever by a thread that was not
    // copied.
    bool forked_with_threads;
    int64_t pid;
    uint64_t space; // where that is its number: brood_os_process_space
    int64_t parent_pid;
    uint64_t parent_birth;
    const char *name;
    const brood_resource *resources; // handed over
    size_t resource_count;
    const char *identity; // "1:2" is the second child of the first; "" in the main process
};

extern struct broodi_process_self broodi_here;

// What a thread keeps for itself.
struct broodi_self {
    uint64_t serial; // of the process; another one: the rest came over a fork
    uint32_t slot;   // BROODI_NONE until a shared object is used
    uint32_t turn;   // of the slot
    uint64_t id;
    struct brood_thread *thread;       // that it is, when brood started it
    struct broodi_local_value *locals; // local.c
    uint32_t local_count;
};

// BROOD_OK once brood_init has run. In a child that was announced and has not passed it: one line,
// and the end.
brood_status broodi_ready(void);

// The calling thread's own; made at its first call. NULL, with a sentence, when out of memory.
struct broodi_self *broodi_self(void);

// The same if it has been made in this process; NULL otherwise: what came over a fork is not looked
// at.
static inline struct broodi_self *broodi_self_known(void)
{
    struct broodi_self *self = brood_os_self_get();
    return self && self->serial == broodi_here.serial ? self : NULL;
}

// The slot of the calling thread, taken at its first call; BROODI_NONE, with a sentence, when there
// is none.
uint32_t broodi_self_take_slot(void);

static inline uint32_t broodi_self_slot(void)
{
    const struct broodi_self *self = broodi_self_known();
    return self && self->slot != BROODI_NONE ? self->slot : broodi_self_take_slot();
}

// The same in one look, for who wants more than the slot: NULL when there is none.
static inline const struct broodi_self *broodi_self_with_slot(void)
{
    const struct broodi_self *self = broodi_self_known();
    if (self && self->slot != BROODI_NONE)
        return self;
    return broodi_self_take_slot() == BROODI_NONE ? NULL : broodi_self_known();
}

// Says what the calling thread is about to block for, and with BROODI_WAITS_NOT that it goes on:
// for brood_dump and broodi_object_await.
void broodi_self_waits(enum broodi_waits kind, uint64_t number);

// The slot of this process; a guest takes one at its first call. BROODI_NONE when there is none.
uint32_t broodi_self_process(void);

// Ends what the calling thread keeps: its locals, its slot, and the thread object that it is.
void broodi_self_end(void *self);

// When this process was started, as brood_os_process_birth has it; looked up at the first call.
uint64_t broodi_self_birth(void);

// The next number for a thread.
uint64_t broodi_thread_number(void);

// Prepares threads and forks; once per image.
brood_status broodi_self_prepare(void);

#endif
