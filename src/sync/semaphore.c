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
// within a second, when their broodi_block_on returns.
//
// Each change is one acq_rel swap of the state: what precedes a release in its thread happens
// before what follows an acquire that takes a unit later.
//
// A destroyed semaphore leaves its value in the free slot. Those units are for the threads that
// were waiting when it was destroyed: they take them from there while any are left.
#include "arena/blocking.h"
#include "arena/race.h"
#include "base/deadline.h"
#include "base/fail.h"
#include "base/invariant.h"
#include "base/step.h"
#include "os/os_clock.h"
#include "sync/level.h"
#include "sync/object.h"

#include <brood/semaphore.h>

#define WAITERS (UINT32_C(1) << 31)
#define VALUE BROOD_SEMAPHORE_MAX

static brood_status make(brood_semaphore *out, uint32_t initial, uint32_t maximum)
{
    uint64_t id;
    const brood_status status = broodi_object_create(BROODI_SEMAPHORE, initial, &id);
    if (status != BROOD_OK)
        return status;
    struct broodi_semaphore_slot *slot = broodi_object_find(BROODI_SEMAPHORE, id);
    broodi_step(BROODI_STEP_SEMAPHORE_MADE);
    // Release: pairs with the acquire in brood_semaphore_release().
    atomic_store_explicit(&slot->maximum, maximum, memory_order_release);
    out->id = id;
    return BROOD_OK;
}

static brood_status create(brood_semaphore *out, uint32_t initial, uint32_t maximum)
{
    const uint32_t most = maximum ? maximum : BROOD_SEMAPHORE_MAX;
    const brood_status status = broodi_object_check_out(out);
    if (status != BROOD_OK)
        return status;
    if (most > BROOD_SEMAPHORE_MAX || initial > most)
        return broodi_fail(BROOD_INVALID, "invalid initial value %u or maximum %u",
                           (unsigned)initial, (unsigned)most);
    return make(out, initial, most);
}

brood_status brood_semaphore_create(brood_semaphore *out, uint32_t initial, uint32_t maximum)
{
    return broodi_answer("brood_semaphore_create", create(out, initial, maximum));
}

brood_status brood_semaphore_destroy(brood_semaphore semaphore)
{
    return broodi_answer("brood_semaphore_destroy",
                         broodi_object_destroy(BROODI_SEMAPHORE, semaphore.id));
}

// Takes one of the units that the destroyed semaphore has left, for a caller that has waited. False
// if none is left, or if the slot has been reused.
static bool take_from_ended(struct broodi_object *semaphore)
{
    while (broodi_object_has_ended(semaphore->id, semaphore->state) &&
           (broodi_low(semaphore->state) & VALUE)) {
        if (broodi_object_swap(semaphore, broodi_low(semaphore->state) - 1)) {
            broodi_race_acquire(semaphore->slot);
            return true;
        }
        (void)broodi_object_load(semaphore);
    }
    return false;
}

// Takes one unit from the loaded state, in which the value is above zero; false if the state has
// changed. `flag` is WAITERS if the caller has waited, otherwise 0.
static bool take(const struct broodi_object *semaphore, uint32_t flag)
{
    broodi_assert(broodi_low(semaphore->state) & VALUE);
    const uint32_t left = broodi_low(semaphore->state) - 1;
    if (!broodi_object_swap(semaphore, left | flag))
        return false;
    broodi_step(BROODI_STEP_SEMAPHORE_TAKEN);
    broodi_race_acquire(semaphore->slot);
    // Only a release makes the semaphore ready: here a wake is passed on, and a thread that watches
    // has nothing to learn.
    if (flag && (left & VALUE))
        broodi_changed(BROODI_SEMAPHORE, semaphore->slot, 1);
    return true;
}

// Takes a unit, for a caller that has called broodi_object_wait_begin; waits while the value is
// zero.
static brood_status persist(struct broodi_object *semaphore, int64_t deadline)
{
    uint32_t flag = 0; // WAITERS once this call has waited
    while (broodi_object_load(semaphore) == BROOD_OK) {
        const uint32_t low = broodi_low(semaphore->state);
        if (low & VALUE) {
            if (take(semaphore, flag))
                return BROOD_OK;
        } else if (brood_os_clock() < deadline) {
            if (broodi_object_wait(semaphore, WAITERS, deadline))
                flag = WAITERS;
        } else if ((low | flag) == low || broodi_object_swap(semaphore, low | flag)) {
            return BROOD_TIMEOUT;
        }
    }
    return flag && take_from_ended(semaphore) ? BROOD_OK : BROOD_STALE;
}

// For a caller that found the value zero. It has a copy of `semaphore`, so that the fast path keeps
// the original in registers.
static brood_status acquire_late(struct broodi_object semaphore, brood_duration timeout)
{
    const uint64_t before = broodi_object_wait_begin(semaphore.id, semaphore.slot);
    const brood_status status = persist(&semaphore, broodi_deadline(timeout));
    broodi_object_wait_end(semaphore.id, before);
    return status;
}

static brood_status acquire(brood_semaphore semaphore, brood_duration timeout)
{
    struct broodi_object object;
    brood_status status = broodi_object_open(BROODI_SEMAPHORE, semaphore.id, &object);
    for (; status == BROOD_OK; status = broodi_object_load(&object)) {
        if (!(broodi_low(object.state) & VALUE))
            return timeout <= 0 ? BROOD_TIMEOUT : acquire_late(object, timeout);
        if (take(&object, 0))
            return BROOD_OK;
    }
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
    struct broodi_semaphore_slot *slot = broodi_object_find(BROODI_SEMAPHORE, semaphore.id);
    struct broodi_object object = { .id = semaphore.id, .slot = slot };
    if (!slot)
        return broodi_object_not_found_quietly();
    if (count == 0)
        return BROOD_INVALID;
    broodi_race_release(slot);
    for (;;) {
        // The maximum is this semaphore's if the state, which is loaded after it, is: the maximum
        // of the next semaphore in the slot is stored, with release, after its state.
        const uint32_t maximum = atomic_load_explicit(&slot->maximum, memory_order_acquire);
        if (broodi_object_load(&object) != BROOD_OK)
            return BROOD_STALE;
        const uint32_t value = broodi_low(object.state) & VALUE;
        if (count > maximum - value)
            return BROOD_OVERFLOW;
        if (!broodi_object_swap(&object, value + count))
            continue;
        broodi_step(BROODI_STEP_SEMAPHORE_RAISED);
        broodi_changed(BROODI_SEMAPHORE, &slot->state,
                       (broodi_low(object.state) & WAITERS) ? count : 0);
        return BROOD_OK;
    }
}

bool broodi_semaphore_is_ready(uint64_t id, uint64_t state)
{
    return !broodi_handle_is_current(id, state) || (broodi_low(state) & VALUE) != 0;
}

static brood_status get_value(brood_semaphore semaphore, uint32_t *out)
{
    struct broodi_object object;
    const brood_status status = broodi_object_query(BROODI_SEMAPHORE, semaphore.id, out, &object);
    if (status == BROOD_OK)
        *out = broodi_low(object.state) & VALUE;
    return status;
}

brood_status brood_semaphore_value(brood_semaphore semaphore, uint32_t *out)
{
    return broodi_answer("brood_semaphore_value", get_value(semaphore, out));
}
