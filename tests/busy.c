// SPDX-License-Identifier: MIT
// Starts beside threads that run or wait inside the C library: a start neither waits for them nor
// leaves their locks held in the child.
#include "meeting.h"

#include "../src/base/atomic.h"
#include "foreign.h"
#include "host.h"
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

// Busy

enum { HAMMERS = 8, HAMMERED_STARTS = 200, AT_ONCE = 10 };

static atomic_bool enough;

static bool hammer_memory(void)
{
    for (size_t size = 1; size < 5000; size += 50) {
        char *block = malloc(size);
        if (!block)
            return false;
        memset(block, 'x', size);
        free(block);
    }
    return true;
}

static bool hammer_files(const char *path)
{
    FILE *file = fopen(path, "w");
    return file && fprintf(file, "%s\n", path) > 0 && fclose(file) == 0;
}

static int hammer(void *arg)
{
    char path[512];
    char name[32];
    (void)snprintf(name, sizeof name, "hammer-%d", *(int *)arg);
    foreign_file_name(path, sizeof path, name);
    do {
        CHECK(hammer_memory());
        CHECK(hammer_files(path));
        CHECK(host_is_known("127.0.0.1"));
        (void)host_is_known("localhost"); // a system need not know this name
        // Without a pause the starts would get no time at all.
        brood_sleep(BROOD_MILLISECONDS(foreign_is_slow() ? 20 : 1));
    } while (!atomic_load(&enough));
    foreign_file_remove(path);
    return 0;
}

// A child that needs the same parts of the C library.
static int use_the_library(void *arg)
{
    char text[64];
    char *block = malloc(1000);
    CHECK(block && snprintf(text, sizeof text, "child %d", *(int *)arg) > 0);
    free(block);
    CHECK(host_is_known("127.0.0.1"));
    (void)fflush(stdout);
    return 0;
}

static void start_some(int32_t method)
{
    const brood_process_options options = { .method = method };
    brood_process *some[AT_ONCE];
    for (int i = 0; i < AT_ONCE; i++)
        some[i] = started_with(use_the_library, &i, sizeof i, &options);
    for (int i = 0; i < AT_ONCE; i++)
        assert_process_ends(some[i], 0);
}

static void children_start_while_threads_hammer_the_c_library(void **state)
{
    (void)state;
    int32_t methods[MOST_METHODS];
    // Without the last method, a fork.
    const size_t runs = methods_of_this_system(methods) - platform_has_fork();
    brood_thread *threads[HAMMERS];
    atomic_store(&enough, false);
    for (int i = 0; i < HAMMERS; i++)
        threads[i] = started_thread(hammer, &i, sizeof i);
    for (int i = 0; i < HAMMERED_STARTS / AT_ONCE; i++)
        start_some(methods[(size_t)i % runs]);
    atomic_store(&enough, true);
    for (int i = 0; i < HAMMERS; i++)
        assert_thread_ends(threads[i], 0);
}

// Threads that wait in a read until all starts are over.

struct reader {
    FILE *stream;
    intptr_t writing_end;
    brood_thread *thread;
};

static atomic_int reading;

static int read_a_line(void *arg)
{
    char line[16];
    FILE *stream = *(FILE **)arg;
    atomic_fetch_add(&reading, 1);
    CHECK(fgets(line, sizeof line, stream) && strcmp(line, "now\n") == 0);
    return 0;
}

static struct reader started_reader(FILE *stream, intptr_t writing_end)
{
    return (struct reader){ stream, writing_end,
                            started_thread(read_a_line, &stream, sizeof stream) };
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

// Runs in the main thread, then in a thread that did not exist when the process began.
static int start_by_every_method(void *arg)
{
    int32_t methods[MOST_METHODS];
    const size_t count = methods_of_this_system(methods);
    (void)arg;
    for (size_t i = 0; i < count; i++)
        for (int32_t input = BROOD_INPUT_NULL; input <= BROOD_INPUT_INHERIT; input++) {
            const brood_process_options options = { .method = methods[i],
                                                    .input = input,
                                                    .fork_with_threads = true };
            brood_process *process;
            brood_exit ended;
            if (methods[i] == BROOD_START_FORK && !platform_copy_may_start_threads())
                continue;
            CHECK(brood_process_start(&process, nothing, NULL, 0, &options) == BROOD_OK);
            CHECK(brood_process_join(process, MEETING_PATIENCE, &ended) == BROOD_OK);
            CHECK(brood_exit_number(ended) == 0);
            brood_process_drop(process);
        }
    return 0;
}

static void a_start_does_not_wait_for_a_thread_that_reads(void **state)
{
    (void)state;
    struct reader readers[2];
    intptr_t input[2];
    intptr_t other[2];
    platform_pipe(input);
    platform_pipe(other);
    platform_input_replace(input[0]);
    atomic_store(&reading, 0);
    readers[0] = started_reader(stdin, input[1]);
    readers[1] = started_reader(platform_stream(other[0]), other[1]);
    while (atomic_load(&reading) < 2)
        brood_sleep(BROOD_MILLISECONDS(1));
    brood_sleep(BROOD_MILLISECONDS(50)); // a reader that has counted itself calls nothing but fgets
    assert_int_equal(start_by_every_method(NULL), 0);
    assert_thread_ends(started_thread(start_by_every_method, NULL, 0), 0);
    for (int i = 0; i < 2; i++) {
        assert_true(brood_thread_is_alive(readers[i].thread));
        platform_write(readers[i].writing_end, "now\n");
        assert_thread_ends(readers[i].thread, 0);
        platform_close(readers[i].writing_end);
    }
    (void)fclose(readers[1].stream);
    platform_close(input[0]);
}

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(children_start_while_threads_hammer_the_c_library),
        cmocka_unit_test(a_start_does_not_wait_for_a_thread_that_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
