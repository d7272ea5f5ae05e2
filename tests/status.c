// SPDX-License-Identifier: MIT
#include "meeting.h"

#include <string.h>

static const struct {
    brood_status status;
    const char *name;
    const char *text;
} all[] = {
#define ROW(name, value, text) { BROOD_##name, "BROOD_" #name, text },
    BROOD_STATUS_LIST(ROW)
#undef ROW
};

enum { COUNT = sizeof all / sizeof all[0] };

static void every_status_has_a_value_of_its_own(void **state)
{
    (void)state;
    bool seen[64] = { false };
    for (size_t i = 0; i < COUNT; i++) {
        assert_in_range(all[i].status, 0, 63);
        assert_false(seen[all[i].status]);
        seen[all[i].status] = true;
    }
    assert_int_equal(BROOD_OK, 0);
}

// Programs may have stored these values: they must not change.
static void values_are_pinned(void **state)
{
    (void)state;
    assert_int_equal(BROOD_TIMEOUT, 1);
    assert_int_equal(BROOD_OWNER_DIED, 2);
    assert_int_equal(BROOD_INVALID, 8);
    assert_int_equal(BROOD_STALE, 9);
    assert_int_equal(BROOD_DEADLOCK, 16);
    assert_int_equal(BROOD_NO_MEMORY, 17);
    assert_int_equal(BROOD_NOT_INITIALIZED, 20);
    assert_int_equal(BROOD_MISMATCH, 24);
    assert_int_equal(BROOD_SYSTEM, 25);
}

static void every_status_has_a_name_and_a_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        assert_string_equal(brood_status_name(all[i].status), all[i].name);
        assert_string_equal(brood_status_text(all[i].status), all[i].text);
        assert_true(strlen(all[i].text) > 0);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(all[i].text, all[j].text);
    }
}

static bool is_listed(int value)
{
    for (size_t i = 0; i < COUNT; i++)
        if ((int)all[i].status == value)
            return true;
    return false;
}

static void a_value_that_is_no_status_has_a_name_too(void **state)
{
    (void)state;
    static const int far[] = { INT32_MAX, INT32_MIN, -1, -26, 256, 65536, 1 << 24 };
    for (int value = -70; value < 200; value++)
        if (!is_listed(value)) {
            assert_string_equal(brood_status_name((brood_status)value), "BROOD_?");
            assert_true(strlen(brood_status_text((brood_status)value)) > 0);
            assert_false(brood_status_acquired((brood_status)value));
        }
    for (size_t i = 0; i < sizeof far / sizeof far[0]; i++) {
        assert_string_equal(brood_status_name((brood_status)far[i]), "BROOD_?");
        assert_true(strlen(brood_status_text((brood_status)far[i])) > 0);
    }
}

static void two_statuses_mean_that_the_lock_is_held(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(brood_status_acquired(all[i].status),
                         all[i].status == BROOD_OK || all[i].status == BROOD_OWNER_DIED);
}

static void nothing_has_failed_yet(void **state)
{
    (void)state;
    assert_string_equal(brood_last_error(), "");
}

static void the_message_names_operation_and_cause(void **state)
{
    (void)state;
    brood_lock lock;
    assert_int_equal(brood_lock_create(NULL), BROOD_INVALID);
    const char *message = brood_last_error();
    assert_string_equal(message, "brood_lock_create: a bad argument: out is NULL");
    // A successful call changes nothing.
    assert_int_equal(brood_lock_create(&lock), BROOD_OK);
    assert_int_equal(brood_lock_destroy(lock), BROOD_OK);
    assert_string_equal(message, "brood_lock_create: a bad argument: out is NULL");
    assert_string_equal(brood_last_error(), "brood_lock_create: a bad argument: out is NULL");
    // The string stays until brood_last_error() is called again.
    uint64_t value;
    assert_int_equal(brood_registry_get("status.c asks for nothing", &value), BROOD_NOT_FOUND);
    assert_string_equal(message, "brood_lock_create: a bad argument: out is NULL");
    assert_string_equal(brood_last_error(),
                        "brood_registry_get: nothing has that name: \"status.c asks for nothing\"");
}

// The cause of one failure is not repeated with the next failure, which has none.
static void an_old_cause_is_not_repeated(void **state)
{
    (void)state;
    brood_lock lock;
    assert_int_equal(brood_lock_create(&lock), BROOD_OK);
    assert_int_equal(brood_lock_destroy(lock), BROOD_OK);
    assert_int_equal(brood_lock_create(NULL), BROOD_INVALID);
    assert_int_equal(brood_lock_destroy(lock), BROOD_STALE);
    assert_string_equal(brood_last_error(), "brood_lock_destroy: the object was destroyed");
}

static void a_long_cause_is_cut(void **state)
{
    (void)state;
    char name[BROOD_REGISTRY_NAME_MAX + 1];
    uint64_t value;
    memset(name, 'n', BROOD_REGISTRY_NAME_MAX);
    name[BROOD_REGISTRY_NAME_MAX] = 0;
    assert_int_equal(brood_registry_get(name, &value), BROOD_NOT_FOUND);
    const size_t length = strlen(brood_last_error());
    assert_in_range(length, 100, 1023);
}

static int fail_here(void *arg)
{
    (void)arg;
    CHECK(strcmp(brood_last_error(), "") == 0);
    CHECK(brood_lock_create_recursive(NULL) == BROOD_INVALID);
    CHECK(strstr(brood_last_error(), "brood_lock_create_recursive") == brood_last_error());
    return 0;
}

static void each_thread_has_its_own_last_error(void **state)
{
    (void)state;
    assert_int_equal(brood_lock_create(NULL), BROOD_INVALID);
    const char *message = brood_last_error();
    for (int i = 0; i < 3; i++)
        assert_thread_ends(started_thread(fail_here, NULL, 0), 0);
    assert_string_equal(message, "brood_lock_create: a bad argument: out is NULL");
    assert_string_equal(brood_last_error(), message);
}

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_has_failed_yet), // must come first
        cmocka_unit_test(every_status_has_a_value_of_its_own),
        cmocka_unit_test(values_are_pinned),
        cmocka_unit_test(every_status_has_a_name_and_a_text),
        cmocka_unit_test(a_value_that_is_no_status_has_a_name_too),
        cmocka_unit_test(two_statuses_mean_that_the_lock_is_held),
        cmocka_unit_test(the_message_names_operation_and_cause),
        cmocka_unit_test(an_old_cause_is_not_repeated),
        cmocka_unit_test(a_long_cause_is_cut),
        cmocka_unit_test(each_thread_has_its_own_last_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
