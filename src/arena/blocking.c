// SPDX-License-Identifier: MIT
#include "arena/blocking.h"

#include "arena/log.h"
#include "arena/self.h"
#include "base/invariant.h"
#include "os/os_clock.h"
#include "os/os_guard.h"

enum { LONG_WAIT = 990000000 }; // ns: a wait that ended by the limit of a second in broodi_wait

// The threads that wait for a lock of the library may hold others.
static bool is_of_the_library(enum broodi_waits kind, uint64_t number)
{
    const uint32_t object = broodi_handle_unpack(number).kind;
    return kind == BROODI_WAITS_OBJECT &&
           (object == BROODI_OWN_LOCK || object == BROODI_QUEUE_LOCK);
}

// Called after each part of a wait. The parts of a wait for a lock are shorter than a second where
// the system cannot wait for the holder's end. The log's handler may wait for other objects.
static void log_long_wait(enum broodi_waits kind, uint64_t number, int64_t since)
{
    struct broodi_self *self = broodi_self_known();
    if (!self || is_of_the_library(kind, number))
        return;
    const uint64_t what = broodi_waits_for(kind, number);
    if (self->wait.what != what)
        self->wait = (struct broodi_current_wait){ .what = what, .since = since };
    if (self->wait.has_line || brood_os_clock() - self->wait.since < LONG_WAIT)
        return;
    struct broodi_current_wait wait = self->wait;
    wait.has_line = true;
    broodi_log_wait(kind, number);
    self->wait = wait;
}

void broodi_block_on(enum broodi_waits kind, uint64_t number, broodi_word *word, uint64_t expected,
                     uint32_t holder, int64_t deadline)
{
    broodi_assert(!brood_os_guard_is_held());
    if (kind == BROODI_WAITS_NOT) {
        broodi_wait(word, expected, holder, deadline);
        return;
    }
    const int64_t since = broodi_log_wants(BROOD_LOG_DEBUG) ? brood_os_clock() : 0;
    const uint64_t before = broodi_self_block(kind, number);
    broodi_wait(word, expected, holder, deadline);
    broodi_self_unblock(before);
    if (since)
        log_long_wait(broodi_waits_kind(kind), number, since);
}

void broodi_block_end(enum broodi_waits kind, uint64_t number)
{
    struct broodi_self *self = broodi_self_known();
    if (self && self->wait.what == broodi_waits_for(broodi_waits_kind(kind), number))
        self->wait.what = 0;
}
