// SPDX-License-Identifier: MIT
// Inside the POSIX port: a thread's liveness as a word that a futex can wait for.
#ifndef POSIX_LIFE_H
#define POSIX_LIFE_H

#include "os/os_life.h"
#include <stdbool.h>
#include <stdint.h>

// Prepares a wait for the end of the thread: makes the kernel wake a waiter for `*word`, which
// now has the value `*value`, when the thread ends. Returns false if the thread has ended.
// `*word` is NULL if the kernel would not wake a waiter.
bool broodi_life_watch(brood_os_life *life, const uint32_t **word, uint32_t *value);

// Arranges that the threads of a copy of this process have no part in the lives of the original's
// threads. Called once per process, before brood_os_guard_watch_fork, so that the fork handler of
// this function runs under the guard. Returns 0 or an errno. Linux only.
int broodi_life_watch_fork(void);

#endif
