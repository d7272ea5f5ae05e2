// SPDX-License-Identifier: MIT
// Watching several words at once, beside the threads that wait for one of them. A watcher does not
// wait for a word; it is told that one of its words may have changed, and then checks them all. So
// it takes no wake from a thread that waits for the word.
//
//   watcher  stores its mask      marks each word     checks them    awaits its doorbell
//   changer  changes the word     loads `watched`     0 into it      rings all with the word's bit
//
// A mask is 64 bits, one for each hash of a word. Both sides store before they load, with a full
// barrier in between: either the watcher's check finds the change, or the changer finds the mark.
// The changer that removes the mark finds the mask of every watcher that has marked the word, or
// found it marked, before: so it rings all of them. A watcher that is rung marks the words again
// before it checks them. The order of its first two steps matters, and so does that of the
// changer's last two: docs/design/wait-any.md; tests/model/watch.pml searches all orders of steps.
//
// A watcher that waits for native objects too is a poller (message/watcher.h): a slot of its own,
// with a mask, and a native object that changers ring instead of a doorbell.
//
// If a changer is killed before it rings, its watchers check again within a second. A mark or a
// mask that a dead watcher has left costs the next changer a scan, or a ring without effect.
#ifndef WATCH_H
#define WATCH_H

#include "arena/slots.h"
#include "base/handle.h"
#include "base/word.h"
#include "os/os_watch.h"

#include <brood/status.h>
#include <stdbool.h>
#include <stdint.h>

// Flags in `watched`: who may watch the word.
enum { BROODI_WATCHED_BY_THREADS = 1, BROODI_WATCHED_BY_POLLERS = 2 };

// The kinds whose words have `watched`, for broodi_changed.
static inline bool broodi_is_watchable(enum broodi_kind kind)
{
    return kind == BROODI_EVENT || kind == BROODI_SEMAPHORE || kind == BROODI_QUEUE ||
           kind == BROODI_PROCESS || kind == BROODI_THREAD;
}

// For broodi_changed, after the change: whether to call broodi_watch_notify. A change is a locked
// instruction on x86, so only other processors need the barrier.
static inline bool broodi_is_watched(broodi_word *word)
{
    broodi_fence_after_swap();
    return atomic_load_explicit(broodi_watched(word), memory_order_relaxed) != 0;
}

// Removes the mark, and rings all that watch the word. Async-signal-safe; keeps errno.
void broodi_watch_notify(broodi_word *word);

// The bit of a word in a mask. Words of the arena have the same one in every process.
uint64_t broodi_watch_bit(const broodi_word *word);

// The calling thread, which is in this slot, begins to watch the words of the mask. Fails with
// BROOD_NO_MEMORY, BROOD_NO_RESOURCES.
brood_status broodi_watch_begin(uint32_t thread, uint64_t mask);
void broodi_watch_end(uint32_t thread);

// Marks the word, of one of the bits in the mask. The caller marks all of its words, then calls
// broodi_watch_marked, then checks them.
void broodi_watch_mark(broodi_word *word, uint32_t flag);
void broodi_watch_marked(void);

// How a poller is named for the port; `state` is that of its slot.
brood_os_watch_id broodi_watch_id(uint32_t poller, uint64_t state);

// Whether a process of the family has failed to ring a poller, since the program has closed what it
// needs for that. Pollers then check every few milliseconds.
bool broodi_watch_is_deaf(void);

// Blocks the calling thread, which is in this slot, until it is rung, for `timeout` ns at most. May
// return early.
void broodi_watch_await(uint32_t thread, int64_t timeout);

#endif
