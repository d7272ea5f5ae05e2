// SPDX-License-Identifier: MIT
// Semaphores.
//
// The low word of the state is {WAITERS 1, value 31}. WAITERS says that threads wait, or may wait.
// A thread waits while the value is zero. The changes of the low word:
//
//   value       WAITERS   by
//   plus n      cleared   a release of n units; if the flag was set, wakes up to n waiters
//   minus one   kept      an acquire that has not waited
//   minus one   set       an acquire that has waited; if it leaves units, wakes one waiter
//   stays 0     set       an acquire before each wait, and one that has waited and times out
//
// Invariant: when a thread sleeps, WAITERS is set; or a release that has cleared it has yet to wake
// waiters, or a woken thread has yet to set it again. That thread cannot know whether others sleep,
// so it always does. Until then releases see no flag: hence the wake by an acquire that leaves
// units. If the releaser or the woken thread is killed in between, the other waiters load the state
// within a second, when their broodi_wait returns.
//
// Each change is one acq_rel swap of the state: what precedes a release in its thread happens
// before what follows an acquire that takes a unit later.
//
// A destroyed semaphore leaves its value in the free slot. Those units are for the threads that
// were waiting when it was destroyed: they take them from there while any are left.
#include "arena/allocator.h"
#include "arena/blocking.h"
#include "arena/race.h"
#include "base/deadline.h"
#include "base/fail.h"
#include "base/step.h"
#include "os/os_clock.h"
#include "sync/object.h"

#include <brood/semaphore.h>

#define WAITERS (UINT32_C(1) << 31)
#define VALUE BROOD_SEMAPHORE_MAX

static struct broodi_semaphore_slot *find(brood_semaphore semaphore)
{
    return broodi_object_find(BROODI_SEMAPHORE, semaphore.id);
}

static brood_status not_found(void)
{
    return broodi_object_not_found("semaphore");
}

static brood_status create(brood_semaphore *out, uint32_t initial, uint32_t maximum)
{
    uint32_t index;
    const uint32_t most = maximum ? maximum : BROOD_SEMAPHORE_MAX;
    brood_status status = broodi_ready();
    if (status != BROOD_OK)
        return status;
    if (!out)
        return broodi_fail(BROOD_INVALID, "out is NULL");
    if (most > BROOD_SEMAPHORE_MAX || initial > most)
        return broodi_fail(BROOD_INVALID, "invalid initial value %u or maximum %u",
                           (unsigned)initial, (unsigned)most);
    status = broodi_object_allocate(BROODI_SEMAPHORE, initial, &index);
    if (status != BROOD_OK)
        return status;
    struct broodi_semaphore_slot *slot = broodi_slot(BROODI_SEMAPHORE, index);
    broodi_step(BROODI_STEP_SEMAPHORE_MADE);
    atomic_store_explicit(&slot->maximum, most, memory_order_release);
    out->id = broodi_handle_of(BROODI_SEMAPHORE, index);
    return BROOD_OK;
}

brood_status brood_semaphore_create(brood_semaphore *out, uint32_t initial, uint32_t maximum)
{
    return broodi_answer("brood_semaphore_create", create(out, initial, maximum));
}

brood_status brood_semaphore_destroy(brood_semaphore semaphore)
{
    return broodi_answer("brood_semaphore_destroy",
                         broodi_object_destroy(BROODI_SEMAPHORE, semaphore.id, "semaphore"));
}

// Takes one of the units that the destroyed semaphore has left, for a caller that has waited. False
// if none is left, or if the slot has been reused.
static bool take_from_ended(broodi_word *word, uint64_t id, uint64_t state)
{
    while (broodi_object_has_ended(id, state) && (broodi_low(state) & VALUE)) {
        if (broodi_word_swap(word, state, broodi_low(state) - 1)) {
            broodi_race_acquire(word);
            return true;
        }
        state = broodi_word_load(word);
    }
    return false;
}

// Takes one unit from `state`, in which the value is above zero; false if the state has changed.
// `flag` is WAITERS if the caller has waited, otherwise 0.
static bool take(broodi_word *word, uint64_t state, uint32_t flag)
{
    const uint32_t left = broodi_low(state) - 1;
    if (!broodi_word_swap(word, state, left | flag))
        return false;
    broodi_step(BROODI_STEP_SEMAPHORE_TAKEN);
    broodi_race_acquire(word);
    broodi_changed(BROODI_SEMAPHORE, word, flag && (left & VALUE) ? 1 : 0);
    return true;
}

// For a caller that found the value zero and has called broodi_object_block.
static brood_status acquire_late(broodi_word *word, uint64_t id, int64_t deadline)
{
    uint32_t flag = 0; // WAITERS once this call has waited
    for (;;) {
        const uint64_t state = broodi_word_load(word);
        const uint32_t low = broodi_low(state);
        if (!broodi_handle_is_current(id, state))
            return flag && take_from_ended(word, id, state) ? BROOD_OK : BROOD_STALE;
        if (low & VALUE) {
            if (take(word, state, flag))
                return BROOD_OK;
        } else if (brood_os_clock() < deadline) {
            if (broodi_object_wait(id, word, state, WAITERS, deadline))
                flag = WAITERS;
        } else if ((low | flag) == low || broodi_word_swap(word, state, low | flag)) {
            return BROOD_TIMEOUT;
        }
    }
}

static brood_status acquire(brood_semaphore semaphore, brood_duration timeout)
{
    struct broodi_semaphore_slot *slot = find(semaphore);
    if (!slot)
        return not_found();
    broodi_word *word = &slot->state;
    for (;;) {
        const uint64_t state = broodi_word_load(word);
        if (!broodi_handle_is_current(semaphore.id, state))
            return BROOD_STALE;
        if (!(broodi_low(state) & VALUE))
            break;
        if (take(word, state, 0))
            return BROOD_OK;
    }
    if (timeout <= 0)
        return BROOD_TIMEOUT;
    const uint64_t before = broodi_object_block(semaphore.id, slot);
    const brood_status status = acquire_late(word, semaphore.id, broodi_deadline(timeout));
    broodi_self_unblock(before);
    return status;
}

brood_status brood_semaphore_acquire(brood_semaphore semaphore, brood_duration timeout)
{
    const brood_status status = acquire(semaphore, timeout);
    return status == BROOD_OK ? status : broodi_answer("brood_semaphore_acquire", status);
}

// May be called in a signal handler, so it leaves no error text.
brood_status brood_semaphore_release(brood_semaphore semaphore, uint32_t count)
{
    struct broodi_semaphore_slot *slot = find(semaphore);
    if (!slot)
        return broodi_object_not_found_quietly();
    if (count == 0)
        return BROOD_INVALID;
    broodi_race_release(slot);
    for (;;) {
        // The maximum is this semaphore's if the state, which is loaded after it, is: the maximum
        // of the next semaphore in the slot is stored, with release, after its state.
        const uint32_t maximum = atomic_load_explicit(&slot->maximum, memory_order_acquire);
        const uint64_t state = broodi_word_load(&slot->state);
        const uint32_t value = broodi_low(state) & VALUE;
        if (!broodi_handle_is_current(semaphore.id, state))
            return BROOD_STALE;
        if (count > maximum - value)
            return BROOD_OVERFLOW;
        if (!broodi_word_swap(&slot->state, state, value + count))
            continue;
        broodi_step(BROODI_STEP_SEMAPHORE_RAISED);
        broodi_changed(BROODI_SEMAPHORE, &slot->state, (broodi_low(state) & WAITERS) ? count : 0);
        return BROOD_OK;
    }
}

static brood_status get_value(brood_semaphore semaphore, uint32_t *out)
{
    const struct broodi_semaphore_slot *slot = find(semaphore);
    if (!slot)
        return not_found();
    if (!out)
        return broodi_fail(BROOD_INVALID, "out is NULL");
    const uint64_t state = broodi_word_load(&slot->state);
    if (!broodi_handle_is_current(semaphore.id, state))
        return BROOD_STALE;
    *out = broodi_low(state) & VALUE;
    return BROOD_OK;
}

brood_status brood_semaphore_value(brood_semaphore semaphore, uint32_t *out)
{
    return broodi_answer("brood_semaphore_value", get_value(semaphore, out));
}
