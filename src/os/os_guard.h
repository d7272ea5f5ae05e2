// SPDX-License-Identifier: MIT
// Port contract: the guard, the one mutex of this process. It protects the lists of children,
// threads, locals and handlers that the process keeps, and system calls that a fork() must not
// interrupt. It is held for a few instructions, and never across a wait, a user's function or
// another lock of the library, except a port's lock of its descriptors. Not recursive.
#ifndef OS_GUARD_H
#define OS_GUARD_H

#include <brood/status.h>
#include <stdbool.h>

void brood_os_guard_lock(void);
void brood_os_guard_unlock(void);

// Returns whether the calling thread holds the guard. For assertions.
bool brood_os_guard_is_held(void);

// Arranges that the guard is held by the forking thread during every fork() of this process, also
// one that the program calls, and that `in_child` is the first function to run in the child,
// whose only thread calls it with the guard free. Called once, before anything is started. Does
// nothing on a system without fork. Fails with BROOD_NO_MEMORY.
brood_status brood_os_guard_watch_fork(void (*in_child)(void));

#endif
