// SPDX-License-Identifier: MIT
// How a child ended, and how that is reported.
#include "children.h"
#include "platform.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

static void a_child_returns_all_32_bits_of_its_code(void **state)
{
    (void)state;
    static const int codes[] = { 0,
                                 1,
                                 3,
                                 8,
                                 70,
                                 255,
                                 256,
                                 259,
                                 0x1000F,
                                 -1,
                                 -15,
                                 0x12345678,
                                 INT_MAX,
                                 INT_MIN,
                                 0x10009,
                                 0x40000005,
                                 (int)0xC000013A };
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        const brood_exit ended =
            end_of(started_process(code_of_argument, &codes[i], sizeof codes[i]));
        assert_end(ended, BROOD_EXITED, BROOD_CRASH_NONE, codes[i]);
        assert_int_equal(ended.code, codes[i]);
        assert_true(ended.native ==
                    (platform_has_signals() ? codes[i] & 0xff : (int64_t)(uint32_t)codes[i]));
    }
}

static int leave_by_exit(void *arg)
{
    exit(*(int *)arg);
}

// POSIX keeps only 8 bits of what exit() was given.
static void a_child_may_leave_by_exit(void **state)
{
    (void)state;
    static const int codes[] = { 0, 1, 3, 5, 8, 255, 256, 0x10009, 0x1000F, 0x12345678 };
    const int kept = platform_has_signals() ? 0xff : -1;
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        assert_end(end_of(started_process(leave_by_exit, &codes[i], sizeof codes[i])), BROOD_EXITED,
                   BROOD_CRASH_NONE, codes[i] & kept);
}

static int leave_by_the_system(void *arg)
{
    _Exit(*(int *)arg);
}

static void a_child_may_leave_by_the_system_itself(void **state)
{
    (void)state;
    const int code = 4;
    assert_end(end_of(started_process(leave_by_the_system, &code, sizeof code)), BROOD_EXITED,
               BROOD_CRASH_NONE, 4);
}

// Ends by a fault, or from outside, under every method.

enum fault { ACCESS, ABORT, ILLEGAL, ARITHMETIC, STACK, FAULTS };

static int crash(void *arg)
{
    switch (*(int *)arg) {
    case ACCESS:
        platform_crash();
    case ILLEGAL:
        platform_crash_illegal();
    case ARITHMETIC:
        platform_crash_arithmetic();
    case STACK:
        platform_crash_stack();
    default:
        abort();
    }
}

static void assert_text_begins(brood_exit ended, const char *start)
{
    char text[128];
    (void)brood_exit_text(ended, text, sizeof text);
    if (strncmp(text, start, strlen(start)) != 0)
        fail_msg("\"%s\" does not begin with \"%s\"", text, start);
}

static void a_crash_is_reported_with_its_kind_under_every_method(void **state)
{
    (void)state;
    const bool posix = platform_has_signals();
    const struct {
        brood_crash crash;
        int number;
        const char *text;
    } ends[FAULTS] = {
        [ACCESS] = { BROOD_CRASH_ACCESS, -11, "crashed: bad memory access" },
        [ABORT] = { BROOD_CRASH_ABORT, -6, "crashed: abort" },
        [ILLEGAL] = { BROOD_CRASH_ILLEGAL, -4, "crashed: illegal instruction" },
        [ARITHMETIC] = { BROOD_CRASH_ARITHMETIC, -8, "crashed: arithmetic fault" },
        [STACK] = { posix ? BROOD_CRASH_ACCESS : BROOD_CRASH_STACK, -11,
                    posix ? "crashed: bad memory access" : "crashed: stack overflow" },
    };
    int32_t methods[MOST_METHODS];
    const size_t count = methods_of_this_system(methods);
    for (size_t i = 0; i < count * FAULTS; i++) {
        const brood_process_options options = { .method = methods[i / FAULTS] };
        const int fault = (int)(i % FAULTS);
        const brood_exit ended = end_of(started_with(crash, &fault, sizeof fault, &options));
        assert_end(ended, BROOD_CRASHED, ends[fault].crash, ends[fault].number);
        assert_text_begins(ended, ends[fault].text);
    }
}

static int be_interrupted(void *arg)
{
    (void)arg;
    platform_interrupt();
}

static void expect_interrupted(brood_process *process)
{
    const brood_exit ended = end_of(process);
    assert_end(ended, BROOD_SIGNALLED, BROOD_CRASH_NONE, -2);
    assert_int_equal(ended.native, 2);
    assert_int_equal(ended.code, 0);
    assert_text_begins(ended, "ended by signal 2");
}

static void an_interrupt_is_a_signal_under_every_method(void **state)
{
    (void)state;
    int32_t methods[MOST_METHODS];
    const size_t count = methods_of_this_system(methods);
    for (size_t i = 0; i < count; i++) {
        const brood_process_options options = { .method = methods[i] };
        expect_interrupted(started_with(be_interrupted, NULL, 0, &options));
    }
}

// Where an interrupt is an exit code, a program that cleans up first passes it to exit().
static void an_interrupt_may_be_passed_on_by_exit(void **state)
{
    (void)state;
    const int code = platform_interrupt_code();
    if (code == 0) {
        print_message("skipped: this system has no exit code for an interrupt\n");
        skip();
    }
    expect_interrupted(started_process(leave_by_exit, &code, sizeof code));
    expect_interrupted(started_process(leave_by_the_system, &code, sizeof code));
}

static void an_end_by_another_is_reported_with_its_cause_under_every_method(void **state)
{
    (void)state;
    int32_t methods[MOST_METHODS];
    const size_t count = methods_of_this_system(methods);
    for (size_t i = 0; i < count; i++) {
        const brood_process_options options = { .method = methods[i] };
        note("leave", 0);
        brood_process *process = started_with(stay, NULL, 0, &options);
        assert_status(brood_process_terminate(process), BROOD_OK);
        brood_exit ended = end_of(process);
        assert_end(ended, BROOD_TERMINATED, BROOD_CRASH_NONE, -15);
        assert_text_begins(ended, "terminated by its parent");
        process = started_with(stay, NULL, 0, &options);
        assert_status(brood_process_kill(process), BROOD_OK);
        ended = end_of(process);
        assert_end(ended, BROOD_TERMINATED, BROOD_CRASH_NONE, -9);
        assert_text_begins(ended, "killed by its parent");
        process = started_with(stay, NULL, 0, &options);
        platform_process_kill(brood_process_pid(process));
        ended = end_of(process);
        if (platform_has_signals())
            assert_end(ended, BROOD_SIGNALLED, BROOD_CRASH_NONE, -9);
        else
            assert_true(ended.kind == BROOD_EXITED || ended.kind == BROOD_LOST);
        assert_int_not_equal(brood_exit_number(ended), 0);
    }
}

static void a_code_arrives_whole_under_every_method(void **state)
{
    (void)state;
    static const int codes[] = { 0, 1, 8, 255, 0x12345678, -1 };
    int32_t methods[MOST_METHODS];
    const size_t count = methods_of_this_system(methods);
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < sizeof codes / sizeof codes[0]; k++) {
            const brood_process_options options = { .method = methods[i] };
            char text[64];
            const brood_exit ended =
                end_of(started_with(code_of_argument, &codes[k], sizeof codes[k], &options));
            assert_end(ended, BROOD_EXITED, BROOD_CRASH_NONE, codes[k]);
            (void)snprintf(text, sizeof text, "exited with code %d", codes[k]);
            assert_text_begins(ended, text);
        }
}

static void terminate_ends_a_child_with_number_minus_15(void **state)
{
    (void)state;
    brood_process *process = started_stayer();
    assert_status(brood_process_terminate(process), BROOD_OK);
    const brood_exit ended = end_of(process);
    assert_end(ended, BROOD_TERMINATED, BROOD_CRASH_NONE, -15);
    assert_int_equal(ended.native, 15);
}

static void kill_ends_a_child_with_number_minus_9(void **state)
{
    (void)state;
    brood_process *process = started_stayer();
    assert_status(brood_process_kill(process), BROOD_OK);
    const brood_exit ended = end_of(process);
    assert_end(ended, BROOD_TERMINATED, BROOD_CRASH_NONE, -9);
    assert_int_equal(ended.native, 9);
}

static void a_child_killed_from_outside_is_not_taken_for_terminated(void **state)
{
    (void)state;
    brood_process *process = started_stayer();
    platform_process_kill(brood_process_pid(process));
    const brood_exit ended = end_of(process);
    if (platform_has_signals()) {
        assert_end(ended, BROOD_SIGNALLED, BROOD_CRASH_NONE, -9);
        assert_int_equal(ended.native, 9);
    } else {
        assert_true(ended.kind == BROOD_EXITED || ended.kind == BROOD_LOST);
        assert_int_not_equal(brood_exit_number(ended), 0);
    }
}

static void ending_an_ended_child_changes_nothing(void **state)
{
    (void)state;
    const int code = 11;
    brood_process *process = started_process(code_of_argument, &code, sizeof code);
    assert_status(brood_process_join(process, MEETING_PATIENCE, NULL), BROOD_OK);
    assert_status(brood_process_terminate(process), BROOD_OK);
    assert_status(brood_process_kill(process), BROOD_OK);
    assert_end(end_of(process), BROOD_EXITED, BROOD_CRASH_NONE, code);
}

static void each_kind_of_end_has_a_text(void **state)
{
    (void)state;
    static const struct {
        brood_exit ended;
        int number;
    } rows[] = {
        { { .kind = BROOD_RUNNING }, 0 },
        { { .kind = BROOD_EXITED, .code = 3 }, 3 },
        { { .kind = BROOD_CRASHED, .crash = BROOD_CRASH_ACCESS }, -11 },
        { { .kind = BROOD_CRASHED, .crash = BROOD_CRASH_ABORT }, -6 },
        { { .kind = BROOD_CRASHED, .crash = BROOD_CRASH_ILLEGAL }, -4 },
        { { .kind = BROOD_CRASHED, .crash = BROOD_CRASH_ARITHMETIC }, -8 },
        { { .kind = BROOD_CRASHED, .crash = BROOD_CRASH_STACK }, -11 },
        { { .kind = BROOD_CRASHED, .crash = BROOD_CRASH_BUS }, -7 },
        { { .kind = BROOD_SIGNALLED, .native = 9 }, -9 },
        { { .kind = BROOD_TERMINATED, .native = 15 }, -15 },
        { { .kind = BROOD_LOST }, 255 },
        { { .kind = 77 }, 255 },
        { { .kind = BROOD_CRASHED, .crash = 77 }, -5 },
        { { .kind = BROOD_CRASHED, .crash = -1 }, -5 },
    };
    char seen[sizeof rows / sizeof rows[0]][128];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(brood_exit_number(rows[i].ended), rows[i].number);
        const size_t length = brood_exit_text(rows[i].ended, seen[i], sizeof seen[i]);
        assert_true(length > 0 && length == strlen(seen[i]));
        assert_true(brood_exit_text(rows[i].ended, NULL, 0) == length);
        char cut[6] = "xxxxx";
        assert_true(brood_exit_text(rows[i].ended, cut, sizeof cut) == length);
        assert_int_equal(strlen(cut), sizeof cut - 1);
        assert_memory_equal(cut, seen[i], sizeof cut - 1);
    }
    assert_string_equal(seen[1], "exited with code 3");
}

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_returns_all_32_bits_of_its_code),
        cmocka_unit_test(a_child_may_leave_by_exit),
        cmocka_unit_test(a_child_may_leave_by_the_system_itself),
        cmocka_unit_test(a_crash_is_reported_with_its_kind_under_every_method),
        cmocka_unit_test(an_interrupt_is_a_signal_under_every_method),
        cmocka_unit_test(an_interrupt_may_be_passed_on_by_exit),
        cmocka_unit_test(an_end_by_another_is_reported_with_its_cause_under_every_method),
        cmocka_unit_test(a_code_arrives_whole_under_every_method),
        cmocka_unit_test(terminate_ends_a_child_with_number_minus_15),
        cmocka_unit_test(kill_ends_a_child_with_number_minus_9),
        cmocka_unit_test(a_child_killed_from_outside_is_not_taken_for_terminated),
        cmocka_unit_test(ending_an_ended_child_changes_nothing),
        cmocka_unit_test(each_kind_of_end_has_a_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
