// SPDX-License-Identifier: MIT
#include "meeting.h"

#include "../src/base/atomic.h"
#include "foreign.h"
#include "platform.h"

static brood_local made_local(void (*destructor)(void *))
{
    brood_local local = { 0 };
    assert_status(brood_local_create(&local, destructor), BROOD_OK);
    return local;
}

static void a_new_local_is_null(void **state)
{
    (void)state;
    static int value;
    const brood_local local = made_local(NULL);
    assert_null(brood_local_get(local));
    assert_status(brood_local_set(local, &value), BROOD_OK);
    assert_ptr_equal(brood_local_get(local), &value);
    assert_status(brood_local_set(local, NULL), BROOD_OK);
    assert_null(brood_local_get(local));
    brood_local_destroy(local);
}

static void bad_arguments_are_refused(void **state)
{
    (void)state;
    static int value;
    assert_status(brood_local_create(NULL, NULL), BROOD_INVALID);
    const brood_local live = made_local(NULL);
    const uint64_t evil[] = { 0,
                              1,
                              UINT64_MAX,
                              UINT64_C(1) << 32,
                              UINT32_MAX,
                              (UINT64_C(5) << 32) | 4000000000U,
                              live.id & UINT32_MAX };
    for (size_t i = 0; i < sizeof evil / sizeof evil[0]; i++) {
        const brood_local local = { evil[i] };
        assert_null(brood_local_get(local));
        assert_status(brood_local_set(local, &value), BROOD_INVALID);
        brood_local_destroy(local);
        assert_null(brood_local_get(local));
    }
    assert_status(brood_local_set(live, &value), BROOD_OK);
    brood_local_destroy(live);
}

static void a_destroyed_local_is_stale(void **state)
{
    (void)state;
    static int value;
    const brood_local local = made_local(NULL);
    assert_status(brood_local_set(local, &value), BROOD_OK);
    brood_local_destroy(local);
    assert_null(brood_local_get(local));
    assert_status(brood_local_set(local, &value), BROOD_STALE);
    brood_local_destroy(local);
    // Its successor, probably in the same entry, has none of its values, and the old handle does
    // not reach it.
    const brood_local next = made_local(NULL);
    assert_int_not_equal(next.id, local.id);
    assert_null(brood_local_get(next));
    assert_status(brood_local_set(next, &value), BROOD_OK);
    assert_null(brood_local_get(local));
    assert_status(brood_local_set(local, &value), BROOD_STALE);
    brood_local_destroy(local);
    assert_ptr_equal(brood_local_get(next), &value);
    brood_local_destroy(next);
}

// Values of threads

static brood_local shared;
static _Atomic unsigned destroyed;
static _Atomic unsigned ready;

static void count_destroyed(void *value)
{
    if (brood_local_get(shared) == NULL) // it is NULL already
        atomic_fetch_add(&destroyed, *(unsigned *)value);
}

static int use_an_own_value(void *arg)
{
    unsigned *value = arg;
    CHECK(brood_local_get(shared) == NULL);
    CHECK(brood_local_set(shared, value) == BROOD_OK);
    atomic_fetch_add(&ready, 1);
    while (atomic_load(&ready) < 4)
        brood_sleep(BROOD_MILLISECONDS(1));
    CHECK(brood_local_get(shared) == value);
    return 0;
}

static void each_thread_has_its_own_value(void **state)
{
    (void)state;
    brood_thread *threads[4];
    unsigned own = 1000;
    unsigned values[4];
    shared = made_local(count_destroyed);
    atomic_store(&destroyed, 0);
    atomic_store(&ready, 0);
    assert_status(brood_local_set(shared, &own), BROOD_OK);
    for (unsigned i = 0; i < 4; i++) {
        values[i] = 1U << i;
        threads[i] = started_thread(use_an_own_value, &values[i], 0);
    }
    for (int i = 0; i < 4; i++)
        assert_thread_ends(threads[i], 0);
    assert_int_equal(atomic_load(&destroyed), 15);
    assert_ptr_equal(brood_local_get(shared), &own);
    brood_local_destroy(shared);
    assert_int_equal(atomic_load(&destroyed), 15);
}

static void set_in_foreign_thread(void *arg)
{
    if (brood_local_set(shared, arg) != BROOD_OK)
        abort();
}

static void set_and_exit(void *arg)
{
    set_in_foreign_thread(arg);
    foreign_thread_exit();
}

static int set_and_exit_in_target(void *arg)
{
    set_in_foreign_thread(arg);
    foreign_thread_exit();
}

static void destructors_run_at_the_end_of_any_thread(void **state)
{
    (void)state;
    static unsigned values[] = { 1, 2, 4 };
    shared = made_local(count_destroyed);
    atomic_store(&destroyed, 0);
    foreign_thread_join(foreign_thread_start(set_in_foreign_thread, &values[0]));
    assert_int_equal(atomic_load(&destroyed), 1);
    foreign_thread_join(foreign_thread_start(set_and_exit, &values[1]));
    assert_int_equal(atomic_load(&destroyed), 3);
    brood_thread *thread = started_thread(set_and_exit_in_target, &values[2], 0);
    assert_status(brood_thread_join(thread, MEETING_PATIENCE, NULL), BROOD_OK);
    brood_thread_drop(thread);
    assert_int_equal(atomic_load(&destroyed), 7);
    brood_local_destroy(shared);
}

// Fibers of a thread that brood did not start

static foreign_fiber *ran;
static bool kept;

static void set_in_fiber(void *arg)
{
    ran = foreign_fiber_run(set_in_foreign_thread, arg);
}

static void set_in_fiber_that_is_deleted(void *arg)
{
    set_in_fiber(arg);
    foreign_fiber_delete(ran);
    kept = brood_local_get(shared) == arg && atomic_load(&destroyed) == 0;
}

static void set_and_exit_in_fiber(void *arg)
{
    (void)foreign_fiber_run(set_and_exit, arg);
}

static void do_nothing(void *arg)
{
    (void)arg;
}

static void set_before_fibers(void *arg)
{
    set_in_foreign_thread(arg);
    foreign_fiber_delete(foreign_fiber_run(do_nothing, NULL));
    kept = brood_local_get(shared) == arg && atomic_load(&destroyed) == 0;
}

static void set_and_delete_the_fiber_of_another(void *arg)
{
    static unsigned value = 2;
    set_in_foreign_thread(arg);
    foreign_thread_join(foreign_thread_start(set_in_fiber, &value));
    foreign_fiber_delete(ran);
    kept = brood_local_get(shared) == arg && atomic_load(&destroyed) == 0;
}

static void skip_without_fibers(void)
{
    foreign_thread_join(foreign_thread_start(set_in_fiber, NULL));
    if (ran) {
        foreign_fiber_delete(ran);
        return;
    }
    brood_local_destroy(shared);
    print_message("skipped: this system has no fibers\n");
    skip();
}

static void the_end_of_a_fiber_is_not_that_of_its_thread(void **state)
{
    (void)state;
    static unsigned value = 1;
    static void (*const ways[])(void *) = { set_in_fiber_that_is_deleted, set_and_exit_in_fiber,
                                            set_before_fibers,
                                            set_and_delete_the_fiber_of_another };
    shared = made_local(count_destroyed);
    skip_without_fibers();
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        kept = true;
        atomic_store(&destroyed, 0);
        foreign_thread_join(foreign_thread_start(ways[i], &value));
        assert_true(kept);
        assert_int_equal(atomic_load(&destroyed), 1);
    }
    brood_local_destroy(shared);
}

// Rounds of destructors

static _Atomic unsigned rounds;

static void set_again(void *value)
{
    atomic_fetch_add(&rounds, 1);
    if (brood_local_set(shared, value) != BROOD_OK)
        abort();
}

static void a_destructor_that_sets_again_runs_four_times(void **state)
{
    (void)state;
    static unsigned value;
    shared = made_local(set_again);
    atomic_store(&rounds, 0);
    foreign_thread_join(foreign_thread_start(set_in_foreign_thread, &value));
    assert_int_equal(atomic_load(&rounds), 4);
    brood_local_destroy(shared);
}

static brood_local other;

static void set_the_other(void *value)
{
    if (brood_local_set(other, value) != BROOD_OK)
        abort();
}

static void a_destructor_may_set_another_local(void **state)
{
    (void)state;
    static unsigned value = 64;
    atomic_store(&destroyed, 0);
    other = made_local(count_destroyed); // precedes the one that sets it
    shared = made_local(set_the_other);
    foreign_thread_join(foreign_thread_start(set_in_foreign_thread, &value));
    assert_int_equal(atomic_load(&destroyed), 64);
    brood_local_destroy(shared);
    brood_local_destroy(other);
}

static int set_and_see_it_destroyed(void *arg)
{
    CHECK(brood_local_set(shared, arg) == BROOD_OK);
    brood_local_destroy(shared);
    CHECK(brood_local_get(shared) == NULL);
    return 0;
}

static void values_left_at_destroy_have_no_destructor(void **state)
{
    (void)state;
    static unsigned value = 1;
    shared = made_local(count_destroyed);
    atomic_store(&destroyed, 0);
    assert_thread_ends(started_thread(set_and_see_it_destroyed, &value, 0), 0);
    assert_int_equal(atomic_load(&destroyed), 0);
}

// A local in the entry of a destroyed one must not have its destructor called with the old value.
static int leave_a_value_behind(void *arg)
{
    CHECK(brood_local_set(shared, arg) == BROOD_OK);
    brood_local_destroy(shared);
    CHECK(brood_local_create(&other, count_destroyed) == BROOD_OK);
    return 0;
}

static void an_old_value_is_not_passed_to_the_next_local(void **state)
{
    (void)state;
    static unsigned value = 1;
    shared = made_local(NULL);
    atomic_store(&destroyed, 0);
    assert_thread_ends(started_thread(leave_a_value_behind, &value, 0), 0);
    assert_int_equal(atomic_load(&destroyed), 0);
    brood_local_destroy(other);
}

enum { MANY = 200 };

static brood_local many[MANY];
static unsigned many_values[MANY];

static int use_many(void *arg)
{
    const unsigned step = *(unsigned *)arg; // a different order in each thread
    for (unsigned i = 0; i < MANY; i++)
        CHECK(brood_local_set(many[i * step % MANY], &many_values[i * step % MANY]) == BROOD_OK);
    for (unsigned i = 0; i < MANY; i++)
        CHECK(brood_local_get(many[i]) == &many_values[i]);
    return 0;
}

static void there_may_be_many_locals(void **state)
{
    (void)state;
    shared = made_local(NULL);
    atomic_store(&destroyed, 0);
    for (unsigned i = 0; i < MANY; i++) {
        many_values[i] = 1;
        many[i] = made_local(count_destroyed);
        for (unsigned j = 0; j < i; j++)
            assert_int_not_equal(many[i].id, many[j].id);
    }
    brood_thread *threads[4];
    for (unsigned i = 0; i < 4; i++)
        threads[i] = started_thread(use_many, &(unsigned[]){ 1, 3, 7, 199 }[i], sizeof(unsigned));
    for (unsigned i = 0; i < 4; i++)
        assert_thread_ends(threads[i], 0);
    assert_int_equal(atomic_load(&destroyed), 4 * MANY);
    for (unsigned i = 0; i < MANY; i++)
        brood_local_destroy(many[i]);
    brood_local_destroy(shared);
}

static int create_and_destroy(void *arg)
{
    (void)arg;
    static int value;
    for (int i = 0; i < 3000; i++) {
        brood_local local;
        CHECK(brood_local_create(&local, NULL) == BROOD_OK);
        CHECK(brood_local_get(local) == NULL);
        CHECK(brood_local_set(local, &value) == BROOD_OK);
        CHECK(brood_local_get(local) == &value);
        brood_local_destroy(local);
        CHECK(brood_local_get(local) == NULL);
    }
    return 0;
}

static void threads_create_and_destroy_locals_at_once(void **state)
{
    (void)state;
    brood_thread *threads[4];
    for (int i = 0; i < 4; i++)
        threads[i] = started_thread(create_and_destroy, NULL, 0);
    for (int i = 0; i < 4; i++)
        assert_thread_ends(threads[i], 0);
}

// The end of a process

static void note_destroyed(void *value)
{
    note("destroyed at the end", *(uint64_t *)value);
}

static int end_with_a_value(void *arg)
{
    (void)arg;
    static uint64_t value = 1;
    brood_local local;
    CHECK(brood_local_create(&local, note_destroyed) == BROOD_OK);
    CHECK(brood_local_set(local, &value) == BROOD_OK);
    return 3;
}

static int exit_with_a_value(void *arg)
{
    exit(end_with_a_value(arg));
}

static void the_end_of_a_process_calls_no_destructor(void **state)
{
    (void)state;
    note("destroyed at the end", 0);
    assert_process_ends(started_process(end_with_a_value, NULL, 0), 3);
    assert_process_ends(started_process(exit_with_a_value, NULL, 0), 3);
    assert_int_equal(noted("destroyed at the end"), 0);
}

// A copy of the process has the values of the thread that was copied.
static int read_in_copy(void *arg)
{
    CHECK(brood_local_get(shared) == arg);
    CHECK(brood_local_set(shared, NULL) == BROOD_OK);
    return 0;
}

static void a_copy_of_the_process_keeps_the_value(void **state)
{
    (void)state;
    static int value;
    shared = made_local(NULL);
    assert_status(brood_local_set(shared, &value), BROOD_OK);
    const int code = platform_guest(read_in_copy, &value);
    assert_true(code == 0 || (code == -1 && !platform_has_fork()));
    assert_ptr_equal(brood_local_get(shared), &value);
    brood_local_destroy(shared);
}

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_local_is_null),
        cmocka_unit_test(bad_arguments_are_refused),
        cmocka_unit_test(a_destroyed_local_is_stale),
        cmocka_unit_test(each_thread_has_its_own_value),
        cmocka_unit_test(destructors_run_at_the_end_of_any_thread),
        cmocka_unit_test(the_end_of_a_fiber_is_not_that_of_its_thread),
        cmocka_unit_test(a_destructor_that_sets_again_runs_four_times),
        cmocka_unit_test(a_destructor_may_set_another_local),
        cmocka_unit_test(values_left_at_destroy_have_no_destructor),
        cmocka_unit_test(an_old_value_is_not_passed_to_the_next_local),
        cmocka_unit_test(there_may_be_many_locals),
        cmocka_unit_test(threads_create_and_destroy_locals_at_once),
        cmocka_unit_test(the_end_of_a_process_calls_no_destructor),
        cmocka_unit_test(a_copy_of_the_process_keeps_the_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
