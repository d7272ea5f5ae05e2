// SPDX-License-Identifier: MIT
// Inside the POSIX port: a thread's liveness as a word that a futex can wait for.
#ifndef POSIX_LIFE_H
#define POSIX_LIFE_H

#include "os/os_life.h"
#include <stdbool.h>
#include <stdint.h>

// Prepares to await the end of the thread: asks the kernel to wake whoever waits for `*word` while
// it holds `*value`. False when the thread has ended. `*word` is NULL where nobody would wake him.
bool broodi_life_watch(brood_os_life *life, const uint32_t **word, uint32_t *value);

// Arranges that a copy of a process knows nothing of the lives of its original's threads. Once per
// process, before the guard is made to watch fork, so that what this notes on the way is under it.
// 0, or an errno. Linux only.
int broodi_life_watch_fork(void);

#endif
