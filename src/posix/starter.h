// SPDX-License-Identifier: MIT
// Inside the POSIX port: the starter thread.
//
// The death signal that ties a child to its starter (PR_SET_PDEATHSIG) fires when the *thread* that
// forked ends, not only when the process does. So tied children are forked by the main thread, or
// else by one thread that lives as long as the process: the starter, made when the first other
// thread starts a child. All of its signals are blocked.
#ifndef POSIX_STARTER_H
#define POSIX_STARTER_H

#include <brood/status.h>
#include <stdbool.h>

// Arranges that every fork() of this process finds no thread in here, and the copy no starter. Once
// per process, before any other call. 0, or an errno.
int broodi_starter_watch_fork(void);

// Runs job(arg) in a thread of this process that lives as long as the process, and waits for it.
brood_status broodi_starter_run(void (*job)(void *), void *arg);

// Whether no thread runs but the calling one; false where that cannot be told. Of os_thread.c.
bool broodi_thread_is_alone(void);

// Whether the starter thread exists: it is not counted among the program's threads.
bool broodi_starter_exists(void);

#endif
