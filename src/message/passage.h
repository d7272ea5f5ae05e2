// SPDX-License-Identifier: MIT
// A call that sends or receives: a call for the queue of one direction (call.h), which also ends
// when the connection, one of its ends or the users of the other end have ended.
#ifndef PASSAGE_H
#define PASSAGE_H

#include "message/call.h"
#include "message/end.h"

enum {
    // What the messages of a direction count as: the bytes in units, and one for each message.
    BROODI_DIRECTION_UNIT = 6,
    BROODI_DIRECTION_BYTES = 1 << 20, // at this many a sender waits
};

struct broodi_passage {
    struct broodi_call call; // the first member: an attempt gets its address
    struct broodi_end end;
    enum broodi_side side;
    broodi_owner awaited; // see broodi_passage_pause
    broodi_owner watched; // the thread whose end ended the last wait, or was to end it
    uint32_t vain;        // see broodi_users_pause
};

// Opens the end, makes this process a user of it, and finds the queue. BROODI_PRODUCERS sends. The
// caller sets `is_ready` of the call.
// Fails with BROOD_INVALID, BROOD_STALE, BROOD_WRONG_STATE, BROOD_NOT_INITIALIZED, BROOD_NO_MEMORY,
// BROOD_NO_RESOURCES.
brood_status broodi_passage_begin(struct broodi_passage *passage, uint64_t handle,
                                  enum broodi_side side, brood_duration timeout);

// The same, but the process does not become a user.
brood_status broodi_passage_find(struct broodi_passage *passage, uint64_t handle,
                                 enum broodi_side side, brood_duration timeout);

// BROOD_STALE or BROOD_CLOSED: this end is over; a sender's, also when the other one is.
brood_status broodi_passage_check(const struct broodi_passage *passage);

// For `is_ready` of the call, of a sender and of a receiver. In send.c and receive.c.
bool broodi_send_is_ready(const struct broodi_call *call);
bool broodi_receive_is_ready(const struct broodi_call *call);

// Whether a call at this end fails at once, or would do so if there was no message.
bool broodi_passage_is_over(const struct broodi_passage *passage);

// Whether a receiver that finds no message gets none: BROOD_OK if some may come, or the status of
// the end. To be called before the receiver looks for a message. The caller holds no lock.
brood_status broodi_passage_ending(const struct broodi_passage *passage);

// For an attempt that has to wait: whom to watch meanwhile, `thread` if it is not 0, otherwise a
// user of the other end. That user is found only when the call blocks: each lock that its thread
// acquires changes what is loaded then. Returns BROOD_NOT_FOUND.
brood_status broodi_passage_pause(struct broodi_passage *passage, broodi_owner thread);

#endif
