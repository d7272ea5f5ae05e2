// SPDX-License-Identifier: MIT
// brood_shutdown(). tests/program.c sees the end of the main process from outside.
#include "children.h"
#include "steps.h"

#include "foreign.h"
#include "platform.h"

#include <signal.h>
#include <string.h>

// Longer than a call that does not block may take, however loaded the machine is.
#define AT_ONCE BROOD_SECONDS(10)

static int shut_down_twice(void *arg)
{
    (void)arg;
    CHECK(append_at_exit(1) == BROOD_OK);
    CHECK(brood_shutdown(BROOD_FOREVER) == BROOD_OK);
    CHECK(noted("steps") == 1);
    CHECK(brood_at_exit(append, NULL) == BROOD_WRONG_STATE);
    CHECK(strstr(brood_last_error(), "brood_at_exit"));
    CHECK(line_of_a_start() == 0);
    CHECK(brood_shutdown(BROOD_NOW) == BROOD_OK);
    CHECK(brood_shutdown(BROOD_FOREVER) == BROOD_OK);
    CHECK(brood_at_exit(append, NULL) == BROOD_WRONG_STATE);
    CHECK(line_of_a_start() == 0);
    append_step(2);
    CHECK(noted("steps") == 2);
    return 0;
}

static void after_a_shutdown_nothing_begins_and_no_handler_runs_again(void **state)
{
    (void)state;
    for (int32_t method = BROOD_START_SPAWN; method <= BROOD_START_FORK; method++) {
        if (!system_has(method))
            continue;
        begin_steps();
        assert_process_ends(started_by(method, shut_down_twice, NULL, 0), 0);
        ASSERT_STEPS(1, 2);
    }
}

static int shut_down_now(void *arg)
{
    const brood_duration timeout = *(brood_duration *)arg;
    CHECK(append_at_exit(1) == BROOD_OK);
    CHECK(brood_shutdown(timeout) == BROOD_OK);
    CHECK(noted("steps") == 1);
    return 0;
}

static void a_shutdown_with_nothing_to_wait_for_needs_no_time(void **state)
{
    (void)state;
    static const brood_duration none[] = { BROOD_NOW, -1, -BROOD_SECONDS(100), INT64_MIN };
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        begin_steps();
        assert_process_ends(started_process(shut_down_now, &none[i], sizeof none[i]), 0);
        ASSERT_STEPS(1);
    }
}

// Shuts down while a child or a thread runs. Too short a timeout changes nothing, but nothing can
// be started any more.
static int shut_down_too_early(void)
{
    static const brood_duration none[] = { BROOD_NOW, -1, -BROOD_SECONDS(100), INT64_MIN };
    static const brood_duration some[] = { 1, BROOD_MICROSECONDS(700), BROOD_MILLISECONDS(30),
                                           BROOD_MILLISECONDS(120) };
    CHECK(append_at_exit(1) == BROOD_OK);
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        const int64_t before = brood_clock();
        CHECK(brood_shutdown(none[i]) == BROOD_TIMEOUT);
        CHECK(brood_clock() - before < AT_ONCE);
    }
    CHECK(strstr(brood_last_error(), "brood_shutdown"));
    for (size_t i = 0; i < sizeof some / sizeof some[0]; i++) {
        const int64_t before = brood_clock();
        CHECK(brood_shutdown(some[i]) == BROOD_TIMEOUT);
        const int64_t took = brood_clock() - before;
        CHECK(took >= some[i] && took < AT_ONCE);
    }
    brood_process *process = NULL;
    brood_thread *thread = NULL;
    CHECK(brood_process_start(&process, nothing, NULL, 0, NULL) == BROOD_WRONG_STATE && !process);
    CHECK(brood_thread_start(&thread, nothing, NULL, 0, NULL) == BROOD_WRONG_STATE && !thread);
    CHECK(noted("steps") == 0);
    CHECK(append_at_exit(2) == BROOD_OK); // no handler has run
    return 0;
}

static int end_in_time(void)
{
    note("leave", 1);
    CHECK(brood_shutdown(MEETING_PATIENCE) == BROOD_OK);
    CHECK(noted("steps") == 2);
    CHECK(line_of_a_start() == 0);
    CHECK(brood_at_exit(append, NULL) == BROOD_WRONG_STATE);
    return 0;
}

static int shut_down_beside_a_child(void *arg)
{
    brood_process *child;
    brood_exit ended;
    (void)arg;
    CHECK(brood_process_start(&child, stay, NULL, 0, NULL) == BROOD_OK);
    const int early = shut_down_too_early();
    if (early)
        return early;
    CHECK(brood_process_is_alive(child) && brood_active_children(NULL, 0) == 1);
    const int late = end_in_time();
    if (late)
        return late;
    CHECK(brood_process_join(child, BROOD_NOW, &ended) == BROOD_OK);
    CHECK(ended.kind == BROOD_EXITED && ended.code == 0);
    brood_process_drop(child);
    return 0;
}

static int shut_down_beside_a_thread(void *arg)
{
    brood_thread *thread;
    int code = -1;
    (void)arg;
    CHECK(brood_thread_start(&thread, stay, NULL, 0, NULL) == BROOD_OK);
    const int early = shut_down_too_early();
    if (early)
        return early;
    CHECK(brood_thread_is_alive(thread));
    const int late = end_in_time();
    if (late)
        return late;
    CHECK(brood_thread_join(thread, BROOD_NOW, &code) == BROOD_OK && code == 0);
    brood_thread_drop(thread);
    return 0;
}

static void expect_shutdown_in_a_second_attempt(brood_target target)
{
    begin_steps();
    note("leave", 0);
    assert_process_ends(started_process(target, NULL, 0), 0);
    ASSERT_STEPS(2, 1);
}

static void a_shutdown_that_was_too_short_can_be_repeated(void **state)
{
    (void)state;
    expect_shutdown_in_a_second_attempt(shut_down_beside_a_child);
    expect_shutdown_in_a_second_attempt(shut_down_beside_a_thread);
}

// Processes and threads that the program holds references to have ended like others.
static int shut_down_beside_all(void *arg)
{
    const brood_process_options as_daemon = { .daemon = BROOD_DAEMON_YES };
    brood_process *daemon;
    brood_process *child;
    brood_thread *thread;
    brood_exit ended;
    int code = -1;
    (void)arg;
    CHECK(brood_process_start(&daemon, stay_for_ever, NULL, 0, &as_daemon) == BROOD_OK);
    CHECK(brood_process_start(&child, nothing, NULL, 0, NULL) == BROOD_OK);
    CHECK(brood_thread_start(&thread, nothing, NULL, 0, NULL) == BROOD_OK);
    CHECK(brood_shutdown(MEETING_PATIENCE) == BROOD_OK);
    CHECK(!brood_process_is_alive(daemon) && !brood_process_is_alive(child) &&
          !brood_thread_is_alive(thread));
    CHECK(brood_active_children(NULL, 0) == 0 && !platform_has_child());
    CHECK(brood_process_join(daemon, BROOD_NOW, &ended) == BROOD_OK);
    CHECK(ended.kind == BROOD_TERMINATED && brood_exit_number(ended) == -15);
    CHECK(brood_process_join(child, BROOD_NOW, &ended) == BROOD_OK);
    CHECK(ended.kind == BROOD_EXITED && ended.code == 0);
    CHECK(brood_thread_join(thread, BROOD_NOW, &code) == BROOD_OK && code == 0);
    brood_process_drop(daemon);
    brood_process_drop(child);
    brood_thread_drop(thread);
    return 0;
}

static void a_shutdown_ends_all_that_runs(void **state)
{
    (void)state;
    assert_process_ends(started_process(shut_down_beside_all, NULL, 0), 0);
}

static int ignore_the_request(void *arg)
{
    (void)arg;
    CHECK(signal(SIGTERM, SIG_IGN) != SIG_ERR);
    note("ignores", 1);
    (void)await_note("never", 1);
    return 0;
}

static int shut_down_beside_a_stubborn_daemon(void *arg)
{
    const brood_process_options as_daemon = { .daemon = BROOD_DAEMON_YES };
    brood_process *daemon;
    brood_exit ended;
    (void)arg;
    CHECK(brood_process_start(&daemon, ignore_the_request, NULL, 0, &as_daemon) == BROOD_OK);
    CHECK(await_note("ignores", 1));
    CHECK(brood_shutdown(MEETING_PATIENCE) == BROOD_OK);
    CHECK(brood_process_join(daemon, BROOD_NOW, &ended) == BROOD_OK);
    CHECK(ended.kind == BROOD_TERMINATED);
    CHECK(brood_exit_number(ended) == (platform_has_signals() ? -9 : -15));
    brood_process_drop(daemon);
    return 0;
}

static void a_daemon_that_ignores_the_request_is_killed(void **state)
{
    (void)state;
    note("ignores", 0);
    assert_process_ends(started_process(shut_down_beside_a_stubborn_daemon, NULL, 0), 0);
}

static int end_beside_a_daemon_thread(void *arg)
{
    const brood_thread_options as_daemon = { .daemon = BROOD_DAEMON_YES };
    CHECK(brood_thread_start(NULL, stay, NULL, 0, &as_daemon) == BROOD_OK);
    CHECK(append_at_exit(1) == BROOD_OK);
    return leave(*(int *)arg, 3);
}

static void the_end_does_not_wait_for_a_daemon_thread(void **state)
{
    (void)state;
    note("leave", 0);
    for (int way = 0; way < WAYS; way++) {
        begin_steps();
        const int64_t before = brood_clock();
        assert_process_ends(started_process(end_beside_a_daemon_thread, &way, sizeof way), 3);
        assert_true(brood_clock() - before < MEETING_PATIENCE / 2);
        ASSERT_STEPS(1);
    }
}

static int try_to_shut_down(void *arg)
{
    const brood_status status = brood_shutdown(*(brood_duration *)arg);
    CHECK(strstr(brood_last_error(), "brood_shutdown"));
    return (int)status;
}

// A refused call does not begin the end.
static int let_threads_shut_down(void *arg)
{
    static const brood_duration timeouts[] = { BROOD_NOW, -1, BROOD_MILLISECONDS(1),
                                               BROOD_FOREVER };
    (void)arg;
    CHECK(append_at_exit(1) == BROOD_OK);
    for (size_t i = 0; i < 2 * sizeof timeouts / sizeof timeouts[0]; i++) {
        const brood_thread_options options = { .daemon =
                                                   i % 2 ? BROOD_DAEMON_YES : BROOD_DAEMON_NO };
        brood_thread *thread;
        int code = -1;
        CHECK(brood_thread_start(&thread, try_to_shut_down, &timeouts[i / 2], sizeof timeouts[0],
                                 &options) == BROOD_OK);
        CHECK(brood_thread_join(thread, MEETING_PATIENCE, &code) == BROOD_OK);
        CHECK(code == BROOD_DEADLOCK);
        brood_thread_drop(thread);
    }
    CHECK(code_of_child(BROOD_START_DEFAULT, nothing, NULL, 0) == 0);
    CHECK(noted("steps") == 0);
    return 0;
}

static void a_thread_of_brood_cannot_shut_down(void **state)
{
    (void)state;
    begin_steps();
    assert_process_ends(started_process(let_threads_shut_down, NULL, 0), 0);
    ASSERT_STEPS(1);
}

static void shut_down_in_a_handler(void *arg)
{
    static const brood_duration timeouts[] = { BROOD_NOW, -1, BROOD_FOREVER };
    (void)arg;
    for (size_t i = 0; i < sizeof timeouts / sizeof timeouts[0]; i++)
        append_step((uint64_t)brood_shutdown(timeouts[i]));
}

static int register_one_that_shuts_down(void *arg)
{
    CHECK(append_at_exit(1) == BROOD_OK);
    CHECK(brood_at_exit(shut_down_in_a_handler, NULL) == BROOD_OK);
    CHECK(append_at_exit(2) == BROOD_OK);
    return leave(*(int *)arg, 0);
}

static void a_handler_cannot_shut_down(void **state)
{
    (void)state;
    for (int way = 0; way < WAYS; way++) {
        begin_steps();
        assert_process_ends(started_process(register_one_that_shuts_down, &way, sizeof way), 0);
        ASSERT_STEPS(2, BROOD_DEADLOCK, BROOD_DEADLOCK, BROOD_DEADLOCK, 1);
    }
}

static void shut_down_in_a_foreign_thread(void *arg)
{
    *(brood_status *)arg = brood_shutdown(MEETING_PATIENCE);
}

static int let_a_foreign_thread_shut_down(void *arg)
{
    brood_status status = BROOD_SYSTEM;
    (void)arg;
    CHECK(append_at_exit(1) == BROOD_OK);
    CHECK(brood_thread_start(NULL, nothing, NULL, 0, NULL) == BROOD_OK);
    foreign_thread_join(foreign_thread_start(shut_down_in_a_foreign_thread, &status));
    CHECK(status == BROOD_OK);
    CHECK(noted("steps") == 1);
    CHECK(line_of_a_start() == 0);
    return 0;
}

static void a_thread_that_brood_did_not_start_can_shut_down(void **state)
{
    (void)state;
    begin_steps();
    assert_process_ends(started_process(let_a_foreign_thread_shut_down, NULL, 0), 0);
    ASSERT_STEPS(1);
}

static int shut_down_in_two_threads(void *arg)
{
    const brood_process_options as_daemon = { .daemon = BROOD_DAEMON_YES };
    brood_status status = BROOD_SYSTEM;
    (void)arg;
    CHECK(brood_process_start(NULL, stay_for_ever, NULL, 0, &as_daemon) == BROOD_OK);
    for (int i = 0; i < 2; i++)
        CHECK(brood_process_start(NULL, nothing, NULL, 0, NULL) == BROOD_OK);
    for (int i = 0; i < 3; i++)
        CHECK(brood_thread_start(NULL, nothing, NULL, 0, NULL) == BROOD_OK);
    for (unsigned i = 0; i < 50; i++)
        CHECK(append_at_exit(7) == BROOD_OK);
    foreign_thread *other = foreign_thread_start(shut_down_in_a_foreign_thread, &status);
    const brood_status own = brood_shutdown(MEETING_PATIENCE);
    foreign_thread_join(other);
    CHECK(own == BROOD_OK && status == BROOD_OK);
    CHECK(noted("steps") == 50);
    CHECK(brood_active_children(NULL, 0) == 0 && !platform_has_child());
    return 0;
}

static void two_threads_may_shut_down_at_once(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        begin_steps();
        assert_process_ends(started_process(shut_down_in_two_threads, NULL, 0), 0);
        assert_int_equal(noted("steps"), 50);
        forget_steps();
    }
}

static void wait_then_register(void *unused)
{
    (void)unused;
    note("handler runs", 1);
    (void)await_note("other waits", 1);
    append_step(1);
    if (append_at_exit(2) != BROOD_OK)
        append_step(3);
}

static void shut_down_beside_a_handler(void *status)
{
    (void)await_note("handler runs", 1);
    const brood_status at_once = brood_shutdown(BROOD_NOW);
    note("other waits", 1);
    *(brood_status *)status =
        at_once == BROOD_TIMEOUT ? brood_shutdown(MEETING_PATIENCE) : BROOD_SYSTEM;
    append_step(4);
}

static int shut_down_while_a_handler_runs(void *arg)
{
    brood_status status = BROOD_SYSTEM;
    (void)arg;
    CHECK(brood_at_exit(wait_then_register, NULL) == BROOD_OK);
    foreign_thread *other = foreign_thread_start(shut_down_beside_a_handler, &status);
    const brood_status own = brood_shutdown(MEETING_PATIENCE);
    foreign_thread_join(other);
    CHECK(own == BROOD_OK && status == BROOD_OK);
    return 0;
}

static void a_shutdown_waits_for_a_handler_that_another_thread_runs(void **state)
{
    (void)state;
    begin_steps();
    assert_process_ends(started_process(shut_down_while_a_handler_runs, NULL, 0), 0);
    ASSERT_STEPS(1, 2, 4);
}

static void end_the_thread(void *unused)
{
    (void)unused;
    append_step(1);
    foreign_thread_exit();
}

static void shut_down_for_ever(void *unused)
{
    (void)brood_shutdown(MEETING_PATIENCE);
    append_step((uint64_t)(uintptr_t)unused); // not reached
}

static int shut_down_after_a_handler_that_never_returns(void *arg)
{
    (void)arg;
    CHECK(append_at_exit(2) == BROOD_OK);
    CHECK(brood_at_exit(end_the_thread, NULL) == BROOD_OK);
    foreign_thread_join(foreign_thread_start(shut_down_for_ever, NULL));
    CHECK(brood_shutdown(MEETING_PATIENCE) == BROOD_OK);
    return 0;
}

static void a_handler_that_never_returns_is_not_waited_for(void **state)
{
    (void)state;
    begin_steps();
    assert_process_ends(started_process(shut_down_after_a_handler_that_never_returns, NULL, 0), 0);
    ASSERT_STEPS(1, 2);
}

// The thread that goes on in a copy is its main thread, whatever it was in the process that was
// copied.

static int shut_down_in_a_copy(void *arg)
{
    (void)arg;
    CHECK(append_at_exit(1) == BROOD_OK);
    CHECK(brood_shutdown(MEETING_PATIENCE) == BROOD_OK);
    CHECK(noted("steps") == 1);
    return 5;
}

static int shut_down_in_copies(void *arg)
{
    const brood_process_options copies[] = {
        { .method = BROOD_START_FORK, .fork_with_threads = true },
        { .method = BROOD_START_FORK, .fork_with_threads = true, .survive_parent = true },
    };
    (void)arg;
    for (size_t i = 0; i < sizeof copies / sizeof copies[0]; i++) {
        brood_process *process;
        brood_exit ended;
        note("steps", 0);
        CHECK(brood_process_start(&process, shut_down_in_a_copy, NULL, 0, &copies[i]) == BROOD_OK);
        CHECK(brood_process_join(process, MEETING_PATIENCE, &ended) == BROOD_OK);
        brood_process_drop(process);
        CHECK(ended.kind == BROOD_EXITED && ended.code == 5);
    }
    note("steps", 0);
    CHECK(platform_guest(shut_down_in_a_copy, NULL) == 5);
    return 0;
}

static void a_copy_made_in_a_thread_can_shut_down(void **state)
{
    (void)state;
    if (!platform_copy_may_start_threads())
        return;
    begin_steps();
    assert_thread_ends(started_thread(shut_down_in_copies, NULL, 0), 0);
    ASSERT_STEPS(1);
}

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(after_a_shutdown_nothing_begins_and_no_handler_runs_again),
        cmocka_unit_test(a_shutdown_with_nothing_to_wait_for_needs_no_time),
        cmocka_unit_test(a_shutdown_that_was_too_short_can_be_repeated),
        cmocka_unit_test(a_shutdown_ends_all_that_runs),
        cmocka_unit_test(a_daemon_that_ignores_the_request_is_killed),
        cmocka_unit_test(the_end_does_not_wait_for_a_daemon_thread),
        cmocka_unit_test(a_thread_of_brood_cannot_shut_down),
        cmocka_unit_test(a_handler_cannot_shut_down),
        cmocka_unit_test(a_thread_that_brood_did_not_start_can_shut_down),
        cmocka_unit_test(two_threads_may_shut_down_at_once),
        cmocka_unit_test(a_shutdown_waits_for_a_handler_that_another_thread_runs),
        cmocka_unit_test(a_handler_that_never_returns_is_not_waited_for),
        cmocka_unit_test(a_copy_made_in_a_thread_can_shut_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
