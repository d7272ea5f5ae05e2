// SPDX-License-Identifier: MIT
// Waiting for a word, and waking: the providers behind blocking.h, through which all other files
// wait and wake. There are two, one of which is built in: wait_futex.c uses the kernel's futexes;
// wait_portable.c uses one doorbell for each thread.
//
// Both keep errno.
//
// A word is either in the arena, which all processes of the family share, or in memory of this
// process alone.
#ifndef WAIT_H
#define WAIT_H

#include "arena/slots.h"
#include "base/word.h"

#include <stdint.h>

// Blocks the calling thread while the word's state is `expected`, until a wake, until the thread
// in slot `holder` (or BROODI_NONE) has ended, or until `deadline`, and never for longer than a
// second, in case a wake was lost when a thread died. May return early: the caller checks the
// word again.
void broodi_wait(broodi_word *word, uint64_t expected, uint32_t holder, int64_t deadline);

// Wakes up to `count` of the threads that wait for the word. The caller has changed the word
// before.
void broodi_wake(broodi_word *word, uint32_t count);

#define BROODI_ALL UINT32_MAX

// For the burial of the thread in this slot: passes on a wake that the dead thread had received.
void broodi_wait_bury(uint32_t thread);

#endif
