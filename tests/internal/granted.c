// SPDX-License-Identifier: MIT
// What was granted before a destroy stays granted. A waiter stops at a step before it loads the
// state word again; meanwhile the test grants what it waits for, destroys the object and reuses
// every slot of its kind. Then the waiter continues, and must return what was true at the moment
// of the destroy.
#include "../meeting.h"

#include "base/atomic.h"
#include "base/compiler.h"
#include "base/step.h"

enum {
    AROUND = 5000, // objects, enough to reuse every slot of the smallest table
    EPOCHS = 2048, // resets after which a barrier's round number repeats
};

static _Atomic int stop_at = BROODI_STEP_COUNT;
static _Atomic int stopped;
static _Atomic bool go;
static BROODI_THREAD_LOCAL bool waits; // the calling thread is a waiter of a test

static void stop_there(enum broodi_step step)
{
    if (!waits || (int)step != atomic_load(&stop_at))
        return;
    atomic_fetch_add(&stopped, 1);
    while (!atomic_load(&go))
        brood_sleep(BROOD_MILLISECONDS(1));
}

struct objects {
    brood_event event;
    brood_semaphore semaphore;
    brood_barrier barrier;
    brood_condition condition;
    brood_lock lock;
    brood_duration timeout;
    bool stops;
};

enum { MOST = 2 };

static brood_thread *started[MOST];

static void start_stopping(enum broodi_step step, brood_target waiter,
                           const struct objects *objects, int count)
{
    atomic_store(&go, false);
    atomic_store(&stopped, 0);
    atomic_store(&stop_at, (int)step);
    for (int i = 0; i < count; i++)
        started[i] = started_thread(waiter, objects, sizeof *objects);
    const int64_t deadline = brood_clock() + MEETING_PATIENCE;
    while (atomic_load(&stopped) < count) {
        assert_true(brood_clock() < deadline);
        brood_sleep(BROOD_MILLISECONDS(1));
    }
    atomic_store(&stop_at, (int)BROODI_STEP_COUNT);
}

static brood_status answer(int index)
{
    int code = -1;
    atomic_store(&go, true);
    assert_status(brood_thread_join(started[index], MEETING_PATIENCE, &code), BROOD_OK);
    brood_thread_drop(started[index]);
    return (brood_status)code;
}

// Events

static int wait_for_event(void *arg)
{
    const struct objects *objects = arg;
    waits = true;
    return (int)brood_event_wait(objects->event, MEETING_PATIENCE);
}

static void go_around_events(void)
{
    for (int i = 0; i < AROUND; i++) {
        brood_event event;
        assert_status(brood_event_create(&event), BROOD_OK);
        assert_status(brood_event_set(event), BROOD_OK);
        assert_status(brood_event_destroy(event), BROOD_OK);
    }
}

static void expect_of_event(bool set, bool clear, brood_status expected)
{
    struct objects objects;
    assert_status(brood_event_create(&objects.event), BROOD_OK);
    start_stopping(BROODI_STEP_OBJECT_ANNOUNCED, wait_for_event, &objects, 1);
    if (set)
        assert_status(brood_event_set(objects.event), BROOD_OK);
    if (clear)
        assert_status(brood_event_clear(objects.event), BROOD_OK);
    assert_status(brood_event_destroy(objects.event), BROOD_OK);
    go_around_events();
    assert_status(answer(0), expected);
}

static void a_set_event_is_reported_after_its_destroy(void **state)
{
    (void)state;
    expect_of_event(true, false, BROOD_OK);
    expect_of_event(true, true, BROOD_OK);
    expect_of_event(false, false, BROOD_STALE);
    expect_of_event(false, true, BROOD_STALE);
}

// Semaphores

static int wait_for_semaphore(void *arg)
{
    const struct objects *objects = arg;
    waits = true;
    return (int)brood_semaphore_acquire(objects->semaphore, MEETING_PATIENCE);
}

static void go_around_semaphores(void)
{
    for (int i = 0; i < AROUND; i++) {
        brood_semaphore semaphore;
        assert_status(brood_semaphore_create(&semaphore, 5, 0), BROOD_OK);
        assert_status(brood_semaphore_destroy(semaphore), BROOD_OK);
    }
}

static void what_was_released_is_acquired_after_the_destroy(void **state)
{
    (void)state;
    for (uint32_t released = 0; released <= MOST; released++) {
        struct objects objects;
        assert_status(brood_semaphore_create(&objects.semaphore, 0, 0), BROOD_OK);
        start_stopping(BROODI_STEP_OBJECT_ANNOUNCED, wait_for_semaphore, &objects, MOST);
        if (released)
            assert_status(brood_semaphore_release(objects.semaphore, released), BROOD_OK);
        assert_status(brood_semaphore_destroy(objects.semaphore), BROOD_OK);
        go_around_semaphores();
        uint32_t acquired = 0;
        for (int i = 0; i < MOST; i++) {
            const brood_status status = answer(i);
            acquired += status == BROOD_OK;
            assert_true(status == BROOD_OK || status == BROOD_STALE);
        }
        assert_int_equal(acquired, released);
    }
}

// Barriers

static int wait_at_barrier(void *arg)
{
    const struct objects *objects = arg;
    waits = true;
    return (int)brood_barrier_wait(objects->barrier, MEETING_PATIENCE, NULL);
}

static void go_around_barriers(void)
{
    for (int i = 0; i < AROUND; i++) {
        brood_barrier barrier;
        assert_status(brood_barrier_create(&barrier, 1), BROOD_OK);
        assert_status(brood_barrier_wait(barrier, BROOD_NOW, NULL), BROOD_OK);
        assert_status(brood_barrier_destroy(barrier), BROOD_OK);
    }
}

static brood_status complete(brood_barrier barrier)
{
    return brood_barrier_wait(barrier, MEETING_PATIENCE, NULL);
}

static brood_status complete_and_reset(brood_barrier barrier)
{
    const brood_status status = complete(barrier);
    return status == BROOD_OK ? brood_barrier_reset(barrier) : status;
}

static brood_status reset_often(brood_barrier barrier)
{
    brood_status status = BROOD_OK;
    for (int i = 0; status == BROOD_OK && i < EPOCHS; i++)
        status = brood_barrier_reset(barrier);
    return status;
}

static brood_status nothing(brood_barrier barrier)
{
    (void)barrier;
    return BROOD_OK;
}

static void expect_of_barrier(brood_status (*act)(brood_barrier), bool destroyed,
                              brood_status expected)
{
    struct objects objects;
    assert_status(brood_barrier_create(&objects.barrier, 2), BROOD_OK);
    start_stopping(BROODI_STEP_BARRIER_COUNTED, wait_at_barrier, &objects, 1);
    assert_status(act(objects.barrier), BROOD_OK);
    if (destroyed)
        assert_status(brood_barrier_destroy(objects.barrier), BROOD_OK);
    go_around_barriers();
    assert_status(answer(0), expected);
    if (!destroyed)
        assert_status(brood_barrier_destroy(objects.barrier), BROOD_OK);
}

static void the_end_of_a_round_is_reported_after_the_destroy(void **state)
{
    (void)state;
    for (int destroyed = 0; destroyed < 2; destroyed++) {
        expect_of_barrier(complete, destroyed, BROOD_OK);
        expect_of_barrier(complete_and_reset, destroyed, BROOD_OK);
        expect_of_barrier(brood_barrier_reset, destroyed, BROOD_BROKEN);
        expect_of_barrier(brood_barrier_abort, destroyed, BROOD_BROKEN);
    }
    expect_of_barrier(reset_often, false, BROOD_BROKEN);
    expect_of_barrier(nothing, true, BROOD_STALE);
}

// A participant that a reset has dismissed, but that has not noticed yet, is not counted in the
// next round and takes no entry of it.
static void the_round_after_a_reset_is_open_at_once(void **state)
{
    (void)state;
    struct objects objects;
    assert_status(brood_barrier_create(&objects.barrier, 3), BROOD_OK);
    start_stopping(BROODI_STEP_BARRIER_COUNTED, wait_at_barrier, &objects, 1);
    brood_thread *other = started_thread(wait_at_barrier, &objects, sizeof objects);
    uint32_t count = 0;
    while (count < 2)
        assert_status(brood_barrier_waiting(objects.barrier, &count), BROOD_OK);
    assert_status(brood_barrier_reset(objects.barrier), BROOD_OK);
    assert_thread_ends(other, BROOD_BROKEN);
    other = started_thread(wait_at_barrier, &objects, sizeof objects); // in the next round
    do
        assert_status(brood_barrier_waiting(objects.barrier, &count), BROOD_OK);
    while (count < 1);
    assert_status(answer(0), BROOD_BROKEN);
    brood_thread *third = started_thread(wait_at_barrier, &objects, sizeof objects);
    assert_status(brood_barrier_wait(objects.barrier, MEETING_PATIENCE, NULL), BROOD_OK);
    assert_thread_ends(other, BROOD_OK);
    assert_thread_ends(third, BROOD_OK);
    assert_status(brood_barrier_destroy(objects.barrier), BROOD_OK);
}

// Conditions

static int wait_for_condition(void *arg)
{
    const struct objects *objects = arg;
    waits = objects->stops;
    CHECK(brood_lock_acquire(objects->lock, MEETING_PATIENCE) == BROOD_OK);
    CHECK(brood_semaphore_release(objects->semaphore, 1) == BROOD_OK);
    const brood_status status =
        brood_condition_wait(objects->condition, objects->lock, objects->timeout);
    if (status != BROOD_STALE)
        CHECK(brood_lock_release(objects->lock) == BROOD_OK);
    return (int)status;
}

static int notify_all(void *arg)
{
    const struct objects *objects = arg;
    waits = true;
    return (int)brood_condition_notify_all(objects->condition);
}

static int notify_two(void *arg)
{
    const struct objects *objects = arg;
    waits = true;
    return (int)brood_condition_notify(objects->condition, 2);
}

static struct objects made_condition(bool stops)
{
    struct objects objects = { .timeout = MEETING_PATIENCE, .stops = stops };
    assert_status(brood_condition_create(&objects.condition), BROOD_OK);
    assert_status(brood_lock_create(&objects.lock), BROOD_OK);
    assert_status(brood_semaphore_create(&objects.semaphore, 0, 0), BROOD_OK);
    return objects;
}

static void destroy_rest(const struct objects *objects)
{
    assert_status(brood_lock_destroy(objects->lock), BROOD_OK);
    assert_status(brood_semaphore_destroy(objects->semaphore), BROOD_OK);
}

// Waits until the new thread has released its lock, and so waits for the condition.
static brood_thread *started_waiter(const struct objects *objects)
{
    brood_thread *thread = started_thread(wait_for_condition, objects, sizeof *objects);
    assert_status(brood_semaphore_acquire(objects->semaphore, MEETING_PATIENCE), BROOD_OK);
    assert_status(brood_lock_acquire(objects->lock, MEETING_PATIENCE), BROOD_OK);
    assert_status(brood_lock_release(objects->lock), BROOD_OK);
    return thread;
}

static void go_around_conditions(void)
{
    for (int i = 0; i < AROUND; i++) {
        brood_condition condition;
        assert_status(brood_condition_create(&condition), BROOD_OK);
        assert_status(brood_condition_destroy(condition), BROOD_OK);
    }
}

static void a_notify_is_reported_after_the_destroy_of_its_condition(void **state)
{
    (void)state;
    for (uint32_t count = 0; count <= MOST + 1; count++) {
        const struct objects objects = made_condition(true);
        start_stopping(BROODI_STEP_CONDITION_UNLOCKED, wait_for_condition, &objects, MOST);
        if (count > MOST)
            assert_status(brood_condition_notify_all(objects.condition), BROOD_OK);
        else
            assert_status(brood_condition_notify(objects.condition, count), BROOD_OK);
        assert_status(brood_condition_destroy(objects.condition), BROOD_OK);
        go_around_conditions();
        uint32_t notified = 0;
        for (int i = 0; i < MOST; i++) {
            const brood_status status = answer(i);
            notified += status == BROOD_OK;
            assert_true(status == BROOD_OK || status == BROOD_STALE);
        }
        assert_int_equal(notified, count > MOST ? MOST : count);
        destroy_rest(&objects);
    }
}

// The notifier has released all waiters, and woken none, when the condition is destroyed.
static void all_are_released_before_the_first_is_woken(void **state)
{
    (void)state;
    const struct objects objects = made_condition(false);
    brood_thread *first = started_waiter(&objects);
    brood_thread *second = started_waiter(&objects);
    start_stopping(BROODI_STEP_CONDITION_RELEASED, notify_all, &objects, 1);
    assert_status(brood_condition_destroy(objects.condition), BROOD_OK);
    go_around_conditions();
    assert_thread_ends(first, BROOD_OK);
    assert_thread_ends(second, BROOD_OK);
    assert_status(answer(0), BROOD_OK);
    destroy_rest(&objects);
}

// From the moment of a notify of all, the waiters that it releases are ignored by later notifies
// and by waiters with another lock, even before the notifier has visited their seats.
static void a_notify_of_all_is_atomic(void **state)
{
    (void)state;
    const struct objects objects = made_condition(false);
    brood_thread *first = started_waiter(&objects);
    brood_thread *second = started_waiter(&objects);
    start_stopping(BROODI_STEP_CONDITION_RELEASED, notify_all, &objects, 1);
    struct objects others = objects;
    assert_status(brood_lock_create(&others.lock), BROOD_OK);
    brood_thread *late = started_waiter(&others);
    assert_status(brood_condition_notify(objects.condition, 1), BROOD_OK);
    assert_thread_ends(late, BROOD_OK);
    late = started_waiter(&others);
    assert_thread_ends(first, BROOD_OK);
    assert_thread_ends(second, BROOD_OK);
    assert_status(answer(0), BROOD_OK);
    assert_status(brood_condition_notify(objects.condition, 1), BROOD_OK);
    assert_thread_ends(late, BROOD_OK);
    assert_status(brood_condition_destroy(objects.condition), BROOD_OK);
    assert_status(brood_lock_destroy(others.lock), BROOD_OK);
    destroy_rest(&objects);
}

// A notifier of two has claimed the first waiter when another notify claims the second. The
// notifier then claims the next waiter, which has arrived meanwhile, and the first returns only
// after that, however short its timeout.
static void a_notify_of_several_is_atomic(void **state)
{
    (void)state;
    struct objects objects = made_condition(false);
    objects.timeout = BROOD_SECONDS(1); // expires while the notifier is stopped
    brood_thread *first = started_waiter(&objects);
    objects.timeout = MEETING_PATIENCE;
    brood_thread *second = started_waiter(&objects);
    start_stopping(BROODI_STEP_CONDITION_CLAIMED, notify_two, &objects, 1);
    assert_status(brood_condition_notify(objects.condition, 1), BROOD_OK);
    assert_thread_ends(second, BROOD_OK);
    brood_thread *third = started_waiter(&objects);
    brood_sleep(BROOD_SECONDS(2));
    assert_true(brood_thread_is_alive(first));
    assert_status(answer(0), BROOD_OK);
    assert_thread_ends(first, BROOD_OK);
    assert_thread_ends(third, BROOD_OK);
    assert_status(brood_condition_destroy(objects.condition), BROOD_OK);
    destroy_rest(&objects);
}

// A waiter that is killed keeps no slot.
static int wait_for_event_for_ever(void *arg)
{
    note("waits", 1);
    return (int)brood_event_wait(*(brood_event *)arg, BROOD_FOREVER);
}

static void count_waiters(const char *line, void *count)
{
    *(int *)count += strstr(line, "waits for event") != NULL;
}

static void a_dead_waiter_keeps_no_slot(void **state)
{
    (void)state;
    brood_event event;
    assert_status(brood_event_create(&event), BROOD_OK);
    brood_process *victim = started_process(wait_for_event_for_ever, &event, sizeof event);
    for (int count = 0; count == 0; brood_sleep(BROOD_MILLISECONDS(1)))
        assert_status(brood_dump(count_waiters, &count), BROOD_OK);
    kill_process(victim);
    assert_status(brood_event_set(event), BROOD_OK);
    assert_status(brood_event_destroy(event), BROOD_OK);
    bool again = false;
    for (int i = 0; i < AROUND && !again; i++) {
        brood_event next;
        assert_status(brood_event_create(&next), BROOD_OK);
        again = ((next.id ^ event.id) & 0xfffff) == 0; // the slot
        assert_status(brood_event_destroy(next), BROOD_OK);
    }
    assert_true(again);
}

int main(void)
{
    brood_init();
    broodi_step_hook = stop_there;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_set_event_is_reported_after_its_destroy),
        cmocka_unit_test(what_was_released_is_acquired_after_the_destroy),
        cmocka_unit_test(the_end_of_a_round_is_reported_after_the_destroy),
        cmocka_unit_test(the_round_after_a_reset_is_open_at_once),
        cmocka_unit_test(a_notify_is_reported_after_the_destroy_of_its_condition),
        cmocka_unit_test(all_are_released_before_the_first_is_woken),
        cmocka_unit_test(a_notify_of_all_is_atomic),
        cmocka_unit_test(a_notify_of_several_is_atomic),
        cmocka_unit_test(a_dead_waiter_keeps_no_slot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
