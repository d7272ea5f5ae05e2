// SPDX-License-Identifier: MIT
// Semaphores.
//
// The low word of the state is the value and one flag, WAITERS: somebody waits, or may. Who waits
// does so while the value is zero. The release that finds the flag takes it away and wakes as many
// as it lets in; whoever has waited puts it back as he takes, or leaves without, since he may have
// been the only one to know of the others. Before he does, releases find no flag: so if he leaves
// some of the value he wakes the next, who does the same. One who is killed in between is made good
// by the net of broodi_wait.
//
// A destroyed semaphore leaves its value in the free slot: it was released for those who waited,
// and they take it there, as far as it goes.
#include "deadline.h"
#include "fail.h"
#include "object.h"
#include "os/os_clock.h"
#include "race.h"
#include "step.h"
#include "wait.h"

#include <brood/semaphore.h>

#define WAITERS (UINT32_C(1) << 31)
#define VALUE BROOD_SEMAPHORE_MAX

static struct broodi_semaphore_slot *find(brood_semaphore semaphore)
{
    return broodi_object_find(BROODI_SEMAPHORE, semaphore.id);
}

static brood_status not_found(void)
{
    return broodi_object_missing("semaphore");
}

static brood_status create(brood_semaphore *out, uint32_t initial, uint32_t maximum)
{
    uint32_t index;
    const uint32_t most = maximum ? maximum : BROOD_SEMAPHORE_MAX;
    brood_status status = broodi_ready();
    if (status != BROOD_OK)
        return status;
    if (!out)
        return broodi_fail(BROOD_INVALID, "no place for the semaphore");
    if (most > BROOD_SEMAPHORE_MAX || initial > most)
        return broodi_fail(BROOD_INVALID, "a value of %u, at most %u", (unsigned)initial,
                           (unsigned)most);
    status = broodi_object_take(BROODI_SEMAPHORE, initial, &index);
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

// Whether a caller that has waited takes one off what the semaphore had when it was destroyed.
static bool take_from_ended(broodi_word *word, uint64_t id, uint64_t state)
{
    while (broodi_object_has_ended(id, state) && (broodi_low(state) & VALUE)) {
        if (broodi_word_swap(word, state, broodi_low(state) - 1)) {
            broodi_race_acquire(word);
            return true;
        }
        state = broodi_word_look(word);
    }
    return false;
}

static bool take(broodi_word *word, uint64_t state, uint32_t others)
{
    const uint32_t left = broodi_low(state) - 1;
    if (!broodi_word_swap(word, state, left | others))
        return false;
    broodi_step(BROODI_STEP_SEMAPHORE_TAKEN);
    broodi_race_acquire(word);
    if (others && (left & VALUE))
        broodi_wake(word, 1);
    return true;
}

// Of a caller that has found the value zero.
static brood_status acquire_late(broodi_word *word, uint64_t id, int64_t deadline)
{
    uint32_t others = 0; // WAITERS once this call has waited
    for (;;) {
        const uint64_t state = broodi_word_look(word);
        const uint32_t low = broodi_low(state);
        if (!broodi_handle_is_current(id, state))
            return others && take_from_ended(word, id, state) ? BROOD_OK : BROOD_STALE;
        if (low & VALUE) {
            if (take(word, state, others))
                return BROOD_OK;
        } else if (brood_os_clock() < deadline) {
            if (broodi_object_wait(word, state, WAITERS, deadline))
                others = WAITERS;
        } else if ((low | others) == low || broodi_word_swap(word, state, low | others)) {
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
        const uint64_t state = broodi_word_look(word);
        if (!broodi_handle_is_current(semaphore.id, state))
            return BROOD_STALE;
        if (!(broodi_low(state) & VALUE))
            break;
        if (take(word, state, 0))
            return BROOD_OK;
    }
    if (timeout <= 0)
        return BROOD_TIMEOUT;
    broodi_object_await(semaphore.id, slot);
    const brood_status status = acquire_late(word, semaphore.id, broodi_deadline(timeout));
    broodi_object_await_no_more();
    return status;
}

brood_status brood_semaphore_acquire(brood_semaphore semaphore, brood_duration timeout)
{
    const brood_status status = acquire(semaphore, timeout);
    return status == BROOD_OK ? status : broodi_answer("brood_semaphore_acquire", status);
}

// For signal handlers too: it leaves no sentence.
brood_status brood_semaphore_release(brood_semaphore semaphore, uint32_t count)
{
    struct broodi_semaphore_slot *slot = find(semaphore);
    if (!slot)
        return broodi_object_missing_quietly();
    if (count == 0)
        return BROOD_INVALID;
    broodi_race_release(slot);
    for (;;) {
        // Of this semaphore, if the state, looked at later, still is.
        const uint32_t maximum = atomic_load_explicit(&slot->maximum, memory_order_acquire);
        const uint64_t state = broodi_word_look(&slot->state);
        const uint32_t value = broodi_low(state) & VALUE;
        if (!broodi_handle_is_current(semaphore.id, state))
            return BROOD_STALE;
        if (count > maximum - value)
            return BROOD_OVERFLOW;
        if (!broodi_word_swap(&slot->state, state, value + count))
            continue;
        broodi_step(BROODI_STEP_SEMAPHORE_RAISED);
        if (broodi_low(state) & WAITERS)
            broodi_wake(&slot->state, count);
        return BROOD_OK;
    }
}

static brood_status tell_value(brood_semaphore semaphore, uint32_t *out)
{
    const struct broodi_semaphore_slot *slot = find(semaphore);
    if (!slot)
        return not_found();
    if (!out)
        return broodi_fail(BROOD_INVALID, "no place for the value");
    const uint64_t state = broodi_word_look(&slot->state);
    if (!broodi_handle_is_current(semaphore.id, state))
        return BROOD_STALE;
    *out = broodi_low(state) & VALUE;
    return BROOD_OK;
}

brood_status brood_semaphore_value(brood_semaphore semaphore, uint32_t *out)
{
    return broodi_answer("brood_semaphore_value", tell_value(semaphore, out));
}
