// SPDX-License-Identifier: MIT
// Connections: creating, leaving, closing and destroying. send.c and receive.c move messages; end.h
// describes the states.
#include "message/connection.h"

#include "arena/allocator.h"
#include "arena/owner.h"
#include "arena/self.h"
#include "base/fail.h"
#include "base/invariant.h"
#include "base/step.h"
#include "message/chain.h"
#include "message/item.h"
#include "message/passage.h"
#include "message/queue.h"

#include <brood/connection.h>

enum { CREATOR_BITS = 32 - BROODI_CONNECTION_CREATOR_AT };

static struct broodi_connection_slot *connection_at(uint32_t index)
{
    return broodi_slot(BROODI_CONNECTION, index);
}

// The first end of the connection that had the slot when its state was `state`.
static struct broodi_end first_end(uint32_t index, uint64_t state)
{
    return (struct broodi_end){
        .id = broodi_handle_then(BROODI_CONNECTION, index, state),
        .slot = connection_at(index),
    };
}

// The end of a connection

// Ends the queues. False if one of them could not be ended yet.
static bool end_directions(const struct broodi_end *end)
{
    bool ended = true;
    for (unsigned number = 0; number < 2; number++) {
        struct broodi_call call;
        brood_status status = broodi_end_begin(end, number, &call, BROODI_PATIENCE);
        if (status == BROOD_OK)
            status = broodi_queue_end(&call);
        ended &= status == BROOD_OK || status == BROOD_STALE;
    }
    return ended;
}

// A thread that closes an end may set a flag meanwhile.
static void free_slot(const struct broodi_end *end)
{
    const uint32_t index = broodi_slot_index(BROODI_CONNECTION, end->slot);
    uint64_t state;
    do
        state = broodi_word_load(&end->slot->state);
    while (broodi_handle_is_current(end->id, state) &&
           !broodi_slot_free(BROODI_CONNECTION, index, state));
}

// Frees all that the connection has, and its slot. Several threads may do so at the same time, and
// for one that comes late the slot may have another connection. If one is killed, or cannot end a
// queue, a sweep does so.
static void finish(const struct broodi_end *end)
{
    if (!end_directions(end))
        return;
    for (unsigned number = 0; number < 2; number++)
        broodi_users_end(&end->slot->users[number], end->id);
    broodi_step(BROODI_STEP_CONNECTION_EMPTIED);
    free_slot(end);
}

// Creating

static uint32_t low_new(void)
{
    const uint64_t creator = broodi_owner_shorten(broodi_owner_self(), CREATOR_BITS);
    return (uint32_t)creator << BROODI_CONNECTION_CREATOR_AT | BROODI_CONNECTION_NEW;
}

static brood_status make_direction(const struct broodi_end *end, unsigned number)
{
    const struct broodi_queue_form form = {
        .capacity = BROODI_DIRECTION_BYTES >> BROODI_DIRECTION_UNIT,
        .unit = BROODI_DIRECTION_UNIT,
        .largest = SIZE_MAX,
        .connection = end->id,
    };
    uint64_t direction = 0;
    const brood_status status = broodi_queue_make(&form, &direction);
    atomic_store_explicit(&end->slot->directions[number], direction, memory_order_release);
    return status;
}

static brood_status fill(const struct broodi_end *end, brood_direction direction)
{
    brood_status status = BROOD_OK;
    for (unsigned number = 0; number < 2; number++) {
        atomic_store_explicit(&end->slot->directions[number], 0, memory_order_relaxed);
        broodi_users_begin(&end->slot->users[number], end->id);
    }
    if (direction == BROOD_DUPLEX)
        status = make_direction(end, 0);
    return status == BROOD_OK ? make_direction(end, 1) : status;
}

static brood_status check(const brood_connection *a, const brood_connection *b,
                          brood_direction direction)
{
    const brood_status status = broodi_ready();
    if (status != BROOD_OK)
        return status;
    if (!a || !b)
        return broodi_fail(BROOD_INVALID, a ? "b is NULL" : "a is NULL");
    if (direction != BROOD_DUPLEX && direction != BROOD_ONE_WAY)
        return broodi_fail(BROOD_INVALID, "invalid direction: %d", (int)direction);
    return broodi_owner_self() ? BROOD_OK : BROOD_NO_RESOURCES;
}

static brood_status make(struct broodi_end *out, brood_direction direction)
{
    uint32_t index;
    brood_status status = broodi_slot_allocate(BROODI_CONNECTION, low_new(), &index);
    if (status != BROOD_OK)
        return status;
    const uint64_t state = broodi_word_load(&connection_at(index)->state);
    *out = first_end(index, state);
    broodi_step(BROODI_STEP_CONNECTION_MADE);
    status = fill(out, direction);
    broodi_step(BROODI_STEP_CONNECTION_FILLED);
    if (status != BROOD_OK) {
        finish(out);
        return status;
    }
    if (!broodi_word_swap(&out->slot->state, state, 0))
        broodi_assert(false); // no other thread changes a NEW connection
    return BROOD_OK;
}

static brood_status pair(brood_connection *a, brood_connection *b, brood_direction direction)
{
    struct broodi_end end;
    brood_status status = check(a, b, direction);
    if (status == BROOD_OK)
        status = make(&end, direction);
    if (status != BROOD_OK)
        return status;
    *a = (brood_connection){ broodi_end_handle(end.id, 0) };
    *b = (brood_connection){ broodi_end_handle(end.id, 1) };
    return BROOD_OK;
}

brood_status brood_connection_pair(brood_connection *a, brood_connection *b,
                                   brood_direction direction)
{
    return broodi_answer("brood_connection_pair", pair(a, b, direction));
}

// Leaving

static brood_status leave(brood_connection connection)
{
    struct broodi_end end;
    const brood_status status = broodi_end_open(connection.id, &end);
    if (status != BROOD_OK)
        return status;
    if (broodi_user_leave(&end.slot->users[end.number], end.id, end.number)) {
        broodi_step(BROODI_STEP_CONNECTION_LEFT);
        broodi_end_notify_all(&end);
    }
    return BROOD_OK;
}

brood_status brood_connection_leave(brood_connection connection)
{
    return broodi_answer("brood_connection_leave", leave(connection));
}

void broodi_connection_user_gone(uint64_t id, uint32_t number)
{
    struct broodi_end end;
    (void)number;
    if (broodi_end_open(id, &end) == BROOD_OK)
        broodi_end_notify_all(&end);
}

// Users that have not begun

brood_status broodi_connection_check(brood_connection connection)
{
    struct broodi_end end;
    return broodi_end_open(connection.id, &end);
}

brood_status broodi_connection_enter_for(brood_connection connection, broodi_owner child,
                                         struct broodi_user *out)
{
    struct broodi_end end;
    const brood_status status = broodi_end_open(connection.id, &end);
    return status == BROOD_OK
               ? broodi_user_enter_for(&end.slot->users[end.number], end.id, end.number, child, out)
               : status;
}

// The end may have no user again, which its peers are told as if one had left.
void broodi_connection_undo(brood_connection connection, const struct broodi_user *user)
{
    struct broodi_end end;
    broodi_user_undo(user);
    if (broodi_end_open(connection.id, &end) == BROOD_OK)
        broodi_end_notify_all(&end);
}

// Closing

// A sender that holds the lock now has its message received; a later one finds CLOSING.
static brood_status close_sending(const struct broodi_end *end)
{
    struct broodi_call call;
    const uint32_t closed = broodi_end_flag(BROODI_CONNECTION_CLOSED, end->number);
    brood_status status = broodi_end_begin(end, end->number, &call, BROODI_PATIENCE);
    if (status == BROOD_STALE) // this end does not send
        (void)broodi_end_set(end, closed);
    if (status == BROOD_OK)
        status = broodi_call_enter(&call, BROODI_PRODUCERS);
    if (status != BROOD_OK)
        return status;
    (void)broodi_end_set(end, closed);
    broodi_call_leave(&call, BROODI_PRODUCERS);
    return BROOD_OK;
}

static void discard_received(const struct broodi_end *end)
{
    struct broodi_call call;
    uint32_t removed;
    if (broodi_end_begin(end, !end->number, &call, BROOD_NOW) != BROOD_OK ||
        broodi_call_enter(&call, BROODI_CONSUMERS) != BROOD_OK)
        return;
    (void)broodi_queue_remove_all(call.queue, &removed);
    if (broodi_chain_load(&call.queue->spill))
        broodi_chain_free_spill(call.queue);
    broodi_call_leave(&call, BROODI_CONSUMERS);
}

static brood_status close_end(brood_connection connection)
{
    struct broodi_end end;
    brood_status status = broodi_end_open(connection.id, &end);
    if (status != BROOD_OK)
        return status;
    if (!broodi_owner_self())
        return BROOD_NO_RESOURCES;
    if (broodi_connection_is_over(
            broodi_end_set(&end, broodi_end_flag(BROODI_CONNECTION_CLOSING, end.number))))
        return BROOD_STALE;
    broodi_step(BROODI_STEP_CONNECTION_CLOSING);
    status = close_sending(&end);
    broodi_step(BROODI_STEP_CONNECTION_CLOSED);
    broodi_end_notify_all(&end);
    if (broodi_connection_is_over(broodi_end_load(&end)))
        finish(&end);
    else
        discard_received(&end);
    return status == BROOD_DEADLOCK ? status : BROOD_OK;
}

brood_status brood_connection_close(brood_connection connection)
{
    return broodi_answer("brood_connection_close", close_end(connection));
}

// Destroying

static brood_status destroy(brood_connection connection)
{
    struct broodi_end end;
    const brood_status status = broodi_end_open(connection.id, &end);
    if (status != BROOD_OK)
        return status;
    if (broodi_connection_is_over(broodi_end_set(&end, BROODI_CONNECTION_ENDING)))
        return BROOD_STALE;
    broodi_step(BROODI_STEP_CONNECTION_ENDING);
    broodi_end_notify_all(&end);
    finish(&end);
    return BROOD_OK;
}

brood_status brood_connection_destroy(brood_connection connection)
{
    return broodi_answer("brood_connection_destroy", destroy(connection));
}

static bool is_left(uint64_t state)
{
    const uint64_t creator = broodi_low(state) >> BROODI_CONNECTION_CREATOR_AT;
    if (!(broodi_low(state) & BROODI_CONNECTION_NEW))
        return broodi_connection_is_over(broodi_low(state));
    return broodi_owner_state(broodi_owner_complete(BROODI_THREAD, creator, CREATOR_BITS)) !=
           BROODI_OWNER_LIVES;
}

void broodi_connections_sweep(void)
{
    const uint32_t limit = broodi_slot_end(BROODI_CONNECTION);
    for (uint32_t index = 0; index < limit; index++) {
        const uint64_t state = broodi_word_load(&connection_at(index)->state);
        if (!broodi_slot_is_live(state) || !is_left(state))
            continue;
        const struct broodi_end end = first_end(index, state);
        finish(&end);
    }
}
