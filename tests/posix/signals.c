// SPDX-License-Identifier: MIT
// Signals that arrive while a child shares its parent's memory, before it executes the program.
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

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_handler_of_the_parent_runs_in_a_fresh_child),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
