// SPDX-License-Identifier: MIT
#include "meeting.h"

static void at_least_one_processor_is_usable(void **state)
{
    (void)state;
    const unsigned count = brood_cpu_count();
    const unsigned usable = brood_cpu_usable();
    print_message("%u processors, %u usable\n", count, usable);
    assert_true(count >= 1);
    assert_true(usable >= 1);
    assert_true(usable <= count);
    assert_true(count < 100000);
}

static int count_here(void *arg)
{
    const unsigned *expected = arg;
    CHECK(brood_cpu_count() == expected[0]);
    CHECK(brood_cpu_usable() == expected[1]);
    return 0;
}

static void threads_and_children_count_the_same(void **state)
{
    (void)state;
    const unsigned here[] = { brood_cpu_count(), brood_cpu_usable() };
    assert_thread_ends(started_thread(count_here, here, sizeof here), 0);
    assert_process_ends(started_process(count_here, here, sizeof here), 0);
}

int main(void)
{
    const unsigned before = brood_cpu_count(); // needs no brood_init()
    brood_init();
    if (before != brood_cpu_count())
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(at_least_one_processor_is_usable),
        cmocka_unit_test(threads_and_children_count_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
