// SPDX-License-Identifier: MIT
// Asking processes and threads to stop, and ending those that do not.
#include "meeting.h"

#include "platform.h"

#include <string.h>

#define AT_ONCE BROOD_SECONDS(10)

static void assert_end(brood_exit ended, brood_exit_kind kind, int number)
{
    char text[128];
    (void)brood_exit_text(ended, text, sizeof text);
    if (ended.kind != (int32_t)kind || brood_exit_number(ended) != number)
        fail_msg("%s instead of kind %d, number %d", text, (int)kind, number);
}

// Requests

static int wait_to_be_asked(void *arg)
{
    (void)arg;
    CHECK(!brood_stop_requested());
    CHECK(brood_stop_wait(BROOD_NOW) == BROOD_TIMEOUT);
    note("waits", 1);
    CHECK(brood_stop_wait(MEETING_PATIENCE) == BROOD_OK);
    CHECK(brood_stop_requested());
    CHECK(brood_stop_wait(BROOD_NOW) == BROOD_OK);
    return 7;
}

static void a_process_that_is_asked_stops_waiting(void **state)
{
    (void)state;
    note("waits", 0);
    brood_process *process = started_process(wait_to_be_asked, NULL, 0);
    assert_true(await_note("waits", 1));
    assert_status(brood_process_request_stop(process), BROOD_OK);
    assert_status(brood_process_request_stop(process), BROOD_OK);
    assert_process_ends(process, 7);
    assert_false(brood_stop_requested());
}

static int poll_until_asked(void *arg)
{
    (void)arg;
    const int64_t deadline = brood_clock() + MEETING_PATIENCE;
    note("polls", 1);
    while (!brood_stop_requested() && brood_clock() < deadline)
        brood_sleep(BROOD_MILLISECONDS(1));
    return brood_stop_requested() ? 3 : 4;
}

static void a_process_may_poll_for_a_request(void **state)
{
    (void)state;
    note("polls", 0);
    brood_process *process = started_process(poll_until_asked, NULL, 0);
    assert_true(await_note("polls", 1));
    assert_status(brood_process_request_stop(process), BROOD_OK);
    assert_process_ends(process, 3);
}

static int wait_for_the_request(void *arg)
{
    (void)arg;
    CHECK(brood_stop_wait(MEETING_PATIENCE) == BROOD_OK);
    return 7;
}

static int wait_in_threads(void *arg)
{
    (void)arg;
    enum { THREADS = 3 };
    brood_thread *threads[THREADS];
    int code = 0;
    for (int i = 0; i < THREADS; i++)
        CHECK(brood_thread_start(&threads[i], wait_for_the_request, NULL, 0, NULL) == BROOD_OK);
    note("threads wait", 1);
    for (int i = 0; i < THREADS; i++) {
        CHECK(brood_thread_join(threads[i], MEETING_PATIENCE, &code) == BROOD_OK);
        CHECK(code == 7);
        brood_thread_drop(threads[i]);
    }
    return 0;
}

static void all_threads_of_an_asked_process_are_asked(void **state)
{
    (void)state;
    note("threads wait", 0);
    brood_process *process = started_process(wait_in_threads, NULL, 0);
    assert_true(await_note("threads wait", 1));
    assert_status(brood_process_request_stop(process), BROOD_OK);
    assert_process_ends(process, 0);
}

static void a_thread_is_asked_alone(void **state)
{
    (void)state;
    brood_thread *asked = started_thread(wait_for_the_request, NULL, 0);
    brood_thread *other = started_thread(wait_for_the_request, NULL, 0);
    assert_status(brood_thread_request_stop(asked), BROOD_OK);
    assert_thread_ends(asked, 7);
    assert_false(brood_stop_requested());
    assert_status(brood_thread_join(other, BROOD_MILLISECONDS(30), NULL), BROOD_TIMEOUT);
    assert_status(brood_thread_request_stop(other), BROOD_OK);
    assert_status(brood_thread_join(other, MEETING_PATIENCE, NULL), BROOD_OK);
    assert_status(brood_thread_request_stop(other), BROOD_OK); // it has ended
    brood_thread_drop(other);
}

static void a_wait_for_a_request_ends_at_its_deadline_and_not_before(void **state)
{
    (void)state;
    const brood_duration timeouts[] = {
        INT64_MIN, -1, BROOD_NOW, 1, BROOD_MILLISECONDS(30), BROOD_MILLISECONDS(120)
    };
    for (size_t i = 0; i < sizeof timeouts / sizeof timeouts[0]; i++) {
        const int64_t before = brood_clock();
        assert_status(brood_stop_wait(timeouts[i]), BROOD_TIMEOUT);
        const int64_t took = brood_clock() - before;
        assert_true(took >= timeouts[i] && took < AT_ONCE);
    }
}

static int expect_no_request(void *arg)
{
    (void)arg;
    CHECK(!brood_stop_requested());
    return 0;
}

// Its slot is that of a process that was asked before.
static void the_next_process_is_not_asked(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        brood_process *process = started_process(wait_for_the_request, NULL, 0);
        assert_status(brood_process_request_stop(process), BROOD_OK);
        assert_process_ends(process, 7);
        assert_process_ends(started_process(expect_no_request, NULL, 0), 0);
    }
}

static void a_missing_process_or_thread_is_invalid(void **state)
{
    (void)state;
    assert_status(brood_process_request_stop(NULL), BROOD_INVALID);
    assert_status(brood_thread_request_stop(NULL), BROOD_INVALID);
    assert_status(brood_process_stop(NULL, BROOD_FOREVER, NULL), BROOD_INVALID);
    assert_last_error_names("brood_process_stop");
}

// Stages: a request, then terminate, then kill

static int obey(void *arg)
{
    (void)arg;
    note("ready to stop", 1);
    CHECK(brood_stop_wait(MEETING_PATIENCE) == BROOD_OK);
    return 21;
}

static int ignore_requests(void *arg)
{
    if (*(bool *)arg)
        platform_terminate_ignore();
    note("ready to stop", 1);
    (void)await_note("never", 1);
    return 0;
}

static brood_process *started_ready(brood_target target, const void *arg, size_t size)
{
    note("ready to stop", 0);
    brood_process *process = started_process(target, arg, size);
    assert_true(await_note("ready to stop", 1));
    return process;
}

static void a_process_that_obeys_is_not_terminated(void **state)
{
    (void)state;
    brood_exit ended;
    brood_process *process = started_ready(obey, NULL, 0);
    assert_status(brood_process_stop(process, MEETING_PATIENCE, &ended), BROOD_OK);
    assert_end(ended, BROOD_EXITED, 21);
    assert_status(brood_process_stop(process, BROOD_NOW, &ended), BROOD_OK); // it has ended
    assert_end(ended, BROOD_EXITED, 21);
    assert_status(brood_process_stop(process, BROOD_NOW, NULL), BROOD_OK);
    brood_process_drop(process);
}

static void a_process_that_does_not_obey_is_terminated(void **state)
{
    (void)state;
    const bool ignores_terminate = false;
    const brood_duration grace = BROOD_MILLISECONDS(50);
    brood_exit ended;
    brood_process *process =
        started_ready(ignore_requests, &ignores_terminate, sizeof ignores_terminate);
    const int64_t before = brood_clock();
    assert_status(brood_process_stop(process, grace, &ended), BROOD_OK);
    assert_true(brood_clock() - before >= grace);
    assert_true(ended.kind == BROOD_TERMINATED); // killed only on a loaded machine
    brood_process_drop(process);
}

static void a_process_that_ignores_terminate_is_killed(void **state)
{
    (void)state;
    const bool ignores_terminate = true;
    const brood_duration grace = BROOD_MILLISECONDS(50);
    brood_exit ended;
    brood_process *process =
        started_ready(ignore_requests, &ignores_terminate, sizeof ignores_terminate);
    const int64_t before = brood_clock();
    assert_status(brood_process_stop(process, grace, &ended), BROOD_OK);
    assert_true(brood_clock() - before >= (platform_has_signals() ? 2 * grace : grace));
    assert_end(ended, BROOD_TERMINATED, platform_has_signals() ? -9 : -15);
    brood_process_drop(process);
}

static void without_grace_the_end_comes_at_once(void **state)
{
    (void)state;
    const brood_duration none[] = { BROOD_NOW, -1, INT64_MIN };
    const bool ignores_terminate = true;
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        brood_exit ended;
        brood_process *process =
            started_ready(ignore_requests, &ignores_terminate, sizeof ignores_terminate);
        assert_status(brood_process_stop(process, none[i], &ended), BROOD_OK);
        assert_true(ended.kind == BROOD_TERMINATED);
        brood_process_drop(process);
    }
}

static void a_kill_from_outside_is_not_reported_as_a_stop(void **state)
{
    (void)state;
    const bool ignores_terminate = true;
    brood_exit ended;
    brood_process *process =
        started_ready(ignore_requests, &ignores_terminate, sizeof ignores_terminate);
    if (platform_has_signals()) // a signal that it ignores does not end it
        assert_status(brood_process_terminate(process), BROOD_OK);
    platform_process_kill(brood_process_pid(process));
    intptr_t handle;
    assert_status(brood_process_native(process, &handle), BROOD_OK);
    assert_true(platform_is_ready(handle, MEETING_PATIENCE));
    assert_status(brood_process_kill(process), BROOD_OK); // it has ended already
    assert_status(brood_process_join(process, MEETING_PATIENCE, &ended), BROOD_OK);
    if (platform_has_signals())
        assert_end(ended, BROOD_SIGNALLED, -9);
    else
        assert_true(ended.kind == BROOD_EXITED || ended.kind == BROOD_LOST);
    brood_process_drop(process);
}

static int stop_a_child_of_another_process(void *arg)
{
    brood_process *process = *(brood_process **)arg;
    intptr_t handle = 5;
    CHECK(brood_process_request_stop(process) == BROOD_WRONG_STATE);
    CHECK(brood_process_stop(process, BROOD_FOREVER, NULL) == BROOD_WRONG_STATE);
    CHECK(brood_process_native(process, &handle) == BROOD_WRONG_STATE && handle == 5);
    CHECK(!brood_stop_requested());
    CHECK(brood_stop_wait(BROOD_NOW) == BROOD_TIMEOUT);
    return 0;
}

static void another_process_cannot_stop_a_child(void **state)
{
    (void)state;
    brood_process *process = started_ready(obey, NULL, 0);
    assert_int_equal(platform_guest(stop_a_child_of_another_process, &process),
                     platform_has_fork() ? 0 : -1);
    assert_status(brood_process_request_stop(process), BROOD_OK);
    assert_process_ends(process, 21);
}

// The native handle

static void the_native_handle_is_ready_when_the_child_has_ended(void **state)
{
    (void)state;
    intptr_t handle = 0;
    intptr_t again = 0;
    brood_process *process = started_ready(obey, NULL, 0);
    assert_status(brood_process_native(process, &handle), BROOD_OK);
    assert_false(platform_is_ready(handle, BROOD_MILLISECONDS(20)));
    assert_status(brood_process_request_stop(process), BROOD_OK);
    assert_true(platform_is_ready(handle, MEETING_PATIENCE));
    assert_status(brood_process_join(process, MEETING_PATIENCE, NULL), BROOD_OK);
    assert_true(platform_is_ready(handle, BROOD_NOW)); // the handle stays as long as the reference
    assert_status(brood_process_native(process, &again), BROOD_OK);
    assert_int_equal(again, handle);
    assert_status(brood_process_native(process, NULL), BROOD_INVALID);
    assert_status(brood_process_native(NULL, &again), BROOD_INVALID);
    brood_process_drop(process);
}

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_that_is_asked_stops_waiting),
        cmocka_unit_test(a_process_may_poll_for_a_request),
        cmocka_unit_test(all_threads_of_an_asked_process_are_asked),
        cmocka_unit_test(a_thread_is_asked_alone),
        cmocka_unit_test(a_wait_for_a_request_ends_at_its_deadline_and_not_before),
        cmocka_unit_test(the_next_process_is_not_asked),
        cmocka_unit_test(a_missing_process_or_thread_is_invalid),
        cmocka_unit_test(a_process_that_obeys_is_not_terminated),
        cmocka_unit_test(a_process_that_does_not_obey_is_terminated),
        cmocka_unit_test(a_process_that_ignores_terminate_is_killed),
        cmocka_unit_test(without_grace_the_end_comes_at_once),
        cmocka_unit_test(a_kill_from_outside_is_not_reported_as_a_stop),
        cmocka_unit_test(another_process_cannot_stop_a_child),
        cmocka_unit_test(the_native_handle_is_ready_when_the_child_has_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
