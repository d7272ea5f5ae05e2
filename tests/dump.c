// SPDX-License-Identifier: MIT
// brood_dump(). Other threads and processes set up what a test expects, which takes them a while:
// so a test dumps until the line appears.
#include "meeting.h"

#include "../src/base/atomic.h"
#include "foreign.h"
#include "platform.h"

#include <inttypes.h>
#include <stdarg.h>

// All lines of one dump, each with a newline.
static struct {
    char text[1 << 18];
    size_t length;
    bool wrong; // a line was malformed, or did not fit
} dumped;

static void take_line(const char *text, void *user)
{
    const size_t length = strlen(text);
    dumped.wrong = dumped.wrong || user != &dumped || strchr(text, '\n') ||
                   dumped.length + length + 2 > sizeof dumped.text;
    if (dumped.wrong)
        return;
    memcpy(dumped.text + dumped.length, text, length);
    dumped.length += length;
    dumped.text[dumped.length++] = '\n';
    dumped.text[dumped.length] = 0;
}

static void dump(void)
{
    dumped.length = 0;
    assert_status(brood_dump(take_line, &dumped), BROOD_OK);
    assert_false(dumped.wrong);
}

// Clang asks for a check of the format at the call, because it is no literal here.
#if defined(__clang__)
#define FORMATTED __attribute__((__format__(__printf__, 1, 2)))
#else
#define FORMATTED
#endif

// Dumps until the text appears; false if it does not.
FORMATTED static bool await_dumped(const char *format, ...)
{
    char wanted[1024];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(wanted, sizeof wanted, format, arguments);
    va_end(arguments);
    const int64_t deadline = brood_clock() + MEETING_PATIENCE;
    for (;;) {
        dump();
        if (strstr(dumped.text, wanted))
            return true;
        if (brood_clock() > deadline)
            break;
        brood_sleep(BROOD_MILLISECONDS(1));
    }
    print_error("missing: %s\nin: %s\n", wanted, dumped.text);
    return false;
}

static int stay(void *unused)
{
    (void)unused;
    return brood_stop_wait(MEETING_PATIENCE) == BROOD_OK ? 0 : 1;
}

static void stop_process(brood_process *process)
{
    assert_status(brood_process_stop(process, MEETING_PATIENCE, NULL), BROOD_OK);
    brood_process_drop(process);
}

// Processes

static void the_main_process_is_listed(void **state)
{
    (void)state;
    dump();
    assert_int_equal(strncmp(dumped.text, "family ", 7), 0);
    assert_true(await_dumped("\nprocess %" PRId64 " \"MainProcess\": the main process\n",
                             brood_self_pid()));
}

static void each_child_is_listed_with_how_it_was_started(void **state)
{
    static const struct {
        brood_start_method method;
        const char *words;
    } rows[] = { { BROOD_START_SPAWN, "spawned" },
                 { BROOD_START_FORKSERVER, "forked by the fork server" },
                 { BROOD_START_FORK, "forked" } };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const brood_process_options options = { .method = (int32_t)rows[i].method,
                                                .name = "worker" };
        brood_process *process = NULL;
        const brood_status status = brood_process_start(&process, stay, NULL, 0, &options);
        if (status == BROOD_UNSUPPORTED && !platform_has_fork())
            continue;
        assert_status(status, BROOD_OK);
        const brood_pid pid = brood_process_pid(process);
        assert_true(await_dumped("process %" PRId64 " \"worker\": %s, started by process %" PRId64
                                 "\n",
                                 pid, rows[i].words, brood_self_pid()));
        stop_process(process);
        dump();
        assert_null(strstr(dumped.text, "worker"));
    }
}

static void a_daemon_and_a_request_to_stop_are_listed(void **state)
{
    (void)state;
    const brood_process_options options = { .daemon = BROOD_DAEMON_YES, .name = "deaf" };
    brood_process *process = NULL;
    assert_status(brood_process_start(&process, stay, NULL, 0, &options), BROOD_OK);
    assert_true(await_dumped(", started by process %" PRId64 ", a daemon\n", brood_self_pid()));
    assert_status(brood_process_request_stop(process), BROOD_OK);
    assert_true(await_dumped(", a daemon, asked to stop"));
    assert_process_ends(process, 0);
}

static void a_dead_child_is_listed_until_it_is_joined(void **state)
{
    (void)state;
    brood_process *process = started_process(stay, NULL, 0);
    const brood_pid pid = brood_process_pid(process);
    assert_status(brood_process_kill(process), BROOD_OK);
    assert_true(await_dumped("; has ended\n"));
    assert_status(brood_process_join(process, MEETING_PATIENCE, NULL), BROOD_OK);
    brood_process_drop(process);
    char line[64];
    (void)snprintf(line, sizeof line, "process %" PRId64 " ", pid);
    dump();
    assert_null(strstr(dumped.text, line));
}

static void a_long_name_is_cut_off_between_two_characters(void **state)
{
    char name[201];
    char expected[128];
    (void)state;
    for (size_t i = 0; i < 100; i++)
        memcpy(name + 2 * i + 1, "\xc3\xa9", 2); // a character of two bytes
    name[0] = 'a';
    name[200] = 0;
    (void)snprintf(expected, sizeof expected, " \"%.55s\": ", name);
    const brood_process_options options = { .name = name };
    brood_process *process = NULL;
    assert_status(brood_process_start(&process, stay, NULL, 0, &options), BROOD_OK);
    assert_string_equal(brood_process_name(process), name);
    assert_true(await_dumped("%s", expected));
    stop_process(process);
}

static void a_name_cannot_forge_a_line(void **state)
{
    (void)state;
    const brood_process_options options = { .name = "a\nprocess 1 \x1b[2J" };
    brood_process *process = NULL;
    assert_status(brood_process_start(&process, stay, NULL, 0, &options), BROOD_OK);
    assert_true(await_dumped(" \"a?process 1 ?[2J\": "));
    stop_process(process);
}

static int use_a_lock(void *arg)
{
    const brood_lock *lock = arg;
    if (brood_lock_acquire(*lock, BROOD_FOREVER) != BROOD_OK ||
        brood_lock_release(*lock) != BROOD_OK)
        return 1;
    note("guest", (uint64_t)brood_self_pid());
    return await_note("guest may go", 1) ? 0 : 2;
}

static int make_a_guest(void *arg)
{
    return platform_guest(use_a_lock, arg);
}

static void a_guest_is_listed_once_it_uses_a_shared_object(void **state)
{
    brood_lock lock;
    (void)state;
    if (!platform_has_fork())
        return;
    assert_status(brood_lock_create(&lock), BROOD_OK);
    brood_process *process = started_process(make_a_guest, &lock, sizeof lock);
    assert_true(await_note("guest", 1));
    assert_true(await_dumped("process %" PRIu64 " \"%s\": forked by the program itself\n",
                             noted("guest"), brood_process_name(process)));
    note("guest may go", 1);
    assert_process_ends(process, 0);
    assert_status(brood_lock_destroy(lock), BROOD_OK);
}

// Threads

static brood_thread *named_thread(const char *name, brood_target target, void *arg)
{
    const brood_thread_options options = { .name = name };
    brood_thread *thread = NULL;
    assert_status(brood_thread_start(&thread, target, arg, 0, &options), BROOD_OK);
    return thread;
}

static void stop_thread(brood_thread *thread)
{
    assert_status(brood_thread_request_stop(thread), BROOD_OK);
    assert_thread_ends(thread, 0);
}

static void a_thread_is_listed_with_its_name_and_what_it_waits_for(void **state)
{
    (void)state;
    brood_thread *thread = named_thread("patient", stay, NULL);
    assert_true(await_dumped("  thread %" PRIu64 " \"patient\"\n    waits to be asked to stop\n",
                             brood_thread_id(thread)));
    stop_thread(thread);
    dump();
    assert_null(strstr(dumped.text, "patient"));
}

static int join_process(void *process)
{
    return brood_process_join(process, MEETING_PATIENCE, NULL) == BROOD_OK ? 0 : 1;
}

static int join_thread(void *thread)
{
    return brood_thread_join(thread, MEETING_PATIENCE, NULL) == BROOD_OK ? 0 : 1;
}

static void a_join_is_listed_with_its_target(void **state)
{
    (void)state;
    brood_process *process = started_process(stay, NULL, 0);
    brood_thread *first = named_thread("first", join_process, process);
    brood_thread *second = named_thread("second", join_thread, first);
    assert_true(await_dumped("\"first\"\n    waits for the end of process %" PRId64 "\n",
                             brood_process_pid(process)));
    assert_true(await_dumped("\"second\"\n    waits for the end of thread %" PRIu64 "\n",
                             brood_thread_id(first)));
    assert_status(brood_process_request_stop(process), BROOD_OK);
    assert_thread_ends(second, 0);
    assert_thread_ends(first, 0);
    stop_process(process);
}

static int await_parent(void *unused)
{
    (void)unused;
    return brood_parent_wait(BROOD_FOREVER) == BROOD_OK ? 0 : 1;
}

static void a_wait_for_the_parent_is_listed(void **state)
{
    (void)state;
    brood_process *process = started_process(await_parent, NULL, 0);
    assert_true(await_dumped("    waits for the end of its parent\n"));
    kill_process(process);
}

static brood_once_flag slow = BROOD_ONCE_INIT;

static void be_slow(void)
{
    (void)brood_stop_wait(MEETING_PATIENCE);
}

static int do_once(void *unused)
{
    (void)unused;
    brood_once(&slow, be_slow);
    return 0;
}

static void a_wait_for_a_once_flag_is_listed(void **state)
{
    (void)state;
    brood_thread *runner = named_thread("runner", do_once, NULL);
    assert_true(await_dumped("\"runner\"\n    waits to be asked to stop\n"));
    brood_thread *waiter = named_thread("waiter", do_once, NULL);
    assert_true(await_dumped("\"waiter\"\n    waits for a brood_once of its process\n"));
    stop_thread(runner);
    assert_thread_ends(waiter, 0);
}

// Locks

static int hold(void *arg)
{
    const brood_lock *lock = arg;
    CHECK(brood_lock_acquire(*lock, MEETING_PATIENCE) == BROOD_OK);
    note("holder", brood_self_thread_id());
    CHECK(await_note("holder may go", 1));
    CHECK(brood_lock_release(*lock) == BROOD_OK);
    return 0;
}

static int want(void *arg)
{
    const brood_lock *lock = arg;
    CHECK(brood_lock_acquire(*lock, MEETING_PATIENCE) == BROOD_OK);
    CHECK(brood_lock_release(*lock) == BROOD_OK);
    return 0;
}

static void a_lock_is_listed_with_its_name_its_holder_and_its_waiters(void **state)
{
    brood_lock lock;
    (void)state;
    assert_status(brood_lock_create(&lock), BROOD_OK);
    assert_status(brood_registry_set("the printer", lock.id), BROOD_OK);
    brood_process *holder = started_process(hold, &lock, sizeof lock);
    assert_true(await_note("holder", 1));
    brood_process *waiter = started_process(want, &lock, sizeof lock);
    assert_true(await_dumped("  thread %" PRIu64 "\n    holds lock %016" PRIx64
                             " \"the printer\"\n",
                             noted("holder"), lock.id));
    assert_true(await_dumped("    waits for lock %016" PRIx64
                             " \"the printer\", held by thread %" PRIu64 " of process %" PRId64
                             "\n",
                             lock.id, noted("holder"), brood_process_pid(holder)));
    note("holder may go", 1);
    assert_process_ends(holder, 0);
    assert_process_ends(waiter, 0);
    dump();
    assert_null(strstr(dumped.text, "printer"));
    assert_status(brood_registry_set("the printer", 0), BROOD_OK);
    assert_status(brood_lock_destroy(lock), BROOD_OK);
}

static int take_and_leave(void *arg)
{
    const brood_lock *lock = arg;
    return brood_status_acquired(brood_lock_acquire(*lock, BROOD_NOW)) ? 0 : 1;
}

static void a_lock_of_a_thread_that_has_ended_is_listed(void **state)
{
    brood_lock lock;
    (void)state;
    assert_status(brood_lock_create(&lock), BROOD_OK);
    brood_thread *thread = NULL;
    const brood_thread_options options = { .name = "careless" };
    assert_status(brood_thread_start(&thread, take_and_leave, &lock, sizeof lock, &options),
                  BROOD_OK);
    assert_thread_ends(thread, 0);
    assert_true(await_dumped("\"careless\": has ended\n    holds lock %016" PRIx64 "\n", lock.id));
    assert_status(brood_lock_acquire(lock, MEETING_PATIENCE), BROOD_OWNER_DIED);
    assert_status(brood_lock_release(lock), BROOD_OK);
    assert_status(brood_lock_destroy(lock), BROOD_OK);
}

// Others

static atomic_bool enough;

static int start_threads(void *unused)
{
    (void)unused;
    while (!atomic_load(&enough)) {
        brood_thread *thread;
        CHECK(brood_thread_start(&thread, want, unused, sizeof(brood_lock), NULL) == BROOD_OK);
        CHECK(brood_thread_join(thread, MEETING_PATIENCE, NULL) == BROOD_OK);
        brood_thread_drop(thread);
    }
    return 0;
}

static int start_processes(void *lock)
{
    while (!atomic_load(&enough)) {
        brood_process *process;
        CHECK(brood_process_start(&process, want, lock, sizeof(brood_lock), NULL) == BROOD_OK);
        CHECK(brood_process_join(process, MEETING_PATIENCE, NULL) == BROOD_OK);
        brood_process_drop(process);
    }
    return 0;
}

// Each line has a known beginning.
static void assert_well_formed(void)
{
    static const char *const beginnings[] = {
        "family ",   "process ",        "process being started, \"",
        "  thread ", "    holds lock ", "    waits "
    };
    for (const char *line = dumped.text; *line; line = strchr(line, '\n') + 1) {
        bool fits = false;
        for (size_t i = 0; i < sizeof beginnings / sizeof beginnings[0]; i++)
            fits = fits || strncmp(line, beginnings[i], strlen(beginnings[i])) == 0;
        assert_true(fits);
    }
}

static void a_family_can_be_dumped_while_it_changes(void **state)
{
    enum { DUMPS = 300, SLOW_DUMPS = 30 };
    brood_lock lock;
    (void)state;
    assert_status(brood_lock_create(&lock), BROOD_OK);
    atomic_store(&enough, false);
    brood_thread *threads = started_thread(start_threads, &lock, sizeof lock);
    brood_thread *processes = started_thread(start_processes, &lock, sizeof lock);
    for (int i = 0; i < (foreign_is_slow() ? SLOW_DUMPS : DUMPS); i++) {
        dump();
        assert_well_formed();
        assert_non_null(strstr(dumped.text, "\"MainProcess\": the main process\n"));
    }
    atomic_store(&enough, true);
    assert_thread_ends(threads, 0);
    assert_thread_ends(processes, 0);
    assert_status(brood_lock_destroy(lock), BROOD_OK);
}

static int dump_in_child(void *unused)
{
    (void)unused;
    char line[64];
    dumped.length = 0;
    CHECK(brood_dump(take_line, &dumped) == BROOD_OK && !dumped.wrong);
    (void)snprintf(line, sizeof line, "process %" PRId64 " \"MainProcess\"", brood_parent_pid());
    CHECK(strstr(dumped.text, line));
    (void)snprintf(line, sizeof line, "process %" PRId64 " \"%s\"", brood_self_pid(),
                   brood_self_name());
    CHECK(strstr(dumped.text, line));
    return 0;
}

static void every_process_can_dump_the_family(void **state)
{
    (void)state;
    assert_process_ends(started_process(dump_in_child, NULL, 0), 0);
}

static void a_missing_function_for_lines_is_invalid(void **state)
{
    (void)state;
    assert_status(brood_dump(NULL, NULL), BROOD_INVALID);
    assert_last_error_names("brood_dump");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_main_process_is_listed),
        cmocka_unit_test(each_child_is_listed_with_how_it_was_started),
        cmocka_unit_test(a_daemon_and_a_request_to_stop_are_listed),
        cmocka_unit_test(a_dead_child_is_listed_until_it_is_joined),
        cmocka_unit_test(a_long_name_is_cut_off_between_two_characters),
        cmocka_unit_test(a_name_cannot_forge_a_line),
        cmocka_unit_test(a_guest_is_listed_once_it_uses_a_shared_object),
        cmocka_unit_test(a_thread_is_listed_with_its_name_and_what_it_waits_for),
        cmocka_unit_test(a_join_is_listed_with_its_target),
        cmocka_unit_test(a_wait_for_the_parent_is_listed),
        cmocka_unit_test(a_wait_for_a_once_flag_is_listed),
        cmocka_unit_test(a_lock_is_listed_with_its_name_its_holder_and_its_waiters),
        cmocka_unit_test(a_lock_of_a_thread_that_has_ended_is_listed),
        cmocka_unit_test(a_family_can_be_dumped_while_it_changes),
        cmocka_unit_test(every_process_can_dump_the_family),
        cmocka_unit_test(a_missing_function_for_lines_is_invalid),
    };
    brood_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
