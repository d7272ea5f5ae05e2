// SPDX-License-Identifier: MIT
// The fork server: that it works unnoticed, what its children get from their parent, and what
// becomes of them when it is killed. On a system without fork a start reports BROOD_UNSUPPORTED.
#include "meeting.h"

#include "foreign.h"
#include "platform.h"

#include <string.h>

static const brood_process_options served = { .method = BROOD_START_FORKSERVER };

// Room for the children of one server: its spares, and the children of a test.
enum { MOST = 64 };

static brood_process *started_served(brood_target target, const void *arg, size_t size)
{
    brood_process *process = NULL;
    assert_status(brood_process_start(&process, target, arg, size, &served), BROOD_OK);
    return process;
}

static int stay(void *arg)
{
    (void)arg;
    CHECK(await_note("leave", 1));
    return 5;
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

// The server that makes the children of this process now: it is the system's parent of any of
// them.
static brood_pid find_server(void)
{
    note("leave", 0);
    brood_process *process = started_served(stay, NULL, 0);
    const brood_pid server = platform_parent_of(brood_process_pid(process));
    note("leave", 1);
    assert_process_ends(process, 5);
    assert_true(server > 1 && server != brood_self_pid());
    return server;
}

static void kill_server(brood_pid server)
{
    platform_process_kill(server);
    assert_true(platform_process_ends(server));
}

static void a_system_without_fork_says_so(void **state)
{
    (void)state;
    if (platform_has_fork())
        assert_process_ends(started_served(nothing, NULL, 0), 0);
    else
        assert_status(brood_process_start(NULL, nothing, NULL, 0, &served), BROOD_UNSUPPORTED);
}

// The server works unnoticed

static void one_server_makes_all_children_and_none_is_a_child_of_this_process(void **state)
{
    (void)state;
    note("leave", 0);
    brood_process *first = started_served(stay, NULL, 0);
    brood_process *second = started_served(stay, NULL, 0);
    assert_int_equal(platform_parent_of(brood_process_pid(first)),
                     platform_parent_of(brood_process_pid(second)));
    assert_false(platform_has_child());
    assert_int_equal(brood_active_children(NULL, 0), 2);
    note("leave", 1);
    assert_process_ends(first, 5);
    assert_process_ends(second, 5);
}

static int expect_to_be_a_fresh_image(void *arg)
{
    static int untouched = 1;
    (void)arg;
    CHECK(untouched++ == 1);
    CHECK(!getenv("BROOD_BOOT"));
    CHECK(brood_parent_pid() == (brood_pid)noted("requester"));
    CHECK(brood_parent_is_alive());
    CHECK(brood_parent_wait(BROOD_NOW) == BROOD_TIMEOUT);
    return 0;
}

static void each_child_is_a_fresh_image_whose_parent_is_the_requester(void **state)
{
    (void)state;
    note("requester", (uint64_t)brood_self_pid());
    for (int i = 0; i < 5; i++)
        assert_process_ends(started_served(expect_to_be_a_fresh_image, NULL, 0), 0);
}

static int end_itself(void *arg)
{
    const int way = *(int *)arg;
    if (way == 0)
        _Exit(9);
    if (way == 1)
        exit(10);
    if (way == 2)
        abort();
    platform_crash();
}

static void the_server_reports_every_end(void **state)
{
    (void)state;
    static const int numbers[] = { 9, 10, -6, -11 };
    for (int round = 0; round < 5; round++)
        for (int way = 0; way < 4; way++) {
            brood_exit ended;
            brood_process *process = started_served(end_itself, &way, sizeof way);
            assert_status(brood_process_join(process, MEETING_PATIENCE, &ended), BROOD_OK);
            assert_int_equal(brood_exit_number(ended), numbers[way]);
            brood_process_drop(process);
        }
}

// What changes after the server was made

static int expect_variable(void *arg)
{
    const char *value = getenv("BROOD_TEST_LATE");
    CHECK(value && strcmp(value, arg) == 0);
    return 0;
}

static int say(void *arg)
{
    printf("%s", (const char *)arg);
    return 0;
}

static void a_child_has_what_its_parent_has_now(void **state)
{
    (void)state;
    char path[512];
    char printed[64] = "";
    foreign_file_name(path, sizeof path, "late");
    (void)find_server();
    platform_environment_set("BROOD_TEST_LATE", "first");
    assert_process_ends(started_served(expect_variable, "first", sizeof "first"), 0);
    platform_environment_set("BROOD_TEST_LATE", "second");
    assert_process_ends(started_served(expect_variable, "second", sizeof "second"), 0);
    platform_environment_set("BROOD_TEST_LATE", NULL);
    const int saved = platform_output_redirect(path);
    brood_process *process = NULL;
    const brood_status status =
        brood_process_start(&process, say, "to the file", sizeof "to the file", &served);
    platform_output_restore(saved);
    assert_status(status, BROOD_OK);
    assert_process_ends(process, 0);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(fgets(printed, sizeof printed, file));
    (void)fclose(file);
    assert_string_equal(printed, "to the file");
    foreign_file_remove(path);
}

static int expect_children_to_be_kept(void *arg)
{
    const bool kept = *(bool *)arg;
    CHECK(platform_children_are_ignored() == !kept);
    return 0;
}

static void a_child_ignores_the_signals_that_its_parent_ignores(void **state)
{
    (void)state;
    bool kept = true;
    (void)find_server();
    assert_process_ends(started_served(expect_children_to_be_kept, &kept, sizeof kept), 0);
    (void)platform_children_ignore(true);
    kept = false;
    assert_process_ends(started_served(expect_children_to_be_kept, &kept, sizeof kept), 0);
    (void)platform_children_ignore(false);
}

// In a process of its own, because it cannot join the old group again.
static int leave_the_group(void *arg)
{
    (void)arg;
    brood_process *process;
    for (int i = 0; i < 2; i++) {
        note("leave", 0);
        CHECK(brood_process_start(&process, stay, NULL, 0, &served) == BROOD_OK);
        note(i ? "server after" : "server before",
             (uint64_t)platform_parent_of(brood_process_pid(process)));
        CHECK(platform_group_of(brood_process_pid(process)) == platform_group_of(brood_self_pid()));
        note("leave", 1);
        CHECK(brood_process_join(process, MEETING_PATIENCE, NULL) == BROOD_OK);
        brood_process_drop(process);
        platform_group_leave();
    }
    return 0;
}

static void a_changed_group_gets_a_new_server(void **state)
{
    (void)state;
    brood_process *process = NULL;
    assert_status(brood_process_start(&process, leave_the_group, NULL, 0, NULL), BROOD_OK);
    assert_process_ends(process, 0);
    assert_int_not_equal(noted("server before"), noted("server after"));
    assert_true(platform_process_ends((brood_pid)noted("server before")));
}

// In a process of its own, because later tests need their descriptors.
static int lower_the_limit(void *arg)
{
    uint64_t servers[2];
    (void)arg;
    for (int i = 0; i < 2; i++) {
        brood_process *process;
        note("leave", 0);
        CHECK(brood_process_start(&process, stay, NULL, 0, &served) == BROOD_OK);
        servers[i] = (uint64_t)platform_parent_of(brood_process_pid(process));
        note("leave", 1);
        CHECK(brood_process_join(process, MEETING_PATIENCE, NULL) == BROOD_OK);
        brood_process_drop(process);
        CHECK(i > 0 || platform_descriptors_limit(60));
    }
    CHECK(servers[0] != servers[1]);
    return 0;
}

static void changed_limits_get_a_new_server(void **state)
{
    (void)state;
    brood_process *process = NULL;
    assert_status(brood_process_start(&process, lower_the_limit, NULL, 0, NULL), BROOD_OK);
    assert_process_ends(process, 0);
}

// Deaths

static int outlive(void *arg)
{
    (void)arg;
    note("outlives", (uint64_t)brood_self_pid());
    CHECK(await_note("leave", 1));
    return 6;
}

static void a_killed_server_takes_its_children_along_and_the_next_start_makes_another(void **state)
{
    (void)state;
    const brood_process_options surviving = { .method = BROOD_START_FORKSERVER,
                                              .survive_parent = true };
    brood_process *survivor = NULL;
    brood_exit ended;
    note("leave", 0);
    brood_process *tied = started_served(stay, NULL, 0);
    assert_status(brood_process_start(&survivor, outlive, NULL, 0, &surviving), BROOD_OK);
    const brood_pid server = platform_parent_of(brood_process_pid(tied));
    kill_server(server);
    assert_status(brood_process_join(tied, MEETING_PATIENCE, &ended), BROOD_OK);
    assert_int_equal(ended.kind, BROOD_LOST);
    assert_int_equal(brood_exit_number(ended), 255);
    assert_false(platform_process_lives(brood_process_pid(tied)));
    assert_true(brood_process_is_alive(survivor));
    brood_process *next = started_served(stay, NULL, 0);
    assert_int_not_equal(platform_parent_of(brood_process_pid(next)), server);
    note("leave", 1);
    assert_process_ends(next, 5);
    assert_process_ends(survivor, 6); // it could still leave its record
    brood_process_drop(tied);
}

static int have_a_child(void *arg)
{
    const brood_process_options options = { .method = *(int32_t *)arg };
    CHECK(brood_process_start(NULL, outlive, NULL, 0, &options) == BROOD_OK);
    return stay(NULL);
}

static void a_killed_server_takes_the_children_of_its_children_along(void **state)
{
    (void)state;
    for (int32_t method = BROOD_START_DEFAULT; method <= BROOD_START_FORK; method++) {
        note("leave", 0);
        note("outlives", 0);
        brood_process *process = started_served(have_a_child, &method, sizeof method);
        assert_true(await_note("outlives", 1));
        kill_server(platform_parent_of(brood_process_pid(process)));
        assert_true(platform_process_ends(brood_process_pid(process)));
        assert_true(platform_process_ends((brood_pid)noted("outlives")));
        assert_status(brood_process_join(process, MEETING_PATIENCE, NULL), BROOD_OK);
        brood_process_drop(process);
    }
}

static int return_at_once(void *arg)
{
    return *(int *)arg;
}

// The record that a child leaves before its server dies is not lost.
static void a_code_outlives_the_server(void **state)
{
    (void)state;
    const int code = 0x1234567;
    brood_process *process = started_served(return_at_once, &code, sizeof code);
    intptr_t handle;
    assert_status(brood_process_native(process, &handle), BROOD_OK);
    assert_true(platform_is_ready(handle, MEETING_PATIENCE));
    kill_server(find_server());
    assert_process_ends(process, code);
}

// Waits until the spares have ended: a killed spare that has not run since may still take a job.
static void dead_spares_are_replaced(void **state)
{
    (void)state;
    for (int round = 0; round < 5; round++) {
        brood_pid spares[MOST];
        const brood_pid server = find_server();
        const size_t count = platform_children_of(server, spares, MOST);
        for (size_t i = 0; i < count; i++)
            platform_process_kill(spares[i]);
        for (size_t i = 0; i < count; i++)
            assert_true(platform_process_ends(spares[i]));
        assert_process_ends(started_served(nothing, NULL, 0), 0);
    }
}

static int start_again_and_again(void *arg)
{
    const int rounds = *(int *)arg;
    const int64_t deadline = brood_clock() + MEETING_PATIENCE;
    for (int i = 0; i < rounds || (!noted("killed") && brood_clock() < deadline); i++) {
        brood_process *process;
        brood_exit ended;
        CHECK(brood_process_start(&process, return_at_once, &i, sizeof i, &served) == BROOD_OK);
        note("server", (uint64_t)platform_parent_of(brood_process_pid(process)));
        CHECK(brood_process_join(process, MEETING_PATIENCE, &ended) == BROOD_OK);
        CHECK((ended.kind == BROOD_EXITED && ended.code == i) || ended.kind == BROOD_LOST);
        brood_process_drop(process);
    }
    note("started all", 1);
    return 0;
}

static void starts_go_on_while_servers_are_killed(void **state)
{
    (void)state;
    const int rounds = 100;
    unsigned kills = 0;
    brood_pid last = 0;
    note("started all", 0);
    note("server", 0);
    note("killed", 0);
    brood_thread *thread = started_thread(start_again_and_again, &rounds, sizeof rounds);
    while (!noted("started all")) {
        const brood_pid server = (brood_pid)noted("server");
        if (server > 1 && platform_is_of_this_program(server)) {
            platform_process_kill(server);
            note("server", 0);
            note("killed", 1);
            last = server;
            kills++;
        }
        brood_sleep(BROOD_MILLISECONDS(3));
        if (!brood_thread_is_alive(thread))
            break;
    }
    assert_thread_ends(thread, 0);
    // Until then a spare of it might still take a job, and die with it.
    assert_true(platform_process_ends(last));
    print_message("%u servers killed during %d starts or more\n", kills, rounds);
    assert_true(kills > 0);
    assert_false(platform_has_child());
}

// The end of the requester

static int use_a_server(void *arg)
{
    (void)arg;
    brood_process *process;
    note("leave", 0);
    CHECK(brood_process_start(&process, stay, NULL, 0, &served) == BROOD_OK);
    note("its server", (uint64_t)platform_parent_of(brood_process_pid(process)));
    note("leave", 1);
    CHECK(brood_process_join(process, MEETING_PATIENCE, NULL) == BROOD_OK);
    brood_process_drop(process);
    if (*(bool *)arg)
        (void)await_note("never", 1);
    return 0;
}

static void a_server_ends_with_its_requester(void **state)
{
    (void)state;
    for (int killed = 0; killed <= 1; killed++) {
        const bool stays = killed;
        note("its server", 0);
        note("leave", 0);
        brood_process *process = started_process(use_a_server, &stays, sizeof stays);
        if (!await_note("its server", 1))
            assert_process_ends(process, 0); // fails, and names the line
        if (killed)
            kill_process(process);
        else
            assert_process_ends(process, 0);
        assert_true(platform_process_ends((brood_pid)noted("its server")));
    }
}

static void hundreds_of_children_leave_nothing(void **state)
{
    (void)state;
    (void)find_server();
    const size_t before = platform_descriptor_count();
    for (int i = 0; i < 300; i++)
        assert_process_ends(started_served(return_at_once, &i, sizeof i), i);
    assert_int_equal(platform_descriptor_count(), before);
    assert_int_equal(brood_active_children(NULL, 0), 0);
}

enum { ALIVE_AT_ONCE = 60 };

static void many_live_at_once(void **state)
{
    (void)state;
    brood_process *children[ALIVE_AT_ONCE];
    note("leave", 0);
    for (int i = 0; i < ALIVE_AT_ONCE; i++)
        children[i] = started_served(stay, NULL, 0);
    assert_int_equal(brood_active_children(NULL, 0), ALIVE_AT_ONCE);
    for (int i = 0; i < ALIVE_AT_ONCE; i += 2)
        assert_status(brood_process_kill(children[i]), BROOD_OK);
    for (int i = 0; i < ALIVE_AT_ONCE; i += 2) {
        brood_exit ended;
        assert_status(brood_process_join(children[i], MEETING_PATIENCE, &ended), BROOD_OK);
        assert_int_equal(brood_exit_number(ended), -9);
        brood_process_drop(children[i]);
    }
    note("leave", 1);
    for (int i = 1; i < ALIVE_AT_ONCE; i += 2)
        assert_process_ends(children[i], 5);
}

int main(void)
{
    brood_init();
    const struct CMUnitTest everywhere[] = {
        cmocka_unit_test(a_system_without_fork_says_so),
    };
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_server_makes_all_children_and_none_is_a_child_of_this_process),
        cmocka_unit_test(each_child_is_a_fresh_image_whose_parent_is_the_requester),
        cmocka_unit_test(the_server_reports_every_end),
        cmocka_unit_test(a_child_has_what_its_parent_has_now),
        cmocka_unit_test(a_child_ignores_the_signals_that_its_parent_ignores),
        cmocka_unit_test(a_changed_group_gets_a_new_server),
        cmocka_unit_test(changed_limits_get_a_new_server),
        cmocka_unit_test(a_killed_server_takes_its_children_along_and_the_next_start_makes_another),
        cmocka_unit_test(a_killed_server_takes_the_children_of_its_children_along),
        cmocka_unit_test(a_code_outlives_the_server),
        cmocka_unit_test(dead_spares_are_replaced),
        cmocka_unit_test(starts_go_on_while_servers_are_killed),
        cmocka_unit_test(a_server_ends_with_its_requester),
        cmocka_unit_test(hundreds_of_children_leave_nothing),
        cmocka_unit_test(many_live_at_once),
    };
    const int failed = cmocka_run_group_tests(everywhere, NULL, NULL);
    return failed || !platform_has_fork() ? failed : cmocka_run_group_tests(tests, NULL, NULL);
}
