// SPDX-License-Identifier: MIT
#include "message/passage.h"

#include "arena/owner.h"
#include "base/fail.h"
#include "sync/object.h"

// Checks with `now` that follow the death of a thread of the other end, whose process still seems
// to live: it may do so, without that thread.
enum { CHECKS = 8 };

static struct broodi_user_list *peers(const struct broodi_passage *passage)
{
    return &passage->end.slot->users[!passage->end.number];
}

bool broodi_passage_is_over(const struct broodi_passage *passage)
{
    const uint32_t low = broodi_end_load(&passage->end);
    return (low & (BROODI_CONNECTION_ENDING | 3 * BROODI_CONNECTION_CLOSING)) ||
           broodi_end_peer(&passage->end) != BROOD_OK;
}

// Finds whom to watch, and tells the users of this end if the other one has none any more.
static void prepare_wait(struct broodi_call *call)
{
    struct broodi_passage *passage = (struct broodi_passage *)call;
    const bool died =
        passage->watched && broodi_owner_state(passage->watched) != BROODI_OWNER_LIVES;
    const bool now = died || (passage->vain > 0 && passage->vain < CHECKS);
    passage->vain = now ? passage->vain + 1 : 0;
    if (broodi_users_check(peers(passage), passage->end.id, now))
        broodi_end_notify_all(&passage->end);
    passage->watched =
        passage->awaited ? passage->awaited : broodi_users_thread(peers(passage), passage->end.id);
    if (passage->awaited && broodi_owner_state(passage->awaited) != BROODI_OWNER_LIVES)
        passage->watched = 0;
    call->holder = passage->watched ? broodi_owner_slot(passage->watched) : BROODI_NONE;
    call->nap = broodi_users_pause(passage->vain);
}

static brood_status find_direction(struct broodi_passage *passage, enum broodi_side side,
                                   brood_duration timeout)
{
    const struct broodi_end *end = &passage->end;
    const unsigned from = side == BROODI_PRODUCERS ? end->number : !end->number;
    const uint64_t direction =
        atomic_load_explicit(&end->slot->directions[from], memory_order_acquire);
    if (broodi_end_load(end) & BROODI_CONNECTION_ENDING)
        return BROOD_STALE;
    if (!direction)
        return broodi_fail(BROOD_WRONG_STATE, "this end does not %s",
                           side == BROODI_PRODUCERS ? "send" : "receive");
    const brood_status status = broodi_call_begin_any(&passage->call, direction, timeout);
    passage->call.prepare = prepare_wait;
    return status;
}

brood_status broodi_passage_find(struct broodi_passage *passage, uint64_t handle,
                                 enum broodi_side side, brood_duration timeout)
{
    struct broodi_end end;
    const brood_status status = broodi_end_open(handle, &end);
    if (status != BROOD_OK)
        return status;
    passage->end = end;
    passage->side = side;
    passage->awaited = passage->watched = 0;
    passage->vain = 0;
    return find_direction(passage, side, timeout);
}

brood_status broodi_passage_begin(struct broodi_passage *passage, uint64_t handle,
                                  enum broodi_side side, brood_duration timeout)
{
    const brood_status status = broodi_passage_find(passage, handle, side, timeout);
    const struct broodi_end *end = &passage->end;
    return status == BROOD_OK
               ? broodi_user_enter(&end->slot->users[end->number], end->id, end->number, NULL)
               : status;
}

brood_status broodi_passage_check(const struct broodi_passage *passage)
{
    const uint32_t low = broodi_end_load(&passage->end);
    uint32_t closed = broodi_end_flag(BROODI_CONNECTION_CLOSING, passage->end.number);
    if (passage->side == BROODI_PRODUCERS)
        closed = 3 * BROODI_CONNECTION_CLOSING;
    if (broodi_connection_is_over(low))
        return BROOD_STALE;
    return (low & closed) ? BROOD_CLOSED : BROOD_OK;
}

// Whether the other end is CLOSED; if its closer has not come so far, this thread is it.
static bool is_closed(const struct broodi_passage *passage)
{
    const unsigned other = !passage->end.number;
    const uint32_t low = broodi_end_load(&passage->end);
    if (!(low & broodi_end_flag(BROODI_CONNECTION_CLOSING, other)))
        return false;
    if (low & broodi_end_flag(BROODI_CONNECTION_CLOSED, other))
        return true;
    if (broodi_queue_acquire(passage->call.queue, BROODI_PRODUCERS, BROOD_NOW) != BROOD_OK)
        return false;
    (void)broodi_end_set(&passage->end, broodi_end_flag(BROODI_CONNECTION_CLOSED, other));
    broodi_queue_release(passage->call.queue, BROODI_PRODUCERS);
    return true;
}

brood_status broodi_passage_ending(const struct broodi_passage *passage)
{
    return is_closed(passage) ? BROOD_CLOSED : broodi_end_peer(&passage->end);
}

brood_status broodi_passage_pause(struct broodi_passage *passage, broodi_owner thread)
{
    passage->awaited = thread;
    return BROOD_NOT_FOUND;
}
