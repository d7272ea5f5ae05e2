// SPDX-License-Identifier: MIT
// Inside the POSIX port: a thread's liveness as a word that a futex can wait for.
#ifndef POSIX_LIFE_H
#define POSIX_LIFE_H

#include "os/os_life.h"
#include <stdbool.h>
#include <stdint.h>

// Prepares to await the end of the thread: asks the kernel to wake whoever waits for `*word` while it holds `*value`.
// False when the thread has ended. `*word` is NULL where nobody would wake him.
bool broodi_life_watch(brood_os_life *life, const uint32_t **word, uint32_t *value);

#endif
