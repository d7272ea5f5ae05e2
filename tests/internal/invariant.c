// SPDX-License-Identifier: MIT
// Assertions of the library. tools/check-asserts checks that an ordinary build has none.
#include "../meeting.h"

#include "../place.h"
#include "base/invariant.h"

enum { ASSERTION = __LINE__ + 5 };

static int assert_number(void *arg)
{
    const int number = *(const int *)arg;
    broodi_assert(number == 1);
    return 0;
}

// Starts a child that asserts that the number is 1. Returns how it ended; `out` receives what it
// has printed to stderr.
static brood_exit end_of(int number, char *out, size_t capacity)
{
    intptr_t ends[2];
    brood_process *process = NULL;
    brood_exit ended = { .kind = BROOD_RUNNING };
    place_pipe(ends);
    const brood_process_options options = {
        .error = BROOD_OUTPUT_RESOURCE,
        .error_resource = { .kind = BROOD_RESOURCE_DESCRIPTOR, .value = ends[1] },
    };
    assert_status(brood_process_start(&process, assert_number, &number, sizeof number, &options),
                  BROOD_OK);
    place_close(ends[1]);
    size_t length = 0;
    size_t more;
    while ((more = place_read(ends[0], out + length, capacity - 1 - length)) > 0)
        length += more;
    out[length] = 0;
    place_close(ends[0]);
    assert_status(brood_process_join(process, MEETING_PATIENCE, &ended), BROOD_OK);
    brood_process_drop(process);
    return ended;
}

static void a_true_assertion_does_nothing(void **state)
{
    (void)state;
    char text[1024];
    const brood_exit ended = end_of(1, text, sizeof text);
    assert_int_equal(ended.kind, BROOD_EXITED);
    assert_int_equal(ended.code, 0);
    assert_string_equal(text, "");
}

static void a_false_assertion_prints_one_line_and_aborts(void **state)
{
    (void)state;
    char text[1024];
    const brood_exit ended = end_of(2, text, sizeof text);
    assert_int_equal(ended.kind, BROOD_CRASHED);
    assert_int_equal(ended.crash, BROOD_CRASH_ABORT);
    char expected[64];
    (void)snprintf(expected, sizeof expected, "invariant.c:%d: assertion failed: number == 1",
                   ASSERTION);
    assert_memory_equal(text, "brood: ", 7);
    const char *line = strstr(text, expected);
    assert_non_null(line);
    assert_non_null(strchr("\r\n", line[strlen(expected)]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_true_assertion_does_nothing),
        cmocka_unit_test(a_false_assertion_prints_one_line_and_aborts),
    };
    brood_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
