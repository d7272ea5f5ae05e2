// SPDX-License-Identifier: MIT
// Room for messages in a queue. Reservations count as messages.
#ifndef ROOM_H
#define ROOM_H

#include "arena/slots.h"

#include <stdbool.h>
#include <stdint.h>

// Constant.
static inline uint32_t broodi_queue_capacity(const struct broodi_queue_slot *queue)
{
    return atomic_load_explicit(&queue->capacity, memory_order_relaxed);
}

static inline uint32_t broodi_queue_reservations(const struct broodi_queue_slot *queue)
{
    return atomic_load_explicit(&queue->reservations, memory_order_acquire);
}

// Whether there is room for one more message.
bool broodi_queue_has_room(const struct broodi_queue_slot *queue);

// Whether the queue is full. The caller holds the producers' lock; reservations of dead threads are
// freed.
bool broodi_queue_is_full(struct broodi_queue_slot *queue);

#endif
