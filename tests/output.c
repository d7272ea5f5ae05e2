// SPDX-License-Identifier: MIT
// The standard streams of a child: its parent's, the null device, or what the parent hands over.
#include "meeting.h"

#include "foreign.h"
#include "methods.h"
#include "place.h"
#include "platform.h"

#include <stdlib.h>
#include <string.h>

enum { ROOM = 4096 };

static brood_resource descriptor(intptr_t number)
{
    return (brood_resource){ BROOD_RESOURCE_DESCRIPTOR, number };
}

// Reads a pipe to its end, and closes it. Skips the character with which the C library of Windows
// ends a line in addition.
static void read_whole(intptr_t reading, char text[ROOM])
{
    char part[512];
    size_t used = 0;
    size_t length;
    while ((length = platform_read(reading, part, sizeof part)) > 0)
        for (size_t i = 0; i < length && used < ROOM - 1; i++)
            if (part[i] != '\r')
                text[used++] = part[i];
    text[used] = 0;
    platform_close(reading);
}

static brood_status start(brood_process **out, brood_target target, const void *arg, size_t size,
                          brood_process_options options, int32_t method)
{
    options.method = method;
    return brood_process_start(out, target, arg, size, &options);
}

// For targets: runs a child. Its method is the one by which the target itself was started.
static int run(brood_target target, const void *arg, size_t size,
               const brood_process_options *options)
{
    brood_process *process;
    brood_exit ended;
    CHECK(brood_process_start(&process, target, arg, size, options) == BROOD_OK);
    CHECK(brood_process_join(process, MEETING_PATIENCE, &ended) == BROOD_OK);
    brood_process_drop(process);
    return brood_exit_number(ended);
}

// Runs the test under each method of the system.
static void with_each_method(void (*test)(int32_t method))
{
    int32_t methods[MOST_METHODS];
    const size_t count = methods_of_this_system(methods);
    for (size_t i = 0; i < count; i++)
        test(methods[i]);
}

// Starts a child whose output and errors go to a pipe, and reads that to its end.
static void capture(brood_target target, const void *arg, size_t size, int32_t method,
                    char text[ROOM])
{
    intptr_t ends[2];
    brood_process *process = NULL;
    const brood_process_options options = { .output = BROOD_OUTPUT_RESOURCE,
                                            .error = BROOD_OUTPUT_MERGE,
                                            .output_resource = descriptor(0) };
    brood_process_options captured = options;
    platform_pipe(ends);
    captured.output_resource.value = ends[1];
    assert_status(start(&process, target, arg, size, captured, method), BROOD_OK);
    platform_close(ends[1]); // which this process still has
    read_whole(ends[0], text);
    assert_process_ends(process, 0);
}

static void expect_captured(brood_target target, const void *arg, size_t size, int32_t method,
                            const char *expected)
{
    char text[ROOM];
    capture(target, arg, size, method, text);
    assert_string_equal(text, expected);
}

// Prints to both streams, through the C library and past it.
static int print_everywhere(void *arg)
{
    (void)arg;
    (void)printf("out\n");
    (void)fflush(stdout);
    (void)fprintf(stderr, "error\n");
    (void)fflush(stderr); // the C library of Wine for MSVC keeps it to the end
    platform_write(1, "1\n");
    platform_write(2, "2\n");
    platform_print(1, "one\n");
    platform_print(2, "two\n");
    return 0;
}

#define EVERYTHING "out\nerror\n1\n2\none\ntwo\n"

static void expect_all_in_order(int32_t method)
{
    expect_captured(print_everywhere, NULL, 0, method, EVERYTHING);
}

static void what_a_child_prints_can_be_read_to_its_end(void **state)
{
    (void)state;
    with_each_method(expect_all_in_order);
}

static int print_unflushed(void *arg)
{
    (void)arg;
    (void)printf("out");
    return 0;
}

static void expect_unflushed(int32_t method)
{
    expect_captured(print_unflushed, NULL, 0, method, "out");
}

static void the_end_of_a_child_flushes_what_it_has_printed(void **state)
{
    (void)state;
    with_each_method(expect_unflushed);
}

enum { LINES = 20000 };

static int print_much(void *arg)
{
    (void)arg;
    for (int i = 0; i < LINES; i++)
        (void)printf("line %d\n", i);
    return 0;
}

static void expect_much(int32_t method)
{
    intptr_t ends[2];
    char part[ROOM];
    size_t lines = 0;
    size_t length;
    brood_process *process = NULL;
    platform_pipe(ends);
    const brood_process_options options = { .output = BROOD_OUTPUT_RESOURCE,
                                            .output_resource = platform_resource(ends[1]) };
    assert_status(start(&process, print_much, NULL, 0, options, method), BROOD_OK);
    platform_close(ends[1]);
    while ((length = platform_read(ends[0], part, sizeof part)) > 0)
        for (size_t i = 0; i < length; i++)
            lines += part[i] == '\n';
    platform_close(ends[0]);
    assert_process_ends(process, 0);
    assert_int_equal(lines, LINES);
}

static void more_than_a_pipe_holds_can_be_read(void **state)
{
    (void)state;
    with_each_method(expect_much);
}

static void expect_two_pipes(int32_t method)
{
    intptr_t output[2];
    intptr_t error[2];
    char text[ROOM];
    brood_process *process = NULL;
    platform_pipe(output);
    platform_pipe(error);
    const brood_process_options options = { .output = BROOD_OUTPUT_RESOURCE,
                                            .error = BROOD_OUTPUT_RESOURCE,
                                            .output_resource = platform_resource(output[1]),
                                            .error_resource = descriptor(error[1]) };
    assert_status(start(&process, print_everywhere, NULL, 0, options, method), BROOD_OK);
    platform_close(output[1]);
    platform_close(error[1]);
    read_whole(output[0], text);
    assert_string_equal(text, "out\n1\none\n");
    read_whole(error[0], text);
    assert_string_equal(text, "error\n2\ntwo\n");
    assert_process_ends(process, 0);
}

static void output_and_error_can_go_to_two_pipes(void **state)
{
    (void)state;
    with_each_method(expect_two_pipes);
}

// Input

static int expect_input(void *arg)
{
    const char *expected = arg;
    for (; *expected; expected++)
        CHECK(getchar() == *expected);
    CHECK(getchar() == EOF);
    return 0;
}

static const char fed[] = "what the child reads";

static void expect_fed_by_a_pipe(int32_t method)
{
    intptr_t ends[2];
    brood_process *process = NULL;
    platform_pipe(ends);
    platform_write(ends[1], fed);
    platform_close(ends[1]);
    const brood_process_options options = { .input = BROOD_INPUT_RESOURCE,
                                            .input_resource = descriptor(ends[0]) };
    assert_status(start(&process, expect_input, fed, sizeof fed, options, method), BROOD_OK);
    assert_process_ends(process, 0);
    platform_close(ends[0]);
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void expect_fed_by_a_file(int32_t method)
{
    char path[512];
    brood_process *process = NULL;
    foreign_file_name(path, sizeof path, "input");
    write_file(path, fed);
    const intptr_t file = platform_file_open(path);
    const brood_process_options options = { .input = BROOD_INPUT_RESOURCE,
                                            .input_resource = platform_resource(file) };
    assert_status(start(&process, expect_input, fed, sizeof fed, options, method), BROOD_OK);
    assert_process_ends(process, 0);
    platform_close(file);
    foreign_file_remove(path);
}

static void a_child_can_read_from_a_pipe_or_a_file(void **state)
{
    (void)state;
    with_each_method(expect_fed_by_a_pipe);
    with_each_method(expect_fed_by_a_file);
}

// A copy has what its parent has read ahead, which is not part of the copy's input.
static int feed_another(void *arg)
{
    const int32_t method = *(int32_t *)arg;
    intptr_t ends[2];
    platform_pipe(ends);
    CHECK(getchar() == fed[0]);
    platform_write(ends[1], "x");
    platform_close(ends[1]);
    const brood_process_options options = { .method = method,
                                            .input = BROOD_INPUT_RESOURCE,
                                            .input_resource = descriptor(ends[0]) };
    CHECK(run(expect_input, "x", 2, &options) == 0);
    platform_close(ends[0]);
    CHECK(getchar() == fed[1]);
    return 0;
}

static void expect_own_input(int32_t method)
{
    intptr_t ends[2];
    brood_process *process = NULL;
    platform_pipe(ends);
    platform_write(ends[1], fed);
    platform_close(ends[1]);
    const brood_process_options options = { .input = BROOD_INPUT_RESOURCE,
                                            .input_resource = descriptor(ends[0]) };
    assert_status(start(&process, feed_another, &method, sizeof method, options, method), BROOD_OK);
    platform_close(ends[0]);
    assert_process_ends(process, 0);
}

static void input_that_the_parent_has_read_ahead_is_not_the_child_s(void **state)
{
    (void)state;
    with_each_method(expect_own_input);
}

// A child in between, whose streams are pipes, and which starts a child with other streams.

struct between {
    int32_t method;
    int32_t output;
    int32_t error;
    brood_resource output_resource;
    brood_resource error_resource;
    int closed; // 0, or the stream that it closes first
    bool keeps; // keeps its streams from programs that it executes
};

static int start_one_more(void *arg)
{
    const struct between *between = arg;
    const brood_process_options options = { .method = between->method,
                                            .output = between->output,
                                            .error = between->error,
                                            .output_resource = between->output_resource,
                                            .error_resource = between->error_resource };
    if (between->closed)
        platform_close(between->closed);
    for (int i = 1; between->keeps && i <= 2; i++)
        platform_stream_keep_from_programs(i);
    const int code = run(print_everywhere, NULL, 0, &options);
    if (!between->closed) {
        platform_write(1, "end 1\n");
        platform_write(2, "end 2\n");
    }
    return code;
}

// What the child in between and its own child print, by output and by error of the one in
// between.
static void run_between(const struct between *between, char output_text[ROOM],
                        char error_text[ROOM])
{
    intptr_t output[2];
    intptr_t error[2];
    brood_process *process = NULL;
    platform_pipe(output);
    platform_pipe(error);
    const brood_process_options options = { .output = BROOD_OUTPUT_RESOURCE,
                                            .error = BROOD_OUTPUT_RESOURCE,
                                            .output_resource = descriptor(output[1]),
                                            .error_resource = descriptor(error[1]) };
    assert_status(
        start(&process, start_one_more, between, sizeof *between, options, between->method),
        BROOD_OK);
    platform_close(output[1]);
    platform_close(error[1]);
    read_whole(output[0], output_text);
    read_whole(error[0], error_text);
    assert_process_ends(process, 0);
}

static void expect_from_both(const struct between *between, const char *output, const char *error)
{
    char output_text[ROOM];
    char error_text[ROOM];
    run_between(between, output_text, error_text);
    assert_string_equal(output_text, output);
    assert_string_equal(error_text, error);
}

static void expect_silence(int32_t method)
{
    const struct between silent = { .method = method,
                                    .output = BROOD_OUTPUT_NULL,
                                    .error = BROOD_OUTPUT_NULL };
    expect_from_both(&silent, "end 1\n", "end 2\n");
    const struct between half = { .method = method, .output = BROOD_OUTPUT_NULL };
    expect_from_both(&half, "end 1\n", "error\n2\ntwo\nend 2\n");
    const struct between merged = { .method = method,
                                    .output = BROOD_OUTPUT_NULL,
                                    .error = BROOD_OUTPUT_MERGE };
    expect_from_both(&merged, "end 1\n", "end 2\n");
}

static void a_child_can_be_silenced(void **state)
{
    (void)state;
    with_each_method(expect_silence);
}

static void expect_merged(int32_t method)
{
    const struct between inherited = { .method = method, .error = BROOD_OUTPUT_MERGE };
    expect_from_both(&inherited, EVERYTHING "end 1\n", "end 2\n");
}

static void errors_can_go_where_the_inherited_output_goes(void **state)
{
    (void)state;
    with_each_method(expect_merged);
}

static void expect_swapped(int32_t method)
{
    const struct between swapped = { .method = method,
                                     .output = BROOD_OUTPUT_RESOURCE,
                                     .error = BROOD_OUTPUT_RESOURCE,
                                     .output_resource = { BROOD_RESOURCE_DESCRIPTOR, 2 },
                                     .error_resource = { BROOD_RESOURCE_DESCRIPTOR, 1 } };
    expect_from_both(&swapped, "error\n2\ntwo\nend 1\n", "out\n1\none\nend 2\n");
    const struct between same = { .method = method,
                                  .output = BROOD_OUTPUT_RESOURCE,
                                  .error = BROOD_OUTPUT_RESOURCE,
                                  .output_resource = { BROOD_RESOURCE_DESCRIPTOR, 1 },
                                  .error_resource = { BROOD_RESOURCE_DESCRIPTOR, 2 } };
    expect_from_both(&same, "out\n1\none\nend 1\n", "error\n2\ntwo\nend 2\n");
    const struct between both_errors = { .method = method,
                                         .output = BROOD_OUTPUT_RESOURCE,
                                         .error = BROOD_OUTPUT_MERGE,
                                         .output_resource = { BROOD_RESOURCE_DESCRIPTOR, 2 } };
    expect_from_both(&both_errors, "end 1\n", EVERYTHING "end 2\n");
}

static void the_parent_s_own_streams_can_be_handed_over_in_any_order(void **state)
{
    (void)state;
    with_each_method(expect_swapped);
}

static void expect_kept(int32_t method)
{
    const struct between keeps = { .method = method, .keeps = true };
    expect_from_both(&keeps, "out\n1\none\nend 1\n", "error\n2\ntwo\nend 2\n");
}

static void streams_are_inherited_even_if_executed_programs_would_not_get_them(void **state)
{
    (void)state;
    with_each_method(expect_kept);
}

static int expect_passed(void *arg)
{
    (void)arg;
    for (int i = 0; i <= 2; i++)
        CHECK(platform_stream_is_passed(i));
    return 0;
}

static int keep_them_and_start_one(void *arg)
{
    const brood_process_options options = { .method = *(int32_t *)arg,
                                            .input = BROOD_INPUT_INHERIT };
    CHECK(expect_passed(NULL) == 0);
    for (int i = 0; i <= 2; i++)
        platform_stream_keep_from_programs(i);
    return run(expect_passed, NULL, 0, &options);
}

static void expect_for_programs_too(int32_t method)
{
    expect_captured(keep_them_and_start_one, &method, sizeof method, method, "");
}

static void the_programs_that_a_child_executes_get_its_streams(void **state)
{
    (void)state;
    with_each_method(expect_for_programs_too);
}

// Returns 0 when neither stream exists.
static int expect_none(void *arg)
{
    (void)arg;
    CHECK(!place_has_stream(1) && !place_has_stream(2));
    return 0;
}

static int close_output_and_start_one(void *arg)
{
    const brood_process_options options = { .method = *(int32_t *)arg,
                                            .error = BROOD_OUTPUT_MERGE };
    platform_close(1);
    return run(expect_none, NULL, 0, &options);
}

static void expect_closed(int32_t method)
{
    brood_process *process = NULL;
    const brood_process_options options = { .output = BROOD_OUTPUT_NULL };
    assert_status(
        start(&process, close_output_and_start_one, &method, sizeof method, options, method),
        BROOD_OK);
    assert_process_ends(process, 0);
}

static void merged_errors_go_nowhere_if_the_output_is_closed(void **state)
{
    (void)state;
    with_each_method(expect_closed);
}

// Returns 0 when the child has its resource, lacks one standard stream, and has another one that
// goes nowhere.
static int expect_apart(void *arg)
{
    brood_resource resource;
    const int missing = *(int *)arg;
    CHECK(!place_has_stream(missing));
    CHECK(place_has_stream(3 - missing));
    CHECK(brood_self_resource(0, &resource) == BROOD_OK);
    CHECK(resource.value > 2);
    printf("nowhere");
    fprintf(stderr, "nowhere");
    (void)fflush(stdout);
    platform_write(resource.value, "x");
    return 0;
}

struct lacking {
    int32_t method;
    int stream;
    brood_resource resource;
};

static int close_one_and_start_one(void *arg)
{
    struct lacking *lacking = arg;
    CHECK(brood_self_resource(0, &lacking->resource) == BROOD_OK);
    const brood_process_options options = { .method = lacking->method,
                                            .output = lacking->stream == 2 ? BROOD_OUTPUT_NULL : 0,
                                            .error = lacking->stream == 1 ? BROOD_OUTPUT_NULL : 0,
                                            .resources = &lacking->resource,
                                            .resource_count = 1 };
    platform_close(lacking->stream);
    return run(expect_apart, &lacking->stream, sizeof lacking->stream, &options);
}

static void expect_resource_apart(int32_t method)
{
    for (int stream = 1; stream <= 2; stream++) {
        char text[ROOM];
        intptr_t ends[2];
        brood_process *process = NULL;
        platform_pipe(ends);
        const brood_resource resource = descriptor(ends[1]);
        const struct lacking lacking = { .method = method, .stream = stream };
        const brood_process_options options = { .resources = &resource, .resource_count = 1 };
        assert_status(
            start(&process, close_one_and_start_one, &lacking, sizeof lacking, options, method),
            BROOD_OK);
        platform_close(ends[1]);
        assert_process_ends(process, 0);
        read_whole(ends[0], text);
        assert_string_equal(text, "x");
    }
}

static void a_resource_is_not_taken_for_a_stream_that_is_closed(void **state)
{
    (void)state;
    with_each_method(expect_resource_apart);
}

// Writes through both of its resources, which go where its parent's output goes, even after it
// has closed one of them and its own output.
static int write_past_its_output(void *arg)
{
    brood_resource both[2];
    (void)arg;
    for (size_t i = 0; i < 2; i++) {
        CHECK(brood_self_resource(i, &both[i]) == BROOD_OK);
        CHECK(both[i].value > 2);
    }
    CHECK(both[0].value != both[1].value);
    (void)printf("out,");
    (void)fflush(stdout);
    platform_write(both[0].value, "first,");
    platform_close(both[0].value);
    platform_write(1, "still,");
    platform_close(1);
    platform_write(both[1].value, "second");
    return 0;
}

struct redirected {
    int32_t method;
    int32_t output; // BROOD_OUTPUT_RESOURCE: to the parent's errors
};

static int hand_over_the_output(void *arg)
{
    const struct redirected *redirected = arg;
    const brood_resource twice[] = { descriptor(1), descriptor(1) };
    const brood_resource errors = descriptor(2);
    brood_process_options options = { .method = redirected->method,
                                      .output = redirected->output,
                                      .resources = twice,
                                      .resource_count = 2 };
    if (redirected->output == BROOD_OUTPUT_RESOURCE)
        options.output_resource = errors;
    return run(write_past_its_output, NULL, 0, &options);
}

static void expect_output_as_resource(int32_t method)
{
    static const struct {
        int32_t output;
        const char *text;
        const char *errors;
    } rows[] = {
        { BROOD_OUTPUT_INHERIT, "out,first,still,second", "" },
        { BROOD_OUTPUT_NULL, "first,second", "" },
        { BROOD_OUTPUT_RESOURCE, "first,second", "out,still," },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[ROOM];
        intptr_t output[2];
        intptr_t errors[2];
        brood_process *process = NULL;
        platform_pipe(output);
        platform_pipe(errors);
        const struct redirected redirected = { method, rows[i].output };
        const brood_process_options options = { .output = BROOD_OUTPUT_RESOURCE,
                                                .output_resource = descriptor(output[1]),
                                                .error = BROOD_OUTPUT_RESOURCE,
                                                .error_resource = descriptor(errors[1]) };
        assert_status(
            start(&process, hand_over_the_output, &redirected, sizeof redirected, options, method),
            BROOD_OK);
        platform_close(output[1]);
        platform_close(errors[1]);
        assert_process_ends(process, 0);
        read_whole(output[0], text);
        assert_string_equal(text, rows[i].text);
        read_whole(errors[0], text);
        assert_string_equal(text, rows[i].errors);
    }
}

static void a_standard_descriptor_may_be_a_resource_too(void **state)
{
    (void)state;
    with_each_method(expect_output_as_resource);
}

// Streams beside resources, which get low numbers in a fresh image: neither displaces the other.

static int write_to_all(void *arg)
{
    (void)arg;
    brood_resource resource;
    for (size_t i = 0; i < 3; i++) {
        CHECK(brood_self_resource(i, &resource) == BROOD_OK);
        platform_write(resource.value, i == 0 ? "0" : i == 1 ? "1" : "2");
    }
    platform_write(1, "out");
    platform_write(2, "error");
    return 0;
}

static void expect_beside_resources(int32_t method)
{
    intptr_t pipes[5][2];
    char text[ROOM];
    brood_resource resources[3];
    static const char *const expected[] = { "0", "1", "2", "out", "error" };
    brood_process *process = NULL;
    for (int i = 0; i < 5; i++)
        platform_pipe(pipes[i]);
    for (int i = 0; i < 3; i++)
        resources[i] = descriptor(pipes[i][1]);
    const brood_process_options options = { .output = BROOD_OUTPUT_RESOURCE,
                                            .error = BROOD_OUTPUT_RESOURCE,
                                            .output_resource = descriptor(pipes[3][1]),
                                            .error_resource = descriptor(pipes[4][1]),
                                            .resources = resources,
                                            .resource_count = 3 };
    assert_status(start(&process, write_to_all, NULL, 0, options, method), BROOD_OK);
    assert_process_ends(process, 0);
    for (int i = 0; i < 5; i++) {
        platform_close(pipes[i][1]);
        read_whole(pipes[i][0], text);
        assert_string_equal(text, expected[i]);
    }
}

static void streams_and_resources_do_not_get_in_each_others_way(void **state)
{
    (void)state;
    with_each_method(expect_beside_resources);
}

// The descriptors of this process

static void expect_nothing_left(int32_t method)
{
    char text[ROOM];
    capture(print_everywhere, NULL, 0, method, text); // what is opened once is open now
    const size_t before = platform_descriptor_count();
    for (int i = 0; i < 3; i++)
        capture(print_everywhere, NULL, 0, method, text);
    assert_true(platform_descriptor_count() <= before + platform_descriptors_kept(3));
}

static void the_parent_keeps_its_own_descriptors_and_no_others(void **state)
{
    (void)state;
    with_each_method(expect_nothing_left);
}

static void a_resource_kind_of_another_system_is_refused(void **state)
{
    (void)state;
    const brood_process_options options = { .output = BROOD_OUTPUT_RESOURCE,
                                            .output_resource = { BROOD_RESOURCE_HANDLE, 0 } };
    assert_status(brood_process_start(NULL, print_unflushed, NULL, 0, &options),
                  platform_has_fork() ? BROOD_UNSUPPORTED : BROOD_INVALID);
}

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_child_prints_can_be_read_to_its_end),
        cmocka_unit_test(the_end_of_a_child_flushes_what_it_has_printed),
        cmocka_unit_test(more_than_a_pipe_holds_can_be_read),
        cmocka_unit_test(output_and_error_can_go_to_two_pipes),
        cmocka_unit_test(a_child_can_read_from_a_pipe_or_a_file),
        cmocka_unit_test(input_that_the_parent_has_read_ahead_is_not_the_child_s),
        cmocka_unit_test(a_child_can_be_silenced),
        cmocka_unit_test(errors_can_go_where_the_inherited_output_goes),
        cmocka_unit_test(the_parent_s_own_streams_can_be_handed_over_in_any_order),
        cmocka_unit_test(streams_are_inherited_even_if_executed_programs_would_not_get_them),
        cmocka_unit_test(the_programs_that_a_child_executes_get_its_streams),
        cmocka_unit_test(merged_errors_go_nowhere_if_the_output_is_closed),
        cmocka_unit_test(a_resource_is_not_taken_for_a_stream_that_is_closed),
        cmocka_unit_test(a_standard_descriptor_may_be_a_resource_too),
        cmocka_unit_test(streams_and_resources_do_not_get_in_each_others_way),
        cmocka_unit_test(the_parent_keeps_its_own_descriptors_and_no_others),
        cmocka_unit_test(a_resource_kind_of_another_system_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
