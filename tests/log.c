// SPDX-License-Identifier: MIT
// The log: which lines reach which handler, in this process and in children. A child reports what
// its handler has received by notes in the registry.
#include "children.h"

#include "../src/base/atomic.h"
#include "foreign.h"
#include "platform.h"

#include <errno.h>
#include <inttypes.h>

// What the handler has received. Several threads may call it: each line takes a place of its own.
enum { MOST = 64, LENGTH = 256 };

static struct {
    atomic_uint count;
    struct {
        brood_log_level level;
        void *user;
        char process[64];
        char text[LENGTH];
        atomic_bool whole;
    } lines[MOST];
} taken;

static void take(brood_log_level level, const char *process, const char *text, void *user)
{
    const unsigned at = atomic_fetch_add(&taken.count, 1);
    if (at >= MOST)
        return;
    taken.lines[at].level = level;
    taken.lines[at].user = user;
    (void)snprintf(taken.lines[at].process, sizeof taken.lines[at].process, "%s", process);
    (void)snprintf(taken.lines[at].text, sizeof taken.lines[at].text, "%s", text);
    atomic_store(&taken.lines[at].whole, true);
}

static void begin_log(brood_log_level level)
{
    for (unsigned i = 0; i < MOST; i++)
        atomic_store(&taken.lines[i].whole, false);
    atomic_store(&taken.count, 0);
    brood_log_set_handler(take, level, &taken);
}

static unsigned end_log(void)
{
    brood_log_set_handler(NULL, BROOD_LOG_DEBUG, NULL);
    return atomic_load(&taken.count);
}

// The place of the first line that contains the text; -1 if there is none.
static int find_line(const char *text)
{
    const unsigned count = atomic_load(&taken.count);
    for (unsigned i = 0; i < count && i < MOST; i++)
        if (atomic_load(&taken.lines[i].whole) && strstr(taken.lines[i].text, text))
            return (int)i;
    return -1;
}

static void assert_line(brood_log_level level, const char *text)
{
    const int at = find_line(text);
    if (at < 0) {
        for (unsigned i = 0; i < atomic_load(&taken.count) && i < MOST; i++)
            print_error("line: %s\n", taken.lines[i].text);
        fail_msg("no line has \"%s\"", text);
    }
    assert_int_equal(taken.lines[at].level, level);
    assert_ptr_equal(taken.lines[at].user, &taken);
    assert_string_equal(taken.lines[at].process, brood_self_name());
}

// Lines of the program

static void a_line_reaches_the_handler_if_its_level_is_high_enough(void **state)
{
    (void)state;
    begin_log(BROOD_LOG_WARNING);
    brood_log(BROOD_LOG_INFO, "too low");
    brood_log(BROOD_LOG_WARNING, "as high");
    brood_log(BROOD_LOG_ERROR, "higher");
    brood_log((brood_log_level)35, "between");
    brood_log(BROOD_LOG_OFF, "no level of a line");
    brood_log(BROOD_LOG_ERROR, NULL);
    assert_int_equal(end_log(), 3);
    assert_line(BROOD_LOG_WARNING, "as high");
    assert_line(BROOD_LOG_ERROR, "higher");
    assert_line((brood_log_level)35, "between");
}

static void there_is_no_line_without_a_handler_or_with_its_level_off(void **state)
{
    (void)state;
    begin_log(BROOD_LOG_OFF);
    brood_log(BROOD_LOG_ERROR, "off");
    assert_int_equal(end_log(), 0);
    brood_log(BROOD_LOG_ERROR, "none");
    assert_int_equal(atomic_load(&taken.count), 0);
}

// A handler that uses brood

static brood_lock busy;

static void use_brood(brood_log_level level, const char *process, const char *text, void *user)
{
    brood_thread *thread = NULL;
    take(level, process, text, user);
    brood_log(BROOD_LOG_ERROR, "a line inside the handler");
    if (brood_thread_start(&thread, nothing, NULL, 0, NULL) == BROOD_OK) {
        (void)brood_thread_join(thread, MEETING_PATIENCE, NULL);
        brood_thread_drop(thread);
    }
    (void)!brood_lock_acquire((brood_lock){ 1 }, BROOD_NOW); // fails
    errno = 99;
}

static void a_handler_may_use_brood_and_is_not_called_inside_itself(void **state)
{
    (void)state;
    begin_log(BROOD_LOG_INFO);
    brood_log_set_handler(use_brood, BROOD_LOG_WARNING, &taken);
    brood_log(BROOD_LOG_ERROR, "outside");
    assert_int_equal(end_log(), 1);
    assert_line(BROOD_LOG_ERROR, "outside");
}

static void a_handler_leaves_errno_and_the_last_error_as_they_were(void **state)
{
    (void)state;
    begin_log(BROOD_LOG_INFO);
    brood_log_set_handler(use_brood, BROOD_LOG_INFO, &taken);
    assert_status(brood_lock_release((brood_lock){ 1 }), BROOD_INVALID);
    errno = 55;
    brood_log(BROOD_LOG_ERROR, "outside");
    assert_int_equal(errno, 55);
    assert_last_error_names("brood_lock_release");
    errno = 56;
    brood_thread *thread = started_thread(nothing, NULL, 0);
    assert_int_equal(errno, 56);
    assert_thread_ends(thread, 0);
    (void)end_log();
    assert_true(find_line("\" has started") >= 0);
}

// Lines of the library

static void starts_and_ends_of_threads_have_lines(void **state)
{
    char started[128];
    char ended[128];
    int code = 7;
    (void)state;
    begin_log(BROOD_LOG_INFO);
    const brood_thread_options options = { .name = "a\nname" };
    brood_thread *thread = NULL;
    assert_status(brood_thread_start(&thread, code_of_argument, &code, sizeof code, &options),
                  BROOD_OK);
    const uint64_t id = brood_thread_id(thread);
    assert_thread_ends(thread, 7);
    assert_int_equal(end_log(), 2);
    (void)snprintf(started, sizeof started, "thread %" PRIu64 " \"a?name\" has started", id);
    (void)snprintf(ended, sizeof ended, "thread %" PRIu64 " \"a?name\" has returned 7", id);
    assert_line(BROOD_LOG_INFO, started);
    assert_line(BROOD_LOG_INFO, ended);
}

static void starts_and_ends_of_processes_have_lines(void **state)
{
    static const char *const words[] = { [BROOD_START_SPAWN] = "spawn",
                                         [BROOD_START_FORKSERVER] = "fork server",
                                         [BROOD_START_FORK] = "fork" };
    char started[128];
    char ended[128];
    int code = 9;
    (void)state;
    for (int32_t method = BROOD_START_SPAWN; method <= BROOD_START_FORK; method++) {
        if (!system_has(method))
            continue;
        begin_log(BROOD_LOG_INFO);
        brood_process *process = started_by(method, code_of_argument, &code, sizeof code);
        (void)snprintf(started, sizeof started, "process %" PRId64 " \"%s\" has started, by %s",
                       brood_process_pid(process), brood_process_name(process), words[method]);
        (void)snprintf(ended, sizeof ended,
                       "process %" PRId64 " \"%s\" has ended: exited with code 9",
                       brood_process_pid(process), brood_process_name(process));
        assert_process_ends(process, 9);
        (void)end_log();
        assert_line(BROOD_LOG_INFO, started);
        assert_line(BROOD_LOG_INFO, ended);
        assert_true(find_line(started) < find_line(ended));
    }
}

static void a_replaced_fork_server_has_a_line(void **state)
{
    char line[128];
    (void)state;
    if (!system_has(BROOD_START_FORKSERVER))
        return;
    note("leave", 0);
    brood_process *process = started_by(BROOD_START_FORKSERVER, stay, NULL, 0);
    const brood_pid server = platform_parent_of(brood_process_pid(process));
    end_stayer(process);
    platform_process_kill(server);
    assert_true(platform_process_ends(server));
    begin_log(BROOD_LOG_WARNING);
    assert_process_ends(started_by(BROOD_START_FORKSERVER, nothing, NULL, 0), 0);
    assert_int_equal(end_log(), 1);
    (void)snprintf(line, sizeof line, "fork server %" PRId64 " has ended", server);
    assert_line(BROOD_LOG_WARNING, line);
}

static int ignore_requests(void *unused)
{
    (void)unused;
    platform_terminate_ignore();
    note("deaf", 1);
    (void)await_note("never", 1);
    return 0;
}

static int end_with_a_deaf_daemon(void *unused)
{
    const brood_process_options options = { .daemon = BROOD_DAEMON_YES, .name = "deaf" };
    (void)unused;
    CHECK(brood_process_start(NULL, ignore_requests, NULL, 0, &options) == BROOD_OK);
    CHECK(await_note("deaf", 1));
    begin_log(BROOD_LOG_WARNING);
    CHECK(brood_shutdown(MEETING_PATIENCE) == BROOD_OK);
    CHECK(end_log() == (platform_has_signals() ? 1 : 0));
    CHECK(!platform_has_signals() || find_line("\"deaf\" had to be killed") == 0);
    return 0;
}

static void a_daemon_that_had_to_be_killed_has_a_line(void **state)
{
    (void)state;
    note("deaf", 0);
    assert_process_ends(started_process(end_with_a_deaf_daemon, NULL, 0), 0);
}

// Waits

static int want(void *arg)
{
    const brood_lock *lock = arg;
    CHECK(brood_lock_acquire(*lock, MEETING_PATIENCE) == BROOD_OK);
    CHECK(brood_lock_release(*lock) == BROOD_OK);
    return 0;
}

static int want_event(void *arg)
{
    const brood_event *event = arg;
    return brood_event_wait(*event, MEETING_PATIENCE) == BROOD_OK ? 0 : 1;
}

static int want_stop(void *unused)
{
    (void)unused;
    return brood_stop_wait(MEETING_PATIENCE) == BROOD_OK ? 0 : 1;
}

static int want_process(void *process)
{
    return brood_process_join(process, MEETING_PATIENCE, NULL) == BROOD_OK ? 0 : 1;
}

static int want_thread(void *thread)
{
    return brood_thread_join(thread, MEETING_PATIENCE, NULL) == BROOD_OK ? 0 : 1;
}

static void await_line(const char *text)
{
    const int64_t deadline = brood_clock() + MEETING_PATIENCE;
    while (find_line(text) < 0 && brood_clock() < deadline)
        brood_sleep(BROOD_MILLISECONDS(5));
    assert_line(BROOD_LOG_DEBUG, text);
}

static struct {
    brood_event event;
    brood_process *child;
    brood_thread *threads[5];
} waiting;

static void begin_waits(void)
{
    assert_status(brood_lock_create(&busy), BROOD_OK);
    assert_status(brood_event_create(&waiting.event), BROOD_OK);
    assert_status(brood_registry_set("the printer", busy.id), BROOD_OK);
    assert_status(brood_lock_acquire(busy, BROOD_NOW), BROOD_OK);
    waiting.child = started_process(want_stop, NULL, 0);
    begin_log(BROOD_LOG_DEBUG);
    waiting.threads[0] = started_thread(want, &busy, sizeof busy);
    waiting.threads[1] = started_thread(want_event, &waiting.event, sizeof waiting.event);
    waiting.threads[2] = started_thread(want_stop, NULL, 0);
    waiting.threads[3] = started_thread(want_process, waiting.child, 0);
    waiting.threads[4] = started_thread(want_thread, waiting.threads[2], 0);
}

static void end_waits(void)
{
    assert_status(brood_lock_release(busy), BROOD_OK);
    assert_status(brood_event_set(waiting.event), BROOD_OK);
    assert_status(brood_thread_request_stop(waiting.threads[2]), BROOD_OK);
    assert_status(brood_process_request_stop(waiting.child), BROOD_OK);
    for (int i = 4; i >= 0; i--)
        assert_thread_ends(waiting.threads[i], 0);
    brood_process_drop(waiting.child);
    assert_status(brood_registry_set("the printer", 0), BROOD_OK);
    assert_status(brood_event_destroy(waiting.event), BROOD_OK);
    assert_status(brood_lock_destroy(busy), BROOD_OK);
}

static unsigned lines_with(const char *text)
{
    unsigned lines = 0;
    for (unsigned i = 0; i < MOST && i < atomic_load(&taken.count); i++)
        lines += strstr(taken.lines[i].text, text) != NULL;
    return lines;
}

static void waits_of_a_second_have_one_line(void **state)
{
    char text[128];
    (void)state;
    begin_waits();
    await_line(" for a second for event ");
    await_line(" for a second to be asked to stop");
    (void)snprintf(text, sizeof text, "for the end of process %" PRId64,
                   brood_process_pid(waiting.child));
    await_line(text);
    (void)snprintf(text, sizeof text, "for the end of thread %" PRIu64,
                   brood_thread_id(waiting.threads[2]));
    await_line(text);
    (void)snprintf(text, sizeof text,
                   "\" has waited for a second for lock %016" PRIx64 " \"the printer\"", busy.id);
    await_line(text);
    brood_sleep(BROOD_SECONDS(1.2)); // a wait that goes on has no second line
    (void)end_log();
    const unsigned lines = lines_with(text);
    end_waits(); // first, so that no thread of a test that fails waits beside the next one
    assert_int_equal(lines, 1);
}

static int want_twice(void *arg)
{
    for (int i = 0; i < 2; i++)
        CHECK(brood_lock_acquire(*(brood_lock *)arg, BROOD_SECONDS(1.2)) == BROOD_TIMEOUT);
    return 0;
}

// The end of a wait ends what the thread has added up of it: the next one has a line of its own.
static void each_wait_for_a_lock_has_its_line(void **state)
{
    (void)state;
    assert_status(brood_lock_create(&busy), BROOD_OK);
    assert_status(brood_lock_acquire(busy, BROOD_NOW), BROOD_OK);
    begin_log(BROOD_LOG_DEBUG);
    assert_thread_ends(started_thread(want_twice, &busy, sizeof busy), 0);
    (void)end_log();
    assert_int_equal(lines_with(" has waited for a second for lock "), 2);
    assert_status(brood_lock_release(busy), BROOD_OK);
    assert_status(brood_lock_destroy(busy), BROOD_OK);
}

// Waits for any of several things: without and with an object of the system, and by a poller. All
// wait for one event, and for a second one that stays clear.

enum way { BY_BELL, BY_WATCHER, BY_POLLER, WAYS };

struct any {
    brood_event events[2];
    platform_native native;
    int32_t way;
};

static int wait_by_poller(const brood_waitable *all, size_t count)
{
    brood_poller *poller = NULL;
    brood_ready ready;
    size_t found = 0;
    CHECK(brood_poller_create(&poller) == BROOD_OK);
    for (size_t i = 0; i < count; i++)
        CHECK(brood_poller_add(poller, all[i], NULL) == BROOD_OK);
    CHECK(brood_poller_wait(poller, &ready, 1, &found, MEETING_PATIENCE) == BROOD_OK);
    CHECK(found == 1 && ready.waitable.id == all[0].id);
    brood_poller_destroy(poller);
    return 0;
}

static int want_any(void *arg)
{
    const struct any *any = arg;
    const brood_waitable all[] = { brood_waitable_event(any->events[0]),
                                   brood_waitable_event(any->events[1]),
                                   brood_waitable_native(any->native.object) };
    bool ready[3];
    if (any->way == BY_POLLER)
        return wait_by_poller(all, 3);
    const size_t count = any->way == BY_BELL ? 2 : 3;
    CHECK(brood_wait_any(all, count, MEETING_PATIENCE, ready) == BROOD_OK);
    CHECK(ready[0] && !ready[1] && (count == 2 || !ready[2]));
    return 0;
}

// While it handles the line, the thread waits for another event as it was waiting before.
static struct {
    struct any inner;
    atomic_uint entered;
    atomic_int result; // 1, or the line of the first mistake
} within;

static int use_any(void)
{
    const int failed = want_any(&within.inner);
    return failed ? failed : 1;
}

static void wait_for_others(brood_log_level level, const char *process, const char *text,
                            void *user)
{
    take(level, process, text, user);
    if (!strstr(text, " for a second for any of "))
        return;
    atomic_fetch_add(&within.entered, 1);
    atomic_store(&within.result, use_any());
}

static void await_number(atomic_uint *number)
{
    const int64_t deadline = brood_clock() + MEETING_PATIENCE;
    while (atomic_load(number) == 0 && brood_clock() < deadline)
        brood_sleep(BROOD_MILLISECONDS(5));
    assert_int_equal(atomic_load(number), 1);
}

// `late`: the outer wait's event is set while the handler waits.
static void expect_line_of(enum way way, bool late)
{
    struct any any = { .way = (int32_t)way, .native = platform_native_create() };
    char text[64];
    for (int i = 0; i < 2; i++) {
        assert_status(brood_event_create(&any.events[i]), BROOD_OK);
        assert_status(brood_event_create(&within.inner.events[i]), BROOD_OK);
    }
    within.inner.native = any.native;
    within.inner.way = (int32_t)way;
    atomic_store(&within.entered, 0);
    atomic_store(&within.result, 0);
    begin_log(BROOD_LOG_DEBUG);
    brood_log_set_handler(wait_for_others, BROOD_LOG_DEBUG, &taken);
    brood_thread *thread = started_thread(want_any, &any, sizeof any);
    await_number(&within.entered);
    (void)snprintf(text, sizeof text, " has waited for a second for any of %d",
                   way == BY_BELL ? 2 : 3);
    assert_line(BROOD_LOG_DEBUG, text);
    if (late)
        assert_status(brood_event_set(any.events[0]), BROOD_OK);
    assert_status(brood_event_set(within.inner.events[0]), BROOD_OK);
    if (!late) {
        brood_sleep(BROOD_SECONDS(1.2)); // a wait that goes on has no second line
        assert_int_equal(atomic_load(&within.entered), 1);
        assert_status(brood_event_set(any.events[0]), BROOD_OK);
    }
    assert_thread_ends(thread, 0);
    (void)end_log();
    assert_int_equal(atomic_load(&within.result), 1);
    for (int i = 0; i < 2; i++) {
        assert_status(brood_event_destroy(any.events[i]), BROOD_OK);
        assert_status(brood_event_destroy(within.inner.events[i]), BROOD_OK);
    }
    platform_native_destroy(&any.native);
}

static void waits_for_any_of_several_things_have_one_line(void **state)
{
    (void)state;
    for (int way = 0; way < WAYS; way++) {
        expect_line_of((enum way)way, false);
        expect_line_of((enum way)way, true);
    }
}

// A thread that is woken late may find that its time is over when the line is due.
static void a_long_sleep_has_a_line(void **state)
{
    unsigned lines = 0;
    (void)state;
    for (double seconds = 1.5; lines == 0 && seconds < 30; seconds *= 4) {
        begin_log(BROOD_LOG_DEBUG);
        assert_status(brood_wait_any(NULL, 0, BROOD_SECONDS(seconds), NULL), BROOD_TIMEOUT);
        lines = end_log();
    }
    assert_int_equal(lines, 1);
    assert_line(BROOD_LOG_DEBUG, " has waited for a second for any of 0");
}

// In the middle of a wait for a condition, the handler uses other objects.
static struct {
    brood_lock lock;
    brood_lock other_lock;
    brood_condition condition;
    brood_condition other;
    brood_event event;
    atomic_bool entered; // the handler
    atomic_int result;   // of the handler: 1, or the line of its first mistake
    atomic_bool changed;
} on;

static int use_objects(void)
{
    atomic_store(&on.entered, true);
    CHECK(brood_event_wait(on.event, MEETING_PATIENCE) == BROOD_OK);
    CHECK(brood_event_wait((brood_event){ 1 }, BROOD_NOW) == BROOD_INVALID);
    CHECK(brood_lock_acquire(on.other_lock, MEETING_PATIENCE) == BROOD_OK);
    CHECK(brood_condition_wait(on.other, on.other_lock, BROOD_NOW) == BROOD_WRONG_STATE);
    CHECK(brood_lock_release(on.other_lock) == BROOD_OK);
    return 1;
}

static void handle_wait(brood_log_level level, const char *process, const char *text, void *user)
{
    (void)level, (void)process, (void)user;
    if (strstr(text, "has waited for a second for condition"))
        atomic_store(&on.result, use_objects());
}

static bool has_changed(void *unused)
{
    (void)unused;
    return atomic_load(&on.changed);
}

static int wait_for_condition(void *unused)
{
    (void)unused;
    CHECK(brood_lock_acquire(on.lock, MEETING_PATIENCE) == BROOD_OK);
    CHECK(brood_condition_wait_for(on.condition, on.lock, has_changed, NULL, MEETING_PATIENCE) ==
          BROOD_OK);
    CHECK(brood_lock_release(on.lock) == BROOD_OK);
    return 0;
}

static void find_waits(const char *text, void *found)
{
    bool *waits = found;
    waits[0] = waits[0] || strstr(text, "    waits for condition ");
    waits[1] = waits[1] || strstr(text, "    waits for event ");
}

// While the handler waits for the event, its thread is listed with the wait that the line is about:
// it has yet to read there how that wait ended.
static void expect_outer_wait(void)
{
    const int64_t deadline = brood_clock() + MEETING_PATIENCE;
    while (!atomic_load(&on.entered) && brood_clock() < deadline)
        brood_sleep(BROOD_MILLISECONDS(1));
    for (int i = 0; i < 50; i++) {
        bool waits[2] = { false, false };
        assert_status(brood_dump(find_waits, waits), BROOD_OK);
        assert_true(waits[0] && !waits[1]);
        brood_sleep(BROOD_MILLISECONDS(1));
    }
}

static void a_handler_may_use_objects_in_the_middle_of_a_wait(void **state)
{
    (void)state;
    assert_status(brood_lock_create(&on.lock), BROOD_OK);
    assert_status(brood_lock_create(&on.other_lock), BROOD_OK);
    assert_status(brood_condition_create(&on.condition), BROOD_OK);
    assert_status(brood_condition_create(&on.other), BROOD_OK);
    assert_status(brood_event_create(&on.event), BROOD_OK);
    brood_log_set_handler(handle_wait, BROOD_LOG_DEBUG, NULL);
    brood_thread *thread = started_thread(wait_for_condition, NULL, 0);
    expect_outer_wait();
    assert_status(brood_event_set(on.event), BROOD_OK);
    const int64_t deadline = brood_clock() + MEETING_PATIENCE;
    while (atomic_load(&on.result) == 0 && brood_clock() < deadline)
        brood_sleep(BROOD_MILLISECONDS(5));
    brood_log_set_handler(NULL, BROOD_LOG_DEBUG, NULL);
    assert_int_equal(atomic_load(&on.result), 1);
    assert_status(brood_lock_acquire(on.lock, MEETING_PATIENCE), BROOD_OK);
    atomic_store(&on.changed, true);
    assert_status(brood_condition_notify(on.condition, 1), BROOD_OK);
    assert_status(brood_lock_release(on.lock), BROOD_OK);
    assert_thread_ends(thread, 0);
    assert_status(brood_event_destroy(on.event), BROOD_OK);
    assert_status(brood_condition_destroy(on.condition), BROOD_OK);
    assert_status(brood_condition_destroy(on.other), BROOD_OK);
    assert_status(brood_lock_destroy(on.lock), BROOD_OK);
    assert_status(brood_lock_destroy(on.other_lock), BROOD_OK);
}

// Children

static int use_inherited_log(void *depth)
{
    int deeper = *(int *)depth - 1;
    brood_log(BROOD_LOG_WARNING, "below the level");
    brood_log(BROOD_LOG_ERROR, "a line of a child");
    CHECK(atomic_load(&taken.count) == 1);
    CHECK(strcmp(taken.lines[0].text, "a line of a child") == 0);
    CHECK(taken.lines[0].level == BROOD_LOG_ERROR && taken.lines[0].user == NULL);
    CHECK(strcmp(taken.lines[0].process, brood_self_name()) == 0);
    atomic_store(&taken.count, 0);
    return deeper == 0
               ? 0
               : code_of_child(BROOD_START_DEFAULT, use_inherited_log, &deeper, sizeof deeper);
}

static int have_no_log(void *unused)
{
    (void)unused;
    const unsigned before = atomic_load(&taken.count); // of the parent, in a copy
    brood_log(BROOD_LOG_ERROR, "a line of a child");
    return atomic_load(&taken.count) == before ? 0 : 1;
}

static void handler_and_level_travel_to_children_of_children(void **state)
{
    int depth = 2;
    (void)state;
    for (int32_t method = BROOD_START_SPAWN; method <= BROOD_START_FORK; method++) {
        if (!system_has(method))
            continue;
        begin_log(BROOD_LOG_ERROR);
        brood_process *process = started_by(method, use_inherited_log, &depth, sizeof depth);
        (void)end_log();
        assert_process_ends(process, 0);
        assert_process_ends(started_by(method, have_no_log, NULL, 0), 0);
    }
}

static int have_log_with_user(void *unused)
{
    (void)unused;
    brood_log(BROOD_LOG_ERROR, "a line of a guest");
    return atomic_load(&taken.count) == 1 && taken.lines[0].user == &taken ? 0 : 1;
}

static void a_guest_keeps_the_handler_with_its_user(void **state)
{
    (void)state;
    if (!platform_has_fork())
        return;
    begin_log(BROOD_LOG_ERROR);
    assert_int_equal(platform_guest(have_log_with_user, NULL), 0);
    assert_int_equal(end_log(), 0);
}

static void start_a_child(brood_log_level level, const char *process, const char *text, void *user)
{
    take(level, process, text, user);
    note("inner", 1 + (uint64_t)code_of_child(BROOD_START_DEFAULT, have_no_log, NULL, 0));
}

static void a_child_that_a_handler_has_started_has_none(void **state)
{
    (void)state;
    note("inner", 0);
    begin_log(BROOD_LOG_INFO);
    brood_log_set_handler(start_a_child, BROOD_LOG_INFO, &taken);
    brood_log(BROOD_LOG_ERROR, "start");
    assert_int_equal(end_log(), 1);
    assert_int_equal(noted("inner"), 1);
}

static void a_handler_in_no_module_fails_a_start(void **state)
{
    static int32_t methods[MOST_METHODS];
    (void)state;
    void *code = malloc(64);
    assert_non_null(code);
    brood_log_handler handler;
    memcpy(&handler, &code, sizeof handler);
    brood_log_set_handler(handler, BROOD_LOG_ERROR, NULL);
    for (size_t i = methods_of_this_system(methods); i-- > 0;) {
        const brood_process_options options = { .method = methods[i] };
        assert_status(brood_process_start(NULL, nothing, NULL, 0, &options), BROOD_INVALID);
        assert_last_error_names("handler of the log");
    }
    (void)end_log();
    free(code);
}

// The environment, and the ready handler

static int say_two_lines(void *unused)
{
    (void)unused;
    brood_log(BROOD_LOG_WARNING, "a warning");
    brood_log((brood_log_level)35, "in between");
    return 0;
}

static int be_logged(void)
{
    brood_init();
    (void)say_two_lines(NULL);
    const brood_process_options options = { .name = "child" };
    brood_process *process = NULL;
    if (brood_process_start(&process, say_two_lines, NULL, 0, &options) != BROOD_OK ||
        brood_process_join(process, MEETING_PATIENCE, NULL) != BROOD_OK)
        return 1;
    brood_process_drop(process);
    return 0;
}

static int have_a_handler_before(void)
{
    brood_log_set_handler(take, BROOD_LOG_ERROR, NULL);
    brood_init();
    brood_log(BROOD_LOG_ERROR, "a line");
    return atomic_load(&taken.count) == 1 ? 0 : 1;
}

static char printed[4096];

static int run_program(const char *scenario, const char *variable)
{
    char path[512];
    foreign_file_name(path, sizeof path, scenario);
    const platform_program program = platform_program_start(scenario, variable, path);
    platform_program_close_input(program);
    const int code = platform_program_wait(program);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    printed[fread(printed, 1, sizeof printed - 1, file)] = 0;
    (void)fclose(file);
    foreign_file_remove(path);
    char *to = printed;
    for (const char *from = printed; *from; from++)
        if (*from != '\r')
            *to++ = *from;
    *to = 0;
    return code;
}

static void the_environment_installs_the_ready_handler(void **state)
{
    static const char *const both = "[WARNING/MainProcess] a warning\n"
                                    "[Level 35/MainProcess] in between\n"
                                    "[WARNING/child] a warning\n"
                                    "[Level 35/child] in between\n";
    static const char *const one = "[Level 35/MainProcess] in between\n"
                                   "[Level 35/child] in between\n";
    static const struct {
        const char *variable;
        const char *const *text;
    } rows[] = { { "BROOD_LOG=warning", &both },
                 { "BROOD_LOG=WaRNing", &both },
                 { "BROOD_LOG=30", &both },
                 { "BROOD_LOG=31", &one },
                 { "BROOD_LOG=000035", &one } };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(run_program("be_logged", rows[i].variable), 0);
        assert_string_equal(printed, *rows[i].text);
    }
    static const char *const silent[] = { "BROOD_LOG=", "BROOD_LOG=off", "BROOD_LOG=error",
                                          "BROOD_LOG=100", "BROOD_LOG=999999" };
    for (size_t i = 0; i < sizeof silent / sizeof silent[0]; i++) {
        assert_int_equal(run_program("be_logged", silent[i]), 0);
        assert_string_equal(printed, "");
    }
    assert_int_equal(run_program("be_logged", "BROOD_LOG=info"), 0);
    assert_non_null(strstr(printed, "[INFO/MainProcess] process "));
}

static void an_unknown_level_in_the_environment_is_reported_once(void **state)
{
    static const char *const words[] = { "bogus", "warn", "30x", "-5", "1234567" };
    char variable[64];
    char text[256];
    (void)state;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        (void)snprintf(variable, sizeof variable, "BROOD_LOG=%s", words[i]);
        (void)snprintf(text, sizeof text,
                       "brood: BROOD_LOG=%s is ignored: the levels are \"debug\", \"info\", "
                       "\"warning\", \"error\", \"off\", and numbers\n",
                       words[i]);
        assert_int_equal(run_program("be_logged", variable), 0);
        assert_string_equal(printed, text);
    }
}

static void the_handler_of_the_program_comes_before_the_environment(void **state)
{
    (void)state;
    assert_int_equal(run_program("have_a_handler_before", "BROOD_LOG=debug"), 0);
    assert_string_equal(printed, "");
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "be_logged") == 0)
        return be_logged();
    if (argc > 1 && strcmp(argv[1], "have_a_handler_before") == 0)
        return have_a_handler_before();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_reaches_the_handler_if_its_level_is_high_enough),
        cmocka_unit_test(there_is_no_line_without_a_handler_or_with_its_level_off),
        cmocka_unit_test(a_handler_may_use_brood_and_is_not_called_inside_itself),
        cmocka_unit_test(a_handler_leaves_errno_and_the_last_error_as_they_were),
        cmocka_unit_test(starts_and_ends_of_threads_have_lines),
        cmocka_unit_test(starts_and_ends_of_processes_have_lines),
        cmocka_unit_test(a_replaced_fork_server_has_a_line),
        cmocka_unit_test(a_daemon_that_had_to_be_killed_has_a_line),
        cmocka_unit_test(waits_of_a_second_have_one_line),
        cmocka_unit_test(each_wait_for_a_lock_has_its_line),
        cmocka_unit_test(waits_for_any_of_several_things_have_one_line),
        cmocka_unit_test(a_long_sleep_has_a_line),
        cmocka_unit_test(a_handler_may_use_objects_in_the_middle_of_a_wait),
        cmocka_unit_test(handler_and_level_travel_to_children_of_children),
        cmocka_unit_test(a_guest_keeps_the_handler_with_its_user),
        cmocka_unit_test(a_child_that_a_handler_has_started_has_none),
        cmocka_unit_test(a_handler_in_no_module_fails_a_start),
        cmocka_unit_test(the_environment_installs_the_ready_handler),
        cmocka_unit_test(an_unknown_level_in_the_environment_is_reported_once),
        cmocka_unit_test(the_handler_of_the_program_comes_before_the_environment),
    };
    brood_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
