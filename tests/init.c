// SPDX-License-Identifier: MIT
// brood_init() and the version.
#include "children.h"
#include "text_file.h"

#include <string.h>

static void the_version_is_that_of_the_headers(void **state)
{
    (void)state;
    char text[64];
    (void)snprintf(text, sizeof text, "%d.%d.%d", BROOD_VERSION_MAJOR, BROOD_VERSION_MINOR,
                   BROOD_VERSION_PATCH);
    assert_string_equal(brood_version(), text);
    assert_int_equal(BROOD_VERSION_NUMBER, BROOD_VERSION_MAJOR * 1000000 +
                                               BROOD_VERSION_MINOR * 1000 + BROOD_VERSION_PATCH);
}

static int begin_again(void *arg)
{
    const brood_pid parent = brood_parent_pid();
    (void)arg;
    brood_init();
    brood_init();
    CHECK(noted("known before") == 77);
    CHECK(brood_parent_pid() == parent);
    CHECK(strcmp(brood_self_name(), "MainProcess") != 0);
    CHECK(brood_shutdown(MEETING_PATIENCE) == BROOD_OK);
    return 0;
}

static void a_second_brood_init_changes_nothing(void **state)
{
    (void)state;
    note("known before", 77);
    brood_init();
    assert_int_equal(noted("known before"), 77);
    assert_string_equal(brood_self_name(), "MainProcess");
    assert_int_equal(brood_parent_pid(), 0);
    expect_success_under_each_method(begin_again);
}

struct headers {
    uint32_t version;
    struct place place;
};

static int init_with_other_headers(void *arg)
{
    const struct headers *headers = arg;
    CHECK(freopen(headers->place.path, "w", stderr));
    brood_init_with(headers->version, atexit);
    return 0;
}

static void unknown_headers_end_the_process(void **state)
{
    (void)state;
    static const uint32_t versions[] = { BROOD_VERSION_NUMBER + 1,
                                         (BROOD_VERSION_MAJOR + 1) * 1000000, UINT32_MAX };
    struct headers headers = { .version = BROOD_VERSION_NUMBER, .place = made_text_file() };
    assert_process_ends(started_process(init_with_other_headers, &headers, sizeof headers), 0);
    assert_text(&headers.place, "");
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
        char text[1024];
        headers.version = versions[i];
        assert_process_ends(started_process(init_with_other_headers, &headers, sizeof headers), 70);
        read_text_file(&headers.place, text, sizeof text);
        assert_true(strstr(text, "brood: ") == text && strstr(text, brood_version()));
        assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1); // one line
        foreign_file_remove(headers.place.path);
    }
}

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_version_is_that_of_the_headers),
        cmocka_unit_test(a_second_brood_init_changes_nothing),
        cmocka_unit_test(unknown_headers_end_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
