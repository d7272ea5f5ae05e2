// SPDX-License-Identifier: MIT
// A watcher of native objects and of words: a watch of the port (os/os_watch.h), and a slot of kind
// BROODI_POLLER with a mask, by which a thread that changes a word finds it (arena/watch.h). The
// slot names the process: if that has ended, a sweep frees the slot.
#ifndef WATCHER_H
#define WATCHER_H

#include "message/waitable.h"
#include "os/os_watch.h"

#include <brood/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct broodi_watcher {
    uint32_t slot;
    uint64_t state; // of the slot
    brood_os_watch *watch;
    int64_t period; // between two thorough checks, in ns
};

// Fails with BROOD_NO_MEMORY, BROOD_NO_RESOURCES.
brood_status broodi_watcher_open(struct broodi_watcher *out);
void broodi_watcher_close(struct broodi_watcher *watcher);

// In the child of a fork: frees the copy.
void broodi_watcher_forget(struct broodi_watcher *watcher);

// Stores the mask, which the caller does before it marks a word of it.
void broodi_watcher_set_mask(const struct broodi_watcher *watcher, uint64_t mask);

// Adds the native object of the element, if it has one; it is reported by `key`. If the program has
// closed that of a process, the element is polled instead. Fails as brood_os_watch_add.
brood_status broodi_watcher_add(const struct broodi_watcher *watcher,
                                struct broodi_waiting *waiting, uint64_t key);
void broodi_watcher_remove(const struct broodi_watcher *watcher,
                           const struct broodi_waiting *waiting, uint64_t key);

// Returns the object for the program's own loops: brood_os_watch_native. Such a loop checks at
// ticks, and thoroughly at the first tick that is a period after the last thorough check: so the
// period is half a second from now on.
brood_status broodi_watcher_native(struct broodi_watcher *watcher, intptr_t *out);

// Blocks until a native object is ready, until a change of a word has rung, or for `timeout` ns.
// Then `signalled` of an element whose key is its index in `waiting` says whether its native object
// is ready. Where the wait may have reset an object of the program (brood_os_watch_resets), its
// `signalled` stays until the caller clears it: no later call reports that signal. `keys` is room
// for `count` keys. Fails as brood_os_watch_await.
brood_status broodi_watcher_await(const struct broodi_watcher *watcher,
                                  struct broodi_waiting *waiting, size_t count, uint64_t *keys,
                                  int64_t timeout);

void broodi_watchers_sweep(void);

#endif
