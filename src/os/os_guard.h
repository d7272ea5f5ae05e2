// SPDX-License-Identifier: MIT
// Port contract: the one mutex of this process, for the lists that the process keeps of its
// children, threads, locals and handlers, and for what of the system a copy of this process must
// not be made in the middle of. Held for a few instructions; never across a wait, a user's function
// or a second lock of brood's own, but for a port's lock of its descriptors. Not recursive.
#ifndef OS_GUARD_H
#define OS_GUARD_H

#include <brood/status.h>

void brood_os_guard_lock(void);
void brood_os_guard_unlock(void);

// Arranges that every fork() of this process, whoever calls it, finds the guard free, and that
// `in_child` runs in the child first of all, in the only thread there is. Called once, before
// anything is started. Where there is no fork this does nothing. Fails with BROOD_NO_MEMORY.
brood_status brood_os_guard_watch_fork(void (*in_child)(void));

#endif
