// SPDX-License-Identifier: MIT
// Signals that arrive while a child shares its parent's memory, before it executes the program; and
// SIGPIPE, which no call raises.
#include "../meeting.h"

#include "../methods.h"
#include "../platform.h"

#include "../../src/base/atomic.h"

#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

static pid_t receiver;
static atomic_int received;
static atomic_int strays;

static void count_signal(int number)
{
    (void)number;
    atomic_fetch_add(syscall(SYS_getpid) == receiver ? &received : &strays, 1);
}

static int leave_with_0(void *arg)
{
    (void)arg;
    return 0;
}

static atomic_bool sends;

static void *signal_all(void *unused)
{
    (void)unused;
    while (atomic_load(&sends))
        (void)kill(0, SIGURG); // ignored by processes that do not handle it
    return NULL;
}

static int start_while_all_get_signals(void *arg)
{
    const struct sigaction action = { .sa_handler = count_signal, .sa_flags = SA_RESTART };
    const brood_process_options options = { .method = *(const int32_t *)arg };
    pthread_t thread;
    receiver = getpid();
    atomic_store(&sends, true);
    CHECK(setpgid(0, 0) == 0 && sigaction(SIGURG, &action, NULL) == 0);
    CHECK(pthread_create(&thread, NULL, signal_all, NULL) == 0);
    for (int i = 0; i < 100; i++) {
        brood_process *process;
        CHECK(brood_process_start(&process, leave_with_0, NULL, 0, &options) == BROOD_OK);
        CHECK(brood_process_join(process, MEETING_PATIENCE, NULL) == BROOD_OK);
        brood_process_drop(process);
    }
    atomic_store(&sends, false);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(atomic_load(&received) > 0 && atomic_load(&strays) == 0);
    return 0;
}

static void no_handler_of_the_parent_runs_in_a_fresh_child(void **state)
{
    (void)state;
    static const int32_t methods[] = { BROOD_START_SPAWN, BROOD_START_FORKSERVER };
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        assert_int_equal(
            platform_guest(start_while_all_get_signals, (void *)(uintptr_t)&methods[i]), 0);
}

// Connections whose peers are gone

static int use_end(void *arg)
{
    const brood_connection end = *(brood_connection *)arg;
    char byte;
    CHECK(brood_connection_send(end, "a", 1, MEETING_PATIENCE) == BROOD_OK);
    CHECK(brood_connection_receive(end, &byte, 1, NULL, MEETING_PATIENCE) == BROOD_OK);
    CHECK(brood_connection_leave(end) == BROOD_OK);
    brood_sleep(MEETING_PATIENCE);
    return 0;
}

// Every call for an end whose other end has lost its last user.
static void use_end_without_peer(brood_connection end, brood_status expected)
{
    enum { LARGE = 3 << 20 };
    static char data[LARGE];
    const brood_part part = { data, LARGE };
    const brood_waitable both[] = { brood_waitable_connection(end),
                                    brood_waitable_connection_room(end) };
    assert_status(brood_connection_receive(end, data, 1, NULL, MEETING_PATIENCE), expected);
    assert_status(brood_connection_send(end, "b", 1, MEETING_PATIENCE), expected);
    assert_status(brood_connection_send(end, data, LARGE, MEETING_PATIENCE), expected);
    assert_status(brood_connection_send_parts(end, &part, 1, MEETING_PATIENCE), expected);
    assert_status(brood_wait_any(both, 2, MEETING_PATIENCE, NULL), BROOD_OK);
}

static void expect_no_sigpipe(bool killed)
{
    brood_connection ends[2] = { { 0 } };
    char byte;
    assert_status(brood_connection_pair(&ends[0], &ends[1], BROOD_DUPLEX), BROOD_OK);
    brood_process *process = started_process(use_end, &ends[1], sizeof ends[1]);
    assert_status(brood_connection_receive(ends[0], &byte, 1, NULL, MEETING_PATIENCE), BROOD_OK);
    if (killed)
        assert_status(brood_process_kill(process), BROOD_OK);
    else
        assert_status(brood_connection_send(ends[0], "b", 1, MEETING_PATIENCE), BROOD_OK);
    use_end_without_peer(ends[0], killed ? BROOD_PEER_DIED : BROOD_CLOSED);
    kill_process(process);
    assert_status(brood_connection_destroy(ends[0]), BROOD_OK);
}

static void a_peer_that_is_gone_raises_no_sigpipe(void **state)
{
    (void)state;
    sigset_t pipes;
    struct sigaction before;
    const struct sigaction action = { .sa_handler = SIG_DFL };
    assert_int_equal(sigaction(SIGPIPE, &action, &before), 0);
    assert_true(sigemptyset(&pipes) == 0 && sigaddset(&pipes, SIGPIPE) == 0);
    assert_int_equal(pthread_sigmask(SIG_UNBLOCK, &pipes, NULL), 0);
    expect_no_sigpipe(true);
    expect_no_sigpipe(false);
    assert_int_equal(sigaction(SIGPIPE, &before, NULL), 0);
}

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_handler_of_the_parent_runs_in_a_fresh_child),
        cmocka_unit_test(a_peer_that_is_gone_raises_no_sigpipe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
