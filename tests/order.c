// SPDX-License-Identifier: MIT
// The order of the end of a child: threads, daemons, children, handlers, streams.
#include "children.h"
#include "steps.h"

#include "foreign.h"
#include "platform.h"

// Longer than a call that does not block may take, however loaded the machine is.
#define AT_ONCE BROOD_SECONDS(10)

// What must not happen would have happened within this time.
#define A_WHILE BROOD_MILLISECONDS(150)

enum { THREAD_ENDS = 1, DAEMON_HAS_ENDED, CHILD_ENDS, NEWER_HANDLER, OLDER_HANDLER, OUT_OF_ORDER };

static brood_process *daemon_of_the_end;
static FILE *file_of_the_end;

// If the daemon were stopped first, it would be gone by then.
static int expect_the_daemon_to_live(void *arg)
{
    (void)arg;
    CHECK(await_note("target is over", 1));
    CHECK(brood_process_join(daemon_of_the_end, A_WHILE, NULL) == BROOD_TIMEOUT);
    append_step(THREAD_ENDS);
    return 0;
}

// If this child were joined first, the daemon would never end. If the handlers did not wait for
// it, they would append a step in between.
static int expect_the_daemon_to_end(void *arg)
{
    const int64_t deadline = brood_clock() + MEETING_PATIENCE;
    (void)arg;
    CHECK(await_note("stays", 1));
    note("watches", 1);
    while (platform_process_lives((brood_pid)noted("stays"))) {
        CHECK(brood_clock() < deadline);
        brood_sleep(BROOD_MILLISECONDS(1));
    }
    append_step(DAEMON_HAS_ENDED);
    CHECK(brood_parent_wait(A_WHILE) == BROOD_TIMEOUT);
    append_step(CHILD_ENDS);
    return 0;
}

static void append_and_print(void *arg)
{
    const bool is_alone = brood_active_children(NULL, 0) == 0 && !platform_has_child();
    append_step(is_alone ? (uint64_t)(uintptr_t)arg : OUT_OF_ORDER);
    (void)fputs("handler ", file_of_the_end); // stays in the buffer
}

static int end_in_order(void *arg)
{
    const struct printer *self = arg;
    const brood_process_options as_daemon = { .daemon = BROOD_DAEMON_YES };
    file_of_the_end = fopen(self->place.path, "w");
    CHECK(file_of_the_end && fputs("target ", file_of_the_end) >= 0);
    CHECK(brood_at_exit(append_and_print, (void *)(uintptr_t)OLDER_HANDLER) == BROOD_OK);
    CHECK(brood_at_exit(append_and_print, (void *)(uintptr_t)NEWER_HANDLER) == BROOD_OK);
    CHECK(brood_process_start(NULL, expect_the_daemon_to_end, NULL, 0, NULL) == BROOD_OK);
    CHECK(brood_process_start(&daemon_of_the_end, stay_for_ever, NULL, 0, &as_daemon) == BROOD_OK);
    CHECK(brood_thread_start(NULL, expect_the_daemon_to_live, NULL, 0, NULL) == BROOD_OK);
    CHECK(await_note("watches", 1));
    note("target is over", 1);
    return leave(self->way, 17);
}

static void
a_child_ends_with_threads_daemons_children_handlers_and_streams_in_this_order(void **state)
{
    (void)state;
    struct printer printer = { .place = made_text_file() };
    for (printer.way = 0; printer.way < WAYS; printer.way++) {
        begin_steps();
        note("stays", 0);
        note("watches", 0);
        note("target is over", 0);
        assert_process_ends(started_process(end_in_order, &printer, sizeof printer), 17);
        ASSERT_STEPS(THREAD_ENDS, DAEMON_HAS_ENDED, CHILD_ENDS, NEWER_HANDLER, OLDER_HANDLER);
        assert_text(&printer.place, "target handler handler ");
    }
}

// The grandchild, which its parent's target has not joined, finds its parent waiting.
static int outlive_the_target(void *arg)
{
    (void)arg;
    CHECK(await_note("target is over", 1));
    CHECK(brood_parent_wait(A_WHILE) == BROOD_TIMEOUT);
    note("grandchild ends", 1);
    return 0;
}

struct parent {
    int32_t method;
    int way;
};

static int leave_a_child_behind(void *arg)
{
    const struct parent *self = arg;
    const brood_process_options options = { .method = self->method };
    CHECK(brood_process_start(NULL, outlive_the_target, NULL, 0, &options) == BROOD_OK);
    note("target is over", 1);
    return leave(self->way, 6);
}

static void an_unjoined_grandchild_is_joined(void **state)
{
    (void)state;
    struct parent parent;
    for (parent.way = 0; parent.way < WAYS; parent.way++) {
        for (parent.method = BROOD_START_SPAWN; parent.method <= BROOD_START_FORK;
             parent.method++) {
            if (!system_has(parent.method))
                continue;
            note("target is over", 0);
            note("grandchild ends", 0);
            assert_process_ends(
                started_by(parent.method, leave_a_child_behind, &parent, sizeof parent), 6);
            assert_int_equal(noted("grandchild ends"), 1);
        }
    }
}

// Text without a newline

static int print_and_leave(void *arg)
{
    const struct printer *self = arg;
    CHECK(freopen(self->place.path, "a", stdout));
    CHECK(printf("child,") == 6);
    return leave(self->way, 0);
}

struct print_job {
    int32_t method;
    struct printer printer;
};

// Text in the parent's buffer is neither lost nor printed again by the child, and precedes the
// child's text.
static int print_around_a_child(void *arg)
{
    const struct print_job *job = arg;
    CHECK(freopen(job->printer.place.path, "a", stdout));
    CHECK(printf("before,") == 7);
    CHECK(code_of_child(job->method, print_and_leave, &job->printer, sizeof job->printer) == 0);
    CHECK(printf("after") == 5);
    return leave(job->printer.way, 0);
}

static void printed_text_without_a_newline_arrives_once(void **state)
{
    (void)state;
    struct print_job job = { .printer.place = made_text_file() };
    for (job.printer.way = 0; job.printer.way < WAYS; job.printer.way++) {
        for (job.method = BROOD_START_SPAWN; job.method <= BROOD_START_FORK; job.method++) {
            if (!system_has(job.method))
                continue;
            assert_process_ends(started_by(job.method, print_around_a_child, &job, sizeof job), 0);
            assert_text(&job.printer.place, "before,child,after");
        }
    }
}

static void print_in_handler(void *arg)
{
    (void)arg;
    (void)printf("handler");
}

static int print_in_thread(void *arg)
{
    (void)arg;
    CHECK(await_note("target is over", 1));
    CHECK(printf("thread,") == 7);
    return 0;
}

// A thread that the end does not wait for makes no difference.
static int print_everywhere(void *arg)
{
    const struct printer *self = arg;
    const brood_thread_options as_daemon = { .daemon = BROOD_DAEMON_YES };
    CHECK(freopen(self->place.path, "a", stdout));
    CHECK(brood_at_exit(print_in_handler, NULL) == BROOD_OK);
    CHECK(brood_thread_start(NULL, stay, NULL, 0, &as_daemon) == BROOD_OK);
    CHECK(brood_thread_start(NULL, print_in_thread, NULL, 0, NULL) == BROOD_OK);
    CHECK(printf("target,") == 7);
    note("target is over", 1);
    return leave(self->way, 0);
}

static void text_of_threads_and_handlers_arrives_beside_a_daemon_thread(void **state)
{
    (void)state;
    struct printer printer = { .place = made_text_file() };
    note("leave", 0);
    for (printer.way = 0; printer.way < WAYS; printer.way++) {
        note("target is over", 0);
        assert_process_ends(started_process(print_everywhere, &printer, sizeof printer), 0);
        assert_text(&printer.place, "target,thread,handler");
    }
}

static int fill_a_file_and_leave(void *arg)
{
    const struct printer *self = arg;
    const brood_thread_options as_daemon = { .daemon = BROOD_DAEMON_YES };
    CHECK(brood_thread_start(NULL, stay, NULL, 0, &as_daemon) == BROOD_OK);
    FILE *file = fopen(self->place.path, "w");
    CHECK(file && fputs("not closed", file) >= 0);
    return leave(self->way, 0);
}

static void a_file_left_open_is_complete(void **state)
{
    (void)state;
    struct printer printer = { .place = made_text_file() };
    note("leave", 0);
    for (printer.way = 0; printer.way < WAYS; printer.way++) {
        assert_process_ends(started_process(fill_a_file_and_leave, &printer, sizeof printer), 0);
        assert_text(&printer.place, "not closed");
    }
}

// A thread that does not stop

enum { MOST_BORN = 200 };

static int be_born(void *arg)
{
    note_of("born", *(unsigned *)arg, (uint64_t)brood_self_pid());
    (void)await_note("never", 1);
    return 0;
}

static int start_without_end(void *arg)
{
    const brood_process_options as_daemon = { .daemon = BROOD_DAEMON_YES };
    (void)arg;
    for (unsigned i = 0; i < MOST_BORN; i++) {
        note("births", i + 1);
        (void)!brood_process_start(NULL, be_born, &i, sizeof i, &as_daemon);
        (void)!brood_thread_start(NULL, nothing, NULL, 0, NULL);
    }
    (void)await_note("never", 1);
    return 0;
}

static int end_while_a_thread_starts(void *arg)
{
    const brood_thread_options as_daemon = { .daemon = BROOD_DAEMON_YES };
    CHECK(brood_thread_start(NULL, start_without_end, NULL, 0, &as_daemon) == BROOD_OK);
    CHECK(await_note("births", noted("births wanted")));
    return leave(*(int *)arg, 4);
}

// They would not end by themselves within this time.
static void assert_no_process_is_left(void)
{
    const int64_t deadline = brood_clock() + AT_ONCE;
    for (unsigned i = 0; i < MOST_BORN; i++) {
        const brood_pid pid = (brood_pid)noted_of("born", i);
        while (pid != 0 && platform_process_lives(pid) && brood_clock() < deadline)
            brood_sleep(BROOD_MILLISECONDS(1));
        assert_false(pid != 0 && platform_process_lives(pid));
        note_of("born", i, 0);
    }
}

static void a_daemon_thread_that_starts_without_end_does_not_hold_up_the_end(void **state)
{
    (void)state;
    const uint64_t rounds = foreign_is_slow() ? 3 : 6;
    for (uint64_t wanted = 1; wanted <= rounds; wanted++) {
        const int way = (int)(wanted % WAYS);
        note("births", 0);
        note("births wanted", wanted);
        assert_process_ends(started_process(end_while_a_thread_starts, &way, sizeof way), 4);
        assert_no_process_is_left();
    }
}

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            a_child_ends_with_threads_daemons_children_handlers_and_streams_in_this_order),
        cmocka_unit_test(an_unjoined_grandchild_is_joined),
        cmocka_unit_test(printed_text_without_a_newline_arrives_once),
        cmocka_unit_test(text_of_threads_and_handlers_arrives_beside_a_daemon_thread),
        cmocka_unit_test(a_file_left_open_is_complete),
        cmocka_unit_test(a_daemon_thread_that_starts_without_end_does_not_hold_up_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
