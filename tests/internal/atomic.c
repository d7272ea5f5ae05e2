// SPDX-License-Identifier: MIT
// atomic.h, with whichever implementation the compiler gets.
#include "../meeting.h"

#include "base/atomic.h"

#include <limits.h>
#include <string.h>

static void what_is_stored_is_loaded(void **state)
{
    (void)state;
    atomic_bool flag;
    _Atomic int number;
    _Atomic uint32_t word;
    _Atomic int64_t wide;
    _Atomic uint64_t state64;
    atomic_init(&flag, true);
    atomic_init(&number, -1);
    atomic_init(&word, UINT32_MAX);
    atomic_init(&wide, INT64_MIN);
    atomic_init(&state64, UINT64_MAX);
    assert_true(atomic_load(&flag));
    assert_int_equal(atomic_load_explicit(&number, memory_order_relaxed), -1);
    assert_true(atomic_load_explicit(&word, memory_order_acquire) == UINT32_MAX);
    assert_true(atomic_load(&wide) == INT64_MIN);
    assert_true(atomic_load(&state64) == UINT64_MAX);
    atomic_store_explicit(&flag, false, memory_order_relaxed);
    atomic_store_explicit(&number, INT_MIN, memory_order_release);
    atomic_store(&word, 1);
    atomic_store(&wide, -7);
    atomic_store_explicit(&state64, UINT64_C(1) << 63, memory_order_seq_cst);
    assert_false(atomic_load(&flag));
    assert_int_equal(atomic_load(&number), INT_MIN);
    assert_true(atomic_load(&word) == 1);
    assert_true(atomic_load(&wide) == -7);
    assert_true(atomic_load(&state64) == UINT64_C(1) << 63);
}

// The operations act on the middle of three objects: the others must keep their values.
static void an_operation_touches_its_object_only(void **state)
{
    (void)state;
    _Atomic uint32_t words[3];
    atomic_bool flags[3];
    for (int i = 0; i < 3; i++) {
        atomic_init(&words[i], UINT32_MAX);
        atomic_init(&flags[i], true);
    }
    assert_true(atomic_fetch_add(&words[1], 1) == UINT32_MAX);
    assert_true(atomic_load(&words[1]) == 0);
    assert_true(atomic_fetch_sub(&words[1], 1) == 0);
    assert_true(atomic_load(&words[1]) == UINT32_MAX);
    assert_true(atomic_exchange(&words[1], 5) == UINT32_MAX);
    assert_true(atomic_fetch_or(&words[1], 10) == 5);
    assert_true(atomic_load(&words[1]) == 15);
    assert_true(atomic_exchange(&flags[1], false));
    bool expected = true;
    assert_false(atomic_compare_exchange_strong(&flags[1], &expected, true));
    assert_false(expected);
    atomic_store(&flags[1], false);
    assert_true(atomic_load(&words[0]) == UINT32_MAX && atomic_load(&words[2]) == UINT32_MAX);
    assert_true(atomic_load(&flags[0]) && atomic_load(&flags[2]));
}

static void a_wide_object_carries_into_its_upper_half(void **state)
{
    (void)state;
    _Atomic uint64_t word;
    _Atomic int64_t number;
    atomic_init(&word, UINT32_MAX);
    atomic_init(&number, 0);
    assert_true(atomic_fetch_add_explicit(&word, 1, memory_order_relaxed) == UINT32_MAX);
    assert_true(atomic_load(&word) == UINT64_C(1) << 32);
    assert_true(atomic_fetch_sub(&word, 1) == UINT64_C(1) << 32);
    assert_true(atomic_fetch_or(&word, UINT64_C(1) << 63) == UINT32_MAX);
    assert_true(atomic_load(&word) == (UINT64_C(1) << 63 | UINT32_MAX));
    assert_true(atomic_fetch_sub(&number, INT64_MAX) == 0);
    assert_true(atomic_load(&number) == -INT64_MAX);
    assert_true(atomic_exchange(&number, INT64_MAX) == -INT64_MAX);
}

static void a_failed_comparison_returns_the_value(void **state)
{
    (void)state;
    _Atomic uint64_t word;
    atomic_init(&word, UINT64_C(7) << 40);
    uint64_t expected = 0; // equal in the lower half
    assert_false(atomic_compare_exchange_strong_explicit(&word, &expected, 1, memory_order_acq_rel,
                                                         memory_order_acquire));
    assert_true(expected == UINT64_C(7) << 40);
    assert_true(atomic_load(&word) == UINT64_C(7) << 40);
    assert_true(atomic_compare_exchange_strong(&word, &expected, 1));
    assert_true(expected == UINT64_C(7) << 40);
    assert_true(atomic_load(&word) == 1);
}

enum { THREADS = 4, ROUNDS = 20000 };

static _Atomic uint64_t sum;
static _Atomic uint32_t by_comparison;
static _Atomic int ready;

static int count(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        atomic_fetch_add_explicit(&sum, UINT32_MAX, memory_order_relaxed);
        uint32_t seen = atomic_load_explicit(&by_comparison, memory_order_relaxed);
        while (!atomic_compare_exchange_weak(&by_comparison, &seen, seen + 1))
            continue;
    }
    return 0;
}

static void run_together(int (*fn)(void *), int *numbers, int threads)
{
    brood_thread *started[THREADS];
    for (int i = 0; i < threads; i++)
        assert_status(brood_thread_start(&started[i], fn, &numbers[i], sizeof numbers[i], NULL),
                      BROOD_OK);
    for (int i = 0; i < threads; i++) {
        int code = -1;
        assert_status(brood_thread_join(started[i], BROOD_FOREVER, &code), BROOD_OK);
        assert_int_equal(code, 0);
        brood_thread_drop(started[i]);
    }
}

static void nothing_is_lost_between_threads(void **state)
{
    (void)state;
    int numbers[THREADS] = { 0 };
    run_together(count, numbers, THREADS);
    assert_true(atomic_load(&sum) == (uint64_t)UINT32_MAX * THREADS * ROUNDS);
    assert_true(atomic_load(&by_comparison) == THREADS * ROUNDS);
}

// Each of two threads stores to its own word and then loads the other's: at least one must load
// the other's store. Without an ordering, a processor may let both loads come first.
static _Atomic uint32_t written[2][ROUNDS];
static uint32_t seen_by[2][ROUNDS];
static bool by_fence;

static int store_and_load(void *arg)
{
    const int own = *(int *)arg;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        if (i % 64 == 0) { // start together
            atomic_fetch_add(&ready, 1);
            while (atomic_load_explicit(&ready, memory_order_acquire) < 2 * (int)(i / 64 + 1))
                continue;
        }
        if (by_fence) {
            atomic_store_explicit(&written[own][i], 1, memory_order_relaxed);
            atomic_thread_fence(memory_order_seq_cst);
            seen_by[own][i] = atomic_load_explicit(&written[1 - own][i], memory_order_relaxed);
        } else {
            atomic_store(&written[own][i], 1);
            seen_by[own][i] = atomic_load(&written[1 - own][i]);
        }
    }
    return 0;
}

// QEMU 7.2 emits no barrier between the store and the load that 64-bit Arm itself orders (STLR,
// LDAR), so a host processor that may reorder them does so. With a fence the order is kept.
#if defined(BROOD_EMULATED)
enum { FIRST_ROUND = 1 };
#else
enum { FIRST_ROUND = 0 };
#endif

static void one_of_two_threads_sees_the_others_store(void **state)
{
    (void)state;
    int numbers[2] = { 0, 1 };
    for (int round = FIRST_ROUND; round < 2; round++) {
        by_fence = round == 1;
        atomic_store(&ready, 0);
        for (int i = 0; i < ROUNDS; i++) {
            atomic_store(&written[0][i], 0);
            atomic_store(&written[1][i], 0);
        }
        run_together(store_and_load, numbers, 2);
        for (int i = 0; i < ROUNDS; i++)
            assert_true(seen_by[0][i] || seen_by[1][i]);
    }
}

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_stored_is_loaded),
        cmocka_unit_test(an_operation_touches_its_object_only),
        cmocka_unit_test(a_wide_object_carries_into_its_upper_half),
        cmocka_unit_test(a_failed_comparison_returns_the_value),
        cmocka_unit_test(nothing_is_lost_between_threads),
        cmocka_unit_test(one_of_two_threads_sees_the_others_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
