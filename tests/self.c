// SPDX-License-Identifier: MIT
// This process and its parent.
#include "children.h"
#include "platform.h"

// Longer than a call that does not block may take, however loaded the machine is.
#define AT_ONCE BROOD_SECONDS(10)

static int note_numbers(void *arg)
{
    (void)arg;
    note("pid", (uint64_t)brood_self_pid());
    note("parent", (uint64_t)brood_parent_pid());
    return 0;
}

static void parent_and_child_know_each_other_s_numbers(void **state)
{
    (void)state;
    brood_process *process = started_process(note_numbers, NULL, 0);
    const brood_pid pid = brood_process_pid(process);
    assert_true(pid > 0);
    assert_process_ends(process, 0);
    assert_int_equal(noted("pid"), pid);
    assert_int_equal(noted("parent"), brood_self_pid());
    assert_true(pid != brood_self_pid());
    assert_false(platform_process_lives(pid));
    assert_true(platform_process_lives(brood_self_pid()));
}

static void the_main_process_has_no_parent(void **state)
{
    (void)state;
    assert_int_equal(brood_parent_pid(), 0);
    assert_false(brood_parent_is_alive());
    assert_status(brood_parent_wait(BROOD_NOW), BROOD_WRONG_STATE);
    assert_last_error_names("brood_parent_wait");
}

static int expect_living_parent(void *arg)
{
    (void)arg;
    CHECK(brood_parent_is_alive());
    CHECK(brood_parent_wait(BROOD_NOW) == BROOD_TIMEOUT);
    CHECK(brood_parent_wait(-5) == BROOD_TIMEOUT);
    const int64_t before = brood_clock();
    CHECK(brood_parent_wait(BROOD_MILLISECONDS(50)) == BROOD_TIMEOUT);
    CHECK(brood_clock() - before >= BROOD_MILLISECONDS(50));
    CHECK(brood_clock() - before < AT_ONCE);
    return 0;
}

static void a_child_can_wait_for_its_parent(void **state)
{
    (void)state;
    assert_process_ends(started_process(expect_living_parent, NULL, 0), 0);
}

static int await_parent(void *arg)
{
    (void)arg;
    CHECK(brood_parent_is_alive());
    note("orphan", (uint64_t)brood_self_pid()); // from now on the parent may be killed
    note("parent ended", brood_parent_wait(MEETING_PATIENCE) == BROOD_OK ? 1 : 2);
    note("parent alive", brood_parent_is_alive() ? 2 : 1);
    note("parent known", (uint64_t)brood_parent_pid());
    note("orphan done", 1);
    return 0;
}

// Starts a child that survives this process, and waits to be killed.
static int leave_an_orphan(void *arg)
{
    const brood_process_options options = { .survive_parent = true };
    (void)arg;
    CHECK(brood_process_start(NULL, await_parent, NULL, 0, &options) == BROOD_OK);
    CHECK(await_note("orphan", 1));
    note("adopted", 1);
    CHECK(await_note("never", 1));
    return 0;
}

static void a_child_learns_of_the_end_of_its_parent(void **state)
{
    (void)state;
    brood_process *parent = started_process(leave_an_orphan, NULL, 0);
    const brood_pid pid = brood_process_pid(parent);
    assert_true(await_note("adopted", 1));
    assert_int_equal(noted("parent ended"), 0);
    kill_process(parent);
    assert_true(await_note("orphan done", 1));
    assert_int_equal(noted("parent ended"), 1);
    assert_int_equal(noted("parent alive"), 1);
    assert_int_equal(noted("parent known"), pid);
    const int64_t deadline = brood_clock() + MEETING_PATIENCE;
    while (platform_process_lives((brood_pid)noted("orphan")) && brood_clock() < deadline)
        brood_sleep(BROOD_MILLISECONDS(1));
    assert_false(platform_process_lives((brood_pid)noted("orphan")));
}

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parent_and_child_know_each_other_s_numbers),
        cmocka_unit_test(the_main_process_has_no_parent),
        cmocka_unit_test(a_child_can_wait_for_its_parent),
        cmocka_unit_test(a_child_learns_of_the_end_of_its_parent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
