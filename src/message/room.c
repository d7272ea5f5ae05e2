// SPDX-License-Identifier: MIT
#include "message/room.h"

#include "message/chain.h"

bool broodi_queue_has_room(const struct broodi_queue_slot *queue)
{
    return (uint64_t)broodi_chain_count(queue) + broodi_queue_reservations(queue) <
           broodi_queue_capacity(queue);
}

bool broodi_queue_is_full(struct broodi_queue_slot *queue)
{
    const uint64_t most =
        (uint64_t)broodi_chain_count_seen(queue) + broodi_queue_reservations(queue);
    if (most < broodi_queue_capacity(queue))
        return false;
    broodi_chain_see(queue);
    if (broodi_queue_has_room(queue))
        return false;
    if (broodi_queue_reservations(queue) == 0)
        return true;
    broodi_chain_count_reserved(queue);
    return !broodi_queue_has_room(queue);
}
