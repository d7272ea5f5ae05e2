// SPDX-License-Identifier: MIT
// What a child is handed over, and what it does not get.
#include "meeting.h"

#include "methods.h"
#include "platform.h"

#include <string.h>

static brood_process *started_with(brood_target target, const void *arg, size_t size,
                                   const brood_process_options *options)
{
    brood_process *process = NULL;
    assert_status(brood_process_start(&process, target, arg, size, options), BROOD_OK);
    return process;
}

// One pipe

// Reads its only resource, a pipe, to the end, which comes when no process can write any more.
static int read_to_the_end(void *arg)
{
    (void)arg;
    brood_resource resource;
    brood_resource other = { .kind = 99, .value = 99 };
    char bytes[64];
    CHECK(brood_self_resource(0, &resource) == BROOD_OK);
    CHECK(resource.kind == BROOD_RESOURCE_DESCRIPTOR);
    CHECK(brood_self_resource(1, &other) == BROOD_NOT_FOUND);
    CHECK(other.kind == 99 && other.value == 99);
    CHECK(brood_self_resource(0, NULL) == BROOD_INVALID);
    note("reads", 1);
    const size_t length = platform_read(resource.value, bytes, sizeof bytes);
    CHECK(length == 5 && memcmp(bytes, "hello", 5) == 0);
    CHECK(platform_read(resource.value, bytes, sizeof bytes) == 0);
    platform_close(resource.value);
    return 42;
}

static void a_child_reads_from_the_end_of_a_pipe_that_it_was_given(void **state)
{
    (void)state;
    int32_t methods[MOST_METHODS];
    const size_t count = methods_of_this_system(methods);
    for (size_t i = 0; i < count; i++) {
        intptr_t ends[2];
        platform_pipe(ends);
        const brood_resource resource = { BROOD_RESOURCE_DESCRIPTOR, ends[0] };
        const brood_process_options options = { .method = methods[i],
                                                .resources = &resource,
                                                .resource_count = 1 };
        note("reads", 0);
        // A copy has the writing end as well, and would wait for itself: so the bytes are
        // written, and that end is closed, before the start.
        if (is_copy(methods[i])) {
            platform_write(ends[1], "hello");
            platform_close(ends[1]);
        }
        brood_process *process = started_with(read_to_the_end, NULL, 0, &options);
        platform_close(ends[0]);
        assert_true(await_note("reads", 1));
        if (!is_copy(methods[i])) {
            platform_write(ends[1], "hello");
            platform_close(ends[1]);
        }
        assert_process_ends(process, 42);
    }
}

// Many resources

static int write_my_numbers(void *arg)
{
    const int count = *(int *)arg;
    for (int i = 0; i < count; i++) {
        char text[16];
        brood_resource resource;
        CHECK(brood_self_resource((size_t)i, &resource) == BROOD_OK);
        (void)snprintf(text, sizeof text, "%d", i);
        platform_write(resource.value, text);
    }
    brood_resource beyond;
    CHECK(brood_self_resource((size_t)count, &beyond) == BROOD_NOT_FOUND);
    CHECK(brood_self_resource(SIZE_MAX, &beyond) == BROOD_NOT_FOUND);
    return 0;
}

static void hand_over_many(int32_t method, int count)
{
    static intptr_t ends[450][2];
    static brood_resource resources[450];
    assert_true(count <= 450);
    for (int i = 0; i < count; i++) {
        platform_pipe(ends[i]);
        resources[i] = (brood_resource){ BROOD_RESOURCE_DESCRIPTOR, ends[i][1] };
    }
    const brood_process_options options = { .method = method,
                                            .resources = resources,
                                            .resource_count = (size_t)count };
    assert_process_ends(started_with(write_my_numbers, &count, sizeof count, &options), 0);
    for (int i = 0; i < count; i++) {
        char expected[16];
        char bytes[16];
        (void)snprintf(expected, sizeof expected, "%d", i);
        const size_t length = platform_read(ends[i][0], bytes, sizeof bytes);
        assert_int_equal(length, strlen(expected));
        assert_memory_equal(bytes, expected, length);
        platform_close(ends[i][0]);
        platform_close(ends[i][1]);
    }
}

static void many_resources_arrive_in_their_order(void **state)
{
    (void)state;
    int32_t methods[MOST_METHODS];
    const size_t count = methods_of_this_system(methods);
    for (size_t i = 0; i < count; i++) {
        hand_over_many(methods[i], 3);
        hand_over_many(methods[i], platform_has_fork() ? 450 : 40);
    }
}

// Closing one of the two does not close the other.
static int write_twice(void *arg)
{
    (void)arg;
    brood_resource both[2];
    for (size_t i = 0; i < 2; i++)
        CHECK(brood_self_resource(i, &both[i]) == BROOD_OK);
    for (size_t i = 0; i < 2; i++) {
        platform_write(both[i].value, "x");
        platform_close(both[i].value);
    }
    return both[0].value != both[1].value;
}

static void hand_over_twice(int32_t method)
{
    intptr_t ends[2];
    char bytes[8];
    platform_pipe(ends);
    const brood_resource twice[] = { { BROOD_RESOURCE_DESCRIPTOR, ends[1] },
                                     { BROOD_RESOURCE_DESCRIPTOR, ends[1] } };
    const brood_process_options options = { .method = method,
                                            .resources = twice,
                                            .resource_count = 2 };
    assert_process_ends(started_with(write_twice, NULL, 0, &options), 1);
    assert_int_equal(platform_read(ends[0], bytes, 1), 1);
    assert_int_equal(platform_read(ends[0], bytes, 1), 1);
    platform_close(ends[0]);
    platform_close(ends[1]);
}

static void a_resource_may_be_handed_over_twice(void **state)
{
    (void)state;
    int32_t methods[MOST_METHODS];
    const size_t count = methods_of_this_system(methods);
    for (size_t i = 0; i < count; i++)
        hand_over_twice(methods[i]);
}

// No other descriptors

static int count_descriptors(void *arg)
{
    (void)arg;
    return (int)platform_descriptor_count();
}

static int count_in_child(int32_t method)
{
    const brood_process_options options = { .method = method };
    brood_exit ended;
    brood_process *process = started_with(count_descriptors, NULL, 0, &options);
    assert_status(brood_process_join(process, MEETING_PATIENCE, &ended), BROOD_OK);
    brood_process_drop(process);
    assert_int_equal(ended.kind, BROOD_EXITED);
    return ended.code;
}

// Windows opens and closes some descriptors of its own; those that a test opens would exceed the
// tolerance.
static void assert_same_count(int count, int usual)
{
    const int tolerance = platform_has_fork() ? 0 : 5;
    if (count < usual - tolerance || count > usual + tolerance)
        fail_msg("%d descriptors instead of %d", count, usual);
}

// A child has its standard streams, the arena, and what is open in any empty program.
static void a_fresh_image_has_no_more_descriptors_when_its_parent_has_more(void **state)
{
    (void)state;
    int32_t methods[MOST_METHODS];
    const size_t count = methods_of_this_system(methods);
    for (size_t i = 0; i < count; i++) {
        if (is_copy(methods[i]))
            continue;
        const int before = count_in_child(methods[i]);
        intptr_t pipes[20][2];
        for (int k = 0; k < 20; k++)
            platform_pipe_inheritable(pipes[k]);
        const int after = count_in_child(methods[i]);
        for (int k = 0; k < 20; k++) {
            platform_close(pipes[k][0]);
            platform_close(pipes[k][1]);
        }
        assert_same_count(after, before);
        if (platform_has_fork())
            assert_in_range(after, 4, 5); // an emulator has no bell
    }
}

// Whether one line of the text says `what`, or none; it is removed.
static bool remove_line(char *text, const char *what)
{
    char *at = strstr(text, what);
    char *end = at ? strchr(at, '\n') : NULL;
    while (at && at > text && at[-1] != '\n')
        at--;
    if (at && end)
        memmove(at, end + 1, strlen(end));
    return at != NULL;
}

// Beside the three standard streams, which an empty program has too, only the arena is open and,
// except in an emulator, the bell. A system without fork does not list descriptors.
static int expect_the_arena_only(void *arg)
{
    char text[1024];
    (void)arg;
    platform_descriptors_describe(text, sizeof text);
    if (!platform_has_fork())
        return 0;
    const bool has_arena = remove_line(text, "/memfd:brood");
    (void)remove_line(text, "anon_inode:[eventfd]");
    if (has_arena && text[0] == 0)
        return 0;
    (void)fprintf(stderr, "also open:\n%s", text);
    return __LINE__;
}

enum { BAITS = 24 };

static int touch_all(void *arg)
{
    for (int i = 0; i < BAITS; i++)
        platform_bait_touch(((platform_bait *)arg)[i].number);
    return 0;
}

static int expect_nothing_to_touch(void *arg)
{
    (void)touch_all(arg);
    return expect_the_arena_only(NULL);
}

struct way_to_a_grandchild {
    int32_t method;
    platform_bait baits[BAITS];
};

static int have_a_child_with_nothing_to_touch(void *arg)
{
    const struct way_to_a_grandchild *way = arg;
    const brood_process_options options = { .method = way->method };
    brood_process *process;
    brood_exit ended;
    CHECK(brood_process_start(&process, expect_nothing_to_touch, way->baits, sizeof way->baits,
                              &options) == BROOD_OK);
    CHECK(brood_process_join(process, MEETING_PATIENCE, &ended) == BROOD_OK);
    brood_process_drop(process);
    return brood_exit_number(ended);
}

// Counts the baits that were touched since they were laid.
static int count_touched(const platform_bait *baits)
{
    int touched = 0;
    for (int i = 0; i < BAITS; i++)
        touched += platform_bait_is_touched(baits[i]);
    return touched;
}

static void lay(platform_bait *baits)
{
    for (int i = 0; i < BAITS; i++)
        baits[i] = platform_bait_lay();
}

static void remove_all(const platform_bait *baits)
{
    for (int i = 0; i < BAITS; i++)
        platform_bait_remove(baits[i]);
}

static void a_fresh_image_gets_nothing_that_was_not_handed_over(void **state)
{
    (void)state;
    int32_t methods[MOST_METHODS];
    const size_t count = methods_of_this_system(methods);
    struct way_to_a_grandchild way;
    lay(way.baits);
    for (size_t i = 0; i < count; i++) {
        const brood_process_options options = { .method = methods[i] };
        if (is_copy(methods[i]))
            continue; // it has all that its parent has
        assert_process_ends(
            started_with(expect_nothing_to_touch, way.baits, sizeof way.baits, &options), 0);
        assert_int_equal(count_touched(way.baits), 0);
        way.method = methods[i];
        assert_process_ends(
            started_with(have_a_child_with_nothing_to_touch, &way, sizeof way, &options), 0);
        assert_int_equal(count_touched(way.baits), 0);
    }
    remove_all(way.baits);
}

// If a touch were not noticed, the test before would prove nothing.
static void a_process_that_has_a_bait_is_noticed(void **state)
{
    (void)state;
    const brood_process_options copy = { .method = BROOD_START_FORK };
    platform_bait baits[BAITS];
    lay(baits);
    if (platform_has_fork())
        assert_process_ends(started_with(touch_all, baits, sizeof baits, &copy), 0);
    else
        (void)touch_all(baits);
    assert_int_equal(count_touched(baits), BAITS);
    remove_all(baits);
}

static int pass_on_nothing(void *arg)
{
    brood_resource resource;
    brood_process *process;
    brood_exit ended;
    (void)arg;
    CHECK(brood_self_resource(0, &resource) == BROOD_OK);
    CHECK(brood_process_start(&process, count_descriptors, NULL, 0,
                              &(brood_process_options){ .method = BROOD_START_SPAWN }) == BROOD_OK);
    CHECK(brood_process_join(process, MEETING_PATIENCE, &ended) == BROOD_OK);
    brood_process_drop(process);
    note("grandchild has", (uint64_t)ended.code);
    return 0;
}

static void a_resource_goes_no_further(void **state)
{
    (void)state;
    intptr_t ends[2];
    platform_pipe(ends);
    const brood_resource resource = { BROOD_RESOURCE_DESCRIPTOR, ends[1] };
    const brood_process_options options = { .resources = &resource, .resource_count = 1 };
    const int usual = count_in_child(BROOD_START_SPAWN);
    assert_process_ends(started_with(pass_on_nothing, NULL, 0, &options), 0);
    assert_same_count((int)noted("grandchild has"), usual);
    platform_close(ends[1]);
    char byte;
    assert_int_equal(platform_read(ends[0], &byte, 1), 0); // no other process can write
    platform_close(ends[0]);
}

// Refusals

static int never_run(void *arg)
{
    (void)arg;
    return 1;
}

static void a_bad_resource_is_refused(void **state)
{
    (void)state;
    const bool posix = platform_has_fork();
    const struct {
        brood_resource resource;
        brood_status status;
    } rows[] = {
        { { 0, 1 }, BROOD_INVALID },
        { { 4, 1 }, BROOD_INVALID },
        { { -1, 1 }, BROOD_INVALID },
        { { BROOD_RESOURCE_DESCRIPTOR, -1 }, BROOD_INVALID },
        { { BROOD_RESOURCE_DESCRIPTOR, 500 }, BROOD_INVALID },
        { { BROOD_RESOURCE_SOCKET, -1 }, BROOD_INVALID },
        { { BROOD_RESOURCE_SOCKET, 0x7ffffff0 }, BROOD_INVALID },
        { { BROOD_RESOURCE_HANDLE, -1 }, posix ? BROOD_UNSUPPORTED : BROOD_INVALID },
        { { BROOD_RESOURCE_HANDLE, 0 }, posix ? BROOD_UNSUPPORTED : BROOD_INVALID },
    };
    int32_t methods[MOST_METHODS];
    const size_t count = methods_of_this_system(methods);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0] * count; i++) {
        const size_t row = i / count;
        brood_process *process = NULL;
        const brood_process_options options = { .method = methods[i % count],
                                                .resources = &rows[row].resource,
                                                .resource_count = 1 };
        const brood_status status = brood_process_start(&process, never_run, NULL, 0, &options);
        if (status != rows[row].status || process)
            fail_msg("row %d: %s", (int)row, brood_last_error());
    }
    const brood_process_options nowhere = { .resource_count = 1 };
    assert_status(brood_process_start(NULL, never_run, NULL, 0, &nowhere), BROOD_INVALID);
}

static void the_main_process_has_no_resources(void **state)
{
    (void)state;
    brood_resource resource;
    assert_status(brood_self_resource(0, &resource), BROOD_NOT_FOUND);
}

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_reads_from_the_end_of_a_pipe_that_it_was_given),
        cmocka_unit_test(many_resources_arrive_in_their_order),
        cmocka_unit_test(a_resource_may_be_handed_over_twice),
        cmocka_unit_test(a_fresh_image_has_no_more_descriptors_when_its_parent_has_more),
        cmocka_unit_test(a_fresh_image_gets_nothing_that_was_not_handed_over),
        cmocka_unit_test(a_process_that_has_a_bait_is_noticed),
        cmocka_unit_test(a_resource_goes_no_further),
        cmocka_unit_test(a_bad_resource_is_refused),
        cmocka_unit_test(the_main_process_has_no_resources),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
