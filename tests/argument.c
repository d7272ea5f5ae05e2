// SPDX-License-Identifier: MIT
// Arguments that are larger than any buffer of a pipe or socket: that they arrive, and what
// happens when either side fails or is killed meanwhile.
#include "meeting.h"

#include "foreign.h"
#include "library/plugin.h"
#include "platform.h"

#include <string.h>

// Tells a fresh image of this program to kill itself before it has read anything.
#define DIE "BROOD_TEST_DIE"

enum { LARGE = 64 << 20, MIDDLE = 16 << 20 };

static unsigned char pattern_at(size_t at)
{
    return (unsigned char)(at * 7 + at / 251);
}

static unsigned char *made_large(void)
{
    unsigned char *bytes = malloc(LARGE);
    assert_non_null(bytes);
    for (size_t at = 0; at < LARGE; at++)
        bytes[at] = pattern_at(at);
    return bytes;
}

static int expect_large(void *arg)
{
    const unsigned char *bytes = arg;
    CHECK((uintptr_t)arg % (2 * sizeof(void *)) == 0); // aligned as memory from malloc
    for (size_t at = 0; at < LARGE; at++)
        CHECK(bytes[at] == pattern_at(at));
    return 7;
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static void a_large_argument_arrives_whole(void **state)
{
    unsigned char *bytes = *state;
    for (int i = 0; i < 2; i++)
        assert_process_ends(started_process(expect_large, bytes, LARGE), 7);
}

// Failures

// What the process uses before a test.
struct stock {
    size_t descriptors;
    size_t memory;
};

static struct stock take_stock(void)
{
    return (struct stock){ platform_descriptor_count(), platform_memory_used() };
}

// More freed memory than a sanitizer withholds, and less than the starts of a test would leak.
static const size_t slack = (size_t)5 * LARGE;

enum { ROUNDS = 8 };

static void assert_nothing_left(struct stock before)
{
    assert_int_equal(brood_active_children(NULL, 0), 0);
    assert_false(platform_has_child());
    assert_int_equal(platform_descriptor_count(), before.descriptors);
    assert_true(platform_memory_used() < before.memory + slack);
}

static void expect_failures(const unsigned char *bytes, brood_target target,
                            const brood_process_options *options, brood_status status)
{
    assert_process_ends(started_process(nothing, NULL, 0), 0);
    struct stock before = { 0, 0 };
    for (int i = 0; i <= ROUNDS; i++) {
        brood_process *process = NULL;
        if (i == 1) // what is allocated only once has been allocated
            before = take_stock();
        assert_status(brood_process_start(&process, target, bytes, LARGE, options), status);
        assert_null(process);
    }
    assert_nothing_left(before);
}

static void a_missing_directory_is_reported_whatever_the_size_of_the_argument(void **state)
{
    const brood_process_options options = { .directory = "/no/such/directory" };
    expect_failures(*state, nothing, &options, BROOD_NOT_FOUND);
}

static void a_missing_library_is_reported_whatever_the_size_of_the_argument(void **state)
{
    char path[512];
    foreign_file_name(path, sizeof path, "large.dll");
    foreign_file_copy(PLUGIN_FILE_1, path);
    void *library = foreign_library_open(path);
    if (!library) {
        foreign_file_remove(path);
        print_message("this program cannot open libraries\n");
        skip();
    }
    plugin_function (*get)(void) =
        (plugin_function(*)(void))foreign_library_function(library, "plugin_adder");
    foreign_file_replace(PLUGIN_FILE_2, path);
    foreign_file_remove(path);
    if (brood_start_method_get() == BROOD_START_FORK) // a copy has the library
        assert_process_ends(started_process(expect_large, *state, LARGE), 7);
    else
        expect_failures(*state, get(), NULL, BROOD_NOT_FOUND);
}

static void a_child_killed_before_it_reads_its_argument_is_reported(void **state)
{
    const char *const environment[] = { DIE "=1", NULL };
    const brood_process_options options = { .method = BROOD_START_SPAWN,
                                            .environment = environment };
    expect_failures(*state, nothing, &options, BROOD_SYSTEM);
}

static const brood_process_options served = { .method = BROOD_START_FORKSERVER };

static int note_server(void *arg)
{
    (void)arg;
    note("server", (uint64_t)platform_parent_of(brood_self_pid()));
    return 0;
}

// Kills all children of the server, `*arg` times, while the test starts a process.
static int kill_children_of_the_server(void *arg)
{
    enum { MOST = 16 };
    for (int i = 0; i < *(int *)arg; i++) {
        brood_pid children[MOST];
        brood_sleep(BROOD_MILLISECONDS(20));
        const brood_pid server = (brood_pid)noted("server");
        const size_t count = server > 1 ? platform_children_of(server, children, MOST) : 0;
        for (size_t n = 0; n < count; n++)
            platform_process_kill(children[n]);
    }
    return 0;
}

static void a_spare_killed_while_it_reads_an_argument_fails_at_most_one_start(void **state)
{
    if (!platform_has_fork())
        return; // no fork, no spares
    brood_process *process = NULL;
    assert_status(brood_process_start(&process, note_server, NULL, 0, &served), BROOD_OK);
    assert_process_ends(process, 0);
    const struct stock before = take_stock();
    for (int kills = 1; kills <= 3; kills++) {
        brood_thread *killer = started_thread(kill_children_of_the_server, &kills, sizeof kills);
        const brood_status status = brood_process_start(&process, nothing, *state, LARGE, &served);
        assert_true(status == BROOD_OK || status == BROOD_SYSTEM);
        if (status == BROOD_OK) {
            assert_status(brood_process_join(process, MEETING_PATIENCE, NULL), BROOD_OK);
            brood_process_drop(process);
        }
        assert_thread_ends(killer, 0);
    }
    assert_nothing_left(before);
}

// The sender dies: a child whose parent is killed while it sends the argument ends by itself,
// even if it is to survive its parent. All these processes hold the writing end of a pipe, so
// that the pipe ends when all of them have ended.

static int start_survivors(void *arg)
{
    brood_resource pipe;
    CHECK(brood_self_resource(0, &pipe) == BROOD_OK);
    const brood_process_options options = { .survive_parent = true,
                                            .resources = &pipe,
                                            .resource_count = 1 };
    note("starts", 1);
    for (;;)
        CHECK(brood_process_start(NULL, nothing, arg, MIDDLE, &options) == BROOD_OK);
}

static void no_child_waits_for_the_rest_of_an_argument_whose_sender_was_killed(void **state)
{
    for (int round = 0; round < 6; round++) {
        intptr_t ends[2];
        platform_pipe(ends);
        const brood_resource pipe = { .kind = BROOD_RESOURCE_DESCRIPTOR, .value = ends[1] };
        const brood_process_options options = { .resources = &pipe, .resource_count = 1 };
        brood_process *parent = NULL;
        note("starts", 0);
        assert_status(brood_process_start(&parent, start_survivors, *state, MIDDLE, &options),
                      BROOD_OK);
        platform_close(ends[1]);
        assert_true(await_note("starts", 1));
        brood_sleep(BROOD_MILLISECONDS(round * 9)); // at any point of a start
        platform_process_kill(brood_process_pid(parent));
        assert_status(brood_process_join(parent, MEETING_PATIENCE, NULL), BROOD_OK);
        brood_process_drop(parent);
        assert_true(platform_pipe_ends(ends[0]));
        platform_close(ends[0]);
    }
}

static int make_argument(void **state)
{
    *state = made_large();
    return 0;
}

static int free_argument(void **state)
{
    free(*state);
    return 0;
}

int main(void)
{
    if (getenv(DIE))
        platform_process_kill(brood_self_pid());
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_large_argument_arrives_whole),
        cmocka_unit_test(a_missing_directory_is_reported_whatever_the_size_of_the_argument),
        cmocka_unit_test(a_missing_library_is_reported_whatever_the_size_of_the_argument),
        cmocka_unit_test(a_child_killed_before_it_reads_its_argument_is_reported),
        cmocka_unit_test(a_spare_killed_while_it_reads_an_argument_fails_at_most_one_start),
        cmocka_unit_test(no_child_waits_for_the_rest_of_an_argument_whose_sender_was_killed),
    };
    return cmocka_run_group_tests(tests, make_argument, free_argument);
}
