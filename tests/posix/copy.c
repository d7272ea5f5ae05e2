// SPDX-License-Identifier: MIT
// Copies of this process that are made in an awkward place or at an awkward moment: from within a
// target or a handler, from a thread that is being cancelled, from a thread whose stack is free
// memory in the copy, and beside threads that are inside functions of a stream. guest.c has
// copies made in quiet circumstances.
#include "../meeting.h"

#include "../../src/base/atomic.h"
#include "../foreign.h"
#include "../methods.h"
#include "../platform.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static const brood_process_options beside_threads = { .method = BROOD_START_FORK,
                                                      .fork_with_threads = true };

// From within

static void count_handler(void *unused)
{
    (void)unused;
    note("handlers", noted("handlers") + 1);
}

static int return_twice(void *arg)
{
    (void)arg;
    CHECK(brood_at_exit(count_handler, NULL) == BROOD_OK);
    const pid_t copy = fork();
    if (copy == 0)
        return 7;
    CHECK(platform_guest_end(copy) == 7);
    CHECK(noted("handlers") == 0); // handlers run in the child alone
    return 5;
}

static void return_twice_from_handler(void *unused)
{
    (void)unused;
    const pid_t copy = fork();
    if (copy != 0)
        note("code of the copy", (uint64_t)platform_guest_end(copy));
}

static int end_with_handler(void *arg)
{
    (void)arg;
    CHECK(brood_at_exit(count_handler, NULL) == BROOD_OK);
    CHECK(brood_at_exit(return_twice_from_handler, NULL) == BROOD_OK);
    return 5;
}

static void expect_the_child_to_end_once(brood_target target, int32_t method)
{
    const brood_process_options options = { .method = method };
    brood_process *process = NULL;
    note("handlers", 0);
    assert_status(brood_process_start(&process, target, NULL, 0, &options), BROOD_OK);
    assert_process_ends(process, 5);
    assert_int_equal(noted("handlers"), 1);
}

static void a_copy_that_returns_from_the_target_ends_only_itself(void **state)
{
    (void)state;
    int32_t methods[MOST_METHODS];
    const size_t count = methods_of_this_system(methods);
    for (size_t i = 0; i < count; i++) {
        expect_the_child_to_end_once(return_twice, methods[i]);
        note("code of the copy", 0);
        expect_the_child_to_end_once(end_with_handler, methods[i]);
        assert_int_equal(noted("code of the copy"), 5);
    }
}

static int code_of_a_cancelled_copy;

static void fork_while_cancelled(void *unused)
{
    (void)unused;
    // Acts at the next cancellation point, which fork() is not.
    (void)pthread_cancel(pthread_self());
    const pid_t copy = fork();
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    if (copy == 0)
        _exit(brood_active_children(NULL, 0) == 0 ? 5 : 6);
    code_of_a_cancelled_copy = platform_guest_end(copy);
}

static int stay(void *arg)
{
    (void)arg;
    CHECK(await_note("leave", 1));
    return 0;
}

static void a_copy_is_whole_before_its_thread_is_cancelled(void **state)
{
    (void)state;
    note("leave", 0);
    brood_process *process = started_process(stay, NULL, 0); // the copy closes its descriptors
    foreign_thread_join(foreign_thread_start(fork_while_cancelled, NULL));
    assert_int_equal(code_of_a_cancelled_copy, 5);
    note("leave", 1);
    assert_process_ends(process, 0);
}

// The thread that forked

static int overwrite_stack(void *arg)
{
    volatile char everything[64 << 10];
    (void)arg;
    for (size_t i = 0; i < sizeof everything; i++)
        everything[i] = 'X';
    return everything[0] == 'X' ? 0 : 1;
}

static int check_what_was_handed_over(void *arg)
{
    enum { THREADS = 3 };
    brood_thread *threads[THREADS];
    brood_resource resource;
    int code = -1;
    for (int i = 0; i < THREADS; i++)
        CHECK(brood_thread_start(&threads[i], overwrite_stack, NULL, 0, NULL) == BROOD_OK);
    for (int i = 0; i < THREADS; i++) {
        CHECK(brood_thread_join(threads[i], MEETING_PATIENCE, &code) == BROOD_OK && code == 0);
        brood_thread_drop(threads[i]);
    }
    const char *value = getenv("BROOD_TEST_COPY");
    CHECK(value && strcmp(value, "kept") == 0);
    CHECK(brood_self_resource(0, &resource) == BROOD_OK);
    CHECK(resource.kind == BROOD_RESOURCE_DESCRIPTOR && resource.value == *(intptr_t *)arg);
    CHECK(fcntl((int)resource.value, F_GETFD) == FD_CLOEXEC);
    return 0;
}

static int hand_over_from_own_stack(void *arg)
{
    char entry[] = "BROOD_TEST_COPY=kept";
    const char *const environment[] = { entry, NULL };
    const brood_resource resources[] = { { BROOD_RESOURCE_DESCRIPTOR, *(intptr_t *)arg } };
    const brood_process_options options = { .method = BROOD_START_FORK,
                                            .fork_with_threads = true,
                                            .environment = environment,
                                            .resources = resources,
                                            .resource_count = 1 };
    brood_process *process;
    brood_exit ended;
    CHECK(brood_process_start(&process, check_what_was_handed_over, arg, sizeof(intptr_t),
                              &options) == BROOD_OK);
    CHECK(brood_process_join(process, MEETING_PATIENCE, &ended) == BROOD_OK);
    brood_process_drop(process);
    return brood_exit_number(ended);
}

static void a_forked_child_keeps_what_was_on_the_stack_of_an_uncopied_thread(void **state)
{
    (void)state;
    intptr_t ends[2];
    skip_unless_copies_are_safe_beside_threads();
    platform_pipe(ends);
    // The child's descriptor is close-on-exec all the same.
    assert_int_equal(fcntl((int)ends[0], F_SETFD, 0), 0);
    assert_thread_ends(started_thread(hand_over_from_own_stack, &ends[0], sizeof ends[0]), 0);
    platform_close(ends[0]);
    platform_close(ends[1]);
}

static void *leave_later(void *unused)
{
    brood_sleep(BROOD_MILLISECONDS(100));
    _exit(3);
    return unused;
}

static int end_the_first_thread_alone(void *arg)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, leave_later, arg) != 0)
        return 1;
    foreign_thread_exit();
}

static int try_lock(void *arg)
{
    const brood_lock lock = *(brood_lock *)arg;
    return (int)brood_lock_acquire(lock, BROOD_NOW);
}

static void the_end_of_a_copy_s_first_thread_is_not_that_of_the_original_s(void **state)
{
    (void)state;
    brood_lock lock;
    if (!platform_copy_may_start_threads()) {
        print_message("this sanitizer starts no threads in a copy\n");
        skip();
    }
    assert_status(brood_lock_create(&lock), BROOD_OK);
    assert_status(brood_lock_acquire(lock, BROOD_NOW), BROOD_OK);
    assert_int_equal(platform_guest(end_the_first_thread_alone, NULL), 3);
    assert_thread_ends(started_thread(try_lock, &lock, sizeof lock), BROOD_TIMEOUT);
    assert_status(brood_lock_release(lock), BROOD_OK);
    assert_status(brood_lock_destroy(lock), BROOD_OK);
}

// Streams

static char path[600];

static FILE *opened_file(void)
{
    foreign_file_name(path, sizeof path, "copy.txt");
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    return file;
}

// Compares what the file holds, and removes the file.
static void assert_file_holds(const char *expected)
{
    char text[80] = "";
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    (void)fread(text, 1, sizeof text - 1, file);
    assert_int_equal(fclose(file), 0);
    foreign_file_remove(path);
    assert_string_equal(text, expected);
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int start_and_join(const brood_process_options *options, brood_target target)
{
    brood_process *process;
    brood_exit ended;
    CHECK(brood_process_start(&process, target, NULL, 0, options) == BROOD_OK);
    CHECK(brood_process_join(process, MEETING_PATIENCE, &ended) == BROOD_OK);
    brood_process_drop(process);
    return brood_exit_number(ended);
}

static atomic_bool holds;
static atomic_bool lets_go;

static int hold_the_output(void *arg)
{
    (void)arg;
    flockfile(stdout);
    CHECK(fputs("held", stdout) >= 0);
    atomic_store(&holds, true);
    while (!atomic_load(&lets_go))
        brood_sleep(BROOD_MILLISECONDS(1));
    funlockfile(stdout);
    return 0;
}

static void text_of_a_thread_beside_a_fork_is_printed_once(void **state)
{
    (void)state;
    skip_unless_copies_are_safe_beside_threads();
    assert_int_equal(fclose(opened_file()), 0);
    const int saved = platform_output_redirect(path);
    atomic_store(&holds, false);
    atomic_store(&lets_go, false);
    brood_thread *thread = started_thread(hold_the_output, NULL, 0);
    while (!atomic_load(&holds))
        brood_sleep(BROOD_MILLISECONDS(1));
    const int code = start_and_join(&beside_threads, nothing);
    atomic_store(&lets_go, true);
    assert_thread_ends(thread, 0);
    platform_output_restore(saved);
    assert_int_equal(code, 0);
    assert_file_holds("held");
}

static int start_a_copy(void *arg)
{
    static const brood_process_options copied = { .method = BROOD_START_FORK };
    (void)arg;
    return start_and_join(&copied, nothing);
}

static int wait_for_the_end(void *arg)
{
    (void)arg;
    while (!atomic_load(&lets_go))
        brood_sleep(BROOD_MILLISECONDS(1));
    return 0;
}

static void the_copy_of_a_copy_leaves_the_streams_of_the_first_alone(void **state)
{
    (void)state;
    skip_unless_copies_are_safe_beside_threads();
    FILE *file = opened_file();
    assert_true(fputs("once", file) >= 0);
    atomic_store(&lets_go, false);
    brood_thread *thread = started_thread(wait_for_the_end, NULL, 0);
    const int code = start_and_join(&beside_threads, start_a_copy);
    atomic_store(&lets_go, true);
    assert_thread_ends(thread, 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(code, 0);
    assert_file_holds("once");
}

// Descriptors

static int count_descriptors(void *arg)
{
    (void)arg;
    return (int)platform_descriptor_count();
}

static void shift_descriptor_limit(int by)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = (rlim_t)((int64_t)limit.rlim_cur + by);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void a_copy_keeps_no_descriptor_of_children_and_their_servers(void **state)
{
    (void)state;
    static const brood_process_options served = { .method = BROOD_START_FORKSERVER };
    brood_process *children[2];
    const int before = platform_guest(count_descriptors, NULL);
    note("leave", 0);
    assert_status(brood_process_start(&children[0], stay, NULL, 0, &served), BROOD_OK);
    shift_descriptor_limit(-1); // the second child needs another server
    assert_status(brood_process_start(&children[1], stay, NULL, 0, &served), BROOD_OK);
    shift_descriptor_limit(1);
    const int after = platform_guest(count_descriptors, NULL);
    note("leave", 1);
    for (int i = 0; i < 2; i++)
        assert_process_ends(children[i], 0);
    assert_int_equal(after, before);
}

// A signal handler

static volatile sig_atomic_t forks;
static volatile sig_atomic_t is_coming; // a signal that was requested

static void fork_in_handler(int number)
{
    (void)number;
    is_coming = 0;
    const pid_t copy = fork();
    if (copy == 0)
        _exit(0);
    if (copy > 0 && waitpid(copy, NULL, 0) == copy)
        forks++;
}

// The handler often interrupts its thread inside a call that holds what a fork() waits for. The
// next signal is requested outside the handler: if a fork takes longer than the timer, nothing
// else would run.
static int use_brood_under_a_timer(void *unused)
{
    enum { FORKS = 400 };
    const struct itimerval soon = { .it_value = { 0, 500 } };
    const struct sigaction action = { .sa_handler = fork_in_handler, .sa_flags = SA_RESTART };
    const int64_t deadline = brood_clock() + MEETING_PATIENCE / 2;
    (void)unused;
    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    while (forks < FORKS && brood_clock() < deadline) {
        if (!is_coming) {
            is_coming = 1;
            CHECK(setitimer(ITIMER_REAL, &soon, NULL) == 0);
        }
        CHECK(brood_active_children(NULL, 0) == 0);
    }
    while (is_coming)
        (void)brood_parent_is_alive();
    CHECK(forks > 0);
    return 0;
}

static void a_fork_in_a_signal_handler_does_not_hang(void **state)
{
    (void)state;
    assert_process_ends(started_process(use_brood_under_a_timer, NULL, 0), 0);
}

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        // Must come first, while there are no children and servers.
        cmocka_unit_test(a_copy_keeps_no_descriptor_of_children_and_their_servers),
        cmocka_unit_test(a_copy_that_returns_from_the_target_ends_only_itself),
        cmocka_unit_test(a_copy_is_whole_before_its_thread_is_cancelled),
        cmocka_unit_test(a_forked_child_keeps_what_was_on_the_stack_of_an_uncopied_thread),
        cmocka_unit_test(the_end_of_a_copy_s_first_thread_is_not_that_of_the_original_s),
        cmocka_unit_test(text_of_a_thread_beside_a_fork_is_printed_once),
        cmocka_unit_test(the_copy_of_a_copy_leaves_the_streams_of_the_first_alone),
        cmocka_unit_test(a_fork_in_a_signal_handler_does_not_hang),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
