// SPDX-License-Identifier: MIT
#include "meeting.h"

static void durations_are_nanoseconds(void **state)
{
    (void)state;
    assert_true(BROOD_MICROSECONDS(1) == 1000);
    assert_true(BROOD_MILLISECONDS(1) == 1000000);
    assert_true(BROOD_SECONDS(1) == 1000000000);
    assert_true(BROOD_SECONDS(0.5) == 500000000);
    assert_true(BROOD_MILLISECONDS(0.25) == 250000);
    assert_true(BROOD_MICROSECONDS(1.5) == 1500);
    assert_true(BROOD_SECONDS(-2) == -2000000000LL);
    assert_true(BROOD_SECONDS(1 + 1) == 2000000000);
    assert_true(BROOD_SECONDS(86400 * 365) == 31536000000000000LL); // computed from an int
    assert_true(BROOD_MILLISECONDS(2147483647) == 2147483647000000LL);
    assert_true(BROOD_NOW == 0);
    assert_true(BROOD_FOREVER == INT64_MAX);
    assert_int_equal(sizeof(BROOD_SECONDS(1)), sizeof(brood_duration));
    assert_int_equal(sizeof(brood_duration), 8);
}

static void the_clock_does_not_go_back(void **state)
{
    (void)state;
    int64_t last = brood_clock();
    for (int i = 0; i < 200000; i++) {
        const int64_t now = brood_clock();
        assert_true(now >= last);
        last = now;
    }
    assert_true(last > 0);
}

static void the_clock_has_a_fine_step(void **state)
{
    (void)state;
    int64_t least = INT64_MAX;
    for (int i = 0; i < 100; i++) {
        const int64_t first = brood_clock();
        int64_t next;
        do
            next = brood_clock();
        while (next == first);
        if (next - first < least)
            least = next - first;
    }
    assert_true(least <= BROOD_MILLISECONDS(1));
}

static int note_the_time(void *arg)
{
    const int64_t before = *(int64_t *)arg;
    const int64_t now = brood_clock();
    CHECK(now >= before);
    note("time there", (uint64_t)now);
    return 0;
}

static void all_processes_read_the_same_clock(void **state)
{
    (void)state;
    const int64_t before = brood_clock();
    assert_process_ends(started_process(note_the_time, &before, sizeof before), 0);
    const int64_t there = (int64_t)noted("time there");
    assert_true(there >= before);
    assert_true(there <= brood_clock());
}

static void a_sleep_is_not_too_short(void **state)
{
    (void)state;
    static const brood_duration durations[] = { 1,
                                                BROOD_MICROSECONDS(50),
                                                BROOD_MICROSECONDS(999),
                                                BROOD_MILLISECONDS(1),
                                                BROOD_MILLISECONDS(3.3),
                                                BROOD_MILLISECONDS(20),
                                                BROOD_MILLISECONDS(60) };
    for (size_t i = 0; i < sizeof durations / sizeof durations[0]; i++)
        for (int j = 0; j < 5; j++) {
            const int64_t before = brood_clock();
            brood_sleep(durations[i]);
            const int64_t took = brood_clock() - before;
            assert_true(took >= durations[i]);
            assert_true(took < BROOD_SECONDS(20));
        }
}

static void a_sleep_of_nothing_returns_at_once(void **state)
{
    (void)state;
    const int64_t before = brood_clock();
    brood_sleep(BROOD_NOW);
    brood_sleep(-1);
    brood_sleep(-BROOD_SECONDS(3600));
    brood_sleep(INT64_MIN);
    assert_true(brood_clock() - before < BROOD_SECONDS(20));
}

static int sleep_for_ever(void *arg)
{
    note("sleeps", 1);
    brood_sleep(*(brood_duration *)arg);
    return 1;
}

// In a process, because nothing else ends such a sleep.
static void a_sleep_for_ever_does_not_overflow(void **state)
{
    (void)state;
    static const brood_duration endless[] = { BROOD_FOREVER, INT64_MAX - 1, BROOD_SECONDS(86400) };
    for (size_t i = 0; i < sizeof endless / sizeof endless[0]; i++) {
        note("sleeps", 0);
        brood_process *process = started_process(sleep_for_ever, &endless[i], sizeof endless[i]);
        assert_true(await_note("sleeps", 1));
        assert_status(brood_process_join(process, BROOD_MILLISECONDS(60), NULL), BROOD_TIMEOUT);
        kill_process(process);
    }
}

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_are_nanoseconds),
        cmocka_unit_test(the_clock_does_not_go_back),
        cmocka_unit_test(the_clock_has_a_fine_step),
        cmocka_unit_test(all_processes_read_the_same_clock),
        cmocka_unit_test(a_sleep_is_not_too_short),
        cmocka_unit_test(a_sleep_of_nothing_returns_at_once),
        cmocka_unit_test(a_sleep_for_ever_does_not_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
