// SPDX-License-Identifier: MIT
// The place of pools in the end of a process: functions stand for them that note what they find.
#include "../children.h"

#include "arena/self.h"
#include "process/ending.h"

#include <stdlib.h>

static int order; // of the notes that this process makes

static void note_next(const char *name)
{
    note(name, (uint64_t)++order);
}

static const struct {
    const char *name;
    uint64_t number;
} expected[] = { { "thread", 1 }, { "pools", 2 }, { "handler", 3 } };

static int end_last(void *unused)
{
    (void)unused;
    brood_sleep(BROOD_MILLISECONDS(20)); // the end waits for this thread
    note_next("thread");
    return 0;
}

static brood_process *daemon_child;

static bool can_start(void)
{
    brood_thread *thread = NULL;
    const brood_status status = brood_thread_start(&thread, nothing, NULL, 0, NULL);
    brood_thread_drop(thread);
    return status != BROOD_WRONG_STATE;
}

// The order is run more than once by exit(), so this is called again when it is done.
static brood_status end_pools(int64_t deadline)
{
    if (noted("pools"))
        return BROOD_OK;
    note_next("pools");
    note("deadline", (uint64_t)deadline);
    note("daemon lives", brood_process_is_alive(daemon_child));
    note("can start", can_start());
    return BROOD_OK;
}

static void forget_nothing(void)
{
}

static const struct broodi_ending_pools pools = { .end = end_pools, .forget = forget_nothing };

static void note_handler(void *unused)
{
    (void)unused;
    note_next("handler");
    note("daemon lives at last", brood_process_is_alive(daemon_child));
}

static int begin_everything(void)
{
    const brood_process_options options = { .daemon = BROOD_DAEMON_YES };
    broodi_ending_include_pools(&pools);
    CHECK(brood_at_exit(note_handler, NULL) == BROOD_OK);
    CHECK(brood_process_start(&daemon_child, stay_for_ever, NULL, 0, &options) == BROOD_OK);
    CHECK(brood_thread_start(NULL, end_last, NULL, 0, NULL) == BROOD_OK);
    return 0;
}

static int end_by_return(void *unused)
{
    (void)unused;
    return begin_everything();
}

static int end_by_exit(void *unused)
{
    (void)unused;
    exit(begin_everything());
}

static int end_by_shutdown(void *unused)
{
    (void)unused;
    const int line = begin_everything();
    return line ? line : brood_shutdown(MEETING_PATIENCE) == BROOD_OK ? 0 : __LINE__;
}

static void clear_notes(void)
{
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        note(expected[i].name, 0);
    note("daemon lives", 0);
    note("can start", 99);
    note("daemon lives at last", 99);
}

static void assert_notes(void)
{
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        assert_int_equal(noted(expected[i].name), expected[i].number);
    assert_int_equal(noted("daemon lives"), 1);
    assert_int_equal(noted("can start"), 0);
    assert_int_equal(noted("daemon lives at last"), 0);
}

static void pools_end_between_threads_and_daemons(void **state)
{
    static const brood_target targets[] = { end_by_return, end_by_exit, end_by_shutdown };
    (void)state;
    for (int32_t method = BROOD_START_SPAWN; method <= BROOD_START_FORK; method++)
        for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
            if (!system_has(method) || (method == BROOD_START_FORK && targets[i] == end_by_exit))
                continue;
            clear_notes();
            const brood_exit ended = end_of(started_by(method, targets[i], NULL, 0));
            assert_int_equal(ended.kind, BROOD_EXITED);
            assert_notes();
        }
}

// An end that is not done in time

static int calls;

static brood_status end_at_the_second_call(int64_t deadline)
{
    note("deadline", (uint64_t)deadline);
    return ++calls == 1 ? BROOD_TIMEOUT : BROOD_OK;
}

static const struct broodi_ending_pools slow = { .end = end_at_the_second_call,
                                                 .forget = forget_nothing };

static int shut_down_twice(void *unused)
{
    const brood_process_options options = { .daemon = BROOD_DAEMON_YES };
    (void)unused;
    broodi_ending_include_pools(&slow);
    broodi_ending_include_pools(&pools); // does nothing
    CHECK(brood_at_exit(note_handler, NULL) == BROOD_OK);
    CHECK(brood_process_start(&daemon_child, stay_for_ever, NULL, 0, &options) == BROOD_OK);
    const int64_t before = brood_clock();
    CHECK(brood_shutdown(BROOD_SECONDS(5)) == BROOD_TIMEOUT && calls == 1);
    CHECK((int64_t)noted("deadline") >= before + BROOD_SECONDS(5));
    CHECK(brood_process_is_alive(daemon_child) && noted("handler") == 0);
    CHECK(brood_shutdown(BROOD_FOREVER) == BROOD_OK && calls == 2);
    CHECK(noted("deadline") == INT64_MAX);
    CHECK(!brood_process_is_alive(daemon_child) && noted("handler") == 1);
    return 0;
}

static void an_end_of_pools_that_times_out_is_repeated(void **state)
{
    (void)state;
    clear_notes();
    assert_process_ends(started_process(shut_down_twice, NULL, 0), 0);
}

// Starts during the first join

static atomic_int may_start;

static int start_as_attendant(void *attends)
{
    broodi_self()->attends_pools = attends != NULL;
    CHECK(await_note("ending", 1));
    // The end has begun, but not yet refused this thread, for a moment: try until it has an answer
    // that stays.
    const int64_t deadline = brood_clock() + BROOD_MILLISECONDS(200);
    bool can = true;
    while (can && brood_clock() < deadline)
        can = can_start();
    atomic_store(&may_start, can ? 1 : 2);
    note("tried", 1);
    (void)await_note("never", 1);
    return 0;
}

static int wait_for_the_attendant(void *unused)
{
    (void)unused;
    note("ending", 1);
    return await_note("tried", 1) ? 0 : 1;
}

static int start_while_threads_are_joined(void *attends)
{
    static bool mark;
    const brood_thread_options options = { .daemon = BROOD_DAEMON_YES };
    CHECK(brood_thread_start(NULL, start_as_attendant, *(int *)attends ? &mark : NULL, 0,
                             &options) == BROOD_OK);
    CHECK(brood_thread_start(NULL, wait_for_the_attendant, NULL, 0, NULL) == BROOD_OK);
    CHECK(brood_shutdown(MEETING_PATIENCE) == BROOD_OK);
    return atomic_load(&may_start);
}

static void threads_that_attend_to_pools_may_start_while_threads_are_joined(void **state)
{
    (void)state;
    for (int attends = 0; attends <= 1; attends++) {
        note("ending", 0);
        note("tried", 0);
        assert_process_ends(
            started_process(start_while_threads_are_joined, &attends, sizeof attends),
            attends ? 1 : 2);
    }
}

// Copies

static int forgets;

static void count_forget(void)
{
    forgets++;
}

static brood_status note_end(int64_t deadline)
{
    (void)deadline;
    note("ended in", (uint64_t)brood_self_pid());
    return BROOD_OK;
}

static const struct broodi_ending_pools counted = { .end = note_end, .forget = count_forget };

static int be_a_copy(void *unused)
{
    (void)unused;
    return forgets;
}

static int make_a_copy(void *unused)
{
    (void)unused;
    broodi_ending_include_pools(&counted);
    CHECK(code_of_child(BROOD_START_FORK, be_a_copy, NULL, 0) == 1);
    CHECK(platform_guest(be_a_copy, NULL) == 1);
    return forgets;
}

static void a_copy_forgets_the_pools_of_its_parent(void **state)
{
    (void)state;
    if (!platform_has_fork())
        return;
    note("ended in", 0);
    brood_process *process = started_process(make_a_copy, NULL, 0);
    const brood_pid pid = brood_process_pid(process);
    assert_process_ends(process, 0);
    assert_int_equal(noted("ended in"), pid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pools_end_between_threads_and_daemons),
        cmocka_unit_test(an_end_of_pools_that_times_out_is_repeated),
        cmocka_unit_test(threads_that_attend_to_pools_may_start_while_threads_are_joined),
        cmocka_unit_test(a_copy_forgets_the_pools_of_its_parent),
    };
    brood_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
