// SPDX-License-Identifier: MIT
// Every call that succeeds leaves errno as it was.
#include "meeting.h"

#include "foreign.h"

#include <errno.h>

enum { KEPT = 77 };

// The call must succeed and keep errno.
#define assert_keeps(call)               \
    do {                                 \
        errno = KEPT;                    \
        assert_status((call), BROOD_OK); \
        assert_int_equal(errno, KEPT);   \
    } while (0)

// The same for a call that cannot fail.
#define assert_keeps_any(call)         \
    do {                               \
        errno = KEPT;                  \
        (void)(call);                  \
        assert_int_equal(errno, KEPT); \
    } while (0)

struct objects {
    brood_lock lock;
    brood_semaphore semaphore;
    brood_semaphore ready;
    brood_event event;
    brood_condition condition;
    brood_barrier barrier;
};

static void a_while(void)
{
    brood_sleep(BROOD_MILLISECONDS(20)); // meanwhile the other thread most probably waits
}

// Makes the test wait once for each object.
static int let_wait(void *arg)
{
    const struct objects *objects = arg;
    CHECK(brood_lock_acquire(objects->lock, BROOD_FOREVER) == BROOD_OK);
    CHECK(brood_semaphore_release(objects->ready, 1) == BROOD_OK);
    a_while();
    CHECK(brood_lock_release(objects->lock) == BROOD_OK);
    a_while();
    CHECK(brood_semaphore_release(objects->semaphore, 1) == BROOD_OK);
    a_while();
    CHECK(brood_event_set(objects->event) == BROOD_OK);
    a_while();
    CHECK(brood_barrier_wait(objects->barrier, MEETING_PATIENCE, NULL) == BROOD_OK);
    // The lock is held until the other thread waits.
    CHECK(brood_lock_acquire(objects->lock, BROOD_FOREVER) == BROOD_OK);
    CHECK(brood_condition_notify_all(objects->condition) == BROOD_OK);
    CHECK(brood_lock_release(objects->lock) == BROOD_OK);
    return 0;
}

static void wait_for_all_of_them(bool process)
{
    struct objects objects;
    brood_thread *thread = NULL;
    brood_process *child = NULL;
    assert_keeps(brood_lock_create(&objects.lock));
    assert_keeps(brood_semaphore_create(&objects.semaphore, 0, 0));
    assert_keeps(brood_semaphore_create(&objects.ready, 0, 0));
    assert_keeps(brood_event_create(&objects.event));
    assert_keeps(brood_condition_create(&objects.condition));
    assert_keeps(brood_barrier_create(&objects.barrier, 2));
    if (process)
        assert_keeps(brood_process_start(&child, let_wait, &objects, sizeof objects, NULL));
    else
        assert_keeps(brood_thread_start(&thread, let_wait, &objects, sizeof objects, NULL));
    assert_keeps(brood_semaphore_acquire(objects.ready, MEETING_PATIENCE));
    assert_keeps(brood_lock_acquire(objects.lock, MEETING_PATIENCE));
    assert_keeps(brood_semaphore_acquire(objects.semaphore, MEETING_PATIENCE));
    assert_keeps(brood_event_wait(objects.event, MEETING_PATIENCE));
    assert_keeps(brood_barrier_wait(objects.barrier, MEETING_PATIENCE, NULL));
    assert_keeps(brood_condition_wait(objects.condition, objects.lock, MEETING_PATIENCE));
    assert_keeps(brood_lock_release(objects.lock));
    if (process) {
        assert_keeps_any(brood_process_is_alive(child));
        assert_keeps(brood_process_join(child, MEETING_PATIENCE, NULL));
        assert_keeps_any(brood_process_is_alive(child));
        assert_keeps_any((brood_process_drop(child), 0));
    } else {
        assert_keeps(brood_thread_join(thread, MEETING_PATIENCE, NULL));
        assert_keeps_any((brood_thread_drop(thread), 0));
    }
    assert_keeps(brood_lock_destroy(objects.lock));
    assert_keeps(brood_semaphore_destroy(objects.semaphore));
    assert_keeps(brood_semaphore_destroy(objects.ready));
    assert_keeps(brood_event_destroy(objects.event));
    assert_keeps(brood_condition_destroy(objects.condition));
    assert_keeps(brood_barrier_destroy(objects.barrier));
}

static void waits_for_a_thread_keep_errno(void **state)
{
    (void)state;
    wait_for_all_of_them(false);
}

static void waits_for_a_process_keep_errno(void **state)
{
    (void)state;
    wait_for_all_of_them(true);
}

static void line(const char *text, void *user)
{
    (void)text;
    (void)user;
}

static void other_calls_keep_errno(void **state)
{
    (void)state;
    enum { MANY = 2000 }; // enough for a table to grow
    static brood_event events[MANY];
    brood_block block;
    uint64_t id = 0;
    for (int i = 0; i < MANY; i++)
        assert_keeps(brood_event_create(&events[i]));
    for (int i = 0; i < MANY; i++)
        assert_keeps(brood_event_destroy(events[i]));
    for (size_t size = 100; size <= (size_t)1 << 22; size *= 16) {
        assert_keeps(brood_block_create(&block, size));
        assert_keeps_any(brood_block_data(block));
        assert_keeps(brood_block_destroy(block));
    }
    assert_keeps(brood_registry_set("kept", 5));
    assert_keeps(brood_registry_get("kept", &id));
    assert_keeps(brood_dump(line, NULL));
    assert_keeps_any(brood_cpu_usable());
    assert_keeps_any(brood_cpu_count());
    assert_keeps_any(brood_parent_is_alive());
    assert_keeps_any(brood_active_children(NULL, 0));
    assert_keeps_any((brood_sleep(BROOD_MILLISECONDS(1)), 0));
}

// A thread that brood has not started, and does not know yet.
static void acquire_in_a_new_thread(void *arg)
{
    const struct objects *objects = arg;
    errno = KEPT;
    if (brood_lock_acquire(objects->lock, MEETING_PATIENCE) == BROOD_OK && errno == KEPT &&
        brood_lock_release(objects->lock) == BROOD_OK && errno == KEPT)
        (void)brood_event_set(objects->event);
}

static void the_first_call_of_a_thread_keeps_errno(void **state)
{
    (void)state;
    struct objects objects;
    assert_status(brood_lock_create(&objects.lock), BROOD_OK);
    assert_status(brood_event_create(&objects.event), BROOD_OK);
    foreign_thread *new_thread = foreign_thread_start(acquire_in_a_new_thread, &objects);
    foreign_thread_join(new_thread);
    assert_status(brood_event_wait(objects.event, BROOD_NOW), BROOD_OK);
    assert_status(brood_lock_destroy(objects.lock), BROOD_OK);
    assert_status(brood_event_destroy(objects.event), BROOD_OK);
}

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_for_a_thread_keep_errno),
        cmocka_unit_test(waits_for_a_process_keep_errno),
        cmocka_unit_test(the_first_call_of_a_thread_keeps_errno),
        cmocka_unit_test(other_calls_keep_errno),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
