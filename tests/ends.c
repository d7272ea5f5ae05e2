// SPDX-License-Identifier: MIT
// The users of the ends of a connection: which processes they are, and what the other end sees when
// they have gone, in whatever way.
#include "children.h"

#include "../src/base/atomic.h"
#include "foreign.h"

// Until the end of a user must have been seen. The library promises about a second.
#define SOON (foreign_is_slow() ? BROOD_SECONDS(60) : BROOD_SECONDS(15))

struct pair {
    brood_connection a; // of this process
    brood_connection b; // of its children
};

static struct pair made_pair(void)
{
    struct pair pair = { { 0 }, { 0 } };
    assert_status(brood_connection_pair(&pair.a, &pair.b, BROOD_DUPLEX), BROOD_OK);
    return pair;
}

static void destroy(struct pair pair)
{
    assert_status(brood_connection_destroy(pair.a), BROOD_OK);
}

static brood_status received(brood_connection end, uint64_t *out, brood_duration timeout)
{
    return brood_connection_receive(end, out, sizeof *out, NULL, timeout);
}

// Waits for the end of the other side, which comes soon.
static void expect_end(brood_connection end, brood_status status)
{
    uint64_t number;
    const int64_t before = brood_clock();
    assert_status(received(end, &number, MEETING_PATIENCE), status);
    assert_true(brood_clock() - before < SOON);
    assert_status(brood_connection_send(end, &number, sizeof number, BROOD_NOW), status);
}

static void expect_number(brood_connection end, uint64_t expected)
{
    uint64_t number = 0;
    assert_status(received(end, &number, MEETING_PATIENCE), BROOD_OK);
    assert_int_equal(number, expected);
}

static void expect_no_end(brood_connection end)
{
    uint64_t number;
    assert_status(received(end, &number, BROOD_MILLISECONDS(50)), BROOD_TIMEOUT);
}

static brood_process *started_user(brood_target target, const struct pair *pair)
{
    const brood_process_options options = { .connections = &pair->b, .connection_count = 1 };
    return started_with(target, pair, sizeof *pair, &options);
}

static void join_and_drop(brood_process *process)
{
    assert_status(brood_process_join(process, MEETING_PATIENCE, NULL), BROOD_OK);
    brood_process_drop(process);
}

// A child from its start on

static int wait_for_leave(void *arg)
{
    (void)arg;
    CHECK(await_note("leave", 1));
    return 0;
}

static int send_one(void *arg)
{
    const struct pair *pair = arg;
    const uint64_t number = 7;
    CHECK(brood_connection_send(pair->b, &number, sizeof number, BROOD_NOW) == BROOD_OK);
    return 0;
}

static void a_child_is_a_user_before_its_first_call(void **state)
{
    (void)state;
    const struct pair pair = made_pair();
    note("leave", 0);
    brood_process *process = started_user(wait_for_leave, &pair);
    expect_no_end(pair.a);
    note("leave", 1);
    expect_end(pair.a, BROOD_CLOSED);
    assert_process_ends(process, 0);
    expect_end(pair.a, BROOD_CLOSED);
    process = started_user(send_one, &pair);
    expect_number(pair.a, 7);
    expect_end(pair.a, BROOD_CLOSED);
    assert_process_ends(process, 0);
    destroy(pair);
}

static void without_the_option_a_child_is_a_user_from_its_first_call_on(void **state)
{
    (void)state;
    const struct pair pair = made_pair();
    assert_process_ends(started_process(nothing, NULL, 0), 0);
    expect_no_end(pair.a);
    assert_process_ends(started_process(send_one, &pair, sizeof pair), 0);
    expect_number(pair.a, 7);
    expect_end(pair.a, BROOD_CLOSED);
    destroy(pair);
}

static void the_death_of_a_child_is_seen_soon(void **state)
{
    (void)state;
    const struct pair pair = made_pair();
    note("leave", 0);
    for (int i = 0; i < 3; i++) {
        brood_process *process = started_user(wait_for_leave, &pair);
        expect_no_end(pair.a);
        platform_process_kill(brood_process_pid(process));
        expect_end(pair.a, BROOD_PEER_DIED);
        join_and_drop(process);
        expect_end(pair.a, BROOD_PEER_DIED);
    }
    destroy(pair);
}

static void a_child_may_have_both_ends_and_one_end_twice(void **state)
{
    (void)state;
    const struct pair pair = made_pair();
    const brood_connection ends[] = { pair.b, pair.a, pair.b };
    const brood_process_options options = { .connections = ends, .connection_count = 3 };
    note("leave", 0);
    brood_process *process = started_with(wait_for_leave, NULL, 0, &options);
    expect_no_end(pair.a);
    expect_no_end(pair.b);
    assert_status(brood_connection_leave(pair.b), BROOD_OK);
    note("leave", 1);
    assert_process_ends(process, 0);
    expect_end(pair.a, BROOD_CLOSED);
    assert_status(brood_connection_leave(pair.a), BROOD_OK);
    expect_end(pair.b, BROOD_CLOSED);
    destroy(pair);
}

// Starts that fail

static void expect_failure(const brood_process_options *options, brood_status status)
{
    brood_process *process = NULL;
    assert_status(brood_process_start(&process, nothing, NULL, 0, options), status);
    assert_last_error_names("brood_process_start");
    assert_null(process);
}

static void connections_are_checked(void **state)
{
    (void)state;
    const struct pair pair = made_pair();
    const struct pair gone = made_pair();
    brood_connection ends[] = { pair.b, { 0 } };
    brood_process_options options = { .connection_count = 1 };
    expect_failure(&options, BROOD_INVALID);
    options = (brood_process_options){ .connections = ends, .connection_count = 2 };
    expect_failure(&options, BROOD_INVALID);
    ends[1].id = pair.b.id ^ UINT64_C(1) << 60; // of another family
    expect_failure(&options, BROOD_INVALID);
    destroy(gone);
    ends[1] = gone.b;
    expect_failure(&options, BROOD_STALE);
    expect_no_end(pair.a);
    destroy(pair);
}

static void a_start_that_fails_makes_no_user(void **state)
{
    (void)state;
    const struct pair pair = made_pair();
    const brood_process_options options = { .connections = &pair.b,
                                            .connection_count = 1,
                                            .directory = "/there/is/none" };
    for (int i = 0; i < 3; i++) {
        expect_failure(&options, BROOD_NOT_FOUND);
        expect_no_end(pair.a);
    }
    note("leave", 0);
    brood_process *process = started_user(wait_for_leave, &pair);
    kill_process(process);
    for (int i = 0; i < 3; i++) {
        expect_failure(&options, BROOD_NOT_FOUND);
        expect_end(pair.a, BROOD_PEER_DIED);
    }
    destroy(pair);
}

// Ways to end

static int end_by_exit(void *arg)
{
    (void)arg;
    exit(3);
}

static int exit_in_thread(void *arg)
{
    (void)arg;
    exit(4);
}

static int end_by_a_thread(void *arg)
{
    (void)arg;
    CHECK(brood_thread_start(NULL, exit_in_thread, NULL, 0, NULL) == BROOD_OK);
    for (;;)
        brood_sleep(BROOD_SECONDS(1));
}

static int end_without_order(void *arg)
{
    (void)arg;
    _Exit(0);
}

static int end_by_a_crash(void *arg)
{
    (void)arg;
    platform_crash();
}

static int end_at_once(void *arg)
{
    (void)arg;
    platform_process_kill(brood_self_pid());
    return 0;
}

// The thread that has used the end has returned before its process is killed.
static int use_in_a_thread_and_die(void *arg)
{
    brood_thread *thread;
    CHECK(brood_thread_start(&thread, send_one, arg, sizeof(struct pair), NULL) == BROOD_OK);
    CHECK(brood_thread_join(thread, BROOD_FOREVER, NULL) == BROOD_OK);
    brood_thread_drop(thread);
    platform_process_kill(brood_self_pid());
    return 0;
}

static void the_other_end_tells_how_the_process_ended(void **state)
{
    (void)state;
    static const struct {
        brood_target target;
        brood_status status;
    } ways[] = {
        { nothing, BROOD_CLOSED },           { end_by_exit, BROOD_CLOSED },
        { end_by_a_thread, BROOD_CLOSED },   { end_without_order, BROOD_PEER_DIED },
        { end_by_a_crash, BROOD_PEER_DIED }, { end_at_once, BROOD_PEER_DIED },
    };
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        const struct pair pair = made_pair();
        brood_process *process = started_user(ways[i].target, &pair);
        expect_end(pair.a, ways[i].status);
        join_and_drop(process);
        expect_end(pair.a, ways[i].status);
        destroy(pair);
    }
}

static void a_death_is_seen_although_the_thread_had_returned(void **state)
{
    (void)state;
    const struct pair pair = made_pair();
    brood_process *process = started_process(use_in_a_thread_and_die, &pair, sizeof pair);
    expect_number(pair.a, 7);
    expect_end(pair.a, BROOD_PEER_DIED);
    join_and_drop(process);
    destroy(pair);
}

// Waiters

static int receive_in_thread(void *arg)
{
    uint64_t number;
    return (int)received(*(brood_connection *)arg, &number, MEETING_PATIENCE);
}

static void all_waiters_see_the_death(void **state)
{
    (void)state;
    enum { WAITERS = 2 };
    const struct pair pair = made_pair();
    brood_thread *threads[WAITERS];
    if (is_copy(BROOD_START_DEFAULT))
        skip();
    note("leave", 0);
    brood_process *process = started_user(wait_for_leave, &pair);
    for (int i = 0; i < WAITERS; i++)
        threads[i] = started_thread(receive_in_thread, &pair.a, sizeof pair.a);
    brood_sleep(BROOD_MILLISECONDS(50));
    const int64_t before = brood_clock();
    platform_process_kill(brood_process_pid(process));
    for (int i = 0; i < WAITERS; i++)
        assert_thread_ends(threads[i], BROOD_PEER_DIED);
    assert_true(brood_clock() - before < SOON);
    join_and_drop(process);
    destroy(pair);
}

// Generations

static int pass_on_and_end(void *arg)
{
    const struct pair *pair = arg;
    const brood_process_options options = { .connections = &pair->b,
                                            .connection_count = 1,
                                            .survive_parent = true,
                                            .daemon = BROOD_DAEMON_NO };
    brood_process *process;
    CHECK(brood_process_start(&process, wait_for_leave, pair, sizeof *pair, &options) == BROOD_OK);
    note("grandchild", (uint64_t)brood_process_pid(process));
    brood_process_drop(process);
    platform_process_kill(brood_self_pid());
    return 0;
}

static void a_grandchild_survives_as_a_user(void **state)
{
    (void)state;
    for (int killed = 0; killed < 2; killed++) {
        const struct pair pair = made_pair();
        note("leave", 0);
        note("grandchild", 0);
        join_and_drop(started_user(pass_on_and_end, &pair));
        const brood_pid grandchild = (brood_pid)noted("grandchild");
        assert_true(grandchild != 0);
        const bool lives = platform_process_lives(grandchild); // not if its fork server was killed
        if (lives)
            expect_no_end(pair.a);
        if (killed)
            platform_process_kill(grandchild);
        note("leave", 1);
        expect_end(pair.a, killed || !lives ? BROOD_PEER_DIED : BROOD_CLOSED);
        destroy(pair);
    }
}

static int use_from_the_middle(void *arg)
{
    const struct pair *pair = arg;
    const brood_process_options options = { .connections = &pair->b, .connection_count = 1 };
    brood_process *process;
    CHECK(brood_process_start(&process, send_one, pair, sizeof *pair, &options) == BROOD_OK);
    CHECK(brood_connection_leave(pair->b) == BROOD_OK);
    CHECK(brood_process_join(process, BROOD_FOREVER, NULL) == BROOD_OK);
    brood_process_drop(process);
    CHECK(await_note("leave", 1));
    return 0;
}

// The child in the middle lives on, and has left the end.
static void the_end_of_a_grandchild_is_seen(void **state)
{
    (void)state;
    const struct pair pair = made_pair();
    note("leave", 0);
    brood_process *process = started_user(use_from_the_middle, &pair);
    expect_number(pair.a, 7);
    expect_end(pair.a, BROOD_CLOSED);
    note("leave", 1);
    assert_process_ends(process, 0);
    destroy(pair);
}

static int guest_sends(void *arg)
{
    return send_one(arg);
}

static void a_guest_is_a_user_of_its_own(void **state)
{
    (void)state;
    if (!platform_has_fork())
        skip();
    const struct pair pair = made_pair();
    struct pair copy = pair;
    uint64_t number = 1;
    assert_status(brood_connection_send(pair.b, &number, sizeof number, BROOD_NOW), BROOD_OK);
    expect_number(pair.a, 1);
    assert_int_equal(platform_guest(guest_sends, &copy), 0);
    expect_number(pair.a, 7);
    expect_no_end(pair.a);
    assert_status(brood_connection_leave(pair.b), BROOD_OK);
    expect_end(pair.a, BROOD_CLOSED); // this process left last
    assert_int_equal(platform_guest(guest_sends, &copy), 0);
    expect_number(pair.a, 7);
    expect_end(pair.a, BROOD_PEER_DIED); // a guest that does not call exit()
    destroy(pair);
}

// Servers

static int serve(void *arg)
{
    const struct pair *pair = arg;
    uint64_t number;
    while (received(pair->b, &number, MEETING_PATIENCE) == BROOD_OK) {
        if (number == 0)
            platform_process_kill(brood_self_pid());
        number++;
        CHECK(brood_connection_send(pair->b, &number, sizeof number, BROOD_NOW) == BROOD_OK);
    }
    return 0;
}

static void ask(brood_connection end, uint64_t number)
{
    assert_status(brood_connection_send(end, &number, sizeof number, BROOD_NOW), BROOD_OK);
}

static void a_server_may_be_restarted(void **state)
{
    (void)state;
    const int rounds = foreign_is_slow() ? 3 : 20;
    const struct pair pair = made_pair();
    for (int i = 0; i < rounds; i++) {
        brood_process *process = started_user(serve, &pair);
        for (uint64_t number = 1; number < 4; number++) {
            ask(pair.a, number);
            expect_number(pair.a, number + 1);
        }
        ask(pair.a, 0);
        expect_end(pair.a, BROOD_PEER_DIED);
        join_and_drop(process);
    }
    brood_process *process = started_user(serve, &pair);
    ask(pair.a, 1);
    expect_number(pair.a, 2);
    assert_status(brood_connection_leave(pair.a), BROOD_OK);
    assert_process_ends(process, 0);
    destroy(pair);
}

// Fork servers

// Only images of this program may be killed. To the system, all programs that an emulator runs are
// images of the emulator (/proc/PID/exe), so there no server can be told.
static bool can_kill_servers(void)
{
#if defined(BROOD_EMULATED)
    return false;
#else
    return platform_has_fork();
#endif
}

static brood_process *started_served_user(brood_target target, const struct pair *pair)
{
    const brood_process_options options = { .method = BROOD_START_FORKSERVER,
                                            .connections = &pair->b,
                                            .connection_count = 1 };
    return started_with(target, pair, sizeof *pair, &options);
}

static void a_fork_server_that_dies_takes_its_users_along(void **state)
{
    (void)state;
    if (!can_kill_servers())
        skip();
    const struct pair pair = made_pair();
    note("leave", 0);
    brood_process *process = started_served_user(wait_for_leave, &pair);
    expect_no_end(pair.a);
    const brood_pid server = platform_parent_of(brood_process_pid(process));
    assert_true(server > 1 && platform_is_of_this_program(server));
    platform_process_kill(server);
    expect_end(pair.a, BROOD_PEER_DIED);
    join_and_drop(process);
    destroy(pair);
}

static int kill_the_noted(void *arg)
{
    uint64_t kills = 0;
    (void)arg;
    while (!noted("over")) {
        const brood_pid server = (brood_pid)noted("server");
        if (server > 1 && platform_is_of_this_program(server)) {
            platform_process_kill(server);
            note("server", 0);
            note("kills", ++kills);
        }
        brood_sleep(BROOD_MILLISECONDS(3));
    }
    return 0;
}

// A start is repeated when the server dies: then the child is another process.
static void no_user_is_left_when_servers_die_during_starts(void **state)
{
    (void)state;
    if (!can_kill_servers())
        skip();
    const struct pair pair = made_pair();
    uint64_t number;
    note("over", 0);
    note("server", 0);
    note("kills", 0);
    const brood_process_options by_spawn = { .method = BROOD_START_SPAWN };
    brood_process *killer = started_with(kill_the_noted, NULL, 0, &by_spawn);
    for (int i = 0; i < 100 || !noted("kills"); i++) {
        brood_process *process = started_served_user(send_one, &pair);
        note("server", (uint64_t)platform_parent_of(brood_process_pid(process)));
        join_and_drop(process);
        while (received(pair.a, &number, BROOD_NOW) == BROOD_OK)
            assert_int_equal(number, 7);
    }
    note("over", 1);
    assert_process_ends(killer, 0);
    const brood_status status = received(pair.a, &number, MEETING_PATIENCE);
    assert_true(status == BROOD_CLOSED || status == BROOD_PEER_DIED);
    destroy(pair);
}

// Many

static void the_end_comes_behind_the_last_of_many(void **state)
{
    (void)state;
    enum { MOST = 200 };
    const int count = foreign_is_slow() ? 12 : MOST;
    static brood_process *processes[MOST];
    const struct pair pair = made_pair();
    note("leave", 0);
    for (int i = 0; i < count; i++)
        processes[i] = started_user(i % 2 ? send_one : wait_for_leave, &pair);
    for (int i = 1; i < count; i += 2)
        expect_number(pair.a, 7);
    expect_no_end(pair.a);
    note("leave", 1);
    expect_end(pair.a, BROOD_CLOSED);
    for (int i = 0; i < count; i++)
        assert_process_ends(processes[i], 0);
    destroy(pair);
}

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_is_a_user_before_its_first_call),
        cmocka_unit_test(without_the_option_a_child_is_a_user_from_its_first_call_on),
        cmocka_unit_test(the_death_of_a_child_is_seen_soon),
        cmocka_unit_test(a_child_may_have_both_ends_and_one_end_twice),
        cmocka_unit_test(connections_are_checked),
        cmocka_unit_test(a_start_that_fails_makes_no_user),
        cmocka_unit_test(the_other_end_tells_how_the_process_ended),
        cmocka_unit_test(a_death_is_seen_although_the_thread_had_returned),
        cmocka_unit_test(all_waiters_see_the_death),
        cmocka_unit_test(a_grandchild_survives_as_a_user),
        cmocka_unit_test(the_end_of_a_grandchild_is_seen),
        cmocka_unit_test(a_guest_is_a_user_of_its_own),
        cmocka_unit_test(a_server_may_be_restarted),
        cmocka_unit_test(a_fork_server_that_dies_takes_its_users_along),
        cmocka_unit_test(no_user_is_left_when_servers_die_during_starts),
        cmocka_unit_test(the_end_comes_behind_the_last_of_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
