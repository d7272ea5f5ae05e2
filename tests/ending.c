// SPDX-License-Identifier: MIT
// The end of a child as the end of a program: what its C library runs at exit(), when, and what
// its parent learns of it.
#include "children.h"

#include "foreign.h"
#include "platform.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define A_WHILE BROOD_MILLISECONDS(50)

static void count(const char *name)
{
    note(name, noted(name) + 1);
}

// What act_last() does in every process of this program that ends by exit(), after brood's own
// end.
enum { NO_LAST_ACT, COUNT, LEAVE, CRASH, EXIT_AGAIN };
static int last_act;

static void act_last(void)
{
    if (last_act == COUNT)
        count("last");
    if (last_act == LEAVE)
        _Exit(3);
    if (last_act == CRASH)
        platform_crash();
    if (last_act == EXIT_AGAIN)
        exit(3);
}

// Handlers

static void count_handler(void)
{
    count("handler");
}

static void count_handler_of_brood(void *unused)
{
    (void)unused;
    count("handler of brood");
}

struct job {
    int last_act;
    int code;
    bool exits;
};

static int leave_handlers(void *arg)
{
    const struct job *job = arg;
    last_act = job->last_act;
    CHECK(atexit(count_handler) == 0);
    CHECK(brood_at_exit(count_handler_of_brood, NULL) == BROOD_OK);
    if (job->exits)
        exit(job->code);
    return job->code;
}

static void expect_handlers(int32_t method, const struct job *job, uint64_t handlers, uint64_t last)
{
    note("handler", 0);
    note("handler of brood", 0);
    note("last", 0);
    assert_process_ends(started_by(method, leave_handlers, job, sizeof *job), job->code);
    assert_int_equal(noted("handler"), handlers);
    assert_int_equal(noted("handler of brood"), 1);
    assert_int_equal(noted("last"), last);
}

static void a_fresh_image_that_returns_runs_its_handlers_once(void **state)
{
    (void)state;
    int32_t methods[MOST_METHODS];
    const size_t methods_count = methods_of_this_system(methods);
    for (size_t i = 0; i < methods_count; i++) {
        const uint64_t own = is_copy(methods[i]) ? 0 : 1;
        expect_handlers(methods[i], &(struct job){ .last_act = COUNT, .code = 21 }, own, own);
    }
}

// In a copy the handlers of the parent run too, as after any fork().
static void a_child_that_exits_runs_its_handlers_once(void **state)
{
    (void)state;
    int32_t methods[MOST_METHODS];
    const size_t methods_count = methods_of_this_system(methods);
    for (size_t i = 0; i < methods_count; i++)
        expect_handlers(methods[i], &(struct job){ .last_act = COUNT, .code = 21, .exits = true },
                        1, 1);
}

static void handler_of_the_parent(void)
{
    count("handler of the parent");
}

static int start_below_a_handler(void *arg)
{
    const int32_t method = *(int32_t *)arg;
    const brood_process_options options = { .method = method };
    const struct job job = { .code = 4 };
    brood_process *process;
    brood_exit ended;
    CHECK(atexit(handler_of_the_parent) == 0);
    CHECK(brood_process_start(&process, leave_handlers, &job, sizeof job, &options) == BROOD_OK);
    CHECK(brood_process_join(process, MEETING_PATIENCE, &ended) == BROOD_OK);
    brood_process_drop(process);
    CHECK(ended.kind == BROOD_EXITED && ended.code == 4);
    CHECK(noted("handler of the parent") == 0);
    return 0;
}

static void no_child_that_returns_runs_handlers_of_its_parent(void **state)
{
    (void)state;
    int32_t methods[MOST_METHODS];
    const size_t methods_count = methods_of_this_system(methods);
    for (size_t i = 0; i < methods_count; i++) {
        note("handler of the parent", 0);
        assert_process_ends(
            started_by(BROOD_START_SPAWN, start_below_a_handler, &methods[i], sizeof(int32_t)), 0);
        assert_int_equal(noted("handler of the parent"), 1);
    }
}

// The report

static void expect_end(const struct job *job, int kind, int code)
{
    int32_t methods[MOST_METHODS];
    const size_t methods_count = methods_of_this_system(methods);
    for (size_t i = 0; i < methods_count; i++) {
        brood_exit ended;
        if (is_copy(methods[i]) && !job->exits)
            continue;
        brood_process *process = started_by(methods[i], leave_handlers, job, sizeof *job);
        assert_status(brood_process_join(process, MEETING_PATIENCE, &ended), BROOD_OK);
        brood_process_drop(process);
        assert_int_equal(ended.kind, kind);
        assert_int_equal(ended.code, code);
    }
}

static void all_bits_of_the_code_arrive(void **state)
{
    (void)state;
    static const int codes[] = {
        0, 3, 255, 256, 0x12345678, -1, -559038737, (int)0xC0000005u, (int)0xC000013Au
    };
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        expect_end(&(struct job){ .code = codes[i] }, BROOD_EXITED, codes[i]);
}

static void a_crash_after_the_return_is_a_crash(void **state)
{
    (void)state;
    expect_end(&(struct job){ .last_act = CRASH, .code = 5 }, BROOD_CRASHED, 0);
}

static void an_exit_code_set_after_the_return_is_reported(void **state)
{
    (void)state;
    const int acts[] = { LEAVE, EXIT_AGAIN };
    for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++)
        expect_end(&(struct job){ .last_act = acts[i], .code = 5 },
                   platform_has_signals() ? BROOD_EXITED : BROOD_CRASHED,
                   platform_has_signals() ? 3 : 0);
}

// Threads

static atomic_bool released;

static void release(void)
{
    atomic_store(&released, true);
}

static int expect_no_release(void *unused)
{
    (void)unused;
    CHECK(await_note("target is over", 1));
    const int64_t deadline = brood_clock() + A_WHILE;
    while (!atomic_load(&released) && brood_clock() < deadline)
        brood_sleep(BROOD_MILLISECONDS(1));
    note("joined in time", atomic_load(&released) ? 2 : 1);
    return 0;
}

static int return_before_a_thread(void *arg)
{
    CHECK(atexit(release) == 0);
    CHECK(brood_thread_start(NULL, expect_no_release, NULL, 0, NULL) == BROOD_OK);
    note("target is over", 1);
    if (*(int *)arg)
        exit(0);
    return 0;
}

static void threads_are_joined_before_older_handlers_run(void **state)
{
    (void)state;
    int32_t methods[MOST_METHODS];
    const size_t methods_count = methods_of_this_system(methods);
    for (size_t i = 0; i < methods_count; i++) {
        for (int exits = 0; exits <= 1; exits++) {
            note("target is over", 0);
            note("joined in time", 0);
            assert_process_ends(
                started_by(methods[i], return_before_a_thread, &exits, sizeof exits), 0);
            assert_int_equal(noted("joined in time"), 1);
        }
    }
}

static int register_late(void *unused)
{
    (void)unused;
    CHECK(await_note("target is over", 1));
    const int64_t deadline = brood_clock() + A_WHILE;
    while (brood_clock() < deadline)
        brood_sleep(BROOD_MILLISECONDS(1));
    CHECK(atexit(count_handler) == 0);
    count("registered");
    return 0;
}

static int return_before_a_thread_that_registers(void *unused)
{
    (void)unused;
    CHECK(brood_thread_start(NULL, register_late, NULL, 0, NULL) == BROOD_OK);
    note("target is over", 1);
    return 0;
}

// Some C libraries let only one thread at a time into exit() and atexit().
static void a_thread_may_register_a_handler_after_the_return(void **state)
{
    (void)state;
    int32_t methods[MOST_METHODS];
    const size_t methods_count = methods_of_this_system(methods);
    for (size_t i = 0; i < methods_count; i++) {
        note("target is over", 0);
        note("registered", 0);
        note("handler", 0);
        assert_process_ends(started_by(methods[i], return_before_a_thread_that_registers, NULL, 0),
                            0);
        assert_int_equal(noted("registered"), 1);
        assert_int_equal(noted("handler"), is_copy(methods[i]) ? 0 : 1);
    }
}

static int exit_after_the_return(void *unused)
{
    (void)unused;
    CHECK(await_note("target is over", 1));
    brood_sleep(A_WHILE);
    exit(9);
}

static int return_before_a_thread_that_exits(void *unused)
{
    (void)unused;
    CHECK(brood_thread_start(NULL, exit_after_the_return, NULL, 0, NULL) == BROOD_OK);
    note("target is over", 1);
    return 0;
}

static void a_thread_may_exit_after_the_return(void **state)
{
    (void)state;
    int32_t methods[MOST_METHODS];
    const size_t methods_count = methods_of_this_system(methods);
    for (size_t i = 0; i < methods_count; i++) {
        note("target is over", 0);
        assert_process_ends(started_by(methods[i], return_before_a_thread_that_exits, NULL, 0), 9);
    }
}

// The last thread

static int work_and_return(void *unused)
{
    (void)unused;
    CHECK(await_note("first thread ends", 1));
    brood_sleep(A_WHILE);
    count("worked");
    return 7; // the code of the thread, not of the process
}

static int end_the_first_thread(void *unused)
{
    (void)unused;
    CHECK(brood_at_exit(count_handler_of_brood, NULL) == BROOD_OK);
    CHECK(brood_thread_start(NULL, work_and_return, NULL, 0, NULL) == BROOD_OK);
    platform_leaks_ignore();
    note("first thread ends", 1);
    foreign_thread_exit();
}

// On Linux this starts a thread of the library's own, which must not keep the process alive.
static int have_a_child_and_return(void *unused)
{
    brood_process *process;
    brood_exit ended;
    CHECK(brood_process_start(&process, nothing, NULL, 0, NULL) == BROOD_OK);
    CHECK(brood_process_join(process, MEETING_PATIENCE, &ended) == BROOD_OK);
    brood_process_drop(process);
    return work_and_return(unused);
}

static int end_the_first_thread_beside_a_starter(void *unused)
{
    (void)unused;
    CHECK(brood_at_exit(count_handler_of_brood, NULL) == BROOD_OK);
    CHECK(brood_thread_start(NULL, have_a_child_and_return, NULL, 0, NULL) == BROOD_OK);
    platform_leaks_ignore();
    note("first thread ends", 1);
    foreign_thread_exit();
}

static bool is_served(int32_t method)
{
    return method == BROOD_START_FORKSERVER ||
           (method == BROOD_START_DEFAULT && brood_start_method_get() == BROOD_START_FORKSERVER);
}

static void expect_the_last_thread_to_end_the_process(brood_target target)
{
    if (!platform_ends_with_the_last_thread()) {
        print_message("a thread that is not the program's keeps the process alive\n");
        skip();
    }
    int32_t methods[MOST_METHODS];
    const size_t methods_count = methods_of_this_system(methods);
    for (size_t i = 0; i < methods_count; i++) {
        const bool is_forked = is_copy(methods[i]) || is_served(methods[i]);
        if (is_forked && !platform_copy_outlives_its_first_thread())
            continue;
        note("first thread ends", 0);
        note("worked", 0);
        note("handler of brood", 0);
        assert_process_ends(started_by(methods[i], target, NULL, 0), 0);
        assert_int_equal(noted("worked"), 1);
        assert_int_equal(noted("handler of brood"), 1);
    }
}

static void the_last_thread_ends_the_process(void **state)
{
    (void)state;
    expect_the_last_thread_to_end_the_process(end_the_first_thread);
}

static void the_last_thread_ends_the_process_even_if_one_has_started_a_child(void **state)
{
    (void)state;
    if (!platform_child_can_be_started_beside_threads()) {
        print_message("skipped: a start beside a thread that ends may fail here\n");
        skip();
    }
    expect_the_last_thread_to_end_the_process(end_the_first_thread_beside_a_starter);
}

// exit() in unusual places

static void exit_in_destructor(void *value)
{
    (void)value;
    exit(6);
}

static brood_local local;

static int leave_a_local(void *unused)
{
    (void)unused;
    CHECK(brood_local_set(local, &local) == BROOD_OK);
    return 0;
}

static int exit_in_the_destructor_of_a_local(void *arg)
{
    const brood_thread_options options = { .daemon = *(int32_t *)arg };
    CHECK(brood_local_create(&local, exit_in_destructor) == BROOD_OK);
    CHECK(brood_thread_start(NULL, leave_a_local, NULL, 0, &options) == BROOD_OK);
    (void)await_note("never", 1);
    return __LINE__;
}

static int exit_now(void *unused)
{
    (void)unused;
    exit(6);
}

static int exit_in_a_thread(void *arg)
{
    const brood_thread_options options = { .daemon = *(int32_t *)arg };
    CHECK(brood_thread_start(NULL, exit_now, NULL, 0, &options) == BROOD_OK);
    (void)await_note("never", 1);
    return __LINE__;
}

static int exit_in_a_handler(void *unused)
{
    (void)unused;
    CHECK(brood_at_exit(count_handler_of_brood, NULL) == BROOD_OK);
    CHECK(brood_at_exit(exit_in_destructor, NULL) == BROOD_OK);
    return 2;
}

static int exit_in_a_handler_again(void *unused)
{
    (void)exit_in_a_handler(unused);
    exit(2);
}

// Only the second thread reaches this older handler.
static void leave_with_both(void)
{
    _Exit(4);
}

static void exit_beside(void *unused)
{
    (void)unused;
    exit(2);
}

static void await_a_second_exit(void)
{
    (void)foreign_thread_start(exit_beside, NULL);
    brood_sleep(BROOD_SECONDS(2));
    _Exit(5);
}

static int exit_in_two_threads(void *unused)
{
    (void)unused;
    CHECK(atexit(leave_with_both) == 0 && atexit(await_a_second_exit) == 0);
    return 0;
}

// The C library of Windows, and glibc since 2.41, block a second thread in exit() until the first
// has ended the process.
static bool exit_lets_one_thread_in(void)
{
    brood_exit ended = { .kind = BROOD_RUNNING };
    brood_process *process = started_by(BROOD_START_SPAWN, exit_in_two_threads, NULL, 0);
    assert_status(brood_process_join(process, MEETING_PATIENCE, &ended), BROOD_OK);
    brood_process_drop(process);
    assert_int_equal(ended.kind, BROOD_EXITED);
    assert_true(ended.code == 4 || ended.code == 5);
    return ended.code == 5;
}

static void exit_so(void *unused)
{
    exit_now(unused);
}

static int exit_behind(void *unused)
{
    return foreign_thread_on_end(exit_so, NULL) ? 0 : exit_now(unused);
}

static int exit_in_threads(void *arg)
{
    const bool returns = *(const int32_t *)arg;
    for (int i = 0; i < 3; i++)
        if (brood_thread_start(NULL, i % 2 ? exit_now : exit_behind, NULL, 0, NULL) ==
            BROOD_WRONG_STATE)
            break; // a thread has begun the end already
    if (returns)
        return 6;
    (void)await_note("never", 1);
    return __LINE__;
}

static void threads_that_exit_at_once_do_not_wait_for_each_other(void **state)
{
    (void)state;
    // A thread that joins during exit() would wait for ever: brood.h has such a program call
    // brood_shutdown() first.
    if (exit_lets_one_thread_in())
        skip();
    static const int32_t returns[] = { true, false };
    int32_t methods[MOST_METHODS];
    const size_t methods_count = methods_of_this_system(methods);
    for (size_t i = 0; i < methods_count; i++)
        for (size_t j = 0; j < 2; j++)
            for (int round = 0; round < 10; round++)
                assert_process_ends(
                    started_by(methods[i], exit_in_threads, &returns[j], sizeof(int32_t)), 6);
}

static void a_handler_that_exits_skips_no_other(void **state)
{
    (void)state;
    static const brood_target targets[] = { exit_in_a_handler, exit_in_a_handler_again };
    int32_t methods[MOST_METHODS];
    const size_t methods_count = methods_of_this_system(methods);
    for (size_t i = 0; i < methods_count; i++)
        for (size_t j = 0; j < 2; j++) {
            note("handler of brood", 0);
            assert_process_ends(started_by(methods[i], targets[j], NULL, 0), 6);
            assert_int_equal(noted("handler of brood"), 1);
        }
}

static void exit_may_be_called_anywhere(void **state)
{
    (void)state;
    static const brood_target places[] = { exit_in_the_destructor_of_a_local, exit_in_a_thread,
                                           exit_in_a_handler, exit_in_a_handler_again };
    static const int32_t modes[] = { BROOD_DAEMON_NO, BROOD_DAEMON_YES };
    int32_t methods[MOST_METHODS];
    const size_t methods_count = methods_of_this_system(methods);
    for (size_t i = 0; i < methods_count; i++)
        for (size_t j = 0; j < sizeof places / sizeof places[0]; j++)
            for (size_t k = 0; k < sizeof modes / sizeof modes[0]; k++)
                assert_process_ends(started_by(methods[i], places[j], &modes[k], sizeof(int32_t)),
                                    6);
}

// Streams

static int read_for_ever(void *unused)
{
    (void)unused;
    note("reads", 1);
    (void)getchar();
    return 0;
}

static int return_beside_a_reader(void *arg)
{
    const brood_thread_options options = { .daemon = BROOD_DAEMON_YES };
    platform_input_replace(((brood_resource *)arg)->value);
    CHECK(brood_thread_start(NULL, read_for_ever, NULL, 0, &options) == BROOD_OK);
    CHECK(await_note("reads", 1));
    brood_sleep(A_WHILE);
    return 0x1234;
}

static int replace_input_and_return(void *unused)
{
    brood_resource resource;
    (void)unused;
    CHECK(brood_self_resource(0, &resource) == BROOD_OK);
    return return_beside_a_reader(&resource);
}

static void a_daemon_thread_in_a_read_does_not_hold_up_the_end(void **state)
{
    (void)state;
    intptr_t ends[2];
    int32_t methods[MOST_METHODS];
    const size_t methods_count = methods_of_this_system(methods);
    platform_pipe(ends);
    const brood_resource resource = { .kind = BROOD_RESOURCE_DESCRIPTOR, .value = ends[0] };
    for (size_t i = 0; i < methods_count; i++) {
        const brood_process_options options = { .method = methods[i],
                                                .resources = &resource,
                                                .resource_count = 1 };
        brood_process *process;
        note("reads", 0);
        assert_status(brood_process_start(&process, replace_input_and_return, NULL, 0, &options),
                      BROOD_OK);
        assert_process_ends(process, 0x1234);
    }
    platform_close(ends[0]);
    platform_close(ends[1]);
}

// The copy has the parent's stream, including what the parent has read ahead.
static void a_copy_that_returns_keeps_the_position_of_its_parent_s_files(void **state)
{
    (void)state;
    char path[512];
    char text[64] = "";
    foreign_file_name(path, sizeof path, "read");
    FILE *file = fopen(path, "w+");
    assert_non_null(file);
    assert_true(fputs("first\nsecond\nthird\n", file) >= 0 && fseek(file, 0, SEEK_SET) == 0);
    assert_non_null(fgets(text, sizeof text, file));
    for (int i = 0; i < 2; i++)
        assert_process_ends(started_by(method_here(BROOD_START_FORK), nothing, NULL, 0), 0);
    assert_non_null(fgets(text, sizeof text, file));
    assert_string_equal(text, "second\n");
    assert_non_null(fgets(text, sizeof text, file));
    assert_string_equal(text, "third\n");
    assert_null(fgets(text, sizeof text, file));
    (void)fclose(file);
    foreign_file_remove(path);
}

int main(void)
{
    if (atexit(act_last) != 0)
        abort();
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fresh_image_that_returns_runs_its_handlers_once),
        cmocka_unit_test(a_child_that_exits_runs_its_handlers_once),
        cmocka_unit_test(no_child_that_returns_runs_handlers_of_its_parent),
        cmocka_unit_test(all_bits_of_the_code_arrive),
        cmocka_unit_test(a_crash_after_the_return_is_a_crash),
        cmocka_unit_test(an_exit_code_set_after_the_return_is_reported),
        cmocka_unit_test(threads_are_joined_before_older_handlers_run),
        cmocka_unit_test(a_thread_may_register_a_handler_after_the_return),
        cmocka_unit_test(a_thread_may_exit_after_the_return),
        cmocka_unit_test(the_last_thread_ends_the_process),
        cmocka_unit_test(the_last_thread_ends_the_process_even_if_one_has_started_a_child),
        cmocka_unit_test(exit_may_be_called_anywhere),
        cmocka_unit_test(threads_that_exit_at_once_do_not_wait_for_each_other),
        cmocka_unit_test(a_handler_that_exits_skips_no_other),
        cmocka_unit_test(a_daemon_thread_in_a_read_does_not_hold_up_the_end),
        cmocka_unit_test(a_copy_that_returns_keeps_the_position_of_its_parent_s_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
