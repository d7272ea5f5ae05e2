// SPDX-License-Identifier: MIT
// Blocking the calling thread, and announcing changes to blocked threads. All of brood that waits
// for a word does so through broodi_block_on, and announces each change of such a word through
// broodi_changed; the providers behind both are declared in wait.h.
#ifndef BLOCKING_H
#define BLOCKING_H

#include "arena/slots.h"
#include "arena/wait.h"
#include "arena/watch.h"
#include "base/handle.h"
#include "base/word.h"

#include <stdint.h>

// Blocks as broodi_wait does. While the thread is blocked, its slot says on what: `kind`, which
// may be FINITE, and `number` (broodi_waits_for). With BROODI_WAITS_NOT the slot stays as it is:
// for waits of the library's own, and inside broodi_self_block.
void broodi_block_on(enum broodi_waits kind, uint64_t number, broodi_word *word, uint64_t expected,
                     uint32_t holder, int64_t deadline);

// Ends a wait of the calling thread, which may have called broodi_block_on several times for it, in
// success or not. The next wait for the same object is another one, with its own line in the log.
void broodi_block_end(enum broodi_waits kind, uint64_t number);

// Announces a change of the word, which the caller has made: wakes up to `wake` of the threads that
// wait for the word. The caller passes 0 if the word says that no thread waits, and does not skip
// the call, so that every change which a thread could wait for is announced here.
//
// `kind` is the kind of the slot that contains the word, which broodi_slot_index then finds;
// BROODI_THREAD also for the word of a struct brood_thread; BROODI_PRIVATE for any other word of
// this process alone. By the kind the function knows whether the word can be watched (watch.h),
// which the compiler then knows too: the rest is a load from a cache line that the caller has just
// changed.
static inline void broodi_changed(enum broodi_kind kind, broodi_word *word, uint32_t wake)
{
    if (wake > 0)
        broodi_wake(word, wake);
    if (broodi_is_watchable(kind) && broodi_is_watched(word))
        broodi_watch_notify(word);
}

#endif
