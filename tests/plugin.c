// SPDX-License-Identifier: MIT
// Targets that are not in the program, but in a library that the program opened at run time: a
// fresh image has to find it by its file.
#include "meeting.h"

#include "foreign.h"
#include "library/plugin.h"

#include <inttypes.h>
#include <string.h>

// Names the address that a child of this program occupies before the library can be loaded there.
#define AVOID "BROOD_TEST_AVOID"

static brood_target target_in(void *library, const char *getter)
{
    assert_non_null(library);
    plugin_function (*get)(void) =
        (plugin_function(*)(void))foreign_library_function(library, getter);
    assert_non_null(get);
    return get();
}

static void expect_sum(brood_target add, int extra)
{
    const struct plugin_sum sum = { 30, 12 };
    assert_process_ends(started_process(add, &sum, sizeof sum), 42 + extra);
}

static void a_static_function_of_an_opened_library_is_a_target(void **state)
{
    (void)state;
    expect_sum(target_in(foreign_library_open(PLUGIN_FILE_1), "plugin_adder"), 0);
}

static void a_function_is_found_where_the_child_has_the_library(void **state)
{
    (void)state;
    char avoid[64];
    const char *environment[] = { avoid, NULL };
    const brood_process_options options = { .method = BROOD_START_SPAWN,
                                            .environment = environment };
    const brood_target locate = target_in(foreign_library_open(PLUGIN_FILE_1), "plugin_locator");
    const void *base = foreign_module_base((void (*)(void))locate);
    const int here = locate(NULL);
    (void)snprintf(avoid, sizeof avoid, AVOID "=%" PRIxPTR, (uintptr_t)base);
    brood_process *process = NULL;
    brood_exit ended;
    assert_non_null(base);
    assert_status(brood_process_start(&process, locate, NULL, 0, &options), BROOD_OK);
    assert_status(brood_process_join(process, MEETING_PATIENCE, &ended), BROOD_OK);
    assert_int_equal(ended.kind, BROOD_EXITED);
    assert_int_not_equal(ended.code, here);
    brood_process_drop(process);
}

static int log_a_line(void *unused)
{
    (void)unused;
    brood_log(BROOD_LOG_ERROR, "a line");
    int (*count)(void) = (int (*)(void))foreign_library_function(
        foreign_library_open(PLUGIN_FILE_1), "plugin_logged");
    return count();
}

static void a_handler_in_an_opened_library_gets_the_lines_of_a_child(void **state)
{
    (void)state;
    void *library = foreign_library_open(PLUGIN_FILE_1);
    assert_non_null(library);
    brood_log_handler (*get)(void) =
        (brood_log_handler(*)(void))foreign_library_function(library, "plugin_logger");
    brood_log_set_handler(get(), BROOD_LOG_ERROR, NULL);
    assert_process_ends(started_process(log_a_line, NULL, 0), 1);
    brood_log_set_handler(NULL, BROOD_LOG_OFF, NULL);
}

// Opens a copy of the library, which a test may replace or remove.
static void *opened_copy(char *path, size_t capacity, const char *name)
{
    foreign_file_name(path, capacity, name);
    foreign_file_copy(PLUGIN_FILE_1, path);
    void *library = foreign_library_open(path);
    assert_non_null(library);
    return library;
}

static const brood_process_options fresh = { .method = BROOD_START_SPAWN };

// The last part of a path, which both systems write in the same way.
static const char *tail_of(const char *path)
{
    const char *tail = path;
    for (; *path; path++)
        if (*path == '/' || *path == '\\')
            tail = path + 1;
    return tail;
}

static void a_replaced_library_is_refused(void **state)
{
    (void)state;
    char path[512];
    const struct plugin_sum sum = { 30, 12 };
    const brood_target add =
        target_in(opened_copy(path, sizeof path, "replaced.dll"), "plugin_adder");
    expect_sum(add, 0);
    foreign_file_replace(PLUGIN_FILE_2, path);
    brood_process *process = NULL;
    for (int i = 0; i < 2; i++) {
        assert_status(brood_process_start(&process, add, &sum, sizeof sum, &fresh), BROOD_MISMATCH);
        assert_null(process);
        if (!strstr(brood_last_error(), tail_of(path)))
            fail_msg("\"%s\" does not name %s", brood_last_error(), tail_of(path));
    }
    assert_int_equal(brood_active_children(NULL, 0), 0);
    foreign_file_remove(path);
}

static void a_removed_library_is_not_found(void **state)
{
    (void)state;
    char path[512];
    const struct plugin_sum sum = { 30, 12 };
    const brood_target add = target_in(opened_copy(path, sizeof path, "gone.dll"), "plugin_adder");
    foreign_file_replace(PLUGIN_FILE_2, path);
    foreign_file_remove(path);
    brood_process *process = NULL;
    assert_status(brood_process_start(&process, add, &sum, sizeof sum, &fresh), BROOD_NOT_FOUND);
    assert_null(process);
    if (!strstr(brood_last_error(), tail_of(path)))
        fail_msg("\"%s\" does not name %s", brood_last_error(), tail_of(path));
    // The refused start has done no harm.
    expect_sum(target_in(foreign_library_open(PLUGIN_FILE_1), "plugin_adder"), 0);
}

static void a_function_of_the_c_library_is_a_target(void **state)
{
    (void)state;
    const brood_target convert = (brood_target)(void (*)(void))atoi;
    assert_process_ends(started_process(convert, "42", sizeof "42"), 42);
}

static int never_run(void *arg)
{
    (void)arg;
    return 1;
}

static void an_address_in_no_module_is_invalid(void **state)
{
    (void)state;
    static int data;
    int *heap = malloc(sizeof *heap);
    assert_non_null(heap);
    const uintptr_t addresses[] = {
        1, 4096, UINTPTR_MAX, (uintptr_t)&data, (uintptr_t)heap, (uintptr_t)&heap
    };
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
        brood_process *process = NULL;
        assert_status(brood_process_start(&process, (brood_target)addresses[i], NULL, 0, &fresh),
                      BROOD_INVALID);
        assert_null(process);
    }
    assert_status(brood_process_start(NULL, NULL, NULL, 0, NULL), BROOD_INVALID);
    assert_process_ends(started_process(never_run, NULL, 0), 1);
    free(heap);
}

int main(void)
{
    const char *avoid = getenv(AVOID);
    if (avoid)
        foreign_address_take((uintptr_t)strtoull(avoid, NULL, 16));
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_static_function_of_an_opened_library_is_a_target),
        cmocka_unit_test(a_handler_in_an_opened_library_gets_the_lines_of_a_child),
        cmocka_unit_test(a_function_is_found_where_the_child_has_the_library),
        cmocka_unit_test(a_replaced_library_is_refused),
        cmocka_unit_test(a_removed_library_is_not_found),
        cmocka_unit_test(a_function_of_the_c_library_is_a_target),
        cmocka_unit_test(an_address_in_no_module_is_invalid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
