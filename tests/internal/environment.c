// SPDX-License-Identifier: MIT
#include "../meeting.h"

#include "../platform.h"
#include "os/os_process.h"
#include "process/environment.h"

#include <string.h>

static void a_change_needs_a_name(void **state)
{
    (void)state;
    assert_status(broodi_environment_check(NULL), BROOD_OK);
    assert_status(broodi_environment_check((const char *[]){ NULL }), BROOD_OK);
    assert_status(
        broodi_environment_check((const char *[]){ "A", "B=", "C=D=E", "D=\xc3\xa4", NULL }),
        BROOD_OK);
    static const char *const evil[] = { "", "=", "=A", "=C:=C:\\" };
    for (size_t i = 0; i < sizeof evil / sizeof evil[0]; i++) {
        assert_status(broodi_environment_check((const char *[]){ evil[i], NULL }), BROOD_INVALID);
        assert_status(broodi_environment_check((const char *[]){ "A=1", evil[i], NULL }),
                      BROOD_INVALID);
        assert_status(broodi_environment_check((const char *[]){ evil[i], "A=1", NULL }),
                      BROOD_INVALID);
    }
}

static size_t count_of(const char *const *list)
{
    size_t count = 0;
    while (list[count])
        count++;
    return count;
}

// The only entry of that name; NULL if there is none. Two are a failure.
static const char *entry_of(const char *const *list, const char *name)
{
    const char *found = NULL;
    const size_t length = strlen(name);
    for (; *list; list++)
        if (strlen(*list) > length && (*list)[length] == '=' &&
            brood_os_process_same_name(*list, name, length)) {
            assert_null(found);
            found = *list;
        }
    return found;
}

// Checks what up to three changes make of BROOD_TEST_A, which is "old" before.
static void assert_becomes(const char *const *changes, const char *expected)
{
    char **storage = NULL;
    const char **merged = broodi_environment_merge(changes, &storage);
    assert_non_null(merged);
    const char *entry = entry_of(merged, "BROOD_TEST_A");
    if (expected) {
        assert_non_null(entry);
        assert_string_equal(entry, expected);
    } else {
        assert_null(entry);
    }
    free((void *)merged);
    free(storage);
}

static void the_last_change_of_a_name_counts(void **state)
{
    (void)state;
    static const struct {
        const char *changes[4];
        const char *result;
    } table[] = {
        { { NULL }, "BROOD_TEST_A=old" },
        { { "BROOD_TEST_A=new" }, "BROOD_TEST_A=new" },
        { { "BROOD_TEST_A=" }, "BROOD_TEST_A=" },
        { { "BROOD_TEST_A" }, NULL },
        { { "BROOD_TEST_A=1", "BROOD_TEST_A=2" }, "BROOD_TEST_A=2" },
        { { "BROOD_TEST_A=1", "BROOD_TEST_A" }, NULL },
        { { "BROOD_TEST_A", "BROOD_TEST_A=3" }, "BROOD_TEST_A=3" },
        { { "BROOD_TEST_A=1", "BROOD_TEST_A", "BROOD_TEST_A=4" }, "BROOD_TEST_A=4" },
        { { "BROOD_TEST_A=x=y" }, "BROOD_TEST_A=x=y" },
        { { "BROOD_TEST_AB=1" }, "BROOD_TEST_A=old" },
        { { "BROOD_TEST_AB" }, "BROOD_TEST_A=old" },
        { { "BROOD_TEST_=1", "BROOD_TEST" }, "BROOD_TEST_A=old" },
    };
    platform_environment_set("BROOD_TEST_A", "old");
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        assert_becomes(table[i].changes, table[i].result);
    platform_environment_set("BROOD_TEST_A", NULL);
    assert_becomes((const char *[]){ "BROOD_TEST_A", NULL }, NULL);
    assert_becomes((const char *[]){ "BROOD_TEST_A=1", NULL }, "BROOD_TEST_A=1");
}

static void other_variables_stay_as_they_are(void **state)
{
    (void)state;
    char **storage = NULL;
    char **own = brood_os_process_environment();
    assert_non_null(own);
    const char **merged = broodi_environment_merge(NULL, &storage);
    assert_non_null(merged);
    assert_int_equal(count_of(merged), count_of((const char *const *)own));
    for (size_t i = 0; own[i]; i++)
        assert_string_equal(merged[i], own[i]);
    free((void *)merged);
    free(storage);
    const char *const changes[] = { "BROOD_TEST_NEW=1", "BROOD_TEST_NOTHING", NULL };
    merged = broodi_environment_merge(changes, &storage);
    assert_non_null(merged);
    assert_int_equal(count_of(merged), count_of((const char *const *)own) + 1);
    for (size_t i = 0; own[i]; i++)
        assert_string_equal(merged[i], own[i]);
    assert_string_equal(merged[count_of(merged) - 1], "BROOD_TEST_NEW=1");
    free((void *)merged);
    free(storage);
    free(own);
}

static void many_changes_are_fine(void **state)
{
    (void)state;
    enum { CHANGES = 300 };
    static char texts[CHANGES][32];
    const char *changes[CHANGES + 1] = { NULL };
    char **storage = NULL;
    for (int i = 0; i < CHANGES; i++) {
        (void)snprintf(texts[i], sizeof texts[i], "BROOD_TEST_%d=%d", i % 100, i);
        changes[i] = texts[i];
    }
    const char **merged = broodi_environment_merge(changes, &storage);
    assert_non_null(merged);
    for (int i = 0; i < 100; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "BROOD_TEST_%d", i);
        assert_string_equal(entry_of(merged, name), texts[200 + i]);
    }
    free((void *)merged);
    free(storage);
}

// If the system compares names without case, so does the merge.
static void names_are_compared_as_the_system_does(void **state)
{
    (void)state;
    const bool same =
        brood_os_process_same_name("BROOD_TEST_A", "brood_test_a", strlen("BROOD_TEST_A"));
    platform_environment_set("BROOD_TEST_A", "old");
    assert_becomes((const char *[]){ "brood_test_a=new", NULL },
                   same ? "brood_test_a=new" : "BROOD_TEST_A=old");
    platform_environment_set("BROOD_TEST_A", NULL);
}

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_needs_a_name),
        cmocka_unit_test(the_last_change_of_a_name_counts),
        cmocka_unit_test(other_variables_stay_as_they_are),
        cmocka_unit_test(many_changes_are_fine),
        cmocka_unit_test(names_are_compared_as_the_system_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
