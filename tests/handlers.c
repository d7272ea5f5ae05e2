// SPDX-License-Identifier: MIT
// The handlers of brood_at_exit(). tests/program.c sees those of the main process from outside.
#include "children.h"
#include "steps.h"

#include "../src/base/atomic.h"
#include "foreign.h"
#include "platform.h"

#include <stdlib.h>
#include <string.h>

static int register_some(void *arg)
{
    CHECK(append_at_exit(1) == BROOD_OK);
    CHECK(append_at_exit(2) == BROOD_OK);
    CHECK(append_at_exit(3) == BROOD_OK);
    CHECK(append_at_exit(2) == BROOD_OK); // a handler registered again runs again
    CHECK(noted("steps") == 0);
    return leave(*(int *)arg, 21);
}

static void handlers_run_newest_first_each_once_with_its_argument(void **state)
{
    (void)state;
    for (int way = 0; way < WAYS; way++) {
        for (int32_t method = BROOD_START_SPAWN; method <= BROOD_START_FORK; method++) {
            if (!system_has(method))
                continue;
            begin_steps();
            assert_process_ends(started_by(method, register_some, &way, sizeof way), 21);
            ASSERT_STEPS(2, 3, 2, 1);
        }
    }
}

enum { ANCESTOR = 1, DESCENDANT };

static int register_and_leave(void *arg)
{
    CHECK(append_at_exit(DESCENDANT) == BROOD_OK);
    return leave(*(int *)arg, 0);
}

static int leave_at_once(void *arg)
{
    return leave(*(int *)arg, 0);
}

static int leave_as_guest(void *arg)
{
    (void)arg;
    exit(9);
}

static int register_and_have_children(void *arg)
{
    CHECK(append_at_exit(ANCESTOR) == BROOD_OK);
    for (int way = 0; way < WAYS; way++) {
        for (int32_t method = BROOD_START_SPAWN; method <= BROOD_START_FORK; method++) {
            if (!system_has(method))
                continue;
            const uint64_t before = noted("steps");
            CHECK(code_of_child(method, leave_at_once, &way, sizeof way) == 0);
            CHECK(noted("steps") == before);
            CHECK(code_of_child(method, register_and_leave, &way, sizeof way) == 0);
            CHECK(noted("steps") == before + 1);
            CHECK(noted_of("step", (unsigned)before + 1) == DESCENDANT);
        }
    }
    // A guest runs none of the handlers when it ends.
    const uint64_t before = noted("steps");
    CHECK(platform_guest(leave_as_guest, NULL) == (platform_has_fork() ? 9 : -1));
    CHECK(noted("steps") == before);
    return leave(*(int *)arg, 0);
}

static void a_handler_runs_in_the_process_that_registered_it_and_in_no_other(void **state)
{
    (void)state;
    const unsigned methods = platform_has_fork() ? 3 : 1;
    for (int way = 0; way < WAYS; way++) {
        begin_steps();
        assert_process_ends(started_process(register_and_have_children, &way, sizeof way), 0);
        assert_int_equal(noted("steps"), WAYS * methods + 1);
        assert_int_equal(noted_of("step", WAYS * methods + 1), ANCESTOR);
        forget_steps();
    }
}

enum { BY_QUICK_EXIT, BY_ABORT, BY_KILL, BY_TERMINATE, VIOLENT_WAYS };

static int register_and_die(void *arg)
{
    const int way = *(int *)arg;
    CHECK(append_at_exit(1) == BROOD_OK);
    if (way == BY_QUICK_EXIT)
        _Exit(4);
    if (way == BY_ABORT)
        abort();
    note("registered", 1);
    (void)await_note("never", 1);
    return 0;
}

static void no_handler_runs_when_a_process_dies_or_calls_the_exit_of_the_system(void **state)
{
    (void)state;
    for (int way = 0; way < VIOLENT_WAYS; way++) {
        begin_steps();
        note("registered", 0);
        brood_process *process = started_process(register_and_die, &way, sizeof way);
        if (way == BY_KILL || way == BY_TERMINATE)
            assert_true(await_note("registered", 1));
        if (way == BY_KILL)
            assert_status(brood_process_kill(process), BROOD_OK);
        if (way == BY_TERMINATE)
            assert_status(brood_process_terminate(process), BROOD_OK);
        assert_status(brood_process_join(process, MEETING_PATIENCE, NULL), BROOD_OK);
        brood_process_drop(process);
        assert_steps(NULL, 0);
    }
}

static void note_thread(void *arg)
{
    (void)arg;
    note("thread of the handler", brood_self_thread_id());
}

static int note_thread_and_leave(void *arg)
{
    note("thread of the end", brood_self_thread_id());
    return leave(*(int *)arg, 0);
}

static int register_and_end_here(void *arg)
{
    CHECK(brood_at_exit(note_thread, NULL) == BROOD_OK);
    return note_thread_and_leave(arg);
}

static int register_and_end_in_a_thread(void *arg)
{
    static const int way = BY_EXIT;
    (void)arg;
    CHECK(brood_at_exit(note_thread, NULL) == BROOD_OK);
    CHECK(brood_thread_start(NULL, note_thread_and_leave, &way, sizeof way, NULL) == BROOD_OK);
    (void)await_note("never", 1);
    return __LINE__;
}

static void note_thread_and_exit(void *arg)
{
    (void)note_thread_and_leave(arg);
}

static int register_and_end_in_a_foreign_thread(void *arg)
{
    static foreign_thread *thread;
    static int way = BY_EXIT;
    (void)arg;
    CHECK(brood_at_exit(note_thread, NULL) == BROOD_OK);
    thread = foreign_thread_start(note_thread_and_exit, &way);
    (void)await_note("never", 1);
    foreign_thread_join(thread);
    return __LINE__;
}

static void expect_handler_in_the_thread_of_the_end(brood_target target, int way)
{
    note("thread of the handler", 0);
    note("thread of the end", 0);
    assert_process_ends(started_process(target, &way, sizeof way), 0);
    assert_int_not_equal(noted("thread of the end"), 0);
    assert_int_equal(noted("thread of the handler"), noted("thread of the end"));
}

static void handlers_run_in_the_thread_that_ends_the_process(void **state)
{
    (void)state;
    for (int way = 0; way < WAYS; way++)
        expect_handler_in_the_thread_of_the_end(register_and_end_here, way);
    expect_handler_in_the_thread_of_the_end(register_and_end_in_a_thread, BY_EXIT);
    expect_handler_in_the_thread_of_the_end(register_and_end_in_a_foreign_thread, BY_EXIT);
}

static void append_and_register_others(void *arg)
{
    append(arg);
    if (append_at_exit(11) != BROOD_OK || append_at_exit(12) != BROOD_OK)
        append_step(99);
}

static void append_and_register_the_next(void *arg)
{
    const uintptr_t left = (uintptr_t)arg;
    append(arg);
    if (left > 20 && brood_at_exit(append_and_register_the_next, (void *)(left - 1)) != BROOD_OK)
        append_step(99);
}

static int register_what_registers(void *arg)
{
    CHECK(brood_at_exit(append_and_register_the_next, (void *)(uintptr_t)22) == BROOD_OK);
    CHECK(append_at_exit(2) == BROOD_OK);
    CHECK(brood_at_exit(append_and_register_others, (void *)(uintptr_t)3) == BROOD_OK);
    return leave(*(int *)arg, 0);
}

// A handler that a handler registers is the newest, and so runs next; even one that the last
// handler registers.
static void a_handler_may_register_others(void **state)
{
    (void)state;
    for (int way = 0; way < WAYS; way++) {
        begin_steps();
        assert_process_ends(started_process(register_what_registers, &way, sizeof way), 0);
        ASSERT_STEPS(3, 12, 11, 2, 22, 21, 20);
    }
}

enum { MANY_HANDLERS = 1000 };

static uintptr_t next_to_run = MANY_HANDLERS;

static void count_down(void *arg)
{
    if ((uintptr_t)arg == next_to_run)
        next_to_run--;
}

static void note_count(void *arg)
{
    (void)arg;
    note("not run", next_to_run + 1);
}

static int register_many(void *arg)
{
    CHECK(brood_at_exit(note_count, NULL) == BROOD_OK);
    for (uintptr_t i = 1; i <= MANY_HANDLERS; i++)
        CHECK(brood_at_exit(count_down, (void *)i) == BROOD_OK);
    return leave(*(int *)arg, 0);
}

static void there_can_be_a_thousand_handlers(void **state)
{
    (void)state;
    for (int way = 0; way < WAYS; way++) {
        note("not run", 0);
        assert_process_ends(started_process(register_many, &way, sizeof way), 0);
        assert_int_equal(noted("not run"), 1);
    }
}

static _Atomic unsigned runs;

static void count_run(void *arg)
{
    (void)arg;
    atomic_fetch_add(&runs, 1);
}

static void note_runs(void *arg)
{
    (void)arg;
    note("runs", atomic_load(&runs) + 1);
}

enum { REGISTRARS = 4, EACH_REGISTERS = 200 };

static int register_in_a_thread(void *arg)
{
    (void)arg;
    for (int i = 0; i < EACH_REGISTERS; i++)
        CHECK(brood_at_exit(count_run, NULL) == BROOD_OK);
    return 0;
}

// Only the end of the process joins the threads.
static int register_in_threads(void *arg)
{
    CHECK(brood_at_exit(note_runs, NULL) == BROOD_OK);
    for (int i = 0; i < REGISTRARS; i++)
        CHECK(brood_thread_start(NULL, register_in_a_thread, NULL, 0, NULL) == BROOD_OK);
    return leave(*(int *)arg, 0);
}

static void threads_register_handlers_at_the_same_time(void **state)
{
    (void)state;
    for (int way = 0; way < WAYS; way++) {
        note("runs", 0);
        assert_process_ends(started_process(register_in_threads, &way, sizeof way), 0);
        assert_int_equal(noted("runs"), REGISTRARS * EACH_REGISTERS + 1);
    }
}

static void a_handler_must_be_a_function(void **state)
{
    (void)state;
    int arg;
    assert_status(brood_at_exit(NULL, NULL), BROOD_INVALID);
    assert_last_error_names("brood_at_exit");
    assert_status(brood_at_exit(NULL, &arg), BROOD_INVALID);
}

static void try_to_start(void *arg)
{
    (void)arg;
    note("line of a start", (uint64_t)line_of_a_start() + 1);
}

static int try_to_start_in_a_handler(void *arg)
{
    CHECK(brood_at_exit(try_to_start, NULL) == BROOD_OK);
    return leave(*(int *)arg, 0);
}

static void nothing_can_be_started_in_a_handler(void **state)
{
    (void)state;
    for (int way = 0; way < WAYS; way++) {
        note("line of a start", 0);
        assert_process_ends(started_process(try_to_start_in_a_handler, &way, sizeof way), 0);
        assert_int_equal(noted("line of a start"), 1);
    }
}

static int line_of_use(const struct place *place)
{
    brood_lock own;
    const brood_lock known = { noted("lock of steps") };
    char text[8] = "";
    CHECK(brood_lock_create(&own) == BROOD_OK);
    CHECK(brood_lock_acquire(own, BROOD_NOW) == BROOD_OK);
    CHECK(brood_lock_acquire(known, MEETING_PATIENCE) == BROOD_OK);
    CHECK(brood_lock_release(known) == BROOD_OK);
    CHECK(brood_lock_release(own) == BROOD_OK);
    CHECK(brood_lock_destroy(own) == BROOD_OK);
    CHECK(brood_registry_set("set in a handler", 5) == BROOD_OK && noted("set in a handler") == 5);
    CHECK(brood_registry_set("set in a handler", 0) == BROOD_OK && noted("set in a handler") == 0);
    FILE *file = fopen(place->path, "w+");
    CHECK(file && fputs("works", file) >= 0 && fseek(file, 0, SEEK_SET) == 0);
    CHECK(fgets(text, sizeof text, file) && strcmp(text, "works") == 0 && fclose(file) == 0);
    return 0;
}

static void use_all(void *arg)
{
    note("line of use", (uint64_t)line_of_use(arg) + 1);
}

static int use_all_in_a_handler(void *arg)
{
    struct printer *self = arg;
    CHECK(brood_at_exit(use_all, &self->place) == BROOD_OK);
    return leave(self->way, 0);
}

static void a_handler_can_use_locks_the_registry_and_files(void **state)
{
    (void)state;
    struct printer printer = { .place = made_text_file() };
    for (printer.way = 0; printer.way < WAYS; printer.way++) {
        begin_steps();
        note("line of use", 0);
        assert_process_ends(started_process(use_all_in_a_handler, &printer, sizeof printer), 0);
        assert_int_equal(noted("line of use"), 1);
        assert_text(&printer.place, "works");
        assert_steps(NULL, 0);
    }
}

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handlers_run_newest_first_each_once_with_its_argument),
        cmocka_unit_test(a_handler_runs_in_the_process_that_registered_it_and_in_no_other),
        cmocka_unit_test(no_handler_runs_when_a_process_dies_or_calls_the_exit_of_the_system),
        cmocka_unit_test(handlers_run_in_the_thread_that_ends_the_process),
        cmocka_unit_test(a_handler_may_register_others),
        cmocka_unit_test(there_can_be_a_thousand_handlers),
        cmocka_unit_test(threads_register_handlers_at_the_same_time),
        cmocka_unit_test(a_handler_must_be_a_function),
        cmocka_unit_test(nothing_can_be_started_in_a_handler),
        cmocka_unit_test(a_handler_can_use_locks_the_registry_and_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
