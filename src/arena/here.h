// SPDX-License-Identifier: MIT
// The identity and role of this process: plain data. A leaf.
#ifndef HERE_H
#define HERE_H

#include "base/atomic.h"

#include <brood/process.h>
#include <stdbool.h>
#include <stddef.h>
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
// constant otherwise, except for `process`.
struct broodi_process_self {
    bool initialized;
    // os/os_race.h: a checker of data races runs the process. Stored before everything else.
    bool race_checked;
    enum broodi_role role;
    // The number of this image among those that it was forked from. An object with another serial
    // was created by an ancestor.
    uint64_t serial;
    // The slot, for broodi_here_process(). A guest's is stored by the first thread that needs it.
    _Atomic uint32_t process;
    bool daemon;
    // This is a child in an image that was executed for it or for its fork server, so the handlers
    // of exit() are its own. False in every copy that fork() makes of a process that runs the
    // program's code.
    bool is_fresh;
    // This process, or one that it is a copy of, was forked while there were other threads: a
    // stream may stay locked for ever by a thread that was not copied.
    bool forked_with_threads;
    int64_t pid;
    uint64_t space; // the namespace of `pid`: brood_os_pid_namespace
    int64_t parent_pid;
    uint64_t parent_birth;
    const char *name;
    const brood_resource *resources; // handed over by the parent
    size_t resource_count;
    const char *identity; // "1:2" is the second child of the first; "" in the main process
};

extern struct broodi_process_self broodi_here;

// The slot of this process; BROODI_NONE in a guest that has not needed one yet. Acquire: pairs with
// the release by the thread of a guest that has taken it.
static inline uint32_t broodi_here_process(void)
{
    return atomic_load_explicit(&broodi_here.process, memory_order_acquire);
}

#endif
