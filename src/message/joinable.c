// SPDX-License-Identifier: MIT
// Calling messages of a joinable queue done, and waiting until all are; see holding.h.
#include "arena/owner.h"
#include "arena/wait.h"
#include "base/fail.h"
#include "message/call.h"
#include "message/holding.h"
#include "message/queue.h"
#include "message/users.h"
#include "sync/object.h"

#include <brood/queue.h>

// Begins a call for a queue that must be joinable.
static brood_status begin(struct broodi_call *call, brood_queue queue, brood_duration timeout)
{
    const brood_status status = broodi_call_begin(call, queue, timeout);
    if (status != BROOD_OK)
        return status;
    const bool joinable = broodi_queue_is_joinable(call->queue);
    if (!broodi_call_is_current(call))
        return BROOD_STALE;
    return joinable ? BROOD_OK : broodi_fail(BROOD_WRONG_STATE, "the queue is not joinable");
}

static brood_status task_done(brood_queue queue)
{
    struct broodi_call call;
    const brood_status status = begin(&call, queue, BROOD_NOW);
    if (status != BROOD_OK)
        return status;
    if (!broodi_user_subtract(&call.queue->consumers, call.id, 0))
        return broodi_call_is_current(&call)
                   ? broodi_fail(BROOD_INVALID, "this process has no message that is not done")
                   : BROOD_STALE;
    broodi_queue_notify_done(&call);
    return BROOD_OK;
}

brood_status brood_queue_task_done(brood_queue queue)
{
    const brood_status status = task_done(queue);
    return status == BROOD_OK ? status : broodi_answer("brood_queue_task_done", status);
}

enum { CHECKS = 10 }; // for a process whose thread was found dead

struct joining {
    broodi_owner watched; // a thread of a consumer, which the last wait has watched; 0: none
    uint32_t vain;        // checks since it was found dead
};

// Finds consumers that have died, and which one to watch next.
static void check_consumers(struct broodi_call *call, struct joining *joining)
{
    struct broodi_user_list *list = &call->queue->consumers;
    const bool died =
        joining->watched && broodi_owner_state(joining->watched) != BROODI_OWNER_LIVES;
    const bool now = died || (joining->vain > 0 && joining->vain < CHECKS);
    joining->vain = now && !broodi_users_check(list, call->id, true) ? joining->vain + 1 : 0;
    if (!now)
        (void)broodi_users_check(list, call->id, false);
    joining->watched = broodi_users_thread(list, call->id);
    call->holder = joining->watched ? broodi_owner_slot(joining->watched) : BROODI_NONE;
    call->nap = broodi_users_pause(joining->vain);
}

static brood_status settle(struct broodi_call *call)
{
    brood_status status = broodi_call_enter(call, BROODI_CONSUMERS);
    if (status == BROOD_TIMEOUT)
        return BROOD_NOT_FOUND; // a consumer is stopped in a get, so its message is not done
    if (status != BROOD_OK)
        return status;
    status = broodi_holding_state(call->queue, call->id, true);
    broodi_call_leave(call, BROODI_CONSUMERS);
    return status == BROOD_PEER_DIED
               ? broodi_fail(status, "a process ended before it called its messages done")
               : status;
}

static brood_status join_once(struct broodi_call *call, void *arg)
{
    check_consumers(call, arg);
    return settle(call);
}

// If a consumer is stopped in a get, its message is not done.
static bool is_settled(const struct broodi_call *call)
{
    if (broodi_queue_acquire(call->queue, BROODI_CONSUMERS, BROOD_NOW) != BROOD_OK)
        return false;
    const brood_status status = broodi_holding_state(call->queue, call->id, false);
    broodi_queue_release(call->queue, BROODI_CONSUMERS);
    return status != BROOD_NOT_FOUND;
}

static brood_status join(brood_queue queue, brood_duration timeout)
{
    struct broodi_call call;
    struct joining joining = { .watched = 0 };
    const brood_status status = begin(&call, queue, timeout);
    if (status != BROOD_OK)
        return status;
    call.is_ready = is_settled;
    return broodi_call_repeat(&call, BROODI_JOINERS, join_once, &joining);
}

brood_status brood_queue_join(brood_queue queue, brood_duration timeout)
{
    return broodi_answer("brood_queue_join", join(queue, timeout));
}

void broodi_queue_consumer_gone(uint64_t id, uint32_t number)
{
    struct broodi_queue_slot *queue = broodi_object_find(BROODI_QUEUE, id);
    (void)number;
    if (queue)
        broodi_queue_notify(queue, BROODI_JOINERS, BROODI_ALL);
}
