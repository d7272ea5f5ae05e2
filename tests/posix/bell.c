// SPDX-License-Identifier: MIT
// Watches on Linux: what the program does to the bell, regular files, signals, cancellation, and
// loops with an epoll set of their own.
#define _GNU_SOURCE
#include "../methods.h"

#include "../foreign.h"
#include "arena/family.h"
#include "os/os_watch.h"
#include "posix/linux/bell.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define SOON (MEETING_PATIENCE / 2)

static brood_os_watch_id any;

static brood_os_watch *make_watch(void)
{
    brood_os_watch *watch = NULL;
    assert_status(brood_os_watch_create(&any, &watch), BROOD_OK);
    brood_os_watch_set_period(watch, MEETING_PATIENCE);
    return watch;
}

static void skip_without_bell(void)
{
    if (broodi_bell() >= 0)
        return;
    print_message("this system cannot mark a bell\n");
    skip();
}

// What takes the bell's number

// Returns 0 if this process has no bell, knows that, and waits in slices.
static int has_no_bell(void)
{
    brood_os_watch *watch = NULL;
    uint64_t key;
    size_t count;
    intptr_t object;
    CHECK(broodi_bell() == -1);
    CHECK(brood_os_watch_ring(&any) == BROOD_OS_RING_LOST);
    CHECK(brood_os_watch_create(&any, &watch) == BROOD_OK);
    brood_os_watch_set_period(watch, MEETING_PATIENCE);
    const int64_t before = brood_clock();
    CHECK(brood_os_watch_await(watch, &key, 1, MEETING_PATIENCE, &count) == BROOD_OK);
    CHECK(count == 0 && brood_clock() - before < SOON);
    CHECK(brood_os_watch_native(watch, &object) == BROOD_OK);
    CHECK(platform_is_ready(object, SOON));
    brood_os_watch_destroy(watch);
    return 0;
}

static int expect_no_bell(void *arg)
{
    (void)arg;
    return has_no_bell();
}

// A child of a process without a bell has none either, and nothing else in its place.
static int close_the_bell(void *arg)
{
    (void)arg;
    CHECK(close(broodi_bell()) == 0);
    CHECK(has_no_bell() == 0);
    const brood_process_options options = { .method = BROOD_START_SPAWN };
    brood_process *process = NULL;
    brood_exit ended;
    CHECK(brood_process_start(&process, expect_no_bell, NULL, 0, &options) == BROOD_OK);
    CHECK(brood_process_join(process, MEETING_PATIENCE, &ended) == BROOD_OK);
    brood_process_drop(process);
    return ended.code;
}

static void a_program_may_close_the_bell(void **state)
{
    (void)state;
    skip_without_bell();
    assert_process_ends(started_process(close_the_bell, NULL, 0), 0);
}

static int replace_the_bell(void *arg)
{
    const int bell = broodi_bell();
    uint64_t value = 0;
    const int other = *(int *)arg ? eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)
                                  : open("/dev/null", O_RDWR | O_CLOEXEC);
    CHECK(other >= 0 && dup2(other, bell) == bell);
    CHECK(has_no_bell() == 0);
    CHECK(fcntl(bell, F_GETFD) == 0); // dup2 has cleared the flag, and nothing has set it
    if (*(int *)arg)
        CHECK(read(other, &value, sizeof value) == -1 && errno == EAGAIN); // it was not rung
    return 0;
}

static void what_takes_the_number_of_the_bell_is_left_alone(void **state)
{
    (void)state;
    skip_without_bell();
    for (int is_eventfd = 0; is_eventfd < 2; is_eventfd++)
        assert_process_ends(started_process(replace_the_bell, &is_eventfd, sizeof is_eventfd), 0);
}

// A process that has closed the bell has watches that the others cannot ring, unless it made them
// before.
static int close_and_wait(void *arg)
{
    (void)arg;
    brood_os_watch *watch = NULL;
    uint64_t key;
    size_t count;
    CHECK(brood_os_watch_create(&any, &watch) == BROOD_OK);
    brood_os_watch_set_period(watch, MEETING_PATIENCE);
    (void)brood_os_watch_await(watch, &key, 1, BROOD_MILLISECONDS(1), &count);
    CHECK(close(broodi_bell()) == 0);
    note("bell closed", 1);
    const int64_t before = brood_clock();
    CHECK(brood_os_watch_await(watch, &key, 1, MEETING_PATIENCE, &count) == BROOD_OK);
    CHECK(brood_clock() - before < SOON);
    brood_os_watch_destroy(watch);
    return 0;
}

static void a_watch_outlives_the_descriptor_of_the_bell(void **state)
{
    (void)state;
    skip_without_bell();
    note("bell closed", 0);
    brood_process *process = started_process(close_and_wait, NULL, 0);
    assert_true(await_note("bell closed", 1));
    assert_int_equal(brood_os_watch_ring(&any), BROOD_OS_RING_ALL);
    assert_process_ends(process, 0);
}

// Objects that are always ready

static void a_regular_file_is_always_ready(void **state)
{
    (void)state;
    uint64_t keys[4];
    size_t count = 0;
    unsigned seen[4] = { 0 };
    intptr_t object;
    const int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    platform_native native = platform_native_create();
    brood_os_watch *watch = make_watch();
    assert_true(file >= 0);
    assert_status(brood_os_watch_native(watch, &object), BROOD_OK);
    (void)brood_os_watch_await(watch, keys, 1, BROOD_MILLISECONDS(1), &count);
    assert_false(platform_is_ready(object, 0));
    assert_status(brood_os_watch_add(watch, file, 1), BROOD_OK);
    assert_status(brood_os_watch_add(watch, file, 2), BROOD_OK);
    assert_status(brood_os_watch_add(watch, native.object, 3), BROOD_OK);
    platform_native_set(&native, true);
    for (int i = 0; i < 3; i++) {
        assert_true(platform_is_ready(object, 0));
        assert_status(brood_os_watch_await(watch, keys, 4, SOON, &count), BROOD_OK);
        assert_int_equal(count, 3);
    }
    for (int i = 0; i < 30; i++) {
        assert_status(brood_os_watch_await(watch, keys, 1, SOON, &count), BROOD_OK);
        assert_int_equal(count, 1);
        seen[keys[0]]++;
    }
    assert_true(seen[1] && seen[2] && seen[3]);
    assert_true(brood_os_watch_remove(watch, file, 2));
    assert_true(platform_is_ready(object, 0));
    assert_true(brood_os_watch_remove(watch, file, 1));
    platform_native_set(&native, false);
    assert_status(brood_os_watch_await(watch, keys, 4, 0, &count), BROOD_OK);
    assert_int_equal(count, 0);
    assert_false(platform_is_ready(object, 0));
    brood_os_watch_destroy(watch);
    platform_native_destroy(&native);
    close(file);
}

// A loop of the program's own, whose epoll set is edge-triggered or nested once more

static bool is_ready_in(int set, int timeout)
{
    struct epoll_event event;
    return epoll_wait(set, &event, 1, timeout) == 1;
}

static void loops_with_an_epoll_set_notice_rings_and_objects(void **state)
{
    (void)state;
    skip_without_bell();
    uint64_t key;
    size_t count;
    intptr_t object;
    platform_native native = platform_native_create();
    brood_os_watch *watch = make_watch();
    assert_status(brood_os_watch_add(watch, native.object, 1), BROOD_OK);
    assert_status(brood_os_watch_native(watch, &object), BROOD_OK);
    (void)brood_os_watch_await(watch, &key, 1, BROOD_MILLISECONDS(1), &count);
    const int edge = epoll_create1(EPOLL_CLOEXEC);
    const int level = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event on = { .events = EPOLLIN | EPOLLET };
    assert_int_equal(epoll_ctl(edge, EPOLL_CTL_ADD, (int)object, &on), 0);
    on.events = EPOLLIN;
    assert_int_equal(epoll_ctl(level, EPOLL_CTL_ADD, edge, &on), 0);
    for (int i = 0; i < 5; i++) {
        assert_false(is_ready_in(level, 0));
        assert_int_equal(brood_os_watch_ring(&any), BROOD_OS_RING_ALL);
        assert_true(is_ready_in(level, 1000));
        assert_true(is_ready_in(edge, 1000));
        assert_status(brood_os_watch_await(watch, &key, 1, 0, &count), BROOD_OK);
        assert_int_equal(count, 0);
    }
    platform_native_set(&native, true);
    assert_true(is_ready_in(level, 1000));
    assert_status(brood_os_watch_await(watch, &key, 1, 0, &count), BROOD_OK);
    assert_int_equal(count, 1);
    close(level);
    close(edge);
    brood_os_watch_destroy(watch);
    platform_native_destroy(&native);
}

// Signals and cancellation

struct waiter {
    _Atomic int waiting;
    int passed;
};

static void wait_once(void *arg)
{
    struct waiter *waiter = arg;
    uint64_t key;
    size_t count = 7;
    brood_os_watch *watch = NULL;
    if (brood_os_watch_create(&any, &watch) != BROOD_OK)
        return;
    brood_os_watch_set_period(watch, MEETING_PATIENCE);
    (void)brood_os_watch_await(watch, &key, 1, BROOD_MILLISECONDS(1), &count);
    atomic_store(&waiter->waiting, 1);
    const int64_t before = brood_clock();
    waiter->passed = brood_os_watch_await(watch, &key, 1, MEETING_PATIENCE, &count) == BROOD_OK &&
                     count == 0 && brood_clock() - before < SOON;
    brood_os_watch_destroy(watch);
    atomic_store(&waiter->waiting, 2);
}

static void a_signal_ends_a_wait_early(void **state)
{
    (void)state;
    struct waiter waiter = { .waiting = 0 };
    foreign_thread *thread = foreign_thread_start(wait_once, &waiter);
    while (atomic_load(&waiter.waiting) < 2) {
        (void)foreign_thread_interrupt(thread);
        brood_sleep(BROOD_MILLISECONDS(1));
    }
    foreign_thread_join(thread);
    assert_true(waiter.passed);
}

static void a_wait_and_a_ring_are_no_cancellation_points(void **state)
{
    (void)state;
    struct waiter waiter = { .waiting = 0 };
    const size_t before = platform_descriptor_count();
    foreign_thread *thread = foreign_thread_start(wait_once, &waiter);
    while (atomic_load(&waiter.waiting) < 1)
        brood_sleep(BROOD_MILLISECONDS(1));
    foreign_thread_cancel(thread);
    brood_sleep(BROOD_MILLISECONDS(10));
    for (int i = 0; i < 1000 && atomic_load(&waiter.waiting) < 2; i++) {
        (void)brood_os_watch_ring(&any);
        brood_sleep(BROOD_MILLISECONDS(10));
    }
    foreign_thread_join(thread);
    assert_int_equal(atomic_load(&waiter.waiting), 2);
    assert_true(waiter.passed);
    assert_int_equal(platform_descriptor_count(), before);
}

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_program_may_close_the_bell),
        cmocka_unit_test(what_takes_the_number_of_the_bell_is_left_alone),
        cmocka_unit_test(a_watch_outlives_the_descriptor_of_the_bell),
        cmocka_unit_test(a_regular_file_is_always_ready),
        cmocka_unit_test(loops_with_an_epoll_set_notice_rings_and_objects),
        cmocka_unit_test(a_signal_ends_a_wait_early),
        cmocka_unit_test(a_wait_and_a_ring_are_no_cancellation_points),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
