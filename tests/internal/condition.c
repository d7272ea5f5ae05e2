// SPDX-License-Identifier: MIT
// A waiter that waits for so long that the tickets of the condition wrap around.
#include "../meeting.h"

#include "sync/object.h"
#include "sync/seat.h"

enum { EIGHTH = 1 << (BROODI_TICKET_BITS - 3) }; // of all tickets

static brood_condition condition;
static brood_lock lock;

static int wait_to_be_chosen(void *arg)
{
    (void)arg;
    CHECK(brood_lock_acquire(lock, MEETING_PATIENCE) == BROOD_OK);
    note("waits", 1);
    CHECK(brood_condition_wait(condition, lock, MEETING_PATIENCE) == BROOD_OK);
    CHECK(brood_lock_release(lock) == BROOD_OK);
    return 0;
}

// Takes a ticket: waits without being notified.
static void wait_in_vain(void)
{
    assert_status(brood_lock_acquire(lock, MEETING_PATIENCE), BROOD_OK);
    assert_status(brood_condition_wait(condition, lock, BROOD_NOW), BROOD_TIMEOUT);
    assert_status(brood_lock_release(lock), BROOD_OK);
}

// Advances the tickets as if `count` waiters had waited in vain.
static void pass_over_tickets(uint32_t count)
{
    struct broodi_condition_slot *slot = broodi_object_find(BROODI_CONDITION, condition.id);
    uint64_t state;
    do
        state = broodi_word_load(&slot->state);
    while (!broodi_word_swap(&slot->state, state, broodi_low(state) + (count << BROODI_TICKET_AT)));
}

static void expect_the_waiter_to_be_chosen(uint32_t tickets, brood_status (*notify)(void))
{
    enum { STEP = EIGHTH };
    note("waits", 0);
    brood_thread *thread = started_thread(wait_to_be_chosen, NULL, 0);
    assert_true(await_note("waits", 1));
    for (uint32_t passed = 0; passed < tickets; passed += STEP) {
        wait_in_vain(); // acquires the lock, so the thread is waiting by now
        pass_over_tickets(STEP - 1);
    }
    wait_in_vain();
    assert_status(notify(), BROOD_OK);
    assert_thread_ends(thread, 0);
}

static brood_status notify_one(void)
{
    return brood_condition_notify(condition, 1);
}

static brood_status notify_all(void)
{
    return brood_condition_notify_all(condition);
}

static void a_waiter_is_found_after_the_tickets_wrap_around(void **state)
{
    (void)state;
    assert_status(brood_lock_create(&lock), BROOD_OK);
    assert_status(brood_condition_create(&condition), BROOD_OK);
    for (uint32_t eighths = 0; eighths <= 20; eighths++) {
        expect_the_waiter_to_be_chosen(eighths * EIGHTH, notify_one);
        expect_the_waiter_to_be_chosen(eighths * EIGHTH, notify_all);
    }
    assert_status(brood_condition_destroy(condition), BROOD_OK);
    assert_status(brood_lock_destroy(lock), BROOD_OK);
}

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_waiter_is_found_after_the_tickets_wrap_around),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
