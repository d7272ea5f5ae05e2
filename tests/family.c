// SPDX-License-Identifier: MIT
// Which processes die with which. The end of the main process itself is in program.c.
#include "meeting.h"

#include "methods.h"
#include "platform.h"

#include <string.h>

// How a process ends, by itself or by another.
enum way { FROM_OUTSIDE, BY_KILL, BY_TERMINATE, BY_ABORT, BY_ACCESS, BY_SYSTEM_EXIT };

// A process in the middle of the family, its two children, and a child of each of these.
enum { MEMBERS = 5 };

struct member {
    int number; // 0 is the process in the middle
    int32_t method;
    bool from_thread; // starts its children in a thread, which then ends
    int way;
    int32_t daemon; // the daemon mode of all processes
};

static const char *name_of(int number)
{
    static const char *const names[MEMBERS] = { "member 0", "member 1", "member 2", "member 3",
                                                "member 4" };
    return names[number];
}

static brood_pid pid_of(int number)
{
    return (brood_pid)noted(name_of(number));
}

static int be_member(void *arg);

static int start_children_of(void *arg)
{
    const struct member *of = arg;
    const brood_process_options options = { .method = of->method,
                                            .daemon = of->daemon,
                                            .fork_with_threads = true };
    const int first = of->number == 0 ? 1 : of->number + 2;
    const int count = of->number == 0 ? 2 : 1;
    for (int i = 0; i < count; i++) {
        struct member child = *of;
        child.number = first + i;
        CHECK(brood_process_start(NULL, be_member, &child, sizeof child, &options) == BROOD_OK);
    }
    return 0;
}

static int start_children_in_a_thread(struct member *of)
{
    brood_thread *thread;
    int code;
    CHECK(brood_thread_start(&thread, start_children_of, of, sizeof *of, NULL) == BROOD_OK);
    CHECK(brood_thread_join(thread, MEETING_PATIENCE, &code) == BROOD_OK);
    brood_thread_drop(thread);
    return code;
}

static void end_itself(int way)
{
    if (way == BY_ABORT)
        abort();
    if (way == BY_ACCESS)
        platform_crash();
    if (way == BY_SYSTEM_EXIT)
        _Exit(0);
}

static int be_member(void *arg)
{
    struct member *member = arg;
    const int failed = member->number > 2    ? 0
                       : member->from_thread ? start_children_in_a_thread(member)
                                             : start_children_of(member);
    CHECK(failed == 0);
    note(name_of(member->number), (uint64_t)brood_self_pid());
    CHECK(await_note("the end", 1));
    if (member->number == 0)
        end_itself(member->way);
    (void)await_note("never", 1);
    return 0;
}

static void end_the_middle(brood_process *middle, int way)
{
    if (way == FROM_OUTSIDE)
        platform_process_kill(brood_process_pid(middle));
    if (way == BY_KILL)
        assert_status(brood_process_kill(middle), BROOD_OK);
    if (way == BY_TERMINATE)
        assert_status(brood_process_terminate(middle), BROOD_OK);
    note("the end", 1);
}

static void expect_all_to_die_with_the_middle(struct member middle)
{
    note("the end", 0);
    for (int i = 0; i < MEMBERS; i++)
        note(name_of(i), 0);
    const brood_process_options options = { .daemon = middle.daemon };
    brood_process *process = NULL;
    assert_status(brood_process_start(&process, be_member, &middle, sizeof middle, &options),
                  BROOD_OK);
    for (int i = 0; i < MEMBERS; i++)
        assert_true(await_note(name_of(i), 1));
    // A child does not belong to the thread that started it: if it ended with that thread, it
    // would be gone by now.
    brood_sleep(BROOD_MILLISECONDS(50));
    for (int i = 0; i < MEMBERS; i++)
        assert_true(platform_process_lives(pid_of(i)));
    end_the_middle(process, middle.way);
    for (int i = 0; i < MEMBERS; i++)
        if (!platform_process_ends(pid_of(i)))
            fail_msg("%s lives on", name_of(i));
    assert_status(brood_process_join(process, MEETING_PATIENCE, NULL), BROOD_OK);
    brood_process_drop(process);
}

static void a_killed_process_takes_its_descendants_along(void **state)
{
    (void)state;
    expect_all_to_die_with_the_middle((struct member){ .way = FROM_OUTSIDE });
    expect_all_to_die_with_the_middle((struct member){ .way = BY_KILL });
}

static void a_terminated_process_takes_its_descendants_along(void **state)
{
    (void)state;
    expect_all_to_die_with_the_middle((struct member){ .way = BY_TERMINATE });
}

static void a_crashed_process_takes_its_descendants_along(void **state)
{
    (void)state;
    expect_all_to_die_with_the_middle((struct member){ .way = BY_ABORT });
    expect_all_to_die_with_the_middle((struct member){ .way = BY_ACCESS });
}

static void a_process_that_ends_by_the_system_itself_takes_its_descendants_along(void **state)
{
    (void)state;
    expect_all_to_die_with_the_middle((struct member){ .way = BY_SYSTEM_EXIT });
}

static void children_of_every_method_die_with_the_process(void **state)
{
    (void)state;
    int32_t methods[MOST_METHODS];
    const size_t count = methods_of_this_system(methods);
    for (size_t i = 0; i < count; i++) {
        expect_all_to_die_with_the_middle((struct member){ .method = methods[i] });
        expect_all_to_die_with_the_middle(
            (struct member){ .method = methods[i], .way = BY_ACCESS });
    }
}

static void a_killed_daemon_takes_its_daemons_along(void **state)
{
    (void)state;
    expect_all_to_die_with_the_middle((struct member){ .daemon = BROOD_DAEMON_YES });
}

static void children_started_from_a_thread_die_with_the_process(void **state)
{
    (void)state;
    expect_all_to_die_with_the_middle((struct member){ .from_thread = true });
    expect_all_to_die_with_the_middle(
        (struct member){ .from_thread = true, .method = BROOD_START_SPAWN });
    expect_all_to_die_with_the_middle(
        (struct member){ .from_thread = true, .method = method_here(BROOD_START_FORKSERVER) });
    if (platform_copy_may_start_threads())
        expect_all_to_die_with_the_middle(
            (struct member){ .from_thread = true, .method = BROOD_START_FORK });
}

// A chain of methods

enum { LINKS = 4 };

struct link {
    int number;
    int32_t methods[LINKS]; // the method of each link
};

static int be_link(void *arg)
{
    struct link next = *(struct link *)arg;
    note(name_of(next.number), (uint64_t)brood_self_pid());
    next.number++;
    if (next.number < LINKS) {
        const brood_process_options options = { .method = next.methods[next.number] };
        CHECK(brood_process_start(NULL, be_link, &next, sizeof next, &options) == BROOD_OK);
    }
    (void)await_note("never", 1);
    return 0;
}

// Kills one link: it and all links after it die, those before it live on.
static void expect_a_chain_to_break_at(const struct link *chain, int broken)
{
    const brood_process_options options = { .method = chain->methods[0] };
    brood_process *first = NULL;
    for (int i = 0; i < LINKS; i++)
        note(name_of(i), 0);
    assert_status(brood_process_start(&first, be_link, chain, sizeof *chain, &options), BROOD_OK);
    for (int i = 0; i < LINKS; i++)
        assert_true(await_note(name_of(i), 1));
    platform_process_kill(pid_of(broken));
    for (int i = broken; i < LINKS; i++)
        if (!platform_process_ends(pid_of(i)))
            fail_msg("link %d lives on after link %d", i, broken);
    for (int i = 0; i < broken; i++)
        assert_true(platform_process_lives(pid_of(i)));
    kill_process(first);
    for (int i = 0; i < broken; i++)
        assert_true(platform_process_ends(pid_of(i)));
}

static void a_chain_of_all_methods_breaks_at_any_link(void **state)
{
    (void)state;
    const int32_t spawn = BROOD_START_SPAWN;
    const int32_t server = method_here(BROOD_START_FORKSERVER);
    const int32_t fork = method_here(BROOD_START_FORK);
    const struct link chains[] = {
        { .methods = { spawn, server, fork, spawn } },
        { .methods = { server, fork, spawn, server } },
        { .methods = { fork, spawn, server, fork } },
        { .methods = { fork, server, server, fork } },
    };
    for (size_t i = 0; i < sizeof chains / sizeof chains[0]; i++)
        for (int broken = 0; broken < LINKS; broken++)
            expect_a_chain_to_break_at(&chains[i], broken);
}

// Jobs: a process may be put into one at any time, and what it starts from then on is in it too.

static int be_tied(void *arg)
{
    note(name_of(*(int *)arg), (uint64_t)brood_self_pid());
    (void)await_note("never", 1);
    return 0;
}

static int start_before_and_in_a_job(void *arg)
{
    (void)arg;
    brood_status status = BROOD_OK;
    for (int i = 1; i < MEMBERS && status == BROOD_OK; i++) {
        status = brood_process_start(NULL, be_tied, &i, sizeof i, NULL);
        if (i == 1)
            platform_job_join();
    }
    note("started", 1 + (uint64_t)status);
    (void)await_note("never", 1);
    return 0;
}

static void children_are_tied_before_and_after_their_parent_joins_a_job(void **state)
{
    (void)state;
    note("started", 0);
    for (int i = 1; i < MEMBERS; i++)
        note(name_of(i), 0);
    brood_process *parent = started_process(start_before_and_in_a_job, NULL, 0);
    assert_true(await_note("started", 1));
    const brood_status status = (brood_status)(noted("started") - 1);
    for (int i = 1; i < MEMBERS && status == BROOD_OK; i++)
        assert_true(await_note(name_of(i), 1) && platform_process_lives(pid_of(i)));
    kill_process(parent);
    assert_status(status, BROOD_OK);
    for (int i = 1; i < MEMBERS; i++)
        assert_true(platform_process_ends(pid_of(i)));
}

// Survivors

static int outlive(void *arg)
{
    (void)arg;
    note("heir", (uint64_t)brood_self_pid());
    CHECK(await_note("leave", 1));
    return 0;
}

// A survivor's own children are tied to it, not to its parent.
static int survive(void *arg)
{
    brood_process *heir;
    brood_exit ended;
    (void)arg;
    CHECK(brood_process_start(&heir, outlive, NULL, 0, NULL) == BROOD_OK);
    CHECK(await_note("heir", 1));
    note("survivor", (uint64_t)brood_self_pid());
    CHECK(await_note("leave", 1));
    CHECK(brood_process_join(heir, MEETING_PATIENCE, &ended) == BROOD_OK);
    brood_process_drop(heir);
    note("survivor's code", brood_exit_number(ended) == 0 ? 1 : 2);
    return 0;
}

static int stay_tied(void *arg)
{
    (void)arg;
    note("tied", (uint64_t)brood_self_pid());
    (void)await_note("never", 1);
    return 0;
}

static int start_a_survivor_and_a_tied_one(void *arg)
{
    const brood_process_options surviving = { .survive_parent = true };
    (void)arg;
    CHECK(brood_process_start(NULL, survive, NULL, 0, &surviving) == BROOD_OK);
    CHECK(brood_process_start(NULL, stay_tied, NULL, 0, NULL) == BROOD_OK);
    CHECK(await_note("survivor", 1) && await_note("tied", 1));
    note("all there", 1);
    (void)await_note("never", 1);
    return 0;
}

static void a_survivor_and_its_children_stay_when_the_parent_is_killed(void **state)
{
    (void)state;
    note("leave", 0);
    brood_process *parent = started_process(start_a_survivor_and_a_tied_one, NULL, 0);
    assert_true(await_note("all there", 1));
    kill_process(parent);
    assert_true(platform_process_ends((brood_pid)noted("tied")));
    assert_true(platform_process_lives((brood_pid)noted("survivor")));
    assert_true(platform_process_lives((brood_pid)noted("heir")));
    note("leave", 1);
    assert_true(platform_process_ends((brood_pid)noted("heir")));
    assert_true(platform_process_ends((brood_pid)noted("survivor")));
    assert_int_equal(noted("survivor's code"), 1);
}

// A survivor of a survivor, each with a child of its own that is tied to it.

struct survivor {
    int number; // 0 to 2; members 1 and 2 are the survivors, 3 and 4 their tied children
    int32_t method;
};

static int be_survivor(void *arg)
{
    struct survivor next = *(struct survivor *)arg;
    const int number = next.number++;
    const int tied = number + 2;
    const brood_process_options surviving = { .method = next.method, .survive_parent = true };
    const brood_process_options tying = { .method = next.method };
    if (number > 0)
        CHECK(brood_process_start(NULL, be_tied, &tied, sizeof tied, &tying) == BROOD_OK);
    if (number < 2)
        CHECK(brood_process_start(NULL, be_survivor, &next, sizeof next, &surviving) == BROOD_OK);
    note(name_of(number), (uint64_t)brood_self_pid());
    CHECK(await_note("leave", 1));
    return 0;
}

static void expect_survivors_to_stay_alone(int32_t method)
{
    const struct survivor first = { .number = 0, .method = method };
    note("leave", 0);
    for (int i = 0; i < MEMBERS; i++)
        note(name_of(i), 0);
    brood_process *parent = started_process(be_survivor, &first, sizeof first);
    for (int i = 0; i < MEMBERS; i++)
        assert_true(await_note(name_of(i), 1));
    kill_process(parent);
    brood_sleep(BROOD_MILLISECONDS(50)); // if they were tied to it, they would be gone by now
    for (int i = 1; i < MEMBERS; i++)
        assert_true(platform_process_lives(pid_of(i)));
    platform_process_kill(pid_of(1));
    assert_true(platform_process_ends(pid_of(1)) && platform_process_ends(pid_of(3)));
    assert_true(platform_process_lives(pid_of(2)) && platform_process_lives(pid_of(4)));
    platform_process_kill(pid_of(2));
    assert_true(platform_process_ends(pid_of(2)) && platform_process_ends(pid_of(4)));
}

static void a_survivor_of_a_survivor_stays_under_every_method(void **state)
{
    (void)state;
    int32_t methods[MOST_METHODS];
    const size_t count = methods_of_this_system(methods);
    for (size_t i = 0; i < count; i++)
        expect_survivors_to_stay_alone(methods[i]);
}

// Daemons

static int be_the_daemons_child(void *arg)
{
    (void)arg;
    note("daemon's child", (uint64_t)brood_self_pid());
    (void)await_note("never", 1);
    return 0;
}

static int be_daemon(void *arg)
{
    const brood_process_options options = { .daemon = *(int32_t *)arg };
    CHECK(brood_process_start(NULL, be_the_daemons_child, NULL, 0, &options) == BROOD_OK);
    note("daemon", (uint64_t)brood_self_pid());
    (void)await_note("never", 1);
    return 0;
}

static int leave_a_daemon(void *arg)
{
    const brood_process_options options = { .daemon = BROOD_DAEMON_YES };
    CHECK(brood_process_start(NULL, be_daemon, arg, sizeof(int32_t), &options) == BROOD_OK);
    CHECK(await_note("daemon", 1) && await_note("daemon's child", 1));
    return 3;
}

static void a_daemon_and_its_children_end_with_its_parent(void **state)
{
    (void)state;
    for (int32_t mode = BROOD_DAEMON_INHERIT; mode <= BROOD_DAEMON_NO; mode++) {
        note("daemon", 0);
        note("daemon's child", 0);
        assert_process_ends(started_process(leave_a_daemon, &mode, sizeof mode), 3);
        assert_false(platform_process_lives((brood_pid)noted("daemon")));
        assert_true(platform_process_ends((brood_pid)noted("daemon's child")));
    }
}

// Killed in the middle of a start

enum { MOST_BORN = 12 };

static void name_of_born(char *name, size_t capacity, int number)
{
    (void)snprintf(name, capacity, "born %d", number);
}

static int be_born(void *arg)
{
    char name[32];
    name_of_born(name, sizeof name, *(int *)arg);
    note(name, (uint64_t)brood_self_pid());
    (void)await_note("never", 1);
    return 0;
}

static int start_one_after_the_other(void *arg)
{
    (void)arg;
    for (int i = 0; i < MOST_BORN; i++) {
        note("starts", (uint64_t)i + 1);
        CHECK(brood_process_start(NULL, be_born, &i, sizeof i, NULL) == BROOD_OK);
    }
    (void)await_note("never", 1);
    return 0;
}

static void no_process_is_left_when_a_process_is_killed_while_it_starts_others(void **state)
{
    (void)state;
    char name[32];
    for (int round = 1; round <= 8; round++) {
        note("starts", 0);
        for (int i = 0; i < MOST_BORN; i++) {
            name_of_born(name, sizeof name, i);
            note(name, 0);
        }
        brood_process *parent = started_process(start_one_after_the_other, NULL, 0);
        assert_true(await_note("starts", (uint64_t)round));
        brood_sleep(BROOD_MICROSECONDS(round * 37)); // at any point of a start
        platform_process_kill(brood_process_pid(parent));
        assert_status(brood_process_join(parent, MEETING_PATIENCE, NULL), BROOD_OK);
        brood_process_drop(parent);
        for (int i = 0; i < MOST_BORN; i++) {
            name_of_born(name, sizeof name, i);
            assert_true(platform_process_ends((brood_pid)noted(name)));
        }
    }
}

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_killed_process_takes_its_descendants_along),
        cmocka_unit_test(a_terminated_process_takes_its_descendants_along),
        cmocka_unit_test(a_crashed_process_takes_its_descendants_along),
        cmocka_unit_test(a_process_that_ends_by_the_system_itself_takes_its_descendants_along),
        cmocka_unit_test(children_of_every_method_die_with_the_process),
        cmocka_unit_test(a_killed_daemon_takes_its_daemons_along),
        cmocka_unit_test(children_started_from_a_thread_die_with_the_process),
        cmocka_unit_test(a_chain_of_all_methods_breaks_at_any_link),
        cmocka_unit_test(children_are_tied_before_and_after_their_parent_joins_a_job),
        cmocka_unit_test(a_survivor_and_its_children_stay_when_the_parent_is_killed),
        cmocka_unit_test(a_survivor_of_a_survivor_stays_under_every_method),
        cmocka_unit_test(a_daemon_and_its_children_end_with_its_parent),
        cmocka_unit_test(no_process_is_left_when_a_process_is_killed_while_it_starts_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
