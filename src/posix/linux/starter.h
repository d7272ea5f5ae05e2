// SPDX-License-Identifier: MIT
// Inside the POSIX port: the starter thread.
//
// The death signal that ties a child to its parent (PR_SET_PDEATHSIG) is sent when the *thread*
// that forked ends, not only when the process does. So tied children are made by the main thread,
// or else by one thread that lives as long as the process: the starter, created when another
// thread first starts a child. It has all signals blocked.
#ifndef POSIX_STARTER_H
#define POSIX_STARTER_H

#include <brood/status.h>
#include <stdbool.h>

// Arranges that no thread is inside this module during any fork() of this process, and that the
// copy begins without a starter. Called once per process, before any other call. Returns 0 or an
// errno.
int broodi_starter_watch_fork(void);

// Runs job(arg) in a thread of this process that lives as long as the process, and waits until it
// returns.
brood_status broodi_starter_run(void (*job)(void *), void *arg);

// Returns whether the calling thread is the only one; false also if that cannot be determined.
// Defined in os_thread.c.
bool broodi_thread_is_alone(void);

// Returns whether the starter thread exists, which is not counted among the program's threads.
bool broodi_starter_exists(void);

#endif
