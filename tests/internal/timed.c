// SPDX-License-Identifier: MIT
// Properties of all waits with a timeout, with either wait provider: none ends before its time,
// whatever happens to the wall clock and whichever signals arrive, and none spins.
#include "../meeting.h"

#include "../foreign.h"
#include "../platform.h"

// Objects that are waited for in vain.
static struct {
    brood_lock lock; // held by the test
    brood_semaphore semaphore;
    brood_event event;
    brood_event over; // ends the process and the thread below
    brood_process *process;
    brood_thread *thread;
} vain;

static brood_status wait_for_lock(brood_duration timeout)
{
    return brood_lock_acquire(vain.lock, timeout);
}

static brood_status wait_for_semaphore(brood_duration timeout)
{
    return brood_semaphore_acquire(vain.semaphore, timeout);
}

static brood_status wait_for_event(brood_duration timeout)
{
    return brood_event_wait(vain.event, timeout);
}

static brood_status wait_for_condition(brood_duration timeout)
{
    brood_lock lock;
    brood_condition condition;
    brood_status status = brood_lock_create(&lock);
    if (status == BROOD_OK)
        status = brood_condition_create(&condition);
    if (status == BROOD_OK)
        status = brood_lock_acquire(lock, BROOD_NOW);
    if (status != BROOD_OK)
        return status;
    status = brood_condition_wait(condition, lock, timeout);
    (void)brood_lock_release(lock);
    (void)brood_lock_destroy(lock);
    (void)brood_condition_destroy(condition);
    return status;
}

static brood_status wait_for_barrier(brood_duration timeout)
{
    brood_barrier barrier;
    brood_status status = brood_barrier_create(&barrier, 2);
    if (status != BROOD_OK)
        return status;
    status = brood_barrier_wait(barrier, timeout, NULL);
    (void)brood_barrier_destroy(barrier);
    return status;
}

static brood_status wait_for_process(brood_duration timeout)
{
    return brood_process_join(vain.process, timeout, NULL);
}

static brood_status wait_for_thread(brood_duration timeout)
{
    return brood_thread_join(vain.thread, timeout, NULL);
}

static brood_status wait_to_be_stopped(brood_duration timeout)
{
    return brood_stop_wait(timeout);
}

static brood_status sleep_on(brood_duration timeout)
{
    brood_sleep(timeout);
    return BROOD_TIMEOUT;
}

static const struct {
    const char *name;
    brood_status (*fn)(brood_duration timeout);
} waits[] = {
    { "a lock", wait_for_lock },
    { "a semaphore", wait_for_semaphore },
    { "an event", wait_for_event },
    { "a condition", wait_for_condition },
    { "a barrier", wait_for_barrier },
    { "the end of a process", wait_for_process },
    { "the end of a thread", wait_for_thread },
    { "a request to stop", wait_to_be_stopped },
    { "the end of a sleep", sleep_on },
};

enum { WAITS = sizeof waits / sizeof waits[0] };

struct waiter {
    foreign_thread *thread;
    int number;
    brood_duration timeout;
    brood_status status;
    brood_duration took;
    long sleeps; // how often the thread slept in the wait
};

static void wait_in_vain(void *arg)
{
    struct waiter *waiter = arg;
    const long sleeps = platform_thread_sleeps();
    const int64_t before = brood_clock();
    waiter->status = waits[waiter->number].fn(waiter->timeout);
    waiter->took = brood_clock() - before;
    waiter->sleeps = platform_thread_sleeps() - sleeps;
}

static int stay(void *arg)
{
    return (int)brood_event_wait(*(brood_event *)arg, BROOD_FOREVER);
}

static void begin(struct waiter waiters[WAITS], brood_duration timeout)
{
    assert_status(brood_lock_create(&vain.lock), BROOD_OK);
    assert_status(brood_lock_acquire(vain.lock, BROOD_NOW), BROOD_OK);
    assert_status(brood_semaphore_create(&vain.semaphore, 0, 0), BROOD_OK);
    assert_status(brood_event_create(&vain.event), BROOD_OK);
    assert_status(brood_event_create(&vain.over), BROOD_OK);
    vain.process = started_process(stay, &vain.over, sizeof vain.over);
    vain.thread = started_thread(stay, &vain.over, sizeof vain.over);
    for (int i = 0; i < WAITS; i++) {
        waiters[i] = (struct waiter){ .number = i, .timeout = timeout };
        waiters[i].thread = foreign_thread_start(wait_in_vain, &waiters[i]);
    }
}

// Checks that every wait has lasted as long as its timeout, and not much longer.
static void end(struct waiter waiters[WAITS])
{
    for (int i = 0; i < WAITS; i++)
        foreign_thread_join(waiters[i].thread);
    assert_status(brood_event_set(vain.over), BROOD_OK);
    assert_process_ends(vain.process, BROOD_OK);
    assert_thread_ends(vain.thread, BROOD_OK);
    assert_status(brood_lock_release(vain.lock), BROOD_OK);
    assert_status(brood_lock_destroy(vain.lock), BROOD_OK);
    assert_status(brood_semaphore_destroy(vain.semaphore), BROOD_OK);
    assert_status(brood_event_destroy(vain.event), BROOD_OK);
    assert_status(brood_event_destroy(vain.over), BROOD_OK);
    for (int i = 0; i < WAITS; i++) {
        const struct waiter *waiter = &waiters[i];
        if (waiter->status != BROOD_TIMEOUT || waiter->took < waiter->timeout ||
            waiter->took > waiter->timeout + BROOD_SECONDS(20))
            fail_msg("a wait for %s ended after %d ms: %s", waits[i].name,
                     (int)(waiter->took / 1000000), brood_status_name(waiter->status));
    }
}

static void a_step_of_the_wall_clock_ends_no_wait(void **state)
{
    (void)state;
    struct waiter waiters[WAITS];
    begin(waiters, BROOD_MILLISECONDS(400));
    brood_sleep(BROOD_MILLISECONDS(150)); // most of them are waiting by now
    // Ahead by more than the waits last, but only a little: files that other programs write
    // meanwhile should not have times far in the future.
    const bool stepped = platform_wall_clock_jump(BROOD_SECONDS(2), BROOD_MILLISECONDS(3));
    end(waiters);
    if (stepped)
        return;
    print_message("skipped: this process may not set the wall clock\n");
    skip();
}

static void signals_end_no_wait(void **state)
{
    (void)state;
    enum { SIGNALS = 40 };
    struct waiter waiters[WAITS];
    bool interrupted = true;
    begin(waiters, BROOD_MILLISECONDS(900));
    for (int i = 0; i < SIGNALS && interrupted; i++) {
        brood_sleep(BROOD_MILLISECONDS(20));
        for (int j = 0; j < WAITS; j++)
            interrupted &= foreign_thread_interrupt(waiters[j].thread);
    }
    end(waiters);
    if (interrupted)
        return;
    print_message("skipped: threads cannot be interrupted on this system\n");
    skip();
}

// The first check of a lock's holder comes after 50 ms; and what the system does on behalf of a
// thread may take a sleep or two.
static void a_waiter_wakes_at_most_once_a_second(void **state)
{
    (void)state;
    enum { SPAN = 4, TO_SETTLE = 8 };
    struct waiter waiters[WAITS];
    begin(waiters, BROOD_SECONDS(SPAN));
    end(waiters);
    if (platform_thread_sleeps() < 0) {
        print_message("skipped: the system does not count the sleeps of a thread\n");
        skip();
    }
    for (int i = 0; i < WAITS; i++) {
        const long seconds = (long)(waiters[i].took / BROOD_SECONDS(1)) + 1;
        print_message("%s: %ld sleeps\n", waits[i].name, waiters[i].sleeps);
        assert_in_range(waiters[i].sleeps, 1, seconds + TO_SETTLE);
    }
}

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_step_of_the_wall_clock_ends_no_wait),
        cmocka_unit_test(signals_end_no_wait),
        cmocka_unit_test(a_waiter_wakes_at_most_once_a_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
