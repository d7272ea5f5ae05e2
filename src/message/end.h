// SPDX-License-Identifier: MIT
// The ends of a connection.
//
// A connection is a slot, with a queue for each direction and a list of users for each end. The
// handle of an end is that of the slot, with the number of the end in the highest bit of the slot's
// index. The low word of the slot's state has the flags below, and while the connection is NEW its
// creator:
//
//   NEW, creator --pair--> 0 --close--> CLOSING of an end --> CLOSED of that end
//   any but NEW --destroy, or the second close--> ENDING --finish--> free
//
// From CLOSING on the end sends nothing: a sender checks it under the lock of the producers. CLOSED
// is set under that lock, too. So a receiver that sees it, and after that an empty queue, has seen
// the end. If the closer dies in between, the receiver sets CLOSED.
//
// When both ends are CLOSING the connection is ENDING as well. The handles are stale from then on,
// and any thread may free the rest.
#ifndef END_H
#define END_H

#include "arena/family.h"
#include "arena/slots.h"
#include "message/users.h"

#include <brood/status.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    BROODI_CONNECTION_ENDING = 1,
    BROODI_CONNECTION_NEW = 2,
    BROODI_CONNECTION_CLOSING = 4, // of the first end; of the second one the bit above
    BROODI_CONNECTION_CLOSED = 16, // likewise
    BROODI_CONNECTION_CREATOR_AT = 6,

    BROODI_END_AT = BROODI_SLOT_BITS - 1,
};

struct broodi_end {
    uint64_t id; // of the connection: the handle of its first end
    struct broodi_connection_slot *slot;
    unsigned number; // 0 or 1
};

// The handle of an end.
static inline uint64_t broodi_end_handle(uint64_t id, unsigned number)
{
    return id | (uint64_t)number << BROODI_END_AT;
}

static inline uint32_t broodi_end_flag(uint32_t flag, unsigned number)
{
    return flag << number;
}

// Whether a connection with this low word is about to be freed.
static inline bool broodi_connection_is_over(uint32_t low)
{
    const uint32_t both = 3 * BROODI_CONNECTION_CLOSING;
    return (low & BROODI_CONNECTION_ENDING) || (low & both) == both;
}

// Finds an end. Fails as broodi_object_open; a NEW connection is BROOD_STALE, too, as only its
// creator can know its handle.
brood_status broodi_end_open(uint64_t handle, struct broodi_end *out);

// Begins a call for the queue of a direction: the one in which the end `number` sends. Fails with
// BROOD_STALE if the connection has no such queue, or not any more, with BROOD_NOT_INITIALIZED, and
// with BROOD_NO_MEMORY.
struct broodi_call;
brood_status broodi_end_begin(const struct broodi_end *end, unsigned number,
                              struct broodi_call *call, brood_duration timeout);

// The flags of the connection; ENDING if it does not exist any more.
uint32_t broodi_end_load(const struct broodi_end *end);

// Sets a flag, and returns the flags that there were before, as broodi_end_load.
uint32_t broodi_end_set(const struct broodi_end *end, uint32_t flag);

// What became of the users of the other end. BROOD_OK: there are some, or there were none yet;
// BROOD_CLOSED: the last one has left; BROOD_PEER_DIED: it was killed.
brood_status broodi_end_peer(const struct broodi_end *end);

// Wakes all that wait for the connection, at either end.
void broodi_end_notify_all(const struct broodi_end *end);

#endif
