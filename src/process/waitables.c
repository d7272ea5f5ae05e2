// SPDX-License-Identifier: MIT
#include "process/waitables.h"

#include "arena/family.h"
#include "base/fail.h"
#include "message/call.h"
#include "sync/level.h"
#include "sync/object.h"
#include "thread/stop.h"
#include "thread/threads.h"

// Shared objects

// An object whose state, with which its slot begins, is what can be watched.
static brood_status open_object(struct broodi_waiting *waiting, enum broodi_kind kind)
{
    waiting->object = broodi_object_find(kind, waiting->waitable.id);
    if (!waiting->object)
        return broodi_object_not_found(kind);
    waiting->word = waiting->object;
    waiting->first = broodi_word_load(waiting->word);
    return BROOD_OK;
}

static brood_status open_event(struct broodi_waiting *waiting)
{
    return open_object(waiting, BROODI_EVENT);
}

static bool event_is_ready(const struct broodi_waiting *waiting, bool thorough)
{
    (void)thorough;
    return broodi_event_is_ready(waiting->waitable.id, waiting->first,
                                 broodi_word_load(waiting->word));
}

static brood_status open_semaphore(struct broodi_waiting *waiting)
{
    return open_object(waiting, BROODI_SEMAPHORE);
}

static bool semaphore_is_ready(const struct broodi_waiting *waiting, bool thorough)
{
    (void)thorough;
    return broodi_semaphore_is_ready(waiting->waitable.id, broodi_word_load(waiting->word));
}

// Queues

static brood_status open_side(struct broodi_waiting *waiting, enum broodi_side side)
{
    struct broodi_call call;
    const brood_status status =
        broodi_call_begin(&call, (brood_queue){ waiting->waitable.id }, BROOD_NOW);
    if (status != BROOD_OK)
        return status;
    waiting->object = call.queue;
    waiting->word = broodi_queue_word(call.queue, side);
    return BROOD_OK;
}

static bool side_is_ready(const struct broodi_waiting *waiting, enum broodi_side side,
                          bool thorough)
{
    const struct broodi_call call = { .id = waiting->waitable.id, .queue = waiting->object };
    return broodi_queue_is_ready(&call, side, thorough);
}

static brood_status open_items(struct broodi_waiting *waiting)
{
    return open_side(waiting, BROODI_CONSUMERS);
}

static bool has_items(const struct broodi_waiting *waiting, bool thorough)
{
    return side_is_ready(waiting, BROODI_CONSUMERS, thorough);
}

static brood_status open_room(struct broodi_waiting *waiting)
{
    return open_side(waiting, BROODI_PRODUCERS);
}

static bool has_room(const struct broodi_waiting *waiting, bool thorough)
{
    return side_is_ready(waiting, BROODI_PRODUCERS, thorough);
}

// Threads and requests to stop

static brood_status open_thread(struct broodi_waiting *waiting)
{
    brood_thread *thread = waiting->waitable.reference;
    const brood_status status = broodi_thread_check(thread);
    if (status != BROOD_OK)
        return status;
    waiting->object = thread;
    waiting->word = broodi_thread_word(thread);
    return BROOD_OK;
}

static bool thread_is_ready(const struct broodi_waiting *waiting, bool thorough)
{
    (void)thorough;
    return broodi_thread_is_joinable(waiting->object);
}

static brood_status open_stop(struct broodi_waiting *waiting)
{
    waiting->word = broodi_stop_word();
    waiting->object = waiting->word;
    return waiting->word ? BROOD_OK : BROOD_NO_RESOURCES;
}

static bool stop_is_ready(const struct broodi_waiting *waiting, bool thorough)
{
    (void)waiting, (void)thorough;
    return brood_stop_requested();
}

const struct broodi_waitable_row broodi_waitable_rows[BROODI_WAITABLES] = {
    [BROODI_WAITABLE_THREAD] = { open_thread, thread_is_ready },
    [BROODI_WAITABLE_QUEUE] = { open_items, has_items },
    [BROODI_WAITABLE_QUEUE_ROOM] = { open_room, has_room },
    [BROODI_WAITABLE_EVENT] = { open_event, event_is_ready },
    [BROODI_WAITABLE_SEMAPHORE] = { open_semaphore, semaphore_is_ready },
    [BROODI_WAITABLE_STOP] = { open_stop, stop_is_ready },
};

// Makers

brood_waitable brood_waitable_thread(brood_thread *thread)
{
    return (brood_waitable){ .kind = BROODI_WAITABLE_THREAD, .reference = thread };
}

brood_waitable brood_waitable_queue(brood_queue queue)
{
    return (brood_waitable){ .kind = BROODI_WAITABLE_QUEUE, .id = queue.id };
}

brood_waitable brood_waitable_queue_room(brood_queue queue)
{
    return (brood_waitable){ .kind = BROODI_WAITABLE_QUEUE_ROOM, .id = queue.id };
}

brood_waitable brood_waitable_event(brood_event event)
{
    return (brood_waitable){ .kind = BROODI_WAITABLE_EVENT, .id = event.id };
}

brood_waitable brood_waitable_semaphore(brood_semaphore semaphore)
{
    return (brood_waitable){ .kind = BROODI_WAITABLE_SEMAPHORE, .id = semaphore.id };
}

brood_waitable brood_waitable_stop(void)
{
    return (brood_waitable){ .kind = BROODI_WAITABLE_STOP };
}
