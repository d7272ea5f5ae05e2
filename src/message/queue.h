// SPDX-License-Identifier: MIT
// The life of queues, of the program's and of those that are a direction of a connection.
#ifndef QUEUE_H
#define QUEUE_H

#include "message/call.h"

#include <brood/status.h>
#include <stdbool.h>
#include <stdint.h>

// What a queue is created with; see struct broodi_queue_slot.
struct broodi_queue_form {
    uint32_t capacity;
    uint32_t unit;
    uint64_t largest;
    uint64_t connection;
    bool joinable;
};

// Sets a flag of call.h in the state of the queue that has the slot. The caller holds a lock of the
// queue.
void broodi_queue_set_flag(struct broodi_queue_slot *queue, uint32_t flag);

// Creates a queue. Fails as broodi_slot_allocate.
brood_status broodi_queue_make(const struct broodi_queue_form *form, uint64_t *out_id);

// Ends the queue of the call, and frees it. The caller holds no lock. Fails with BROOD_STALE; and,
// with nothing changed, with BROOD_TIMEOUT, BROOD_DEADLOCK, BROOD_NO_MEMORY, BROOD_NO_RESOURCES.
brood_status broodi_queue_end(struct broodi_call *call);

// Removes all messages that there are at the beginning, and those that dead consumers had taken,
// and returns in `out_count` how many. If the call fails, with BROOD_NO_MEMORY, the others stay.
// The caller holds the consumers' lock.
brood_status broodi_queue_remove_all(struct broodi_queue_slot *queue, uint32_t *out_count);

// For users.h: a consumer of a joinable queue has gone. Wakes the threads that join.
void broodi_queue_consumer_gone(uint64_t id, uint32_t number);

// Frees the queues whose creator or destroyer has died, and the directions of connections that do
// not exist any more.
void broodi_queues_sweep(void);

#endif
