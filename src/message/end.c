// SPDX-License-Identifier: MIT
#include "message/end.h"

#include "message/call.h"
#include "sync/object.h"

brood_status broodi_end_open(uint64_t handle, struct broodi_end *out)
{
    struct broodi_object object;
    const uint64_t bit = UINT64_C(1) << BROODI_END_AT;
    const brood_status status = broodi_object_open(BROODI_CONNECTION, handle & ~bit, &object);
    if (status != BROOD_OK)
        return status;
    *out =
        (struct broodi_end){ .id = object.id, .slot = object.slot, .number = (handle & bit) != 0 };
    const uint32_t low = broodi_low(object.state);
    return broodi_connection_is_over(low) || (low & BROODI_CONNECTION_NEW) ? BROOD_STALE : BROOD_OK;
}

// If the slot has another connection by now, the direction is that one's.
brood_status broodi_end_begin(const struct broodi_end *end, unsigned number,
                              struct broodi_call *call, brood_duration timeout)
{
    const uint64_t direction =
        atomic_load_explicit(&end->slot->directions[number], memory_order_acquire);
    if (!direction)
        return BROOD_STALE;
    const brood_status status = broodi_call_begin_any(call, direction, timeout);
    if (status != BROOD_OK)
        return status;
    return atomic_load_explicit(&call->queue->connection, memory_order_relaxed) == end->id
               ? BROOD_OK
               : BROOD_STALE;
}

uint32_t broodi_end_load(const struct broodi_end *end)
{
    const uint64_t state = broodi_word_load(&end->slot->state);
    return broodi_handle_is_current(end->id, state) ? broodi_low(state) : BROODI_CONNECTION_ENDING;
}

uint32_t broodi_end_set(const struct broodi_end *end, uint32_t flag)
{
    uint64_t state;
    do {
        state = broodi_word_load(&end->slot->state);
        if (!broodi_handle_is_current(end->id, state))
            return BROODI_CONNECTION_ENDING;
    } while (!broodi_word_swap(&end->slot->state, state, broodi_low(state) | flag));
    return broodi_low(state);
}

brood_status broodi_end_peer(const struct broodi_end *end)
{
    const struct broodi_users users = broodi_users_look(&end->slot->users[!end->number], end->id);
    if (!users.had || users.live)
        return BROOD_OK;
    return users.killed ? BROOD_PEER_DIED : BROOD_CLOSED;
}

void broodi_end_notify_all(const struct broodi_end *end)
{
    for (unsigned number = 0; number < 2; number++) {
        struct broodi_call call;
        if (broodi_end_begin(end, number, &call, BROOD_NOW) == BROOD_OK)
            broodi_queue_notify_all(call.queue);
    }
}
