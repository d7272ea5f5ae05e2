// SPDX-License-Identifier: MIT
#include "meeting.h"

#include "../src/base/atomic.h"
#include "foreign.h"

// What the waiters of a test share; passed by value, so that it works in a process too.
struct room {
    brood_condition condition;
    brood_lock lock;
    // Released by each waiter, with the lock held, before it waits.
    brood_semaphore arrived;
    // Released by each waiter after it was notified.
    brood_semaphore notified;
    brood_duration timeout;
};

static struct room made_room(void)
{
    struct room room = { .timeout = MEETING_PATIENCE };
    assert_status(brood_condition_create(&room.condition), BROOD_OK);
    assert_status(brood_lock_create(&room.lock), BROOD_OK);
    assert_status(brood_semaphore_create(&room.arrived, 0, 0), BROOD_OK);
    assert_status(brood_semaphore_create(&room.notified, 0, 0), BROOD_OK);
    return room;
}

static void destroy_room(struct room room)
{
    assert_status(brood_condition_destroy(room.condition), BROOD_OK);
    assert_status(brood_lock_destroy(room.lock), BROOD_OK);
    assert_status(brood_semaphore_destroy(room.arrived), BROOD_OK);
    assert_status(brood_semaphore_destroy(room.notified), BROOD_OK);
}

static int wait_in_room(void *arg)
{
    const struct room *room = arg;
    CHECK(brood_lock_acquire(room->lock, MEETING_PATIENCE) == BROOD_OK);
    CHECK(brood_semaphore_release(room->arrived, 1) == BROOD_OK);
    const brood_status status = brood_condition_wait(room->condition, room->lock, room->timeout);
    if (status == BROOD_OK)
        CHECK(brood_semaphore_release(room->notified, 1) == BROOD_OK);
    if (status != BROOD_STALE)
        CHECK(brood_lock_release(room->lock) == BROOD_OK);
    return (int)status;
}

// A waiter that has arrived and released the lock is waiting.
static void await_waiters(const struct room *room, int count)
{
    for (int i = 0; i < count; i++)
        assert_status(brood_semaphore_acquire(room->arrived, MEETING_PATIENCE), BROOD_OK);
    assert_status(brood_lock_acquire(room->lock, MEETING_PATIENCE), BROOD_OK);
    assert_status(brood_lock_release(room->lock), BROOD_OK);
}

// Exactly `count` waiters are notified within a while.
static void assert_notified(const struct room *room, int count)
{
    for (int i = 0; i < count; i++)
        assert_status(brood_semaphore_acquire(room->notified, MEETING_PATIENCE), BROOD_OK);
    assert_status(brood_semaphore_acquire(room->notified, BROOD_MILLISECONDS(50)), BROOD_TIMEOUT);
}

enum { OF_EACH = 3, WAITERS = 2 * OF_EACH };

struct waiters {
    brood_thread *threads[OF_EACH];
    brood_process *processes[OF_EACH];
};

static struct waiters started_waiters(const struct room *room)
{
    struct waiters waiters;
    for (int i = 0; i < OF_EACH; i++) {
        waiters.threads[i] = started_thread(wait_in_room, room, sizeof *room);
        waiters.processes[i] = started_process(wait_in_room, room, sizeof *room);
    }
    await_waiters(room, WAITERS);
    return waiters;
}

static void assert_waiters_end(const struct waiters *waiters, brood_status status)
{
    for (int i = 0; i < OF_EACH; i++) {
        assert_thread_ends(waiters->threads[i], (int)status);
        assert_process_ends(waiters->processes[i], (int)status);
    }
}

static void a_notify_wakes_its_count_of_waiters_or_all_there_are(void **state)
{
    (void)state;
    const struct room room = made_room();
    const struct waiters waiters = started_waiters(&room);
    assert_notified(&room, 0);
    assert_status(brood_condition_notify(room.condition, 0), BROOD_OK);
    assert_notified(&room, 0);
    assert_status(brood_condition_notify(room.condition, 2), BROOD_OK);
    assert_notified(&room, 2);
    assert_status(brood_condition_notify(room.condition, 4), BROOD_OK);
    assert_notified(&room, 4);
    assert_waiters_end(&waiters, BROOD_OK);
    assert_status(brood_condition_notify(room.condition, 3), BROOD_OK);
    brood_thread *late = started_thread(wait_in_room, &room, sizeof room);
    await_waiters(&room, 1);
    assert_notified(&room, 0);
    assert_status(brood_condition_notify_all(room.condition), BROOD_OK);
    assert_thread_ends(late, BROOD_OK);
    destroy_room(room);
}

static void a_waiter_that_timed_out_consumes_nothing(void **state)
{
    (void)state;
    struct room room = made_room();
    room.timeout = BROOD_MILLISECONDS(20);
    const struct waiters early = started_waiters(&room);
    assert_waiters_end(&early, BROOD_TIMEOUT);
    room.timeout = MEETING_PATIENCE;
    const struct waiters waiters = started_waiters(&room);
    assert_status(brood_condition_notify_all(room.condition), BROOD_OK);
    assert_notified(&room, WAITERS);
    assert_waiters_end(&waiters, BROOD_OK);
    destroy_room(room);
}

static void a_killed_waiter_consumes_nothing(void **state)
{
    (void)state;
    const struct room room = made_room();
    brood_process *victims[OF_EACH];
    for (int i = 0; i < OF_EACH; i++)
        victims[i] = started_process(wait_in_room, &room, sizeof room);
    await_waiters(&room, OF_EACH);
    brood_thread *thread = started_thread(wait_in_room, &room, sizeof room);
    await_waiters(&room, 1);
    for (int i = 0; i < OF_EACH; i++)
        kill_process(victims[i]);
    assert_status(brood_condition_notify(room.condition, 1), BROOD_OK);
    assert_thread_ends(thread, BROOD_OK);
    destroy_room(room);
}

static void the_longest_waiter_is_woken_first(void **state)
{
    (void)state;
    const struct room room = made_room();
    brood_thread *threads[OF_EACH];
    for (int i = 0; i < OF_EACH; i++) {
        threads[i] = started_thread(wait_in_room, &room, sizeof room);
        await_waiters(&room, 1);
    }
    for (int i = 0; i < OF_EACH; i++) {
        assert_status(brood_condition_notify(room.condition, 1), BROOD_OK);
        assert_thread_ends(threads[i], BROOD_OK);
    }
    destroy_room(room);
}

static void a_wait_lasts_at_least_its_timeout_and_reacquires_the_lock(void **state)
{
    (void)state;
    const struct room room = made_room();
    assert_status(brood_lock_acquire(room.lock, BROOD_NOW), BROOD_OK);
    const int64_t before = brood_clock();
    assert_status(brood_condition_wait(room.condition, room.lock, BROOD_MILLISECONDS(30)),
                  BROOD_TIMEOUT);
    assert_true(brood_clock() - before >= BROOD_MILLISECONDS(30));
    assert_status(brood_condition_wait(room.condition, room.lock, BROOD_NOW), BROOD_TIMEOUT);
    assert_last_error_names("brood_condition_wait");
    assert_status(brood_lock_release(room.lock), BROOD_OK);
    destroy_room(room);
}

// Locks

static int take_and_notify(void *arg)
{
    const struct room *room = arg;
    CHECK(brood_lock_acquire(room->lock, MEETING_PATIENCE) == BROOD_OK);
    CHECK(brood_condition_notify(room->condition, 1) == BROOD_OK);
    CHECK(brood_lock_release(room->lock) == BROOD_OK);
    return 0;
}

static void all_levels_of_a_lock_are_released_and_reacquired(void **state)
{
    (void)state;
    struct room room = made_room();
    assert_status(brood_lock_destroy(room.lock), BROOD_OK);
    assert_status(brood_lock_create_recursive(&room.lock), BROOD_OK);
    for (int i = 0; i < 3; i++)
        assert_status(brood_lock_acquire(room.lock, BROOD_NOW), BROOD_OK);
    brood_process *child = started_process(take_and_notify, &room, sizeof room);
    assert_status(brood_condition_wait(room.condition, room.lock, MEETING_PATIENCE), BROOD_OK);
    for (int i = 0; i < 3; i++)
        assert_status(brood_lock_release(room.lock), BROOD_OK);
    assert_status(brood_lock_release(room.lock), BROOD_NOT_OWNER);
    assert_process_ends(child, 0);
    destroy_room(room);
}

static int notify_and_keep(void *arg)
{
    const struct room *room = arg;
    CHECK(brood_lock_acquire(room->lock, MEETING_PATIENCE) == BROOD_OK);
    CHECK(brood_condition_notify(room->condition, 1) == BROOD_OK);
    return 0;
}

static int take_and_keep(void *arg)
{
    const struct room *room = arg;
    CHECK(brood_lock_acquire(room->lock, MEETING_PATIENCE) == BROOD_OK);
    brood_sleep(BROOD_MILLISECONDS(100)); // meanwhile the waiter's timeout passes
    return 0;
}

static void the_death_of_the_holder_precedes_other_results(void **state)
{
    (void)state;
    const struct room room = made_room();
    assert_status(brood_lock_acquire(room.lock, BROOD_NOW), BROOD_OK);
    brood_process *child = started_process(notify_and_keep, &room, sizeof room);
    assert_status(brood_condition_wait(room.condition, room.lock, MEETING_PATIENCE),
                  BROOD_OWNER_DIED);
    assert_process_ends(child, 0);
    child = started_process(take_and_keep, &room, sizeof room);
    brood_status status = BROOD_TIMEOUT;
    // Until the child takes the lock during one of the waits.
    while (status == BROOD_TIMEOUT)
        status = brood_condition_wait(room.condition, room.lock, BROOD_MILLISECONDS(30));
    assert_int_equal(status, BROOD_OWNER_DIED);
    assert_process_ends(child, 0);
    assert_status(brood_lock_release(room.lock), BROOD_OK);
    destroy_room(room);
}

static void a_wait_needs_the_lock(void **state)
{
    (void)state;
    const struct room room = made_room();
    assert_status(brood_condition_wait(room.condition, room.lock, BROOD_NOW), BROOD_NOT_OWNER);
    assert_status(brood_condition_notify(room.condition, 1), BROOD_OK);
    destroy_room(room);
}

static void waiters_with_different_locks_are_refused(void **state)
{
    (void)state;
    brood_lock other;
    struct room room = made_room();
    brood_thread *thread = started_thread(wait_in_room, &room, sizeof room);
    await_waiters(&room, 1);
    assert_status(brood_lock_create(&other), BROOD_OK);
    assert_status(brood_lock_acquire(other, BROOD_NOW), BROOD_OK);
    assert_status(brood_condition_wait(room.condition, other, BROOD_NOW), BROOD_INVALID);
    assert_status(brood_condition_notify_all(room.condition), BROOD_OK);
    assert_thread_ends(thread, BROOD_OK);
    assert_status(brood_condition_wait(room.condition, other, BROOD_NOW), BROOD_TIMEOUT);
    assert_status(brood_lock_release(other), BROOD_OK);
    assert_status(brood_lock_destroy(other), BROOD_OK);
    destroy_room(room);
}

// A waiter whose lock was destroyed gets BROOD_STALE, and does not hinder other waiters.
static void the_lock_of_a_waiter_is_destroyed(void **state)
{
    (void)state;
    for (int recursive = 0; recursive < 2; recursive++) {
        struct room room = made_room();
        if (recursive) {
            assert_status(brood_lock_destroy(room.lock), BROOD_OK);
            assert_status(brood_lock_create_recursive(&room.lock), BROOD_OK);
        }
        const struct waiters waiters = started_waiters(&room);
        const brood_lock old = room.lock;
        assert_status(brood_lock_destroy(old), BROOD_OK);
        assert_status(brood_lock_create(&room.lock), BROOD_OK);
        assert_status(brood_lock_acquire(room.lock, BROOD_NOW), BROOD_OK);
        assert_status(brood_condition_wait(room.condition, room.lock, BROOD_NOW), BROOD_TIMEOUT);
        assert_status(brood_lock_release(room.lock), BROOD_OK);
        brood_thread *thread = started_thread(wait_in_room, &room, sizeof room);
        await_waiters(&room, 1);
        assert_status(brood_condition_notify(room.condition, 1), BROOD_OK);
        assert_thread_ends(thread, BROOD_OK);
        assert_waiters_end(&waiters, BROOD_STALE);
        assert_status(brood_lock_release(old), BROOD_STALE);
        destroy_room(room);
    }
}

// The lock is destroyed between the notify and the end of the wait.
static void the_lock_of_a_notified_waiter_is_destroyed(void **state)
{
    (void)state;
    const struct room room = made_room();
    brood_thread *thread = started_thread(wait_in_room, &room, sizeof room);
    await_waiters(&room, 1);
    assert_status(brood_lock_acquire(room.lock, MEETING_PATIENCE), BROOD_OK);
    assert_status(brood_condition_notify(room.condition, 1), BROOD_OK);
    assert_status(brood_lock_destroy(room.lock), BROOD_BUSY);
    assert_status(brood_lock_release(room.lock), BROOD_OK);
    // The waiter may hold the lock again, and may have released it by then.
    brood_status destroyed = BROOD_BUSY;
    while (destroyed == BROOD_BUSY)
        destroyed = brood_lock_destroy(room.lock);
    assert_status(destroyed, BROOD_OK);
    int code = -1;
    assert_status(brood_thread_join(thread, MEETING_PATIENCE, &code), BROOD_OK);
    assert_true(code == BROOD_OK || code == BROOD_STALE);
    brood_thread_drop(thread);
    assert_status(brood_condition_destroy(room.condition), BROOD_OK);
    assert_status(brood_semaphore_destroy(room.arrived), BROOD_OK);
    assert_status(brood_semaphore_destroy(room.notified), BROOD_OK);
}

// A waiter released by a notify of all may wait with another lock, or notify others, before the
// notifier has finished.
static int wait_with_another_lock(void *arg)
{
    const struct room *room = arg;
    for (int i = 0; i < 20; i++) {
        const brood_lock lock = { noted(i % 2 ? "odd lock" : "even lock") };
        CHECK(brood_lock_acquire(lock, MEETING_PATIENCE) == BROOD_OK);
        CHECK(brood_semaphore_release(room->arrived, 1) == BROOD_OK);
        CHECK(brood_condition_wait(room->condition, lock, MEETING_PATIENCE) == BROOD_OK);
        CHECK(brood_lock_release(lock) == BROOD_OK);
        CHECK(brood_semaphore_acquire(room->notified, MEETING_PATIENCE) == BROOD_OK);
    }
    return 0;
}

static void released_waiters_may_wait_with_another_lock(void **state)
{
    (void)state;
    struct room room = made_room();
    brood_lock locks[2] = { room.lock };
    brood_thread *threads[OF_EACH];
    assert_status(brood_lock_create(&locks[1]), BROOD_OK);
    note("even lock", locks[0].id);
    note("odd lock", locks[1].id);
    for (int i = 0; i < OF_EACH; i++)
        threads[i] = started_thread(wait_with_another_lock, &room, sizeof room);
    for (int i = 0; i < 20; i++) {
        room.lock = locks[i % 2];
        await_waiters(&room, OF_EACH);
        // So that they go on at once.
        assert_status(brood_semaphore_release(room.notified, OF_EACH), BROOD_OK);
        assert_status(brood_condition_notify_all(room.condition), BROOD_OK);
    }
    for (int i = 0; i < OF_EACH; i++)
        assert_thread_ends(threads[i], 0);
    room.lock = locks[0];
    assert_status(brood_lock_destroy(locks[1]), BROOD_OK);
    destroy_room(room);
}

// Stale and forged handles

static void destroying_releases_all_waiters_without_the_lock(void **state)
{
    (void)state;
    const struct room room = made_room();
    const struct waiters waiters = started_waiters(&room);
    assert_status(brood_lock_acquire(room.lock, BROOD_NOW), BROOD_OK);
    assert_status(brood_condition_destroy(room.condition), BROOD_OK);
    assert_waiters_end(&waiters, BROOD_STALE);
    assert_status(brood_condition_wait(room.condition, room.lock, BROOD_FOREVER), BROOD_STALE);
    assert_status(brood_lock_release(room.lock), BROOD_NOT_OWNER);
    assert_status(brood_condition_notify(room.condition, 1), BROOD_STALE);
    assert_status(brood_condition_notify_all(room.condition), BROOD_STALE);
    assert_status(brood_condition_destroy(room.condition), BROOD_STALE);
    assert_status(brood_lock_destroy(room.lock), BROOD_OK);
    assert_status(brood_semaphore_destroy(room.arrived), BROOD_OK);
    assert_status(brood_semaphore_destroy(room.notified), BROOD_OK);
}

static bool refuse(void *arg)
{
    (void)arg;
    return false;
}

static void bad_arguments_are_refused(void **state)
{
    (void)state;
    const brood_condition none = { 0 };
    const struct room room = made_room();
    assert_status(brood_condition_create(NULL), BROOD_INVALID);
    assert_status(brood_lock_acquire(room.lock, BROOD_NOW), BROOD_OK);
    assert_status(brood_condition_wait(none, room.lock, BROOD_NOW), BROOD_INVALID);
    assert_status(brood_condition_wait_for(none, room.lock, refuse, NULL, BROOD_NOW),
                  BROOD_INVALID);
    assert_status(brood_condition_wait_for(room.condition, room.lock, NULL, NULL, BROOD_NOW),
                  BROOD_INVALID);
    assert_status(brood_condition_wait(room.condition, (brood_lock){ 0 }, BROOD_NOW),
                  BROOD_INVALID);
    assert_status(brood_lock_release(room.lock), BROOD_OK);
    assert_status(brood_condition_wait_for(room.condition, room.lock, refuse, NULL, BROOD_NOW),
                  BROOD_NOT_OWNER);
    assert_status(brood_condition_notify(none, 1), BROOD_INVALID);
    assert_status(brood_condition_notify_all(none), BROOD_INVALID);
    assert_status(brood_condition_destroy(none), BROOD_INVALID);
    destroy_room(room);
}

// Predicates

static _Atomic int made;

static bool enough_are_made(void *arg)
{
    return atomic_load(&made) >= *(int *)arg;
}

static int make_some(void *arg)
{
    const struct room *room = arg;
    for (int i = 0; i < 10; i++) {
        CHECK(brood_lock_acquire(room->lock, MEETING_PATIENCE) == BROOD_OK);
        atomic_fetch_add(&made, 1);
        CHECK(brood_lock_release(room->lock) == BROOD_OK);
        CHECK(brood_condition_notify(room->condition, 1) == BROOD_OK);
    }
    return 0;
}

static void a_predicate_is_waited_for(void **state)
{
    (void)state;
    int enough = 10;
    const struct room room = made_room();
    atomic_store(&made, 0);
    assert_status(brood_lock_acquire(room.lock, BROOD_NOW), BROOD_OK);
    assert_status(brood_condition_wait_for(room.condition, room.lock, enough_are_made, &enough,
                                           BROOD_MILLISECONDS(20)),
                  BROOD_TIMEOUT);
    brood_thread *thread = started_thread(make_some, &room, sizeof room);
    assert_status(brood_condition_wait_for(room.condition, room.lock, enough_are_made, &enough,
                                           MEETING_PATIENCE),
                  BROOD_OK);
    assert_status(
        brood_condition_wait_for(room.condition, room.lock, enough_are_made, &enough, BROOD_NOW),
        BROOD_OK);
    assert_status(brood_lock_release(room.lock), BROOD_OK);
    assert_thread_ends(thread, 0);
    destroy_room(room);
}

// No notification is made up: waits with short timeouts succeed at most as often as the condition
// was notified.

static int wait_briefly(void *arg)
{
    const struct room *room = arg;
    brood_status status = BROOD_OK;
    while (status == BROOD_OK || status == BROOD_TIMEOUT) {
        CHECK(brood_lock_acquire(room->lock, MEETING_PATIENCE) == BROOD_OK);
        status = brood_condition_wait(room->condition, room->lock, BROOD_MICROSECONDS(300));
        if (status == BROOD_OK)
            CHECK(brood_semaphore_release(room->notified, 1) == BROOD_OK);
        if (status != BROOD_STALE)
            CHECK(brood_lock_release(room->lock) == BROOD_OK);
    }
    return status == BROOD_STALE ? 0 : __LINE__;
}

static uint32_t value_of(brood_semaphore semaphore)
{
    uint32_t value = 0;
    assert_status(brood_semaphore_value(semaphore, &value), BROOD_OK);
    return value;
}

static void no_wait_succeeds_without_a_notify(void **state)
{
    (void)state;
    const struct room room = made_room();
    brood_thread *threads[OF_EACH];
    uint32_t notified = 0;
    const uint32_t enough = foreign_is_slow() ? 20 : 300;
    const int64_t deadline = brood_clock() + MEETING_PATIENCE;
    for (int i = 0; i < OF_EACH; i++)
        threads[i] = started_thread(wait_briefly, &room, sizeof room);
    for (; value_of(room.notified) < enough; notified++) {
        assert_status(brood_condition_notify(room.condition, 1), BROOD_OK);
        assert_true(brood_clock() < deadline);
    }
    assert_status(brood_condition_destroy(room.condition), BROOD_OK);
    for (int i = 0; i < OF_EACH; i++)
        assert_thread_ends(threads[i], 0);
    assert_in_range(value_of(room.notified), enough, notified);
    assert_status(brood_lock_destroy(room.lock), BROOD_OK);
    assert_status(brood_semaphore_destroy(room.arrived), BROOD_OK);
    assert_status(brood_semaphore_destroy(room.notified), BROOD_OK);
}

// No notification is lost: there is one for each piece, and nothing else would wake a waiter.

static int pieces;   // guarded by the lock
static int consumed; // guarded by the lock
static int to_come;  // guarded by the lock

static bool piece_or_end(void *arg)
{
    (void)arg;
    return pieces > 0 || to_come == 0;
}

static int consume(void *arg)
{
    const struct room *room = arg;
    bool more = true;
    while (more) {
        CHECK(brood_lock_acquire(room->lock, MEETING_PATIENCE) == BROOD_OK);
        CHECK(brood_condition_wait_for(room->condition, room->lock, piece_or_end, NULL,
                                       MEETING_PATIENCE) == BROOD_OK);
        more = pieces > 0;
        pieces -= more;
        consumed += more;
        CHECK(brood_lock_release(room->lock) == BROOD_OK);
    }
    return 0;
}

static void no_notify_is_lost(void **state)
{
    (void)state;
    const struct room room = made_room();
    brood_thread *threads[OF_EACH];
    const int all = foreign_is_slow() ? 200 : 3000;
    pieces = consumed = 0;
    to_come = all;
    for (int i = 0; i < OF_EACH; i++)
        threads[i] = started_thread(consume, &room, sizeof room);
    for (int i = 0; i < all; i++) {
        assert_status(brood_lock_acquire(room.lock, MEETING_PATIENCE), BROOD_OK);
        pieces++;
        to_come--;
        assert_status(brood_lock_release(room.lock), BROOD_OK);
        assert_status(brood_condition_notify(room.condition, 1), BROOD_OK);
    }
    assert_status(brood_condition_notify_all(room.condition), BROOD_OK);
    for (int i = 0; i < OF_EACH; i++)
        assert_thread_ends(threads[i], 0);
    assert_int_equal(consumed, all);
    destroy_room(room);
}

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_notify_wakes_its_count_of_waiters_or_all_there_are),
        cmocka_unit_test(a_waiter_that_timed_out_consumes_nothing),
        cmocka_unit_test(a_killed_waiter_consumes_nothing),
        cmocka_unit_test(the_longest_waiter_is_woken_first),
        cmocka_unit_test(a_wait_lasts_at_least_its_timeout_and_reacquires_the_lock),
        cmocka_unit_test(all_levels_of_a_lock_are_released_and_reacquired),
        cmocka_unit_test(the_death_of_the_holder_precedes_other_results),
        cmocka_unit_test(a_wait_needs_the_lock),
        cmocka_unit_test(waiters_with_different_locks_are_refused),
        cmocka_unit_test(the_lock_of_a_waiter_is_destroyed),
        cmocka_unit_test(the_lock_of_a_notified_waiter_is_destroyed),
        cmocka_unit_test(released_waiters_may_wait_with_another_lock),
        cmocka_unit_test(destroying_releases_all_waiters_without_the_lock),
        cmocka_unit_test(bad_arguments_are_refused),
        cmocka_unit_test(a_predicate_is_waited_for),
        cmocka_unit_test(no_wait_succeeds_without_a_notify),
        cmocka_unit_test(no_notify_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
