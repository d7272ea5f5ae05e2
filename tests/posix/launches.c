// SPDX-License-Identifier: MIT
// The end of a process beside a thread that is inside fork(), held up there by a handler of
// pthread_atfork().
#include "../children.h"
#include "../steps.h"

#include "arena/self.h"
#include "process/launches.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

// What must not happen would have happened within this time.
#define A_WHILE BROOD_MILLISECONDS(100)

enum { LEFT_A_FORK = 99, NO_CLOSE = 98 };

static atomic_bool forking;
static bool waits_for_ever;

static bool are_closed(void)
{
    const bool open = broodi_launches_enter();
    if (open)
        broodi_launches_leave();
    return !open;
}

// Holds up the fork until the end has closed the launches, and for a while more.
static void hold_up(void)
{
    const int64_t deadline = brood_clock() + MEETING_PATIENCE;
    atomic_store(&forking, true);
    while (waits_for_ever)
        (void)pause();
    while (!are_closed() && brood_clock() < deadline)
        brood_sleep(BROOD_MILLISECONDS(1));
    if (!are_closed())
        _exit(NO_CLOSE);
    brood_sleep(A_WHILE);
}

static void go_on(void)
{
    atomic_store(&forking, false);
}

// exit() calls this after all that brood has registered with atexit().
static void find_no_fork(void)
{
    if (atomic_load(&forking) && !waits_for_ever)
        _exit(LEFT_A_FORK);
}

__attribute__((constructor)) static void register_before_brood(void)
{
    (void)atexit(find_no_fork);
}

static int fork_once(void *unused)
{
    const brood_process_options options = { .method = BROOD_START_FORK, .fork_with_threads = true };
    (void)unused;
    (void)!brood_process_start(NULL, nothing, NULL, 0, &options);
    (void)await_note("never", 1);
    return 0;
}

static int end_beside_a_fork(int way)
{
    const brood_thread_options as_daemon = { .daemon = BROOD_DAEMON_YES };
    CHECK(pthread_atfork(hold_up, go_on, NULL) == 0);
    CHECK(brood_thread_start(NULL, fork_once, NULL, 0, &as_daemon) == BROOD_OK);
    while (!atomic_load(&forking))
        brood_sleep(BROOD_MILLISECONDS(1));
    return leave(way, 4);
}

static int end_patiently(void *way)
{
    broodi_launches_patience = MEETING_PATIENCE;
    return end_beside_a_fork(*(int *)way);
}

static void the_end_waits_for_a_fork_under_way(void **state)
{
    (void)state;
    for (int way = 0; way < WAYS; way++)
        assert_process_ends(started_process(end_patiently, &way, sizeof way), 4);
}

static int end_impatiently(void *way)
{
    waits_for_ever = true;
    broodi_launches_patience = BROOD_MILLISECONDS(20);
    return end_beside_a_fork(*(int *)way);
}

static void a_fork_that_does_not_return_does_not_hold_up_the_end(void **state)
{
    (void)state;
    for (int way = 0; way < WAYS; way++)
        assert_process_ends(started_process(end_impatiently, &way, sizeof way), 4);
}

static void nothing_is_launched_after_they_are_closed(void **state)
{
    (void)state;
    for (int32_t method = BROOD_START_SPAWN; method <= BROOD_START_FORK; method += 2) {
        const brood_process_options options = { .method = method };
        broodi_launches_close(INT64_MAX);
        assert_status(brood_process_start(NULL, nothing, NULL, 0, &options), BROOD_WRONG_STATE);
        broodi_launches_forget();
        assert_int_equal(code_of_child(method, nothing, NULL, 0), 0);
    }
}

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_end_waits_for_a_fork_under_way),
        cmocka_unit_test(a_fork_that_does_not_return_does_not_hold_up_the_end),
        cmocka_unit_test(nothing_is_launched_after_they_are_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
