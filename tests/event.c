// SPDX-License-Identifier: MIT
#include "meeting.h"

#include "../src/base/atomic.h"
#include "foreign.h"

#include <errno.h>
#include <signal.h>

static brood_event made_event(void)
{
    brood_event event = { 0 };
    assert_status(brood_event_create(&event), BROOD_OK);
    return event;
}

static bool is_set(brood_event event)
{
    bool set = false;
    assert_status(brood_event_is_set(event, &set), BROOD_OK);
    return set;
}

static void an_event_is_set_and_cleared(void **state)
{
    (void)state;
    const brood_event event = made_event();
    assert_false(is_set(event));
    assert_status(brood_event_wait(event, BROOD_NOW), BROOD_TIMEOUT);
    for (int i = 0; i < 2; i++) {
        assert_status(brood_event_set(event), BROOD_OK);
        assert_true(is_set(event));
        assert_status(brood_event_wait(event, BROOD_NOW), BROOD_OK);
    }
    for (int i = 0; i < 2; i++) {
        assert_status(brood_event_clear(event), BROOD_OK);
        assert_false(is_set(event));
    }
    assert_status(brood_event_wait(event, BROOD_NOW), BROOD_TIMEOUT);
    assert_status(brood_event_destroy(event), BROOD_OK);
}

static void a_wait_lasts_at_least_its_timeout(void **state)
{
    (void)state;
    const brood_event event = made_event();
    const int64_t before = brood_clock();
    assert_status(brood_event_wait(event, BROOD_MILLISECONDS(30)), BROOD_TIMEOUT);
    assert_true(brood_clock() - before >= BROOD_MILLISECONDS(30));
    assert_last_error_names("brood_event_wait");
    assert_status(brood_event_destroy(event), BROOD_OK);
}

static void bad_arguments_are_refused(void **state)
{
    (void)state;
    bool set;
    const brood_event none = { 0 };
    assert_status(brood_event_create(NULL), BROOD_INVALID);
    assert_status(brood_event_set(none), BROOD_INVALID);
    assert_status(brood_event_clear(none), BROOD_INVALID);
    assert_status(brood_event_is_set(none, &set), BROOD_INVALID);
    assert_status(brood_event_wait(none, BROOD_NOW), BROOD_INVALID);
    assert_status(brood_event_destroy(none), BROOD_INVALID);
    const brood_event event = made_event();
    assert_status(brood_event_is_set(event, NULL), BROOD_INVALID);
    assert_status(brood_semaphore_destroy((brood_semaphore){ event.id }), BROOD_INVALID);
    assert_status(brood_event_destroy(event), BROOD_OK);
}

static void a_destroyed_event_stays_stale(void **state)
{
    (void)state;
    bool set;
    const brood_event event = made_event();
    assert_status(brood_event_destroy(event), BROOD_OK);
    // Goes through all slots, so that another event has reused the first one's.
    for (int i = 0; i < 5000; i++)
        assert_status(brood_event_destroy(made_event()), BROOD_OK);
    assert_status(brood_event_set(event), BROOD_STALE);
    assert_status(brood_event_clear(event), BROOD_STALE);
    assert_status(brood_event_is_set(event, &set), BROOD_STALE);
    assert_status(brood_event_wait(event, BROOD_FOREVER), BROOD_STALE);
    assert_status(brood_event_destroy(event), BROOD_STALE);
}

// Waiting

struct waiting {
    brood_event event;
    brood_semaphore began; // released by each waiter before it waits
};

static int wait_for_it(void *arg)
{
    const struct waiting *waiting = arg;
    CHECK(brood_semaphore_release(waiting->began, 1) == BROOD_OK);
    return (int)brood_event_wait(waiting->event, MEETING_PATIENCE);
}

enum { WAITERS = 4 };

static void count_waiter(const char *line, void *arg)
{
    int *count = arg;
    *count += strstr(line, "waits for event") != NULL;
}

static int waiters_in_dump(void)
{
    int count = 0;
    assert_status(brood_dump(count_waiter, &count), BROOD_OK);
    return count;
}

static struct waiting started_waiters(brood_thread *threads[WAITERS], brood_process **process)
{
    struct waiting waiting = { made_event(), { 0 } };
    assert_status(brood_semaphore_create(&waiting.began, 0, 0), BROOD_OK);
    for (int i = 0; i < WAITERS; i++)
        threads[i] = started_thread(wait_for_it, &waiting, sizeof waiting);
    *process = started_process(wait_for_it, &waiting, sizeof waiting);
    for (int i = 0; i < WAITERS + 1; i++)
        assert_status(brood_semaphore_acquire(waiting.began, MEETING_PATIENCE), BROOD_OK);
    const int64_t deadline = brood_clock() + MEETING_PATIENCE;
    while (waiters_in_dump() < WAITERS + 1 && brood_clock() < deadline)
        brood_sleep(BROOD_MILLISECONDS(1));
    brood_sleep(BROOD_MILLISECONDS(200)); // much longer than from the dump's line into the wait
    return waiting;
}

static void assert_waiters_end(brood_thread *threads[WAITERS], brood_process *process,
                               brood_status status)
{
    for (int i = 0; i < WAITERS; i++)
        assert_thread_ends(threads[i], (int)status);
    assert_process_ends(process, (int)status);
}

static void a_set_that_is_cleared_at_once_releases_all_waiters(void **state)
{
    (void)state;
    brood_thread *threads[WAITERS];
    brood_process *process;
    const struct waiting waiting = started_waiters(threads, &process);
    assert_status(brood_event_set(waiting.event), BROOD_OK);
    assert_status(brood_event_clear(waiting.event), BROOD_OK);
    assert_waiters_end(threads, process, BROOD_OK);
    assert_status(brood_event_wait(waiting.event, BROOD_NOW), BROOD_TIMEOUT);
    assert_status(brood_event_destroy(waiting.event), BROOD_OK);
    assert_status(brood_semaphore_destroy(waiting.began), BROOD_OK);
}

static void destroying_releases_all_waiters(void **state)
{
    (void)state;
    brood_thread *threads[WAITERS];
    brood_process *process;
    const struct waiting waiting = started_waiters(threads, &process);
    assert_status(brood_event_destroy(waiting.event), BROOD_OK);
    assert_waiters_end(threads, process, BROOD_STALE);
    assert_status(brood_semaphore_destroy(waiting.began), BROOD_OK);
}

static void destroying_a_set_event_does_not_undo_the_set(void **state)
{
    (void)state;
    brood_thread *threads[WAITERS];
    brood_process *process;
    const struct waiting waiting = started_waiters(threads, &process);
    assert_status(brood_event_set(waiting.event), BROOD_OK);
    assert_status(brood_event_destroy(waiting.event), BROOD_OK);
    assert_waiters_end(threads, process, BROOD_OK);
    assert_status(brood_semaphore_destroy(waiting.began), BROOD_OK);
}

static int set_it(void *arg)
{
    return (int)brood_event_set(*(brood_event *)arg);
}

static void a_child_sets_it_for_its_parent(void **state)
{
    (void)state;
    const brood_event event = made_event();
    brood_process *child = started_process(set_it, &event, sizeof event);
    assert_status(brood_event_wait(event, MEETING_PATIENCE), BROOD_OK);
    assert_process_ends(child, BROOD_OK);
    assert_true(is_set(event));
    assert_status(brood_event_destroy(event), BROOD_OK);
}

// Two sides that set each other's event and wait for their own

struct pair {
    brood_event ping;
    brood_event pong;
};

static brood_status pass(brood_event theirs, brood_event own)
{
    const brood_status status = brood_event_set(theirs);
    return status == BROOD_OK ? brood_event_wait(own, MEETING_PATIENCE) : status;
}

enum { TRIPS = 200 };

static int answer(void *arg)
{
    const struct pair *pair = arg;
    for (int i = 0; i < TRIPS; i++) {
        CHECK(brood_event_wait(pair->ping, MEETING_PATIENCE) == BROOD_OK);
        CHECK(brood_event_clear(pair->ping) == BROOD_OK);
        CHECK(brood_event_set(pair->pong) == BROOD_OK);
    }
    return 0;
}

static void call(const struct pair *pair)
{
    for (int i = 0; i < TRIPS; i++) {
        assert_status(pass(pair->ping, pair->pong), BROOD_OK);
        assert_status(brood_event_clear(pair->pong), BROOD_OK);
    }
}

static void no_set_is_lost(void **state)
{
    (void)state;
    struct pair pair = { made_event(), made_event() };
    brood_thread *thread = started_thread(answer, &pair, 0);
    call(&pair);
    assert_thread_ends(thread, 0);
    brood_process *process = started_process(answer, &pair, sizeof pair);
    call(&pair);
    assert_process_ends(process, 0);
    assert_status(brood_event_destroy(pair.ping), BROOD_OK);
    assert_status(brood_event_destroy(pair.pong), BROOD_OK);
}

// In a signal handler

static brood_event set_by_handler;
static volatile sig_atomic_t handler_failed;

static void handle(int signal_number)
{
    (void)signal_number;
    errno = 4711;
    if (brood_event_set(set_by_handler) != BROOD_OK || errno != 4711)
        handler_failed = 1;
    (void)signal(SIGINT, handle);
}

static int await_each_time(void *arg)
{
    const struct pair *pair = arg;
    const int rounds = foreign_is_slow() ? 500 : 10000;
    for (int i = 0; i < rounds; i++) {
        CHECK(brood_event_wait(pair->ping, MEETING_PATIENCE) == BROOD_OK);
        CHECK(brood_event_clear(pair->ping) == BROOD_OK);
        CHECK(brood_event_set(pair->pong) == BROOD_OK);
    }
    return 0;
}

static void a_signal_handler_may_set_it(void **state)
{
    (void)state;
    struct pair pair = { made_event(), made_event() };
    const int rounds = foreign_is_slow() ? 500 : 10000;
    set_by_handler = pair.ping;
    handler_failed = 0;
    void (*before)(int) = signal(SIGINT, handle);
    brood_thread *thread = started_thread(await_each_time, &pair, 0);
    for (int i = 0; i < rounds; i++) {
        assert_int_equal(raise(SIGINT), 0);
        assert_status(brood_event_wait(pair.pong, MEETING_PATIENCE), BROOD_OK);
        assert_status(brood_event_clear(pair.pong), BROOD_OK);
    }
    (void)signal(SIGINT, before);
    assert_thread_ends(thread, 0);
    assert_int_equal(handler_failed, 0);
    assert_status(brood_event_destroy(pair.ping), BROOD_OK);
    assert_status(brood_event_destroy(pair.pong), BROOD_OK);
}

static int wait_for_ever(void *arg)
{
    const struct waiting *waiting = arg;
    CHECK(brood_semaphore_release(waiting->began, 1) == BROOD_OK);
    return (int)brood_event_wait(waiting->event, BROOD_FOREVER);
}

static void a_killed_waiter_hinders_no_other(void **state)
{
    (void)state;
    brood_thread *threads[WAITERS];
    brood_process *process;
    const struct waiting waiting = started_waiters(threads, &process);
    brood_process *victim = started_process(wait_for_ever, &waiting, sizeof waiting);
    assert_status(brood_semaphore_acquire(waiting.began, MEETING_PATIENCE), BROOD_OK);
    kill_process(victim);
    assert_status(brood_event_set(waiting.event), BROOD_OK);
    assert_waiters_end(threads, process, BROOD_OK);
    assert_status(brood_event_destroy(waiting.event), BROOD_OK);
    assert_status(brood_semaphore_destroy(waiting.began), BROOD_OK);
}

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_is_set_and_cleared),
        cmocka_unit_test(a_wait_lasts_at_least_its_timeout),
        cmocka_unit_test(bad_arguments_are_refused),
        cmocka_unit_test(a_destroyed_event_stays_stale),
        cmocka_unit_test(a_set_that_is_cleared_at_once_releases_all_waiters),
        cmocka_unit_test(destroying_releases_all_waiters),
        cmocka_unit_test(destroying_a_set_event_does_not_undo_the_set),
        cmocka_unit_test(a_child_sets_it_for_its_parent),
        cmocka_unit_test(no_set_is_lost),
        cmocka_unit_test(a_signal_handler_may_set_it),
        cmocka_unit_test(a_killed_waiter_hinders_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
