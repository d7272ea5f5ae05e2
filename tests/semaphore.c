// SPDX-License-Identifier: MIT
#include "meeting.h"

#include "../src/base/atomic.h"
#include "foreign.h"

#include <errno.h>
#include <signal.h>

static brood_semaphore made_semaphore(uint32_t initial, uint32_t maximum)
{
    brood_semaphore semaphore = { 0 };
    assert_status(brood_semaphore_create(&semaphore, initial, maximum), BROOD_OK);
    return semaphore;
}

static uint32_t value_of(brood_semaphore semaphore)
{
    uint32_t value = UINT32_MAX;
    assert_status(brood_semaphore_value(semaphore, &value), BROOD_OK);
    return value;
}

static void an_acquire_takes_one_unit_and_a_release_adds_its_count(void **state)
{
    (void)state;
    const brood_semaphore semaphore = made_semaphore(2, 0);
    assert_int_equal(value_of(semaphore), 2);
    assert_status(brood_semaphore_acquire(semaphore, BROOD_NOW), BROOD_OK);
    assert_status(brood_semaphore_acquire(semaphore, BROOD_NOW), BROOD_OK);
    assert_status(brood_semaphore_acquire(semaphore, BROOD_NOW), BROOD_TIMEOUT);
    assert_status(brood_semaphore_release(semaphore, 5), BROOD_OK);
    assert_int_equal(value_of(semaphore), 5);
    assert_status(brood_semaphore_destroy(semaphore), BROOD_OK);
}

static void an_acquire_lasts_at_least_its_timeout(void **state)
{
    (void)state;
    const brood_semaphore semaphore = made_semaphore(0, 0);
    const int64_t before = brood_clock();
    assert_status(brood_semaphore_acquire(semaphore, BROOD_MILLISECONDS(30)), BROOD_TIMEOUT);
    assert_true(brood_clock() - before >= BROOD_MILLISECONDS(30));
    assert_status(brood_semaphore_acquire(semaphore, -1), BROOD_TIMEOUT);
    assert_last_error_names("brood_semaphore_acquire");
    assert_status(brood_semaphore_destroy(semaphore), BROOD_OK);
}

static void a_release_beyond_the_maximum_is_refused_and_changes_nothing(void **state)
{
    (void)state;
    const brood_semaphore bounded = made_semaphore(3, 5);
    assert_status(brood_semaphore_release(bounded, 3), BROOD_OVERFLOW);
    assert_int_equal(value_of(bounded), 3);
    assert_status(brood_semaphore_release(bounded, UINT32_MAX), BROOD_OVERFLOW);
    assert_status(brood_semaphore_release(bounded, 2), BROOD_OK);
    assert_status(brood_semaphore_release(bounded, 1), BROOD_OVERFLOW);
    assert_int_equal(value_of(bounded), 5);
    assert_status(brood_semaphore_destroy(bounded), BROOD_OK);
    const brood_semaphore full = made_semaphore(BROOD_SEMAPHORE_MAX, 0);
    assert_status(brood_semaphore_release(full, 1), BROOD_OVERFLOW);
    assert_int_equal(value_of(full), BROOD_SEMAPHORE_MAX);
    assert_status(brood_semaphore_destroy(full), BROOD_OK);
}

static void bad_arguments_are_refused(void **state)
{
    (void)state;
    brood_semaphore semaphore;
    uint32_t value;
    assert_status(brood_semaphore_create(NULL, 0, 0), BROOD_INVALID);
    assert_status(brood_semaphore_create(&semaphore, 2, 1), BROOD_INVALID);
    assert_status(brood_semaphore_create(&semaphore, 0, BROOD_SEMAPHORE_MAX + 1), BROOD_INVALID);
    assert_status(brood_semaphore_create(&semaphore, BROOD_SEMAPHORE_MAX + 1, 0), BROOD_INVALID);
    semaphore = made_semaphore(0, 0);
    assert_status(brood_semaphore_release(semaphore, 0), BROOD_INVALID);
    assert_status(brood_semaphore_value(semaphore, NULL), BROOD_INVALID);
    assert_status(brood_semaphore_destroy(semaphore), BROOD_OK);
    const brood_semaphore none = { 0 };
    assert_status(brood_semaphore_acquire(none, BROOD_NOW), BROOD_INVALID);
    assert_status(brood_semaphore_release(none, 1), BROOD_INVALID);
    assert_status(brood_semaphore_value(none, &value), BROOD_INVALID);
    assert_status(brood_semaphore_destroy(none), BROOD_INVALID);
    brood_lock lock;
    assert_status(brood_lock_create(&lock), BROOD_OK);
    assert_status(brood_semaphore_release((brood_semaphore){ lock.id }, 1), BROOD_INVALID);
    assert_status(brood_lock_destroy(lock), BROOD_OK);
}

static void a_destroyed_semaphore_stays_stale(void **state)
{
    (void)state;
    uint32_t value;
    const brood_semaphore semaphore = made_semaphore(1, 0);
    assert_status(brood_semaphore_destroy(semaphore), BROOD_OK);
    // Goes through all slots, so that another semaphore has reused the first one's.
    for (int i = 0; i < 5000; i++)
        assert_status(brood_semaphore_destroy(made_semaphore(1, 0)), BROOD_OK);
    assert_status(brood_semaphore_acquire(semaphore, BROOD_FOREVER), BROOD_STALE);
    assert_status(brood_semaphore_release(semaphore, 1), BROOD_STALE);
    assert_status(brood_semaphore_value(semaphore, &value), BROOD_STALE);
    assert_status(brood_semaphore_destroy(semaphore), BROOD_STALE);
}

// Waiting

static int acquire_one(void *arg)
{
    const brood_semaphore semaphore = *(brood_semaphore *)arg;
    return (int)brood_semaphore_acquire(semaphore, MEETING_PATIENCE);
}

enum { WAITERS = 4 };

static void start_waiters(brood_thread *threads[WAITERS], brood_process **process,
                          brood_semaphore *semaphore)
{
    for (int i = 0; i < WAITERS; i++)
        threads[i] = started_thread(acquire_one, semaphore, sizeof *semaphore);
    *process = started_process(acquire_one, semaphore, sizeof *semaphore);
    brood_sleep(BROOD_MILLISECONDS(50)); // most of them wait by then
}

static void a_release_lets_in_as_many_as_its_count(void **state)
{
    (void)state;
    brood_thread *threads[WAITERS];
    brood_process *process;
    brood_semaphore semaphore = made_semaphore(0, 0);
    start_waiters(threads, &process, &semaphore);
    assert_status(brood_semaphore_release(semaphore, WAITERS + 1), BROOD_OK);
    for (int i = 0; i < WAITERS; i++)
        assert_thread_ends(threads[i], BROOD_OK);
    assert_process_ends(process, BROOD_OK);
    assert_int_equal(value_of(semaphore), 0);
    assert_status(brood_semaphore_destroy(semaphore), BROOD_OK);
}

// A waiter that a release forgot would find its unit at its next check, after a second at most.
// If that happened often, these rounds would not end in time.
static void consecutive_releases_let_in_one_waiter_each(void **state)
{
    (void)state;
    enum { ROUNDS = 200 };
    const int64_t begun = brood_clock();
    brood_semaphore semaphore = made_semaphore(0, 0);
    for (int round = 0; round < ROUNDS; round++) {
        brood_thread *threads[WAITERS];
        for (int i = 0; i < WAITERS; i++)
            threads[i] = started_thread(acquire_one, &semaphore, sizeof semaphore);
        brood_sleep(BROOD_MILLISECONDS(2)); // most of them wait by then
        for (int i = 0; i < WAITERS; i++)
            assert_status(brood_semaphore_release(semaphore, 1), BROOD_OK);
        for (int i = 0; i < WAITERS; i++)
            assert_thread_ends(threads[i], BROOD_OK);
    }
    assert_true(brood_clock() - begun < MEETING_PATIENCE);
    assert_int_equal(value_of(semaphore), 0);
    assert_status(brood_semaphore_destroy(semaphore), BROOD_OK);
}

static void releases_up_to_the_maximum_let_all_waiters_in(void **state)
{
    (void)state;
    brood_thread *threads[WAITERS];
    brood_process *process;
    brood_semaphore semaphore = made_semaphore(0, 1);
    start_waiters(threads, &process, &semaphore);
    for (int i = 0; i < WAITERS + 1; i++)
        while (brood_semaphore_release(semaphore, 1) == BROOD_OVERFLOW)
            brood_sleep(BROOD_MILLISECONDS(1));
    for (int i = 0; i < WAITERS; i++)
        assert_thread_ends(threads[i], BROOD_OK);
    assert_process_ends(process, BROOD_OK);
    assert_status(brood_semaphore_destroy(semaphore), BROOD_OK);
}

static void destroying_releases_all_waiters(void **state)
{
    (void)state;
    brood_thread *threads[WAITERS];
    brood_process *process;
    brood_semaphore semaphore = made_semaphore(0, 0);
    start_waiters(threads, &process, &semaphore);
    assert_status(brood_semaphore_destroy(semaphore), BROOD_OK);
    for (int i = 0; i < WAITERS; i++)
        assert_thread_ends(threads[i], BROOD_STALE);
    assert_process_ends(process, BROOD_STALE);
}

// A waiter that was woken and leaves with a timeout, or is killed, must not consume the wake of
// another.
static int acquire_briefly(void *arg)
{
    const brood_semaphore semaphore = *(brood_semaphore *)arg;
    for (int i = 0; i < 200; i++) {
        const brood_status status = brood_semaphore_acquire(semaphore, BROOD_MICROSECONDS(200 + i));
        CHECK(status == BROOD_OK || status == BROOD_TIMEOUT);
        if (status == BROOD_OK)
            CHECK(brood_semaphore_release(semaphore, 1) == BROOD_OK);
    }
    return 0;
}

static int acquire_often(void *arg)
{
    const brood_semaphore semaphore = *(brood_semaphore *)arg;
    for (int i = 0; i < 200; i++) {
        CHECK(brood_semaphore_acquire(semaphore, MEETING_PATIENCE) == BROOD_OK);
        CHECK(brood_semaphore_release(semaphore, 1) == BROOD_OK);
    }
    return 0;
}

static void a_waiter_that_leaves_early_consumes_no_wake(void **state)
{
    (void)state;
    enum { THREADS = 6 };
    brood_thread *threads[THREADS];
    brood_semaphore semaphore = made_semaphore(1, 1);
    for (int i = 0; i < THREADS; i++)
        threads[i] =
            started_thread(i % 2 ? acquire_briefly : acquire_often, &semaphore, sizeof semaphore);
    for (int i = 0; i < THREADS; i++)
        assert_thread_ends(threads[i], 0);
    assert_int_equal(value_of(semaphore), 1);
    assert_status(brood_semaphore_destroy(semaphore), BROOD_OK);
}

static int wait_for_ever(void *arg)
{
    const brood_semaphore semaphore = *(brood_semaphore *)arg;
    note("waits for ever", 1);
    return (int)brood_semaphore_acquire(semaphore, BROOD_FOREVER);
}

static void a_killed_waiter_consumes_no_wake(void **state)
{
    (void)state;
    brood_semaphore semaphore = made_semaphore(0, 0);
    note("waits for ever", 0);
    brood_process *victim = started_process(wait_for_ever, &semaphore, sizeof semaphore);
    assert_true(await_note("waits for ever", 1));
    brood_thread *thread = started_thread(acquire_one, &semaphore, sizeof semaphore);
    brood_sleep(BROOD_MILLISECONDS(30));
    kill_process(victim);
    assert_status(brood_semaphore_release(semaphore, 1), BROOD_OK);
    assert_thread_ends(thread, BROOD_OK);
    assert_status(brood_semaphore_destroy(semaphore), BROOD_OK);
}

// Ten threads, seven at a time, phase after phase: each one inside stays until the gate opens.

enum { ROOM = 7, VISITORS = 10 };

static _Atomic int inside;
static _Atomic int most_inside;

struct visits {
    brood_semaphore semaphore;
    brood_barrier phase; // for the visitors and the test
    brood_event gate;
    int phases;
};

static void count_in(void)
{
    const int now = atomic_fetch_add(&inside, 1) + 1;
    int most = atomic_load(&most_inside);
    while (now > most && !atomic_compare_exchange_weak(&most_inside, &most, now))
        continue;
}

static int visit(void *arg)
{
    const struct visits *visits = arg;
    for (int i = 0; i < visits->phases; i++) {
        CHECK(brood_barrier_wait(visits->phase, MEETING_PATIENCE, NULL) == BROOD_OK);
        CHECK(brood_semaphore_acquire(visits->semaphore, MEETING_PATIENCE) == BROOD_OK);
        count_in();
        CHECK(brood_event_wait(visits->gate, MEETING_PATIENCE) == BROOD_OK);
        atomic_fetch_sub(&inside, 1);
        CHECK(brood_semaphore_release(visits->semaphore, 1) == BROOD_OK);
        CHECK(brood_barrier_wait(visits->phase, MEETING_PATIENCE, NULL) == BROOD_OK);
    }
    return 0;
}

static void run_phase(const struct visits *visits)
{
    const int64_t deadline = brood_clock() + MEETING_PATIENCE;
    atomic_store(&most_inside, 0);
    assert_status(brood_event_clear(visits->gate), BROOD_OK);
    assert_status(brood_barrier_wait(visits->phase, MEETING_PATIENCE, NULL), BROOD_OK);
    while (atomic_load(&inside) < ROOM) {
        assert_true(brood_clock() < deadline);
        brood_sleep(BROOD_MICROSECONDS(100));
    }
    assert_int_equal(value_of(visits->semaphore), 0);
    assert_status(brood_event_set(visits->gate), BROOD_OK);
    assert_status(brood_barrier_wait(visits->phase, MEETING_PATIENCE, NULL), BROOD_OK);
    assert_int_equal(atomic_load(&most_inside), ROOM);
    assert_int_equal(value_of(visits->semaphore), ROOM);
}

static void as_many_are_inside_as_there_is_room_and_never_more(void **state)
{
    (void)state;
    brood_thread *threads[VISITORS];
    struct visits visits = { .semaphore = made_semaphore(ROOM, ROOM),
                             .phases = foreign_is_slow() ? 5 : 50 };
    assert_status(brood_barrier_create(&visits.phase, VISITORS + 1), BROOD_OK);
    assert_status(brood_event_create(&visits.gate), BROOD_OK);
    for (int i = 0; i < VISITORS; i++)
        threads[i] = started_thread(visit, &visits, sizeof visits);
    for (int i = 0; i < visits.phases; i++)
        run_phase(&visits);
    for (int i = 0; i < VISITORS; i++)
        assert_thread_ends(threads[i], 0);
    assert_status(brood_semaphore_destroy(visits.semaphore), BROOD_OK);
    assert_status(brood_barrier_destroy(visits.phase), BROOD_OK);
    assert_status(brood_event_destroy(visits.gate), BROOD_OK);
}

// Two sides pass units to each other, and none is lost.

struct hand_off {
    brood_semaphore to_child;
    brood_semaphore to_parent;
};

enum { TRIPS = 200 };

static int answer_each(void *arg)
{
    const struct hand_off *pair = arg;
    for (int i = 0; i < TRIPS; i++) {
        CHECK(brood_semaphore_acquire(pair->to_child, MEETING_PATIENCE) == BROOD_OK);
        CHECK(brood_semaphore_release(pair->to_parent, 1) == BROOD_OK);
    }
    return 0;
}

static void call_and_answer(const struct hand_off *pair)
{
    for (int i = 0; i < TRIPS; i++) {
        assert_status(brood_semaphore_release(pair->to_child, 1), BROOD_OK);
        assert_status(brood_semaphore_acquire(pair->to_parent, MEETING_PATIENCE), BROOD_OK);
    }
}

static void any_thread_may_release(void **state)
{
    (void)state;
    struct hand_off pair = { made_semaphore(0, 1), made_semaphore(0, 1) };
    brood_thread *thread = started_thread(answer_each, &pair, 0);
    call_and_answer(&pair);
    assert_thread_ends(thread, 0);
    brood_process *process = started_process(answer_each, &pair, sizeof pair);
    call_and_answer(&pair);
    assert_process_ends(process, 0);
    assert_status(brood_semaphore_destroy(pair.to_child), BROOD_OK);
    assert_status(brood_semaphore_destroy(pair.to_parent), BROOD_OK);
}

// In a signal handler

static struct hand_off in_handler;
static volatile sig_atomic_t handler_failed;

static void handle(int signal_number)
{
    (void)signal_number;
    errno = 4711;
    if (brood_semaphore_release(in_handler.to_child, 1) != BROOD_OK || errno != 4711)
        handler_failed = 1;
    (void)signal(SIGINT, handle);
}

static void a_signal_handler_may_release(void **state)
{
    (void)state;
    in_handler = (struct hand_off){ made_semaphore(0, 1), made_semaphore(0, 1) };
    handler_failed = 0;
    void (*before)(int) = signal(SIGINT, handle);
    brood_thread *thread = started_thread(answer_each, &in_handler, 0);
    for (int i = 0; i < TRIPS; i++) {
        assert_int_equal(raise(SIGINT), 0);
        assert_status(brood_semaphore_acquire(in_handler.to_parent, MEETING_PATIENCE), BROOD_OK);
    }
    (void)signal(SIGINT, before);
    assert_thread_ends(thread, 0);
    assert_int_equal(handler_failed, 0);
    assert_status(brood_semaphore_destroy(in_handler.to_child), BROOD_OK);
    assert_status(brood_semaphore_destroy(in_handler.to_parent), BROOD_OK);
}

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_acquire_takes_one_unit_and_a_release_adds_its_count),
        cmocka_unit_test(an_acquire_lasts_at_least_its_timeout),
        cmocka_unit_test(a_release_beyond_the_maximum_is_refused_and_changes_nothing),
        cmocka_unit_test(bad_arguments_are_refused),
        cmocka_unit_test(a_destroyed_semaphore_stays_stale),
        cmocka_unit_test(a_release_lets_in_as_many_as_its_count),
        cmocka_unit_test(consecutive_releases_let_in_one_waiter_each),
        cmocka_unit_test(releases_up_to_the_maximum_let_all_waiters_in),
        cmocka_unit_test(destroying_releases_all_waiters),
        cmocka_unit_test(a_waiter_that_leaves_early_consumes_no_wake),
        cmocka_unit_test(a_killed_waiter_consumes_no_wake),
        cmocka_unit_test(as_many_are_inside_as_there_is_room_and_never_more),
        cmocka_unit_test(any_thread_may_release),
        cmocka_unit_test(a_signal_handler_may_release),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
