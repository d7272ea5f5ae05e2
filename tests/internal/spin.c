// SPDX-License-Identifier: MIT
// Polling before a thread blocks: how long, and what a thread learns from it.
#include "../meeting.h"

#include "arena/self.h"
#include "arena/spin.h"

enum { FIRST = 200 };

// Also forgets what the thread has learned, and that yields took long, which they do on a busy
// machine.
static void set_processors(unsigned count)
{
    struct broodi_self *self = broodi_self();
    atomic_store(&broodi_spin_processors, count);
    self->long_yields = self->yield_rest = 0;
    self->spin_budget = self->spin_rest = self->vain_rests = 0;
}

static uint32_t budget(void)
{
    return broodi_self()->spin_budget;
}

// Polls until the loop gives up; returns how often it let time pass.
static unsigned poll_in_vain(void)
{
    struct broodi_spin spin = broodi_spin_begin(FIRST, FIRST);
    unsigned waits = 0;
    while (broodi_spin_wait(&spin))
        waits++;
    broodi_spin_end(&spin, false);
    broodi_self()->yield_rest = 0;
    return waits;
}

static void poll_with_success(void)
{
    struct broodi_spin spin = broodi_spin_begin(FIRST, FIRST);
    assert_true(broodi_spin_wait(&spin));
    broodi_spin_end(&spin, true);
}

static void one_processor_only_yields(void **state)
{
    (void)state;
    set_processors(1);
    assert_in_range(poll_in_vain(), 1, BROODI_SPIN_YIELDS); // fewer if one takes long
    assert_int_equal(budget(), 0);                          // nothing was learned
}

static void polling_in_vain_halves_the_budget(void **state)
{
    (void)state;
    set_processors(2);
    const unsigned most = poll_in_vain();
    assert_true(most > BROODI_SPIN_MOST / FIRST);
    assert_int_equal(budget(), BROODI_SPIN_MOST / 2);
    assert_true(poll_in_vain() < most);
    for (int i = 0; i < 20; i++)
        (void)poll_in_vain();
    assert_int_equal(budget(), BROODI_SPIN_LEAST);
}

// Until the thread rests.
static void poll_until_rest(void)
{
    while (broodi_self()->spin_rest == 0)
        (void)poll_in_vain();
}

static void a_thread_rests_from_pauses_in_vain(void **state)
{
    (void)state;
    set_processors(2);
    for (unsigned rest = BROODI_SPIN_REST; rest <= 4 * BROODI_SPIN_REST; rest *= 2) {
        poll_until_rest();
        assert_int_equal(broodi_self()->spin_rest, rest);
        for (unsigned i = 1; i < rest; i++)
            assert_in_range(poll_in_vain(), 0, BROODI_SPIN_YIELDS);
        assert_true(poll_in_vain() > BROODI_SPIN_MOST / FIRST); // the probe
    }
}

static void a_probe_that_was_enough_ends_the_rest(void **state)
{
    (void)state;
    set_processors(2);
    poll_until_rest();
    broodi_self()->spin_rest = 1;
    poll_with_success();
    assert_int_equal(budget(), BROODI_SPIN_MOST);
    assert_int_equal(broodi_self()->spin_rest, 0);
    poll_until_rest();
    assert_int_equal(broodi_self()->spin_rest, BROODI_SPIN_REST);
}

static void a_pause_that_was_enough_doubles_the_budget(void **state)
{
    (void)state;
    set_processors(2);
    broodi_self()->spin_budget = BROODI_SPIN_LEAST;
    poll_with_success();
    assert_int_equal(budget(), 2 * BROODI_SPIN_LEAST);
    for (int i = 0; i < 20; i++)
        poll_with_success();
    assert_int_equal(budget(), BROODI_SPIN_MOST);
}

static void success_without_a_pause_changes_nothing(void **state)
{
    (void)state;
    set_processors(2);
    (void)poll_in_vain();
    const uint32_t before = budget();
    const struct broodi_spin spin = broodi_spin_begin(FIRST, FIRST);
    broodi_spin_end(&spin, true);
    assert_int_equal(budget(), before);
}

static void success_only_after_a_yield_halves_the_budget(void **state)
{
    (void)state;
    set_processors(2);
    for (int i = 0; i < 20; i++)
        poll_with_success();
    struct broodi_spin spin = broodi_spin_begin(FIRST, FIRST);
    while (spin.yields == BROODI_SPIN_YIELDS)
        assert_true(broodi_spin_wait(&spin));
    broodi_spin_end(&spin, true);
    assert_int_equal(budget(), BROODI_SPIN_MOST / 2);
}

static void a_thread_rests_from_yields_that_took_long(void **state)
{
    (void)state;
    set_processors(1);
    broodi_self()->yield_rest = 2;
    for (int i = 0; i < 2; i++) {
        struct broodi_spin spin = broodi_spin_begin(FIRST, FIRST);
        assert_false(broodi_spin_wait(&spin));
        broodi_spin_end(&spin, false);
    }
    struct broodi_spin spin = broodi_spin_begin(FIRST, FIRST);
    assert_true(broodi_spin_wait(&spin));
    broodi_spin_end(&spin, true);
    broodi_self()->yield_rest = 0;
}

// The best of many: on a busy machine some take longer.
static void a_poll_takes_about_as_long_as_its_budget(void **state)
{
    (void)state;
    int64_t best = INT64_MAX;
    set_processors(2);
    for (int i = 0; i < 100; i++) {
        broodi_self()->spin_budget = BROODI_SPIN_MOST;
        struct broodi_spin spin = broodi_spin_begin(FIRST, FIRST);
        const int64_t begin = brood_clock();
        while (spin.left > 0)
            (void)broodi_spin_wait(&spin);
        const int64_t took = brood_clock() - begin;
        if (took < best)
            best = took;
    }
    assert_true(best > BROODI_SPIN_MOST / 4 && best < BROOD_MILLISECONDS(1));
}

static void the_number_of_processors_is_asked_for(void **state)
{
    (void)state;
    set_processors(0);
    (void)poll_in_vain();
    assert_int_equal(atomic_load(&broodi_spin_processors), brood_cpu_count());
}

static void the_number_of_processors_is_asked_for_again(void **state)
{
    (void)state;
    enum { WRONG = 1000000 };
    set_processors(WRONG);
    for (int i = 0; i < 1 << 14; i++)
        (void)broodi_spin_begin(FIRST, FIRST);
    assert_int_equal(atomic_load(&broodi_spin_processors), brood_cpu_count());
}

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_processor_only_yields),
        cmocka_unit_test(polling_in_vain_halves_the_budget),
        cmocka_unit_test(a_thread_rests_from_pauses_in_vain),
        cmocka_unit_test(a_probe_that_was_enough_ends_the_rest),
        cmocka_unit_test(a_pause_that_was_enough_doubles_the_budget),
        cmocka_unit_test(success_without_a_pause_changes_nothing),
        cmocka_unit_test(success_only_after_a_yield_halves_the_budget),
        cmocka_unit_test(a_thread_rests_from_yields_that_took_long),
        cmocka_unit_test(a_poll_takes_about_as_long_as_its_budget),
        cmocka_unit_test(the_number_of_processors_is_asked_for),
        cmocka_unit_test(the_number_of_processors_is_asked_for_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
