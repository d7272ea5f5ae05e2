// SPDX-License-Identifier: MIT
#include "children.h"

#include "foreign.h"
#include "platform.h"

#include <limits.h>
#include <string.h>

// Longer than a call that does not block may take, however loaded the machine is.
#define AT_ONCE BROOD_SECONDS(10)

// Names. These tests come first, while no child has been counted.

static int expect_name(void *arg)
{
    CHECK(strcmp(brood_self_name(), arg) == 0);
    return 0;
}

// Runs as the second child, and starts two of its own.
static int expect_names_of_generations(void *arg)
{
    static const char first[] = "Process-2:1";
    static const char nameless_second[] = "renamed";
    const brood_process_options renamed = { .name = nameless_second };
    brood_process *process;
    CHECK(strcmp(brood_self_name(), arg) == 0);
    CHECK(brood_process_start(&process, expect_name, first, sizeof first, NULL) == BROOD_OK);
    CHECK(strcmp(brood_process_name(process), first) == 0);
    brood_exit ended;
    CHECK(brood_process_join(process, MEETING_PATIENCE, &ended) == BROOD_OK &&
          brood_exit_number(ended) == 0);
    brood_process_drop(process);
    CHECK(brood_process_start(&process, expect_name, nameless_second, sizeof nameless_second,
                              &renamed) == BROOD_OK);
    CHECK(strcmp(brood_process_name(process), nameless_second) == 0);
    CHECK(brood_process_join(process, MEETING_PATIENCE, &ended) == BROOD_OK &&
          brood_exit_number(ended) == 0);
    brood_process_drop(process);
    return 0;
}

static void children_are_named_by_number_and_generation(void **state)
{
    (void)state;
    static const char first[] = "Process-1";
    static const char second[] = "Process-2";
    assert_string_equal(brood_self_name(), "MainProcess");
    brood_process *process = started_process(expect_name, first, sizeof first);
    assert_string_equal(brood_process_name(process), first);
    assert_process_ends(process, 0);
    assert_process_ends(started_process(expect_names_of_generations, second, sizeof second), 0);
}

// A renamed child still has its number, which the name of its first child contains.
static int expect_child_by_number(void *arg)
{
    brood_process *process;
    CHECK(brood_process_start(&process, nothing, NULL, 0, NULL) == BROOD_OK);
    CHECK(strcmp(brood_process_name(process), arg) == 0);
    CHECK(brood_process_join(process, MEETING_PATIENCE, NULL) == BROOD_OK);
    brood_process_drop(process);
    return 0;
}

static void a_given_name_is_copied_and_seen_by_the_child(void **state)
{
    (void)state;
    char name[] = "worker for \xc3\xa9t\xc3\xa9 & \"winter\"";
    char copy[sizeof name];
    memcpy(copy, name, sizeof name);
    const brood_process_options options = { .name = name };
    brood_process *process = started_with(expect_name, copy, sizeof copy, &options);
    name[0] = 'X';
    assert_string_equal(brood_process_name(process), copy);
    assert_process_ends(process, 0);
    static const char grandchild[] = "Process-4:1";
    const brood_process_options renamed = { .name = "a name" };
    assert_process_ends(
        started_with(expect_child_by_number, grandchild, sizeof grandchild, &renamed), 0);
}

static void a_name_may_be_empty_or_long(void **state)
{
    (void)state;
    static char name[10000];
    const brood_process_options options = { .name = name };
    assert_process_ends(started_with(expect_name, name, 1, &options), 0);
    memset(name, 'n', sizeof name - 1);
    assert_process_ends(started_with(expect_name, name, sizeof name, &options), 0);
}

// Joining

static void joining_a_live_child_with_no_time_returns_at_once(void **state)
{
    (void)state;
    static const brood_duration none[] = { BROOD_NOW, -1, -BROOD_SECONDS(100), INT64_MIN };
    brood_process *process = started_stayer();
    brood_exit ended = { .kind = 99 };
    const int64_t before = brood_clock();
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        assert_status(brood_process_join(process, none[i], &ended), BROOD_TIMEOUT);
    assert_true(brood_clock() - before < AT_ONCE);
    assert_last_error_names("brood_process_join");
    assert_status(brood_process_report(process, &ended), BROOD_BUSY);
    assert_last_error_names("brood_process_report");
    assert_int_equal(ended.kind, 99); // untouched on failure
    assert_true(brood_process_is_alive(process));
    end_stayer(process);
}

static void a_join_lasts_at_least_its_timeout(void **state)
{
    (void)state;
    static const brood_duration some[] = { 1, BROOD_MICROSECONDS(700), BROOD_MILLISECONDS(30),
                                           BROOD_MILLISECONDS(150) };
    brood_process *process = started_stayer();
    for (size_t i = 0; i < sizeof some / sizeof some[0]; i++) {
        const int64_t before = brood_clock();
        assert_status(brood_process_join(process, some[i], NULL), BROOD_TIMEOUT);
        const int64_t took = brood_clock() - before;
        assert_true(took >= some[i] && took < AT_ONCE);
    }
    end_stayer(process);
}

static void a_child_is_joined_and_reported_any_number_of_times(void **state)
{
    (void)state;
    const int code = -77;
    brood_process *process = started_process(code_of_argument, &code, sizeof code);
    for (int i = 0; i < 5; i++) {
        brood_exit ended = { .kind = BROOD_RUNNING };
        assert_status(brood_process_join(process, i % 2 ? BROOD_NOW : BROOD_FOREVER, &ended),
                      BROOD_OK);
        assert_end(ended, BROOD_EXITED, BROOD_CRASH_NONE, code);
        memset(&ended, 0, sizeof ended);
        assert_status(brood_process_report(process, &ended), BROOD_OK);
        assert_end(ended, BROOD_EXITED, BROOD_CRASH_NONE, code);
        assert_false(brood_process_is_alive(process));
    }
    assert_status(brood_process_join(process, BROOD_FOREVER, NULL), BROOD_OK);
    brood_process_drop(process);
}

static void is_alive_turns_false_without_a_join(void **state)
{
    (void)state;
    brood_process *process = started_stayer();
    assert_true(brood_process_is_alive(process));
    note("leave", 1);
    const int64_t deadline = brood_clock() + MEETING_PATIENCE;
    while (brood_process_is_alive(process) && brood_clock() < deadline)
        brood_sleep(BROOD_MILLISECONDS(1));
    assert_false(brood_process_is_alive(process));
    brood_exit ended;
    assert_status(brood_process_report(process, &ended), BROOD_OK);
    assert_end(ended, BROOD_EXITED, BROOD_CRASH_NONE, 0);
    brood_process_drop(process);
}

static int join_for_ever(void *arg)
{
    brood_process *process = *(brood_process **)arg;
    brood_exit ended = { .kind = BROOD_RUNNING };
    CHECK(brood_process_join(process, MEETING_PATIENCE, &ended) == BROOD_OK);
    CHECK(ended.kind == BROOD_EXITED && ended.code == 0);
    return 0;
}

static void many_threads_join_one_child(void **state)
{
    (void)state;
    enum { JOINERS = 8 };
    brood_thread *joiners[JOINERS];
    brood_process *process = started_stayer();
    for (int i = 0; i < JOINERS; i++)
        joiners[i] = started_thread(join_for_ever, &process, sizeof process);
    assert_status(brood_process_join(process, BROOD_MILLISECONDS(20), NULL), BROOD_TIMEOUT);
    note("leave", 1);
    for (int i = 0; i < JOINERS; i++)
        assert_thread_ends(joiners[i], 0);
    assert_process_ends(process, 0);
}

// Generations

static int start_the_next(void *arg)
{
    const int left = *(int *)arg;
    const int next = left - 1;
    brood_process *process;
    brood_exit ended;
    if (left == 0)
        return 1;
    CHECK(brood_process_start(&process, start_the_next, &next, sizeof next, NULL) == BROOD_OK);
    CHECK(brood_process_join(process, MEETING_PATIENCE, &ended) == BROOD_OK);
    brood_process_drop(process);
    CHECK(ended.kind == BROOD_EXITED);
    return 2 * ended.code;
}

static void children_start_children(void **state)
{
    (void)state;
    const int generations = 4;
    assert_process_ends(started_process(start_the_next, &generations, sizeof generations), 16);
}

// The list of children

static void active_children_are_listed_in_the_order_of_their_starts(void **state)
{
    (void)state;
    enum { CHILDREN = 3 };
    brood_process *started[CHILDREN];
    brood_process *listed[CHILDREN + 2] = { NULL };
    assert_int_equal(brood_active_children(NULL, 0), 0);
    started[0] = started_stayer();
    started[1] = started_process(stay, NULL, 0);
    started[2] = started_process(stay, NULL, 0);
    assert_int_equal(brood_active_children(NULL, 0), CHILDREN);
    assert_int_equal(brood_active_children(listed, CHILDREN + 2), CHILDREN);
    for (int i = 0; i < CHILDREN; i++) {
        assert_ptr_equal(listed[i], started[i]);
        brood_process_drop(listed[i]);
    }
    assert_null(listed[CHILDREN]);
    assert_int_equal(brood_active_children(listed, 1), CHILDREN);
    assert_ptr_equal(listed[0], started[0]);
    brood_process_drop(listed[0]);
    kill_process(started[1]);
    assert_int_equal(brood_active_children(listed, CHILDREN), CHILDREN - 1);
    assert_ptr_equal(listed[1], started[2]);
    brood_process_drop(listed[0]);
    brood_process_drop(listed[1]);
    end_stayer(started[0]);
    end_stayer(started[2]);
    assert_int_equal(brood_active_children(NULL, 0), 0);
}

static void a_child_without_a_reference_is_listed_and_reaped_in_passing(void **state)
{
    (void)state;
    brood_process *listed = NULL;
    note("leave", 0);
    assert_status(brood_process_start(NULL, stay, NULL, 0, NULL), BROOD_OK);
    assert_int_equal(brood_active_children(&listed, 1), 1);
    assert_true(brood_process_is_alive(listed));
    brood_process_drop(listed);
    note("leave", 1);
    const int64_t deadline = brood_clock() + MEETING_PATIENCE;
    while (brood_active_children(NULL, 0) > 0 && brood_clock() < deadline)
        brood_sleep(BROOD_MILLISECONDS(1));
    assert_int_equal(brood_active_children(NULL, 0), 0);
    assert_false(platform_has_child());
}

static void dropping_does_not_end_a_child(void **state)
{
    (void)state;
    note("seen after drop", 0);
    brood_process *process = started_stayer();
    brood_process *again = NULL;
    brood_process_drop(process);
    assert_int_equal(brood_active_children(&again, 1), 1);
    assert_true(brood_process_is_alive(again));
    end_stayer(again);
}

// Hundreds of children

static void start_some_and_end_them(int count, bool terminate)
{
    enum { BATCH = 10 };
    brood_process *batch[BATCH];
    for (int begun = 0; begun < count; begun += BATCH) {
        for (int i = 0; i < BATCH; i++) {
            const int code = begun + i;
            batch[i] = terminate ? started_process(stay, NULL, 0)
                                 : started_process(code_of_argument, &code, sizeof code);
        }
        for (int i = 0; i < BATCH; i++) {
            if (terminate)
                assert_status(brood_process_terminate(batch[i]), BROOD_OK);
            const brood_exit ended = end_of(batch[i]);
            assert_end(ended, terminate ? BROOD_TERMINATED : BROOD_EXITED, BROOD_CRASH_NONE,
                       terminate ? -15 : begun + i);
        }
    }
}

static void a_hundred_starts_and_a_hundred_terminates_leave_nothing(void **state)
{
    (void)state;
    note("leave", 0);
    start_some_and_end_them(10, true); // what is allocated once is allocated now
    const size_t before = platform_descriptor_count();
    start_some_and_end_them(100, false);
    start_some_and_end_them(100, true);
    assert_int_equal(brood_active_children(NULL, 0), 0);
    assert_false(platform_has_child());
    assert_int_equal(platform_descriptor_count(), before);
}

// Daemons

static int expect_daemon_children(void *arg)
{
    (void)arg;
    const brood_process_options explicit_no = { .daemon = BROOD_DAEMON_NO };
    brood_process *inherits;
    brood_process *does_not;
    CHECK(brood_process_start(&inherits, nothing, NULL, 0, NULL) == BROOD_OK);
    CHECK(brood_process_start(&does_not, nothing, NULL, 0, &explicit_no) == BROOD_OK);
    CHECK(brood_process_is_daemon(inherits));
    CHECK(!brood_process_is_daemon(does_not));
    CHECK(brood_process_join(inherits, MEETING_PATIENCE, NULL) == BROOD_OK);
    CHECK(brood_process_join(does_not, MEETING_PATIENCE, NULL) == BROOD_OK);
    brood_process_drop(inherits);
    brood_process_drop(does_not);
    return 0;
}

static void being_a_daemon_is_inherited(void **state)
{
    (void)state;
    const brood_process_options daemon = { .daemon = BROOD_DAEMON_YES };
    brood_process *process = started_with(expect_daemon_children, NULL, 0, &daemon);
    assert_true(brood_process_is_daemon(process));
    assert_process_ends(process, 0);
    process = started_process(nothing, NULL, 0);
    assert_false(brood_process_is_daemon(process));
    assert_process_ends(process, 0);
}

// Misuse

static int somewhere_in_memory = 7;

static brood_target as_target(void *data)
{
    return (brood_target)(uintptr_t)data;
}

static void a_pointer_to_no_function_is_no_target(void **state)
{
    (void)state;
    int on_stack = 0;
    void *on_heap = malloc(64);
    assert_non_null(on_heap);
    const brood_target targets[] = { NULL,
                                     as_target(&on_stack),
                                     as_target(on_heap),
                                     as_target(&somewhere_in_memory),
                                     (brood_target)(uintptr_t)1,
                                     (brood_target)UINTPTR_MAX };
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        brood_process *process = (brood_process *)&on_stack;
        if (brood_process_start(&process, targets[i], NULL, 0, NULL) != BROOD_INVALID)
            fail_msg("target %d: %s", (int)i, brood_last_error());
        assert_last_error_names("brood_process_start");
        assert_ptr_equal(process, &on_stack); // untouched on failure
    }
    free(on_heap);
}

static const char *const empty_entry[] = { "A=1", "", NULL };
static const char *const nameless_entry[] = { "=x", NULL };

// Arguments and options that a start refuses.
static const struct {
    const void *arg;
    size_t size;
    brood_process_options options;
} bad_starts[] = {
    { NULL, 4, BROOD_PROCESS_OPTIONS_INIT },
    { NULL, SIZE_MAX, BROOD_PROCESS_OPTIONS_INIT },
    { "arg", 0, BROOD_PROCESS_OPTIONS_INIT },
    { NULL, 0, { .daemon = 3 } },
    { NULL, 0, { .daemon = -1 } },
    { NULL, 0, { .daemon = INT32_MAX } },
    { NULL, 0, { .method = 4 } },
    { NULL, 0, { .method = -1 } },
    { NULL, 0, { .method = INT32_MIN } },
    { NULL, 0, { .input = 3 } },
    { NULL, 0, { .input = -1 } },
    { NULL, 0, { .output = BROOD_OUTPUT_MERGE } },
    { NULL, 0, { .output = -1 } },
    { NULL, 0, { .error = 4 } },
    { NULL, 0, { .error = INT32_MIN } },
    { NULL, 0, { .input = BROOD_INPUT_RESOURCE } },
    { NULL, 0, { .output = BROOD_OUTPUT_RESOURCE, .output_resource = { 4, 1 } } },
    { NULL,
      0,
      { .error = BROOD_OUTPUT_RESOURCE, .error_resource = { BROOD_RESOURCE_DESCRIPTOR, 500 } } },
    { NULL, 0, { .input_resource = { BROOD_RESOURCE_DESCRIPTOR, 1 } } },
    { NULL,
      0,
      { .output = BROOD_OUTPUT_NULL, .output_resource = { BROOD_RESOURCE_DESCRIPTOR, 1 } } },
    { NULL,
      0,
      { .error = BROOD_OUTPUT_MERGE, .error_resource = { BROOD_RESOURCE_DESCRIPTOR, 1 } } },
    { NULL, 0, { .reserved = { 1 } } },
    { NULL, 0, { .reserved = { 0, 0, 0, UINT64_MAX } } },
    { NULL, 0, { .daemon = BROOD_DAEMON_YES, .survive_parent = true } },
    { NULL, 0, { .environment = empty_entry } },
    { NULL, 0, { .environment = nameless_entry } },
};

static void bad_options_are_refused(void **state)
{
    (void)state;
    const size_t before = platform_descriptor_count();
    for (size_t i = 0; i < sizeof bad_starts / sizeof bad_starts[0]; i++) {
        brood_process *process = NULL;
        if (brood_process_start(&process, nothing, bad_starts[i].arg, bad_starts[i].size,
                                &bad_starts[i].options) != BROOD_INVALID)
            fail_msg("row %d: %s", (int)i, brood_last_error());
        assert_last_error_names("brood_process_start");
        assert_null(process);
    }
    assert_int_equal(platform_descriptor_count(), before);
    assert_false(platform_has_child());
}

// Returns the line of a start that was not refused.
static int try_a_daemon_that_inherits_and_survives(void *arg)
{
    const brood_process_options options = { .survive_parent = true };
    (void)arg;
    CHECK(brood_process_start(NULL, nothing, NULL, 0, &options) == BROOD_INVALID);
    return 0;
}

static void a_daemon_by_inheritance_cannot_survive_its_parent_either(void **state)
{
    (void)state;
    const brood_process_options daemon = { .daemon = BROOD_DAEMON_YES };
    assert_process_ends(started_with(try_a_daemon_that_inherits_and_survives, NULL, 0, &daemon), 0);
}

static void calls_without_a_process_are_harmless(void **state)
{
    (void)state;
    brood_exit ended = { .kind = 99 };
    assert_status(brood_process_join(NULL, BROOD_FOREVER, &ended), BROOD_INVALID);
    assert_last_error_names("brood_process_join");
    assert_status(brood_process_report(NULL, &ended), BROOD_INVALID);
    assert_status(brood_process_terminate(NULL), BROOD_INVALID);
    assert_last_error_names("brood_process_terminate");
    assert_status(brood_process_kill(NULL), BROOD_INVALID);
    assert_last_error_names("brood_process_kill");
    assert_int_equal(ended.kind, 99);
    assert_false(brood_process_is_alive(NULL));
    assert_false(brood_process_is_daemon(NULL));
    assert_int_equal(brood_process_pid(NULL), 0);
    assert_string_equal(brood_process_name(NULL), "");
    brood_process_drop(NULL);
}

// Arguments

static unsigned char pattern_at(size_t at)
{
    return (unsigned char)(at * 7 + at / 251);
}

static int expect_argument(void *arg)
{
    const unsigned char *bytes = arg;
    const size_t size = (size_t)noted("argument size");
    CHECK((size == 0) == (arg == NULL));
    CHECK((uintptr_t)arg % (2 * sizeof(void *)) == 0); // aligned as memory from malloc
    for (size_t at = 0; at < size; at++)
        CHECK(bytes[at] == pattern_at(at));
    if (size > 0) // the memory is the child's own
        memset(arg, 0, size);
    return 0;
}

static void an_argument_of_any_size_arrives_whole_and_aligned(void **state)
{
    (void)state;
    static const size_t sizes[] = { 0, 1, 15, 4096, (1 << 20) + 3, 16 << 20 };
    unsigned char *bytes = malloc(16 << 20);
    assert_non_null(bytes);
    for (size_t at = 0; at < 16 << 20; at++)
        bytes[at] = pattern_at(at);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        note("argument size", sizes[i]);
        brood_process *process =
            started_process(expect_argument, sizes[i] ? bytes : NULL, sizes[i]);
        assert_process_ends(process, 0);
        // the child had a copy
        assert_true(bytes[0] == pattern_at(0) && bytes[4095] == pattern_at(4095));
    }
    free(bytes);
}

// Directory, environment, input

// Reads a file by a name without directory.
static int read_file_here(void *arg)
{
    FILE *file = fopen(arg, "r");
    CHECK(file);
    const int first = fgetc(file);
    (void)fclose(file);
    return first;
}

// Makes a file that begins with 'x'. Its directory is stored in `directory`, which must have room
// for the path.
static const char *made_file(char *path, size_t capacity, char *directory)
{
    foreign_file_name(path, capacity, "brood.txt");
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs("xyz\n", file) >= 0);
    assert_int_equal(fclose(file), 0);
    memcpy(directory, path, strlen(path) + 1);
    char *last = directory;
    for (char *at = directory; *at; at++)
        if (*at == '/' || *at == '\\')
            last = at;
    *last = 0;
    return path + (last - directory) + 1;
}

static void a_child_begins_in_the_directory_it_was_given(void **state)
{
    (void)state;
    char path[512];
    char directory[512];
    const char *name = made_file(path, sizeof path, directory);
    const brood_process_options options = { .directory = directory };
    assert_process_ends(started_with(read_file_here, name, strlen(name) + 1, &options), 'x');
    assert_null(fopen(name, "r")); // this process has stayed in its own directory
    foreign_file_remove(path);
}

static void a_directory_that_is_not_there_is_not_found(void **state)
{
    (void)state;
    char path[512];
    char directory[512];
    (void)made_file(path, sizeof path, directory);
    const size_t before = platform_descriptor_count();
    const char *const wrong[] = { "no such directory", "/no/such/directory/either", path, "" };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        const brood_process_options options = { .directory = wrong[i] };
        brood_process *process = NULL;
        if (brood_process_start(&process, nothing, NULL, 0, &options) != BROOD_NOT_FOUND)
            fail_msg("row %d: %s", (int)i, brood_last_error());
        assert_last_error_names("brood_process_start");
        assert_last_error_names("changing to the child's directory");
        assert_last_error_names(wrong[i]);
        assert_null(process);
    }
    assert_int_equal(brood_active_children(NULL, 0), 0);
    assert_false(platform_has_child());
    assert_int_equal(platform_descriptor_count(), before);
    foreign_file_remove(path);
}

static bool has(const char *name, const char *value)
{
    const char *found = getenv(name);
    return value ? found && strcmp(found, value) == 0 : !found;
}

static int expect_changed_environment(void *arg)
{
    (void)arg;
    CHECK(has("BROOD_TEST_KEPT", "kept"));
    CHECK(has("BROOD_TEST_CHANGED", "new=value"));
    CHECK(has("BROOD_TEST_REMOVED", NULL));
    CHECK(has("BROOD_TEST_ADDED", "added"));
    CHECK(has("BROOD_TEST_TWICE", "second"));
    CHECK(has("BROOD_TEST_ABSENT", NULL));
    CHECK(has("BROOD_BOOT", NULL));
    return 0;
}

// The grandchild gets its parent's environment.
static int expect_inherited_environment(void *arg)
{
    brood_process *process;
    brood_exit ended;
    CHECK(expect_changed_environment(arg) == 0);
    CHECK(brood_process_start(&process, expect_changed_environment, NULL, 0, NULL) == BROOD_OK);
    CHECK(brood_process_join(process, MEETING_PATIENCE, &ended) == BROOD_OK);
    brood_process_drop(process);
    return brood_exit_number(ended);
}

static void the_environment_changes_that_of_the_parent(void **state)
{
    (void)state;
    static const char *const changes[] = { "BROOD_TEST_CHANGED=new=value",
                                           "BROOD_TEST_REMOVED",
                                           "BROOD_TEST_TWICE=first",
                                           "BROOD_TEST_ADDED=added",
                                           "BROOD_TEST_TWICE=second",
                                           "BROOD_TEST_ABSENT",
                                           NULL };
    platform_environment_set("BROOD_TEST_KEPT", "kept");
    platform_environment_set("BROOD_TEST_CHANGED", "old");
    platform_environment_set("BROOD_TEST_REMOVED", "here");
    const brood_process_options options = { .environment = changes };
    assert_process_ends(started_with(expect_inherited_environment, NULL, 0, &options), 0);
    assert_true(has("BROOD_TEST_KEPT", "kept"));
    assert_true(has("BROOD_TEST_CHANGED", "old"));
    assert_true(has("BROOD_TEST_REMOVED", "here"));
    assert_true(has("BROOD_TEST_ADDED", NULL));
    assert_true(has("BROOD_BOOT", NULL));
    static const char *const none[] = { NULL };
    const brood_process_options unchanged = { .environment = none };
    assert_process_ends(started_with(nothing, NULL, 0, &unchanged), 0);
    platform_environment_set("BROOD_TEST_KEPT", NULL);
    platform_environment_set("BROOD_TEST_CHANGED", NULL);
    platform_environment_set("BROOD_TEST_REMOVED", NULL);
}

static int read_input(void *arg)
{
    (void)arg;
    const int first = getchar();
    return first == EOF ? 1000 : first;
}

static void a_child_reads_nothing_unless_the_input_is_inherited(void **state)
{
    (void)state;
    char path[512];
    char directory[512];
    (void)made_file(path, sizeof path, directory);
    assert_non_null(freopen(path, "r", stdin));
    assert_process_ends(started_process(read_input, NULL, 0), 1000);
    const brood_process_options inherit = { .input = BROOD_INPUT_INHERIT };
    assert_process_ends(started_with(read_input, NULL, 0, &inherit), 'x');
    assert_non_null(freopen(platform_has_fork() ? "/dev/null" : "NUL", "r", stdin));
    foreign_file_remove(path);
}

// Methods

static void the_start_method_can_be_chosen_and_reset(void **state)
{
    (void)state;
    const brood_start_method usual = brood_start_method_get();
    assert_true(usual == BROOD_START_SPAWN || usual == BROOD_START_FORKSERVER ||
                usual == BROOD_START_FORK);
    assert_status(brood_start_method_set(BROOD_START_SPAWN), BROOD_OK);
    assert_int_equal(brood_start_method_get(), BROOD_START_SPAWN);
    assert_process_ends(started_process(nothing, NULL, 0), 0);
    assert_status(brood_start_method_set(BROOD_START_FORK),
                  platform_has_fork() ? BROOD_OK : BROOD_UNSUPPORTED);
    assert_int_equal(brood_start_method_get(),
                     platform_has_fork() ? BROOD_START_FORK : BROOD_START_SPAWN);
    assert_process_ends(started_process(nothing, NULL, 0), 0);
    assert_status(brood_start_method_set(BROOD_START_FORKSERVER),
                  platform_has_fork() ? BROOD_OK : BROOD_UNSUPPORTED);
    assert_int_equal(brood_start_method_get(),
                     platform_has_fork() ? BROOD_START_FORKSERVER : BROOD_START_SPAWN);
    assert_process_ends(started_process(nothing, NULL, 0), 0);
    assert_status(brood_start_method_set((brood_start_method)4), BROOD_INVALID);
    assert_last_error_names("brood_start_method_set");
    assert_status(brood_start_method_set((brood_start_method)77), BROOD_INVALID);
    assert_status(brood_start_method_set(BROOD_START_DEFAULT), BROOD_OK);
    assert_int_equal(brood_start_method_get(), usual);
}

static int return_method(void *arg)
{
    (void)arg;
    return (int)brood_start_method_get();
}

static void a_child_has_the_start_method_of_its_parent(void **state)
{
    (void)state;
    const brood_start_method chosen = platform_has_fork() ? BROOD_START_FORK : BROOD_START_SPAWN;
    const brood_process_options fresh = { .method = BROOD_START_SPAWN };
    assert_status(brood_start_method_set(chosen), BROOD_OK);
    assert_process_ends(started_with(return_method, NULL, 0, &fresh), (int)chosen);
    assert_status(brood_start_method_set(BROOD_START_SPAWN), BROOD_OK);
    assert_process_ends(started_with(return_method, NULL, 0, &fresh), BROOD_START_SPAWN);
    assert_status(brood_start_method_set(BROOD_START_DEFAULT), BROOD_OK);
    assert_process_ends(started_with(return_method, NULL, 0, &fresh),
                        (int)brood_start_method_get());
}

static void a_method_that_the_system_lacks_is_unsupported(void **state)
{
    (void)state;
    const int32_t methods[] = { BROOD_START_FORKSERVER, BROOD_START_FORK };
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        const brood_process_options options = { .method = methods[i] };
        if (platform_has_fork())
            assert_process_ends(started_with(nothing, NULL, 0, &options), 0);
        else
            assert_status(brood_process_start(NULL, nothing, NULL, 0, &options), BROOD_UNSUPPORTED);
    }
}

static int return_memory(void *arg)
{
    (void)arg;
    return somewhere_in_memory++;
}

static void a_copy_sees_the_memory_of_its_parent_and_a_fresh_image_does_not(void **state)
{
    (void)state;
    const brood_process_options fresh = { .method = BROOD_START_SPAWN };
    const brood_process_options copy = { .method = BROOD_START_FORK };
    somewhere_in_memory = 42;
    assert_process_ends(started_with(return_memory, NULL, 0, &fresh), 7);
    if (platform_has_fork())
        assert_process_ends(started_with(return_memory, NULL, 0, &copy), 42);
    assert_int_equal(somewhere_in_memory, 42);
    somewhere_in_memory = 7;
}

static int linger(void *arg)
{
    (void)arg;
    CHECK(await_note("linger", 1));
    return 0;
}

static void a_copy_beside_other_threads_is_made_only_when_allowed(void **state)
{
    (void)state;
    const brood_process_options copy = { .method = BROOD_START_FORK };
    const brood_process_options allowed = { .method = BROOD_START_FORK, .fork_with_threads = true };
    note("linger", 0);
    brood_thread *thread = started_thread(linger, NULL, 0);
    if (platform_has_fork()) {
        assert_status(brood_process_start(NULL, nothing, NULL, 0, &copy), BROOD_WRONG_STATE);
        if (platform_copy_may_start_threads())
            assert_process_ends(started_with(nothing, NULL, 0, &allowed), 0);
        assert_status(brood_start_method_set(BROOD_START_FORK), BROOD_OK);
        assert_status(brood_process_start(NULL, nothing, NULL, 0, NULL), BROOD_WRONG_STATE);
        assert_status(brood_start_method_set(BROOD_START_DEFAULT), BROOD_OK);
    } else {
        assert_status(brood_process_start(NULL, nothing, NULL, 0, &copy), BROOD_UNSUPPORTED);
        assert_status(brood_process_start(NULL, nothing, NULL, 0, &allowed), BROOD_UNSUPPORTED);
    }
    // If the environment variable chooses fork, this is a fresh image.
    assert_process_ends(started_process(nothing, NULL, 0), 0);
    note("linger", 1);
    assert_thread_ends(thread, 0);
}

static void a_joined_thread_does_not_hinder_a_copy(void **state)
{
    (void)state;
    const brood_process_options copy = { .method = BROOD_START_FORK };
    if (!platform_joined_thread_is_gone()) {
        print_message("skipped: a joined thread of the emulator may not have ended\n");
        skip();
    }
    for (int i = 0; i < 200 && platform_has_fork(); i++) {
        assert_thread_ends(started_thread(nothing, NULL, 0), 0);
        assert_process_ends(started_with(nothing, NULL, 0, &copy), 0);
    }
}

// What belongs to another process

static int use_a_child_of_another_process(void *arg)
{
    brood_process *process = *(brood_process **)arg;
    brood_exit ended;
    CHECK(brood_process_join(process, BROOD_FOREVER, &ended) == BROOD_WRONG_STATE);
    CHECK(brood_process_report(process, &ended) == BROOD_WRONG_STATE);
    CHECK(brood_process_terminate(process) == BROOD_WRONG_STATE);
    CHECK(brood_process_kill(process) == BROOD_WRONG_STATE);
    CHECK(!brood_process_is_alive(process));
    CHECK(brood_active_children(NULL, 0) == 0);
    brood_process_drop(process);
    return 0;
}

static void a_copy_cannot_use_the_children_of_its_parent(void **state)
{
    (void)state;
    const brood_process_options copy = { .method = BROOD_START_FORK };
    brood_process *process = started_stayer();
    if (platform_has_fork())
        assert_process_ends(
            started_with(use_a_child_of_another_process, &process, sizeof process, &copy), 0);
    const int guest = platform_guest(use_a_child_of_another_process, &process);
    assert_int_equal(guest, platform_has_fork() ? 0 : -1);
    assert_true(brood_process_is_alive(process));
    end_stayer(process);
}

// Threads and starts

struct hand_over {
    brood_process **process;
    const brood_process_options *options;
};

static int start_a_stayer(void *arg)
{
    const struct hand_over *to = arg;
    CHECK(brood_process_start(to->process, stay, NULL, 0, to->options) == BROOD_OK);
    return 0;
}

// The child does not belong to the thread that started it, and outlives it.
static void expect_a_child_to_outlive_a_thread(const brood_process_options *options)
{
    brood_process *process = NULL;
    const struct hand_over to = { &process, options };
    note("leave", 0);
    assert_thread_ends(started_thread(start_a_stayer, &to, sizeof to), 0);
    assert_non_null(process);
    // If the system ended it with the thread, it would do so now.
    assert_status(brood_process_join(process, BROOD_MILLISECONDS(200), NULL), BROOD_TIMEOUT);
    end_stayer(process);
}

static void a_child_outlives_the_thread_that_started_it(void **state)
{
    (void)state;
    const brood_process_options fresh = { .method = BROOD_START_SPAWN };
    const brood_process_options copy = { .method = BROOD_START_FORK, .fork_with_threads = true };
    expect_a_child_to_outlive_a_thread(NULL);
    expect_a_child_to_outlive_a_thread(&fresh);
    if (platform_copy_may_start_threads())
        expect_a_child_to_outlive_a_thread(&copy);
}

static int start_and_join_some(void *arg)
{
    (void)arg;
    for (int i = 0; i < 5; i++) {
        brood_process *process;
        brood_exit ended;
        CHECK(brood_process_start(&process, code_of_argument, &i, sizeof i, NULL) == BROOD_OK);
        CHECK(brood_process_join(process, MEETING_PATIENCE, &ended) == BROOD_OK);
        CHECK(ended.kind == BROOD_EXITED && ended.code == i);
        brood_process_drop(process);
    }
    return 0;
}

static void threads_start_children_at_the_same_time(void **state)
{
    (void)state;
    enum { THREADS = 4 };
    brood_thread *threads[THREADS];
    if (!platform_child_can_be_started_beside_threads()) {
        print_message("skipped: a start beside others may hang here\n");
        skip();
    }
    for (int i = 0; i < THREADS; i++)
        threads[i] = started_thread(start_and_join_some, NULL, 0);
    for (int i = 0; i < THREADS; i++)
        assert_thread_ends(threads[i], 0);
    assert_false(platform_has_child());
}

// A dead child is joined even if its own children live.

struct leaver {
    bool is_killed; // or calls _Exit()
    int32_t method; // the method of its child
};

static int outlive(void *arg)
{
    (void)arg;
    note("survivor", (uint64_t)brood_self_pid());
    CHECK(await_note("leave", 1));
    return 0;
}

static int leave_a_survivor(void *arg)
{
    const struct leaver *leaver = arg;
    const brood_process_options options = { .method = leaver->method, .survive_parent = true };
    CHECK(brood_process_start(NULL, outlive, NULL, 0, &options) == BROOD_OK);
    CHECK(await_note("survivor", 1));
    if (!leaver->is_killed)
        _Exit(4);
    note("killable", 1);
    (void)await_note("never", 1);
    return 0;
}

static void expect_no_delay_by_a_survivor(const brood_process_options *options,
                                          const struct leaver *leaver)
{
    brood_exit ended;
    note("survivor", 0);
    note("leave", 0);
    note("killable", 0);
    brood_process *process = started_with(leave_a_survivor, leaver, sizeof *leaver, options);
    if (leaver->is_killed) {
        assert_true(await_note("killable", 1));
        assert_status(brood_process_kill(process), BROOD_OK);
    }
    assert_status(brood_process_join(process, MEETING_PATIENCE, &ended), BROOD_OK);
    const brood_pid survivor = (brood_pid)noted("survivor");
    assert_true(platform_process_lives(survivor));
    assert_int_equal(brood_exit_number(ended), leaver->is_killed ? -9 : 4);
    brood_process_drop(process);
    note("leave", 1);
    assert_true(platform_process_ends(survivor));
}

static void a_living_grandchild_does_not_delay_the_join_of_a_dead_child(void **state)
{
    (void)state;
    int32_t methods[MOST_METHODS];
    const size_t count = methods_of_this_system(methods);
    for (size_t i = 0; i < count * count * 2; i++) {
        const brood_process_options options = { .method = methods[i / 2 % count] };
        const struct leaver leaver = { .is_killed = i % 2, .method = methods[i / 2 / count] };
        expect_no_delay_by_a_survivor(&options, &leaver);
    }
}

// Programs that reap all their children. A child of the fork server is not theirs to reap.

static void a_code_is_known_even_if_the_program_reaped_the_child(void **state)
{
    (void)state;
    const int code = 0x1234567;
    brood_process *process = started_process(code_of_argument, &code, sizeof code);
    (void)platform_reap(brood_process_pid(process));
    assert_end(end_of(process), BROOD_EXITED, BROOD_CRASH_NONE, code);
}

// The end of a child that was killed from outside, and that this program may have reaped.
static void assert_killed(brood_exit ended, bool reaped)
{
    if (reaped)
        assert_end(ended, BROOD_LOST, BROOD_CRASH_NONE, 255);
    else if (platform_has_signals())
        assert_end(ended, BROOD_SIGNALLED, BROOD_CRASH_NONE, -9);
    else
        assert_true(ended.kind == BROOD_EXITED || ended.kind == BROOD_LOST);
}

static void the_end_of_a_killed_child_is_lost_if_the_program_reaped_it(void **state)
{
    (void)state;
    brood_process *process = started_stayer();
    platform_process_kill(brood_process_pid(process));
    const bool reaped = platform_reap(brood_process_pid(process));
    assert_killed(end_of(process), reaped);
}

static void children_are_joined_while_the_system_forgets_them(void **state)
{
    (void)state;
    const int code = -5;
    const bool forgets = platform_children_ignore(true);
    const bool is_ours = brood_start_method_get() != BROOD_START_FORKSERVER;
    brood_process *process = started_process(code_of_argument, &code, sizeof code);
    assert_end(end_of(process), BROOD_EXITED, BROOD_CRASH_NONE, code);
    process = started_stayer();
    assert_status(brood_process_join(process, BROOD_MILLISECONDS(20), NULL), BROOD_TIMEOUT);
    platform_process_kill(brood_process_pid(process));
    assert_killed(end_of(process), forgets && is_ours);
    assert_int_equal(brood_active_children(NULL, 0), 0);
    (void)platform_children_ignore(false);
}

// Lack of descriptors

static void a_start_without_descriptors_fails_and_leaves_nothing(void **state)
{
    (void)state;
    assert_process_ends(started_process(nothing, NULL, 0), 0);
    const size_t before = platform_descriptor_count();
    brood_status status = BROOD_NO_RESOURCES;
    unsigned failed = 0;
    for (unsigned more = 0; status != BROOD_OK && more < 32; more++) {
        brood_process *process = NULL;
        const bool limited = platform_descriptors_limit(more);
        status = brood_process_start(&process, nothing, NULL, 0, NULL);
        platform_descriptors_unlimit();
        if (status == BROOD_OK) {
            assert_process_ends(process, 0);
        } else {
            failed++;
            assert_true(limited);
            assert_status(status, BROOD_NO_RESOURCES);
            assert_last_error_names("brood_process_start");
            assert_null(process);
        }
        assert_int_equal(platform_descriptor_count(), before);
        assert_false(platform_has_child());
    }
    assert_int_equal(status, BROOD_OK);
    assert_true(failed > 0 || !platform_has_fork());
}

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(children_are_named_by_number_and_generation),
        cmocka_unit_test(a_given_name_is_copied_and_seen_by_the_child),
        cmocka_unit_test(a_name_may_be_empty_or_long),
        cmocka_unit_test(joining_a_live_child_with_no_time_returns_at_once),
        cmocka_unit_test(a_join_lasts_at_least_its_timeout),
        cmocka_unit_test(a_child_is_joined_and_reported_any_number_of_times),
        cmocka_unit_test(is_alive_turns_false_without_a_join),
        cmocka_unit_test(many_threads_join_one_child),
        cmocka_unit_test(children_start_children),
        cmocka_unit_test(active_children_are_listed_in_the_order_of_their_starts),
        cmocka_unit_test(a_child_without_a_reference_is_listed_and_reaped_in_passing),
        cmocka_unit_test(dropping_does_not_end_a_child),
        cmocka_unit_test(a_hundred_starts_and_a_hundred_terminates_leave_nothing),
        cmocka_unit_test(being_a_daemon_is_inherited),
        cmocka_unit_test(a_pointer_to_no_function_is_no_target),
        cmocka_unit_test(bad_options_are_refused),
        cmocka_unit_test(a_daemon_by_inheritance_cannot_survive_its_parent_either),
        cmocka_unit_test(calls_without_a_process_are_harmless),
        cmocka_unit_test(an_argument_of_any_size_arrives_whole_and_aligned),
        cmocka_unit_test(a_child_begins_in_the_directory_it_was_given),
        cmocka_unit_test(a_directory_that_is_not_there_is_not_found),
        cmocka_unit_test(the_environment_changes_that_of_the_parent),
        cmocka_unit_test(a_child_reads_nothing_unless_the_input_is_inherited),
        cmocka_unit_test(the_start_method_can_be_chosen_and_reset),
        cmocka_unit_test(a_child_has_the_start_method_of_its_parent),
        cmocka_unit_test(a_method_that_the_system_lacks_is_unsupported),
        cmocka_unit_test(a_copy_sees_the_memory_of_its_parent_and_a_fresh_image_does_not),
        cmocka_unit_test(a_copy_beside_other_threads_is_made_only_when_allowed),
        cmocka_unit_test(a_joined_thread_does_not_hinder_a_copy),
        cmocka_unit_test(a_copy_cannot_use_the_children_of_its_parent),
        cmocka_unit_test(a_child_outlives_the_thread_that_started_it),
        cmocka_unit_test(threads_start_children_at_the_same_time),
        cmocka_unit_test(a_living_grandchild_does_not_delay_the_join_of_a_dead_child),
        cmocka_unit_test(a_code_is_known_even_if_the_program_reaped_the_child),
        cmocka_unit_test(the_end_of_a_killed_child_is_lost_if_the_program_reaped_it),
        cmocka_unit_test(children_are_joined_while_the_system_forgets_them),
        cmocka_unit_test(a_start_without_descriptors_fails_and_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
