// SPDX-License-Identifier: MIT
#include "meeting.h"

#include "../src/base/atomic.h"
#include "../src/base/compiler.h"
#include "foreign.h"
#include "platform.h"

#include <string.h>

static bool await_count(_Atomic unsigned *count, unsigned least)
{
    const int64_t deadline = brood_clock() + MEETING_PATIENCE;
    while (atomic_load(count) < least) {
        if (brood_clock() > deadline)
            return false;
        brood_sleep(BROOD_MICROSECONDS(100));
    }
    return true;
}

// Flags used before brood_init(). main() uses them in the children as well, so each process has
// its own.

enum { EARLY_THREADS = 3 };

static brood_once_flag early_flag = BROOD_ONCE_INIT;
static brood_once_flag early_contended_flag = BROOD_ONCE_INIT;
static int early_runs; // not atomic: the flag guards them
static int early_contended_runs;
static _Atomic unsigned early_arrived;
static _Atomic unsigned early_late;

static void count_early(void)
{
    early_runs++;
}

static void count_early_contended(void)
{
    brood_sleep(BROOD_MILLISECONDS(1)); // meanwhile the others arrive
    early_contended_runs++;
}

static void contend_early(void *arg)
{
    (void)arg;
    atomic_fetch_add(&early_arrived, 1);
    while (atomic_load(&early_arrived) < EARLY_THREADS)
        continue;
    brood_once(&early_contended_flag, count_early_contended);
    if (early_contended_runs != 1)
        atomic_fetch_add(&early_late, 1);
}

// A run that is in progress while the process is initialized.

static brood_once_flag overtaken_flag = BROOD_ONCE_INIT;
static _Atomic unsigned overtaken_runs;
static _Atomic unsigned overtaken_gate;
static foreign_thread *overtaken;

static void run_until_the_gate_opens(void)
{
    atomic_fetch_add(&overtaken_runs, 1);
    (void)await_count(&overtaken_gate, 1);
}

static void be_overtaken(void *arg)
{
    (void)arg;
    brood_once(&overtaken_flag, run_until_the_gate_opens);
}

static void use_flags_before_brood_init(void)
{
    foreign_thread *threads[EARLY_THREADS];
    brood_once(&early_flag, count_early);
    for (int i = 0; i < EARLY_THREADS; i++)
        threads[i] = foreign_thread_start(contend_early, NULL);
    for (int i = 0; i < EARLY_THREADS; i++)
        foreign_thread_join(threads[i]);
    overtaken = foreign_thread_start(be_overtaken, NULL);
    (void)await_count(&overtaken_runs, 1);
}

static int expect_early_flags_done(void *arg)
{
    (void)arg;
    brood_once(&early_flag, count_early);
    brood_once(&early_contended_flag, count_early_contended);
    CHECK(early_runs == 1);
    CHECK(early_contended_runs == 1);
    CHECK(atomic_load(&early_late) == 0);
    return 0;
}

static void a_flag_may_be_used_before_brood_init(void **state)
{
    (void)state;
    assert_int_equal(expect_early_flags_done(NULL), 0);
    assert_thread_ends(started_thread(expect_early_flags_done, NULL, 0), 0);
    const brood_process_options fresh = { .method = BROOD_START_SPAWN };
    brood_process *process;
    assert_status(brood_process_start(&process, expect_early_flags_done, NULL, 0, &fresh),
                  BROOD_OK);
    assert_process_ends(process, 0);
}

static _Atomic unsigned overtakers_left;

static void overtake(void *arg)
{
    be_overtaken(arg);
    atomic_fetch_add(&overtakers_left, 1);
}

static void a_run_that_began_before_brood_init_is_the_only_one(void **state)
{
    (void)state;
    foreign_thread *overtaker = foreign_thread_start(overtake, NULL);
    brood_sleep(BROOD_MILLISECONDS(20)); // a caller that does not wait has returned by then
    const unsigned left = atomic_load(&overtakers_left);
    atomic_store(&overtaken_gate, 1);
    foreign_thread_join(overtaker);
    foreign_thread_join(overtaken);
    assert_int_equal(left, 0);
    assert_int_equal(atomic_load(&overtaken_runs), 1);
}

// Many threads at once

enum { THREADS = 6, MOST_ROUNDS = 1000 };

static struct {
    brood_once_flag flag; // zero is BROOD_ONCE_INIT
    _Atomic unsigned arrived;
    unsigned runs; // not atomic: the flag guards them
    unsigned char written[64];
} rounds[MOST_ROUNDS];

static BROODI_THREAD_LOCAL int here; // the round that the calling thread is in

static void write_all(void)
{
    rounds[here].runs++;
    if (here % 4 == 0)
        brood_sleep(BROOD_MICROSECONDS(50)); // meanwhile the others wait
    memset(rounds[here].written, 'w', sizeof rounds[here].written);
}

static bool is_written(int round)
{
    for (size_t i = 0; i < sizeof rounds[round].written; i++)
        if (rounds[round].written[i] != 'w')
            return false;
    return true;
}

// All threads go on together, and none keeps a processor from those that it waits for.
static void arrive_with_the_others(_Atomic unsigned *arrived)
{
    unsigned polls = 0;
    atomic_fetch_add(arrived, 1);
    while (atomic_load(arrived) < THREADS)
        if (++polls > 1000)
            brood_sleep(1);
}

static int take_part_in_all_rounds(void *arg)
{
    const int count = *(int *)arg;
    for (here = 0; here < count; here++) {
        arrive_with_the_others(&rounds[here].arrived);
        brood_once(&rounds[here].flag, write_all);
        CHECK(rounds[here].runs == 1);
        CHECK(is_written(here));
    }
    return 0;
}

static void take_part_in_foreign_thread(void *arg)
{
    if (take_part_in_all_rounds(arg) != 0)
        abort();
}

static void one_of_many_threads_runs_it_and_all_see_what_it_wrote(void **state)
{
    (void)state;
    int count = foreign_is_slow() ? 100 : MOST_ROUNDS;
    brood_thread *threads[THREADS - 1];
    foreign_thread *foreign = foreign_thread_start(take_part_in_foreign_thread, &count);
    for (int i = 0; i < THREADS - 1; i++)
        threads[i] = started_thread(take_part_in_all_rounds, &count, sizeof count);
    for (int i = 0; i < THREADS - 1; i++)
        assert_thread_ends(threads[i], 0);
    foreign_thread_join(foreign);
    for (int i = 0; i < count; i++)
        assert_int_equal(rounds[i].runs, 1);
}

// One call after the other

static unsigned first_runs;
static unsigned second_runs;

static void run_first(void)
{
    first_runs++;
}

static void run_second(void)
{
    second_runs++;
}

static void each_flag_runs_its_function_once(void **state)
{
    (void)state;
    static brood_once_flag first = BROOD_ONCE_INIT;
    static brood_once_flag second = BROOD_ONCE_INIT;
    static brood_once_flag third = BROOD_ONCE_INIT;
    first_runs = 0;
    second_runs = 0;
    brood_once(&first, run_first);
    assert_int_equal(first_runs, 1);
    assert_int_equal(second_runs, 0);
    for (int i = 0; i < 3; i++) {
        brood_once(&first, run_first);
        brood_once(&first, run_second); // the flag counts, not the function
        brood_once(&second, run_second);
        assert_int_equal(first_runs, 1);
        assert_int_equal(second_runs, 1);
    }
    brood_once(&third, run_first); // another flag runs the function again
    assert_int_equal(first_runs, 2);
}

static brood_once_flag outer = BROOD_ONCE_INIT;
static brood_once_flag middle = BROOD_ONCE_INIT;
static brood_once_flag inner = BROOD_ONCE_INIT;
static unsigned nested_runs[3];

static void run_inner(void)
{
    nested_runs[2]++;
}

static void run_middle(void)
{
    brood_once(&inner, run_inner);
    brood_once(&inner, run_inner);
    nested_runs[1] += nested_runs[2];
}

static void run_outer(void)
{
    brood_once(&middle, run_middle);
    nested_runs[0] += nested_runs[1];
}

static int run_nested(void *arg)
{
    (void)arg;
    brood_once(&outer, run_outer);
    brood_once(&middle, run_middle);
    brood_once(&inner, run_inner);
    for (int i = 0; i < 3; i++)
        CHECK(nested_runs[i] == 1);
    return 0;
}

static void a_function_may_use_other_flags(void **state)
{
    (void)state;
    brood_thread *threads[3];
    for (int i = 0; i < 3; i++)
        threads[i] = started_thread(run_nested, NULL, 0);
    for (int i = 0; i < 3; i++)
        assert_thread_ends(threads[i], 0);
    assert_int_equal(run_nested(NULL), 0);
}

// Calls during a run. The function counts itself inside, and goes on when the gate opens.

static brood_once_flag slow_flag;
static _Atomic unsigned slow_inside;
static _Atomic unsigned slow_gate;
static _Atomic unsigned slow_returned; // callers that have returned
static unsigned slow_runs;

static void run_slowly(void)
{
    atomic_fetch_add(&slow_inside, 1);
    (void)await_count(&slow_gate, 1);
    slow_runs++;
}

static int call_slowly(void *arg)
{
    (void)arg;
    brood_once(&slow_flag, run_slowly);
    atomic_fetch_add(&slow_returned, 1);
    CHECK(slow_runs == 1);
    return 0;
}

// Returns when the function is inside.
static brood_thread *started_slowly(void)
{
    slow_flag = (brood_once_flag)BROOD_ONCE_INIT;
    slow_runs = 0;
    atomic_store(&slow_inside, 0);
    atomic_store(&slow_gate, 0);
    atomic_store(&slow_returned, 0);
    brood_thread *thread = started_thread(call_slowly, NULL, 0);
    assert_true(await_count(&slow_inside, 1));
    return thread;
}

static void expect_callers_to_wait(brood_duration time)
{
    enum { CALLERS = 4 };
    brood_thread *threads[CALLERS];
    brood_thread *runner = started_slowly();
    for (int i = 0; i < CALLERS; i++)
        threads[i] = started_thread(call_slowly, NULL, 0);
    // A caller that did not wait, or ran the function too, would have done so by then.
    assert_status(brood_thread_join(threads[0], time, NULL), BROOD_TIMEOUT);
    assert_int_equal(atomic_load(&slow_returned), 0);
    assert_int_equal(atomic_load(&slow_inside), 1);
    atomic_store(&slow_gate, 1);
    for (int i = 0; i < CALLERS; i++)
        assert_thread_ends(threads[i], 0);
    assert_thread_ends(runner, 0);
    assert_int_equal(atomic_load(&slow_inside), 1);
}

static void callers_wait_until_the_function_has_run(void **state)
{
    (void)state;
    expect_callers_to_wait(BROOD_MILLISECONDS(50));
}

// A waiter checks the flag again after a second at most.
static void callers_wait_longer_than_a_second_too(void **state)
{
    (void)state;
    expect_callers_to_wait(BROOD_MILLISECONDS(1300));
}

// Processes

static brood_once_flag family_flag = BROOD_ONCE_INIT;
static unsigned family_runs;

static void run_in_family(void)
{
    family_runs++;
}

static int call_in_family(void *arg)
{
    const unsigned before = *(unsigned *)arg; // runs in the memory of this process
    CHECK(family_runs == before);
    for (int i = 0; i < 2; i++) {
        brood_once(&family_flag, run_in_family);
        CHECK(family_runs == 1);
    }
    return 0;
}

static void expect_in_process(int32_t method, unsigned runs)
{
    const brood_process_options options = { .method = method };
    brood_process *process;
    assert_status(brood_process_start(&process, call_in_family, &runs, sizeof runs, &options),
                  BROOD_OK);
    assert_process_ends(process, 0);
}

static void expect_in_all_processes(unsigned runs)
{
    expect_in_process(BROOD_START_SPAWN, 0); // a fresh image has fresh flags
    if (platform_has_fork())
        expect_in_process(BROOD_START_FORK, runs);
    assert_int_equal(platform_guest(call_in_family, &runs), platform_has_fork() ? 0 : -1);
    assert_int_equal(family_runs, runs); // the count of this process
}

static void a_flag_belongs_to_one_process(void **state)
{
    (void)state;
    expect_in_all_processes(0);
    brood_once(&family_flag, run_in_family);
    expect_in_all_processes(1);
}

// In a copy, which lacks the thread that was inside.
static int call_in_copy(void *arg)
{
    (void)arg;
    CHECK(atomic_load(&slow_inside) == 1);
    CHECK(slow_runs == 0);
    atomic_store(&slow_gate, 1);
    for (int i = 0; i < 2; i++) {
        brood_once(&slow_flag, run_slowly);
        CHECK(atomic_load(&slow_inside) == 2);
        CHECK(slow_runs == 1);
    }
    return 0;
}

static int call_in_copy_of_copy(void *arg)
{
    CHECK(platform_guest(call_in_copy, arg) == 0);
    return call_in_copy(arg);
}

static void a_copy_made_during_a_run_runs_the_function_again(void **state)
{
    (void)state;
    const brood_process_options copy = { .method = BROOD_START_FORK, .fork_with_threads = true };
    brood_thread *runner = started_slowly();
    if (platform_copy_may_start_threads()) { // as brood does at the end of the copy
        brood_process *process;
        assert_status(brood_process_start(&process, call_in_copy, NULL, 0, &copy), BROOD_OK);
        assert_process_ends(process, 0);
    }
    assert_int_equal(platform_guest(call_in_copy_of_copy, NULL), platform_has_fork() ? 0 : -1);
    assert_int_equal(slow_runs, 0);
    assert_int_equal(atomic_load(&slow_inside), 1);
    atomic_store(&slow_gate, 1);
    assert_thread_ends(runner, 0);
    assert_int_equal(slow_runs, 1);
}

int main(void)
{
    use_flags_before_brood_init();
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flag_may_be_used_before_brood_init),
        cmocka_unit_test(a_run_that_began_before_brood_init_is_the_only_one),
        cmocka_unit_test(one_of_many_threads_runs_it_and_all_see_what_it_wrote),
        cmocka_unit_test(each_flag_runs_its_function_once),
        cmocka_unit_test(a_function_may_use_other_flags),
        cmocka_unit_test(callers_wait_until_the_function_has_run),
        cmocka_unit_test(callers_wait_longer_than_a_second_too),
        cmocka_unit_test(a_flag_belongs_to_one_process),
        cmocka_unit_test(a_copy_made_during_a_run_runs_the_function_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
