// SPDX-License-Identifier: MIT
// Events.
//
// The low word of the state holds a flag for "set", a flag for "threads wait, or may wait", and a
// count of how often the event has been set. From the count a waiter sees that the event was set
// and cleared while it slept. The count wraps around after 2^30 sets, and a waiter loads it once
// a second.
//
// A wait begins when the waiter has set its flag in the word. Every later set grants that wait,
// also if the event is destroyed afterwards: the free slot keeps the low word with the count.
#include "arena/blocking.h"
#include "arena/race.h"
#include "base/deadline.h"
#include "base/fail.h"
#include "base/step.h"
#include "os/os_clock.h"
#include "sync/level.h"
#include "sync/object.h"

#include <brood/event.h>

#define SET UINT32_C(1)
#define WAITERS UINT32_C(2)
#define ONCE UINT32_C(4) // one set in the count
#define COUNT (~(SET | WAITERS))

static brood_status create(brood_event *out)
{
    const brood_status status = broodi_object_check_out(out);
    return status == BROOD_OK ? broodi_object_create(BROODI_EVENT, 0, &out->id) : status;
}

brood_status brood_event_create(brood_event *out)
{
    return broodi_answer("brood_event_create", create(out));
}

brood_status brood_event_destroy(brood_event event)
{
    return broodi_answer("brood_event_destroy", broodi_object_destroy(BROODI_EVENT, event.id));
}

// brood_event_set and brood_event_clear may be called in a signal handler, so they leave no error
// text.

brood_status brood_event_set(brood_event event)
{
    struct broodi_object object;
    brood_status status = broodi_object_open_quietly(BROODI_EVENT, event.id, &object);
    for (; status == BROOD_OK; status = broodi_object_load(&object)) {
        const uint32_t low = broodi_low(object.state);
        broodi_race_release(object.slot);
        if (low & SET)
            return BROOD_OK;
        if (!broodi_object_swap(&object, ((low & COUNT) + ONCE) | SET))
            continue;
        broodi_step(BROODI_STEP_EVENT_SET);
        broodi_changed(BROODI_EVENT, object.slot, (low & WAITERS) ? BROODI_ALL : 0);
        return BROOD_OK;
    }
    return status;
}

brood_status brood_event_clear(brood_event event)
{
    struct broodi_object object;
    brood_status status = broodi_object_open_quietly(BROODI_EVENT, event.id, &object);
    while (status == BROOD_OK && (broodi_low(object.state) & SET) &&
           !broodi_object_swap(&object, broodi_low(object.state) & ~SET))
        status = broodi_object_load(&object);
    return status;
}

static brood_status get_is_set(brood_event event, bool *out)
{
    struct broodi_object object;
    const brood_status status = broodi_object_query(BROODI_EVENT, event.id, out, &object);
    if (status != BROOD_OK)
        return status;
    *out = broodi_low(object.state) & SET;
    broodi_race_acquire(object.slot);
    return BROOD_OK;
}

brood_status brood_event_is_set(brood_event event, bool *out)
{
    return broodi_answer("brood_event_is_set", get_is_set(event, out));
}

bool broodi_event_is_ready(uint64_t id, uint64_t first, uint64_t state)
{
    const uint32_t low = broodi_low(state);
    return !broodi_handle_is_current(id, state) || (low & SET) ||
           ((low ^ broodi_low(first)) & COUNT) != 0;
}

// The steps of a wait. Each returns BROOD_BUSY while the wait is not over.

// Begins the wait by setting WAITERS in the word, unless the event is set or the time is over.
// `*out_count` is then how often the event had been set.
static brood_status begin(struct broodi_object *event, int64_t deadline, uint32_t *out_count)
{
    while (broodi_object_load(event) == BROOD_OK) {
        const uint32_t low = broodi_low(event->state);
        if (low & SET)
            return BROOD_OK;
        if (brood_os_clock() >= deadline)
            return BROOD_TIMEOUT;
        *out_count = low & COUNT;
        if (broodi_object_swap(event, low | WAITERS))
            return BROOD_BUSY;
    }
    return BROOD_STALE;
}

// The result, in the state that was loaded last, of a wait that began when the event had been set
// `count` times.
static brood_status judge(const struct broodi_object *event, uint32_t count)
{
    const bool current = broodi_handle_is_current(event->id, event->state);
    if ((current || broodi_object_has_ended(event->id, event->state)) &&
        (broodi_low(event->state) & COUNT) != count)
        return BROOD_OK;
    return current ? BROOD_BUSY : BROOD_STALE;
}

static brood_status continue_wait(struct broodi_object *event, int64_t deadline, uint32_t count)
{
    for (;;) {
        (void)broodi_object_load(event);
        const brood_status status = judge(event, count);
        if (status != BROOD_BUSY)
            return status;
        if (brood_os_clock() >= deadline)
            return BROOD_TIMEOUT;
        (void)broodi_object_wait(event, WAITERS, deadline);
    }
}

// For a caller that found the event not set. It has a copy of `event`, so that the fast path keeps
// the original in registers.
static brood_status wait_late(struct broodi_object event, brood_duration timeout)
{
    uint32_t count = 0;
    const int64_t deadline = broodi_deadline(timeout);
    const uint64_t before = broodi_object_wait_begin(event.id, event.slot);
    brood_status status = begin(&event, deadline, &count);
    if (status == BROOD_BUSY)
        status = continue_wait(&event, deadline, count);
    broodi_object_wait_end(event.id, before);
    broodi_race_acquire(event.slot);
    return status;
}

static brood_status wait_until_set(brood_event event, brood_duration timeout)
{
    struct broodi_object object;
    const brood_status status = broodi_object_open(BROODI_EVENT, event.id, &object);
    if (status != BROOD_OK)
        return status;
    if (!(broodi_low(object.state) & SET))
        return timeout <= 0 ? BROOD_TIMEOUT : wait_late(object, timeout);
    broodi_race_acquire(object.slot);
    return BROOD_OK;
}

brood_status brood_event_wait(brood_event event, brood_duration timeout)
{
    const brood_status status = wait_until_set(event, timeout);
    return status == BROOD_OK ? status : broodi_answer("brood_event_wait", status);
}
