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
#include "arena/allocator.h"
#include "arena/blocking.h"
#include "arena/race.h"
#include "base/deadline.h"
#include "base/fail.h"
#include "base/step.h"
#include "os/os_clock.h"
#include "sync/object.h"

#include <brood/event.h>

#define SET UINT32_C(1)
#define WAITERS UINT32_C(2)
#define ONCE UINT32_C(4) // one set in the count
#define COUNT (~(SET | WAITERS))

static broodi_word *find(brood_event event)
{
    struct broodi_event_slot *slot = broodi_object_find(BROODI_EVENT, event.id);
    return slot ? &slot->state : NULL;
}

static brood_status not_found(void)
{
    return broodi_object_not_found("event");
}

static brood_status create(brood_event *out)
{
    uint32_t index;
    brood_status status = broodi_ready();
    if (status != BROOD_OK)
        return status;
    if (!out)
        return broodi_fail(BROOD_INVALID, "out is NULL");
    status = broodi_object_allocate(BROODI_EVENT, 0, &index);
    if (status == BROOD_OK)
        out->id = broodi_handle_of(BROODI_EVENT, index);
    return status;
}

brood_status brood_event_create(brood_event *out)
{
    return broodi_answer("brood_event_create", create(out));
}

brood_status brood_event_destroy(brood_event event)
{
    return broodi_answer("brood_event_destroy",
                         broodi_object_destroy(BROODI_EVENT, event.id, "event"));
}

// brood_event_set and brood_event_clear may be called in a signal handler, so they leave no error
// text.

brood_status brood_event_set(brood_event event)
{
    broodi_word *word = find(event);
    if (!word)
        return broodi_object_not_found_quietly();
    broodi_race_release(word);
    for (;;) {
        const uint64_t state = broodi_word_load(word);
        const uint32_t low = broodi_low(state);
        if (!broodi_handle_is_current(event.id, state))
            return BROOD_STALE;
        if (low & SET)
            return BROOD_OK;
        if (!broodi_word_swap(word, state, ((low & COUNT) + ONCE) | SET))
            continue;
        broodi_step(BROODI_STEP_EVENT_SET);
        broodi_changed(BROODI_EVENT, word, (low & WAITERS) ? BROODI_ALL : 0);
        return BROOD_OK;
    }
}

brood_status brood_event_clear(brood_event event)
{
    broodi_word *word = find(event);
    if (!word)
        return broodi_object_not_found_quietly();
    for (;;) {
        const uint64_t state = broodi_word_load(word);
        if (!broodi_handle_is_current(event.id, state))
            return BROOD_STALE;
        if (!(broodi_low(state) & SET) || broodi_word_swap(word, state, broodi_low(state) & ~SET))
            return BROOD_OK;
    }
}

static brood_status get_is_set(brood_event event, bool *out)
{
    const broodi_word *word = find(event);
    if (!word)
        return not_found();
    if (!out)
        return broodi_fail(BROOD_INVALID, "out is NULL");
    const uint64_t state = broodi_word_load(word);
    if (!broodi_handle_is_current(event.id, state))
        return BROOD_STALE;
    *out = broodi_low(state) & SET;
    broodi_race_acquire(word);
    return BROOD_OK;
}

brood_status brood_event_is_set(brood_event event, bool *out)
{
    return broodi_answer("brood_event_is_set", get_is_set(event, out));
}

// The steps of a wait. Each returns BROOD_BUSY while the wait is not over.

// Begins the wait by setting WAITERS in the word, unless the event is set or the time is over.
// `*out_count` is then how often the event had been set.
static brood_status begin(broodi_word *word, uint64_t id, int64_t deadline, uint32_t *out_count)
{
    for (;;) {
        const uint64_t state = broodi_word_load(word);
        if (!broodi_handle_is_current(id, state))
            return BROOD_STALE;
        if (broodi_low(state) & SET)
            return BROOD_OK;
        if (brood_os_clock() >= deadline)
            return BROOD_TIMEOUT;
        *out_count = broodi_low(state) & COUNT;
        if (broodi_word_swap(word, state, broodi_low(state) | WAITERS))
            return BROOD_BUSY;
    }
}

// The result, in this state, of a wait that began when the event had been set `count` times.
static brood_status judge(uint64_t state, uint64_t id, uint32_t count)
{
    const bool current = broodi_handle_is_current(id, state);
    if ((current || broodi_object_has_ended(id, state)) && (broodi_low(state) & COUNT) != count)
        return BROOD_OK;
    return current ? BROOD_BUSY : BROOD_STALE;
}

static brood_status continue_wait(broodi_word *word, uint64_t id, int64_t deadline, uint32_t count)
{
    for (;;) {
        const uint64_t state = broodi_word_load(word);
        const brood_status status = judge(state, id, count);
        if (status != BROOD_BUSY)
            return status;
        if (brood_os_clock() >= deadline)
            return BROOD_TIMEOUT;
        (void)broodi_object_wait(id, word, state, WAITERS, deadline);
    }
}

static brood_status wait_until_set(brood_event event, brood_duration timeout)
{
    uint32_t count = 0;
    broodi_word *word = find(event);
    if (!word)
        return not_found();
    const uint64_t state = broodi_word_load(word);
    if (broodi_handle_is_current(event.id, state) && (broodi_low(state) & SET)) {
        broodi_race_acquire(word);
        return BROOD_OK;
    }
    if (timeout <= 0)
        return broodi_handle_is_current(event.id, state) ? BROOD_TIMEOUT : BROOD_STALE;
    const int64_t deadline = broodi_deadline(timeout);
    const uint64_t before = broodi_object_block(event.id, word);
    brood_status status = begin(word, event.id, deadline, &count);
    if (status == BROOD_BUSY)
        status = continue_wait(word, event.id, deadline, count);
    broodi_self_unblock(before);
    broodi_race_acquire(word);
    return status;
}

brood_status brood_event_wait(brood_event event, brood_duration timeout)
{
    const brood_status status = wait_until_set(event, timeout);
    return status == BROOD_OK ? status : broodi_answer("brood_event_wait", status);
}
