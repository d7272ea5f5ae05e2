// SPDX-License-Identifier: MIT
// A call for a queue: its locks, waiting and waking.
//
// The slot of a queue has a chain of messages (chain.h) and two locks, for producers and for
// consumers. The locks belong to the slot and not to the queue in it: whoever has acquired one
// checks that the queue still exists. The low word of the state has one flag, CLOSED, which is set
// under the producers' lock: so a consumer that sees it, and an empty chain after it, has seen the
// end.
//
// Two words are there to wait for: `items`, for consumers of an empty queue, and `room`, for
// producers of a full one. The low half of each is {changes 31, WAITERS 1}.
//
//   waiter:  polls the chain for a short time (spin.h); then sets WAITERS, checks the chain again,
//            and waits while the word stays the same
//   other:   changes the chain, then loads the word; if WAITERS is set, it clears the flag, counts
//            a change and wakes as many as it has made room or items for
//
// So either the waiter's check finds the change, or the other finds the flag. A waiter that has
// been woken may be the only one that knows of the others, since the flag is clear: before it
// returns it sets the flag again, and wakes the next if there is something left. A thread that is
// killed between its change and its wake, or after it was woken, is made good by the second for
// which broodi_wait waits at most. A thread that polls is not known to others, and costs them no
// wake.
#ifndef CALL_H
#define CALL_H

#include "arena/slots.h"
#include "message/users.h"

#include <brood/queue.h>
#include <stdbool.h>
#include <stdint.h>

// In the low word of a queue's state.
#define BROODI_QUEUE_CLOSED UINT32_C(1)
#define BROODI_QUEUE_ENDING UINT32_C(2) // the queue is destroyed, and its memory is being freed
#define BROODI_QUEUE_NEW UINT32_C(4)    // the queue is being created

// How long a call that has no timeout waits for a thread that is stopped while it holds a lock.
#define BROODI_PATIENCE BROOD_SECONDS(1)

// Who waits for what: producers for room, consumers for items. Each side has a lock of its own. In
// a joinable queue (holding.h) other threads wait, too, and use the consumers' lock.
enum broodi_side { BROODI_PRODUCERS, BROODI_CONSUMERS, BROODI_JOINERS };

struct broodi_call {
    uint64_t id;
    struct broodi_queue_slot *queue;
    brood_duration timeout;
    int64_t deadline; // 0 until the call has to wait: one for all of its waits
    bool waited;      // the call has set WAITERS
    // Of a joinable queue, in a get: the entry of this process.
    struct broodi_user user;
    // A thread whose end ends a wait, too, or BROODI_NONE.
    uint32_t holder;
    int64_t nap; // ns that a wait may take
    // For a direction of a connection: sets both before the call blocks, or ends since its time is
    // over. NULL: they do not change.
    void (*prepare)(struct broodi_call *call);
    // For a direction of a connection, and for a join: whether the call would not wait. NULL: that
    // is so if the queue is closed, or has room or items.
    bool (*is_ready)(const struct broodi_call *call);
};

// Finds a queue of the program. Fails with BROOD_INVALID, BROOD_NOT_INITIALIZED, BROOD_NO_MEMORY.
brood_status broodi_call_begin(struct broodi_call *call, brood_queue queue, brood_duration timeout);

// The same for any queue: also for a direction of a connection, of which programs have no handle.
brood_status broodi_call_begin_any(struct broodi_call *call, uint64_t id, brood_duration timeout);

// Whether the queue exists. A NEW one does not yet: only its creator changes it.
bool broodi_call_is_current(const struct broodi_call *call);

// Acquires the lock of this side; if its holder has died, the chain is repaired. Also fails with
// BROOD_STALE, BROOD_TIMEOUT, BROOD_DEADLOCK, BROOD_NO_RESOURCES.
brood_status broodi_call_enter(struct broodi_call *call, enum broodi_side side);
void broodi_call_leave(const struct broodi_call *call, enum broodi_side side);

// Begins the call and enters.
brood_status broodi_call_open(struct broodi_call *call, brood_queue queue, enum broodi_side side,
                              brood_duration timeout);

// The same lock, for whichever queue has the slot. Also fails with BROOD_NO_MEMORY, if the chain
// cannot be repaired in this process.
brood_status broodi_queue_acquire(struct broodi_queue_slot *queue, enum broodi_side side,
                                  brood_duration timeout);
void broodi_queue_release(struct broodi_queue_slot *queue, enum broodi_side side);

// Frees the memory and the slot of a queue that is ENDING; does nothing for any other one. If a
// lock cannot be acquired, the next call of any thread does so.
void broodi_queue_finish(struct broodi_queue_slot *queue);

// Calls `attempt` until it does not return BROOD_NOT_FOUND, and waits before each repetition until
// the queue is not empty or not full any more. BROOD_TIMEOUT when the time is over.
brood_status broodi_call_repeat(struct broodi_call *call, enum broodi_side side,
                                brood_status (*attempt)(struct broodi_call *call, void *arg),
                                void *arg);

bool broodi_queue_is_closed(const struct broodi_queue_slot *queue);

// Whether a call on this side would not wait. Without `thorough` as far as can be seen without the
// lock: then a message or room that a dead thread has left may be missed.
bool broodi_queue_is_ready(const struct broodi_call *call, enum broodi_side side, bool thorough);

// The word whose changes are announced to this side.
broodi_word *broodi_queue_word(struct broodi_queue_slot *queue, enum broodi_side side);

// Wakes up to `count` of the threads of this side that wait. The caller has changed the chain, and
// has released the lock since.
void broodi_queue_notify(struct broodi_queue_slot *queue, enum broodi_side side, uint32_t count);

// For a call that has made messages of a joinable queue done: wakes the threads that join if all
// messages are.
void broodi_queue_notify_done(const struct broodi_call *call);

// Wakes all that wait: the queue was closed or destroyed.
void broodi_queue_notify_all(struct broodi_queue_slot *queue);

// Fails with BROOD_TOO_LARGE, BROOD_STALE.
brood_status broodi_queue_check_size(const struct broodi_call *call, size_t size);

// Finds the first message: one that a dead consumer had taken, whose place is 0, or of the chain.
// While the chain is not empty it looks for the former only once a second. One that is found stays
// the first one until broodi_chain_take. The caller holds the consumers' lock. BROOD_NOT_FOUND:
// there is none; BROOD_CLOSED: nor does any thread put one.
struct broodi_item;
brood_status broodi_queue_first(const struct broodi_call *call, struct broodi_item *out);

// Takes this message for the calling thread: its body, or the piece `copy` that contains it. The
// caller holds the consumers' lock.
void broodi_queue_take(const struct broodi_call *call, const struct broodi_item *item,
                       uint64_t copy);

// Frees what consumers have released, of whichever queue has the slot. If the lock cannot be
// acquired soon, the next consumer does so.
void broodi_queue_collect(struct broodi_queue_slot *queue);

#endif
