// SPDX-License-Identifier: MIT
// Joinable queues: how many messages each process has got and has not called done.
//
// A message of a joinable queue is unfinished while it is in the chain, while the process that got
// it has not called it done, and while it was taken by a thread that has died since: then it will
// be delivered again. The counts of processes are those of a list of users (users.h). They are
// raised under the consumers' lock, and lowered without it. So under that lock the queue is
// finished if its chain is empty, all counts of living processes are 0, and no message is left by a
// dead taker. There is no counter of its own that could disagree after a death.
//
// What processes that have gone had not called done is lost. It counts as done once a join has
// reported it. A message that such a process had taken, and not released, is not lost: its piece
// names the process, and is taken off the count.
//
// Deaths. A consumer that removes messages from the chain notes in `holding` which entry will count
// them, and the tail; then it moves the tail, raises the count, and clears the note. An heir that
// finds the note, and another tail, makes sure that something counts as lost. A message that is
// taken is found in the list of taken pieces whatever the count is.
//
// Other queues have none of this: there each function does nothing.
#ifndef HOLDING_H
#define HOLDING_H

#include "arena/slots.h"
#include "message/users.h"

#include <brood/status.h>
#include <stdbool.h>
#include <stdint.h>

static inline bool broodi_queue_is_joinable(const struct broodi_queue_slot *queue)
{
    return atomic_load_explicit(&queue->joinable, memory_order_relaxed) != 0;
}

// Makes a queue that is being created joinable, or not.
void broodi_holding_prepare(struct broodi_queue_slot *queue, uint64_t id, bool joinable);

// Frees the counts of a queue that has ended.
void broodi_holding_free(struct broodi_queue_slot *queue, uint64_t id);

// Before a get: finds the entry of this process. Fails as broodi_user_enter.
brood_status broodi_holding_enter(struct broodi_queue_slot *queue, uint64_t id,
                                  struct broodi_user *out);

// The caller of these holds the consumers' lock.

// Bracket the removal of `count` messages from the chain by the process of the entry.
void broodi_holding_begin(struct broodi_queue_slot *queue, const struct broodi_user *user);
void broodi_holding_end(struct broodi_queue_slot *queue, const struct broodi_user *user,
                        uint32_t count);

// Before and after broodi_chain_take of the piece: it belongs to another process, if a dead thread
// had taken it, and then to the process of the entry. The former also before it is thrown away.
void broodi_holding_pass(struct broodi_queue_slot *queue, uint64_t id, uint64_t piece);
void broodi_holding_take(struct broodi_queue_slot *queue, const struct broodi_user *user,
                         uint64_t piece);

// For the heir of the lock.
void broodi_holding_repair(struct broodi_queue_slot *queue);

// BROOD_OK: all messages are done. BROOD_NOT_FOUND: not yet. BROOD_PEER_DIED: messages were lost;
// with `settle` they count as done from now on.
brood_status broodi_holding_state(struct broodi_queue_slot *queue, uint64_t id, bool settle);

// Without the lock: whether all messages seem to be done.
bool broodi_holding_is_done(const struct broodi_queue_slot *queue, uint64_t id);

#endif
