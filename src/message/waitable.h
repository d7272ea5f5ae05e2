// SPDX-License-Identifier: MIT
// The things that a thread can wait for: one row for each kind. Waits for any of several
// (wait_any.c, poller.c) know the kinds only through their rows, which brood_init passes in, since
// some of them are implemented in layers above this one.
#ifndef WAITABLE_H
#define WAITABLE_H

#include "arena/slots.h"

#include <brood/status.h>
#include <brood/wait.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// brood_waitable.kind. The numbers are part of the ABI.
enum broodi_waitable_kind {
    BROODI_WAITABLE_NONE,
    BROODI_WAITABLE_PROCESS,
    BROODI_WAITABLE_THREAD,
    BROODI_WAITABLE_FUTURE,
    BROODI_WAITABLE_QUEUE,
    BROODI_WAITABLE_QUEUE_ROOM,
    BROODI_WAITABLE_CONNECTION,
    BROODI_WAITABLE_CONNECTION_ROOM,
    BROODI_WAITABLE_EVENT,
    BROODI_WAITABLE_SEMAPHORE,
    BROODI_WAITABLE_STOP,
    BROODI_WAITABLE_PARENT,
    BROODI_WAITABLE_NATIVE,
    BROODI_WAITABLES
};

// How a thing is checked.
enum broodi_care {
    BROODI_CARE_QUICK,    // after a ring
    BROODI_CARE_SYSTEM,   // the first time: asks the system, where no ring tells of a change
    BROODI_CARE_THOROUGH, // once a second: also acquires locks to see what a dead thread has left
};

// A waitable, as long as a wait lasts.
struct broodi_waiting {
    brood_waitable waitable;
    const struct broodi_waitable_row *row; // NULL: an element of an array that is not in use
    void *object;
    broodi_word *word; // changes whenever the thing becomes ready; NULL: it has none
    uint64_t first;    // the state when the wait began, for the kinds that need it
    intptr_t native;   // is ready when the thing may be; -1: none
    bool signalled;    // the native object is ready
    bool polled;       // nothing tells when the thing becomes ready
    bool thorough;     // was ready by a thorough check, and may not be by others (poller.c)
};

// A kind; `open` NULL: there is none with this number.
struct broodi_waitable_row {
    // Checks the waitable, and fills the rest, which is zero, and -1 as `native`. BROOD_INVALID for
    // what names nothing; BROOD_OK for what is stale.
    brood_status (*open)(struct broodi_waiting *waiting);
    // Whether the thing is ready. It is not changed.
    bool (*is_ready)(const struct broodi_waiting *waiting, enum broodi_care care);
    // Ends what `open` has begun; may be NULL.
    void (*close)(struct broodi_waiting *waiting);
    // Drops a reference; NULL if `reference` is no member (arena/members.h).
    void (*drop)(void *reference);
    // Only a thorough check may find what dead threads have left of such a thing.
    bool rests;
};

void broodi_waitables_prepare(const struct broodi_waitable_row rows[BROODI_WAITABLES]);

// Fills one element. Fails as `open`, or with BROOD_INVALID for a kind that does not exist; then it
// need not be closed.
brood_status broodi_waiting_open(struct broodi_waiting *waiting, brood_waitable waitable);
void broodi_waiting_close(struct broodi_waiting *waiting);

// The calls below skip elements that are not in use.

// Checks all of them, and stores in `ready`, unless it is NULL, which are ready. True if any is.
bool broodi_waiting_check(const struct broodi_waiting *waiting, size_t count, enum broodi_care care,
                          bool *ready);

// The mask of their words; and marks them all, for the flag (watch.h).
uint64_t broodi_waiting_mask(const struct broodi_waiting *waiting, size_t count);
void broodi_waiting_mark(const struct broodi_waiting *waiting, size_t count, uint32_t flag);

// How many have a native object; whether any is to be polled.
size_t broodi_waiting_natives(const struct broodi_waiting *waiting, size_t count);
bool broodi_waiting_is_polled(const struct broodi_waiting *waiting, size_t count);

// The line of the log for a wait that has lasted since then, by the clock of the port: whether it
// is due; and passes it on, for a wait for `count` things, after which it is not due any more. The
// log's handler may wait for other things. So the caller has no mask in its thread's slot
// meanwhile, and marks and checks anew.
bool broodi_waiting_is_long(int64_t since);
void broodi_waiting_log(size_t count, int64_t *since);

#endif
