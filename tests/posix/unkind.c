// SPDX-License-Identifier: MIT
// What programs do to themselves and to what the library has open, by system calls of their own:
// close descriptors that they do not know, cancel threads, hide processes.
#include "../meeting.h"

#include "../foreign.h"
#include "../methods.h"
#include "../platform.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int stay(void *arg)
{
    (void)arg;
    CHECK(await_note("leave", 1));
    return 0;
}

// Descriptors

static void a_living_child_is_not_taken_for_ended_when_its_descriptor_is_closed(void **state)
{
    (void)state;
    static const int32_t methods[] = { BROOD_START_SPAWN, BROOD_START_FORKSERVER,
                                       BROOD_START_FORK };
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        const brood_process_options options = { .method = methods[i] };
        brood_process *process = NULL;
        intptr_t descriptor = -1;
        note("leave", 0);
        assert_status(brood_process_start(&process, stay, NULL, 0, &options), BROOD_OK);
        if (brood_process_native(process, &descriptor) == BROOD_OK)
            platform_close(descriptor);
        assert_status(brood_process_join(process, BROOD_MILLISECONDS(50), NULL), BROOD_TIMEOUT);
        assert_true(brood_process_is_alive(process));
        note("leave", 1);
        assert_process_ends(process, 0);
    }
}

static int close_all_and_start(void *arg)
{
    const bool opens = *(bool *)arg;
    static const brood_process_options fresh = { .method = BROOD_START_SPAWN };
    brood_process *process = NULL;
    for (int descriptor = 3; descriptor < 64; descriptor++)
        (void)close(descriptor);
    for (int i = 0; opens && i < 8; i++)
        CHECK(dup(STDERR_FILENO) >= 0);
    CHECK(brood_process_start(&process, stay, NULL, 0, &fresh) == BROOD_WRONG_STATE);
    CHECK(strstr(brood_last_error(), "the memory of the family"));
    CHECK(!!strstr(brood_last_error(), "opened another file") == opens);
    CHECK(!process && brood_active_children(NULL, 0) == 0);
    return 0;
}

static void a_start_after_the_memory_was_closed_reports_it(void **state)
{
    (void)state;
    for (int opens = 0; opens < 2; opens++) {
        bool arg = opens;
        assert_int_equal(platform_guest(close_all_and_start, &arg), 0);
    }
}

// Cancellation

static void wait_for_the_parent(void *unused)
{
    (void)unused;
    (void)brood_parent_wait(BROOD_FOREVER);
}

static int cancel_waits_for_the_parent(void *arg)
{
    enum { ROUNDS = 50 };
    (void)arg;
    const size_t before = platform_descriptor_count();
    for (int i = 0; i < ROUNDS; i++) {
        foreign_thread *thread = foreign_thread_start(wait_for_the_parent, NULL);
        brood_sleep(BROOD_MILLISECONDS(1));
        foreign_thread_cancel(thread);
        foreign_thread_join(thread);
    }
    CHECK(platform_descriptor_count() == before);
    return 0;
}

static void a_cancelled_wait_for_the_parent_leaves_no_descriptor(void **state)
{
    (void)state;
    assert_process_ends(started_process(cancel_waits_for_the_parent, NULL, 0), 0);
}

// Returns 1 if its thread can be cancelled, 2 if it cannot.
static int return_cancelability(void *arg)
{
    int before = -1;
    (void)arg;
    CHECK(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before) == 0);
    return before == PTHREAD_CANCEL_ENABLE ? 1 : 2;
}

static int expect_the_same_in_a_copy(void *arg)
{
    const brood_process_options options = { .method = BROOD_START_FORK, .fork_with_threads = true };
    const int states[] = { PTHREAD_CANCEL_ENABLE, PTHREAD_CANCEL_DISABLE };
    (void)arg;
    for (int i = 0; i < 2; i++) {
        brood_process *process;
        brood_exit ended;
        CHECK(pthread_setcancelstate(states[i], NULL) == 0);
        CHECK(brood_process_start(&process, return_cancelability, NULL, 0, &options) == BROOD_OK);
        CHECK(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL) == 0);
        CHECK(brood_process_join(process, MEETING_PATIENCE, &ended) == BROOD_OK);
        CHECK(brood_exit_number(ended) == i + 1);
        brood_process_drop(process);
    }
    return 0;
}

static void a_forked_child_is_as_cancellable_as_the_thread_that_started_it(void **state)
{
    (void)state;
    assert_int_equal(expect_the_same_in_a_copy(NULL), 0);
    if (platform_copy_is_safe_beside_threads())
        assert_thread_ends(started_thread(expect_the_same_in_a_copy, NULL, 0), 0);
}

// Signals

// On some processors all calls of sockets share one number.
#if defined(SYS_socketcall)
#define SOCKETCALL SYS_socketcall
#else
#define SOCKETCALL UINT32_MAX
#endif

// Refuses a system call to this process and its children. False if the system has no filters.
// Where all calls of sockets share one number, `of_sockets` selects one.
static bool refuse_call(uint32_t number, uint32_t of_sockets)
{
    enum {
        LOAD = 0x20,
        IS_EQUAL = 0x15,
        ANSWER = 0x06,
        MODE_FILTER = 2,
        NUMBER = 0,
        FIRST_ARGUMENT = 16
    };
    const uint32_t refuse = 0x00050000 | EPERM;
    const uint32_t allow = 0x7fff0000;
    struct {
        uint16_t code;
        uint8_t if_so;
        uint8_t if_not;
        uint32_t value;
    } steps[] = {
        { LOAD, 0, 0, NUMBER },         { IS_EQUAL, 4, 0, number },
        { IS_EQUAL, 0, 2, SOCKETCALL }, { LOAD, 0, 0, FIRST_ARGUMENT },
        { IS_EQUAL, 1, 0, of_sockets }, { ANSWER, 0, 0, allow },
        { ANSWER, 0, 0, refuse },
    };
    const struct {
        unsigned short count;
        const void *steps;
    } filter = { sizeof steps / sizeof steps[0], steps };
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, MODE_FILTER, &filter) == 0;
}

#if defined(SYS_fcntl64)
#define FCNTL SYS_fcntl64
#else
#define FCNTL SYS_fcntl
#endif

struct refused {
    uint32_t call;
    uint32_t of_sockets;
    int32_t method;
    const char *named;
};

static int start_without_a_call(void *arg)
{
    const struct refused *refused = arg;
    const brood_process_options options = { .method = refused->method };
    brood_process *process = NULL;
    if (!refuse_call(refused->call, refused->of_sockets))
        return 77;
    const brood_status status = brood_process_start(&process, stay, NULL, 0, &options);
    if (status != BROOD_DENIED || !strstr(brood_last_error(), refused->named)) {
        print_error("\"%s\" does not name %s\n", brood_last_error(), refused->named);
        return 1;
    }
    return 0;
}

static void a_start_names_the_call_that_was_refused(void **state)
{
    (void)state;
    struct refused rows[] = {
        { SYS_getsockname, 6, BROOD_START_SPAWN, "getsockname (1)" },
        { SYS_getsockname, 6, BROOD_START_FORKSERVER, "getsockname (1)" },
        { SYS_getpeername, 7, BROOD_START_SPAWN, "getpeername (1)" },
        { SYS_getsockopt, 15, BROOD_START_SPAWN, "SO_PEERCRED (1)" },
        { FCNTL, 0, BROOD_START_FORKSERVER, "F_GETFD for a resource (1)" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const int code = platform_guest(start_without_a_call, &rows[i]);
        if (code == 77) {
            print_message("this system has no filters of system calls\n");
            skip();
        }
        assert_int_equal(code, 0);
    }
}

static int stay_for_ever(void *unused)
{
    (void)unused;
    note("daemons", noted("daemons") + 1);
    (void)await_note("never", 1);
    return 0;
}

// Returns 77 if the system has no filters.
static int end_with_daemons(void *unused)
{
    enum { PIDFD_SEND_SIGNAL = 424 };
    static const int32_t methods[] = { BROOD_START_SPAWN, BROOD_START_FORKSERVER,
                                       BROOD_START_FORK };
    (void)unused;
    if (!refuse_call(PIDFD_SEND_SIGNAL, 0))
        return 77;
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        const brood_process_options options = { .daemon = BROOD_DAEMON_YES, .method = methods[i] };
        CHECK(brood_process_start(NULL, stay_for_ever, NULL, 0, &options) == BROOD_OK);
        CHECK(await_note("daemons", i + 1));
    }
    return 0;
}

static void a_daemon_is_stopped_where_signals_by_descriptor_are_refused(void **state)
{
    (void)state;
    const brood_process_options fresh = { .method = BROOD_START_SPAWN };
    brood_process *process = NULL;
    brood_exit ended;
    note("daemons", 0);
    assert_status(brood_process_start(&process, end_with_daemons, NULL, 0, &fresh), BROOD_OK);
    assert_status(brood_process_join(process, MEETING_PATIENCE, &ended), BROOD_OK);
    brood_process_drop(process);
    if (brood_exit_number(ended) == 77) {
        print_message("this system has no filters of system calls\n");
        skip();
    }
    assert_int_equal(brood_exit_number(ended), 0);
}

// Gives up the right to signal its daemons, one of which it still has a reference to. Returns 77 if
// it has no such right.
static int end_beside_daemons_of_another_user(void *unused)
{
    enum { NOBODY = 65534 };
    const brood_process_options options = { .daemon = BROOD_DAEMON_YES,
                                            .method = BROOD_START_SPAWN };
    brood_process *process = NULL;
    (void)unused;
    const size_t before = platform_descriptor_count();
    CHECK(brood_process_start(NULL, stay, NULL, 0, &options) == BROOD_OK);
    CHECK(brood_process_start(&process, stay, NULL, 0, &options) == BROOD_OK);
    if (getuid() != 0 || setgid(NOBODY) != 0 || setuid(NOBODY) != 0 ||
        brood_process_kill(process) == BROOD_OK)
        return 77;
    CHECK(brood_shutdown(BROOD_FOREVER) == BROOD_OK);
    CHECK(brood_active_children(NULL, 0) == 0);
    CHECK(brood_process_is_alive(process));
    note("leave", 1);
    CHECK(brood_process_join(process, MEETING_PATIENCE, NULL) == BROOD_OK);
    CHECK(brood_process_report(process, NULL) == BROOD_OK);
    brood_process_drop(process);
    CHECK(platform_descriptor_count() == before);
    return 0;
}

static void a_daemon_that_cannot_be_signalled_is_given_up_at_the_end(void **state)
{
    const brood_process_options fresh = { .method = BROOD_START_SPAWN };
    brood_process *process = NULL;
    brood_exit ended;
    (void)state;
    note("leave", 0);
    assert_status(
        brood_process_start(&process, end_beside_daemons_of_another_user, NULL, 0, &fresh),
        BROOD_OK);
    assert_status(brood_process_join(process, MEETING_PATIENCE, &ended), BROOD_OK);
    brood_process_drop(process);
    note("leave", 1);
    if (brood_exit_number(ended) == 77) {
        print_message("no right to become another user\n");
        skip();
    }
    assert_int_equal(brood_exit_number(ended), 0);
}

// Copies

// Counts the descriptors of kinds that only the library opens here.
static unsigned count_of_library(void)
{
    unsigned count = 0;
    char path[64];
    char target[64];
    for (int i = STDERR_FILENO + 1; i < 1024; i++) {
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", i);
        const ssize_t length = readlink(path, target, sizeof target - 1);
        target[length > 0 ? length : 0] = 0;
        count += strncmp(target, "socket:", 7) == 0 || strstr(target, "pidfd");
    }
    return count;
}

static int count_inherited(void *arg)
{
    (void)arg;
    return (int)count_of_library();
}

static unsigned count_in_copy(void)
{
    int status = 0;
    const pid_t copy = fork();
    if (copy == 0)
        _exit((int)count_of_library());
    assert_int_equal(waitpid(copy, &status, 0), copy);
    return (unsigned)WEXITSTATUS(status);
}

static void a_copy_has_no_descriptors_of_its_parent_s_children(void **state)
{
    static const int32_t methods[] = { BROOD_START_SPAWN, BROOD_START_FORKSERVER,
                                       BROOD_START_FORK };
    enum { METHODS = 3 };
    brood_process *ended[METHODS];
    brood_process *living[METHODS];
    (void)state;
    note("leave", 0);
    const unsigned before = count_in_copy();
    for (int i = 0; i < METHODS; i++) {
        const brood_process_options options = { .method = methods[i] };
        assert_status(brood_process_start(&living[i], stay, NULL, 0, &options), BROOD_OK);
        assert_status(brood_process_start(&ended[i], count_inherited, NULL, 0, &options), BROOD_OK);
        assert_status(brood_process_join(ended[i], MEETING_PATIENCE, NULL), BROOD_OK);
    }
    assert_int_equal(count_in_copy(), before);
    const brood_process_options copied = { .method = BROOD_START_FORK };
    brood_process *copy = NULL;
    assert_status(brood_process_start(&copy, count_inherited, NULL, 0, &copied), BROOD_OK);
    assert_process_ends(copy, (int)before);
    note("leave", 1);
    for (int i = 0; i < METHODS; i++) {
        assert_process_ends(living[i], 0);
        brood_process_drop(ended[i]);
    }
}

static int start_until_enough(void *arg)
{
    const brood_process_options options = { .method = *(int32_t *)arg, .directory = "/" };
    while (!noted("enough")) {
        brood_process *process = NULL;
        CHECK(brood_process_start(&process, count_inherited, NULL, 0, &options) == BROOD_OK);
        CHECK(brood_process_join(process, MEETING_PATIENCE, NULL) == BROOD_OK);
        brood_process_drop(process);
    }
    return 0;
}

static void a_copy_has_no_descriptors_of_starts_by_other_threads(void **state)
{
    static const int32_t methods[] = { BROOD_START_SPAWN, BROOD_START_FORKSERVER };
    enum { THREADS = 4, COPIES = 150 };
    brood_thread *threads[THREADS];
    (void)state;
    if (!platform_copy_is_safe_beside_threads()) {
        print_message("the locks of this sanitizer do not survive a copy beside threads\n");
        skip();
    }
    const unsigned before = count_in_copy();
    note("enough", 0);
    for (int i = 0; i < THREADS; i++)
        threads[i] = started_thread(start_until_enough, &methods[i % 2], sizeof methods[0]);
    unsigned more = 0;
    for (int i = 0; i < COPIES; i++)
        more += count_in_copy() > before;
    note("enough", 1);
    for (int i = 0; i < THREADS; i++)
        assert_thread_ends(threads[i], 0);
    assert_int_equal(more, 0);
}

// Hidden processes

// What exit() runs may need files that are missing in a cell: the leak sanitizer reads /proc, and
// coverage is written beside the objects.
static int end_in_a_cell(void)
{
    _exit(0);
}

static int expect_parent_from_a_cell(void *arg)
{
    const bool inside = chroot(arg) == 0 && chdir("/") == 0; // only root may
    note("inside", inside);
    CHECK(brood_parent_is_alive());
    CHECK(brood_parent_wait(BROOD_MILLISECONDS(20)) == BROOD_TIMEOUT);
    return end_in_a_cell();
}

static void a_parent_is_not_taken_for_dead_where_processes_are_hidden(void **state)
{
    (void)state;
    char cell[600];
    foreign_file_name(cell, sizeof cell, "cell");
    assert_int_equal(mkdir(cell, 0700), 0);
    note("inside", 0);
    brood_process *process = started_process(expect_parent_from_a_cell, cell, strlen(cell) + 1);
    assert_process_ends(process, 0);
    assert_int_equal(rmdir(cell), 0);
    if (!noted("inside")) {
        print_message("no right to change the root\n");
        skip();
    }
}

// Limits

static int leave_with_7(void *arg)
{
    (void)arg;
    return 7;
}

// Runs when this program is executed with many arguments, which count against the stack that a
// new program may have.
static int start_under_a_small_stack_limit(void)
{
    struct rlimit limit;
    brood_process *process;
    brood_exit ended;
    CHECK(getrlimit(RLIMIT_STACK, &limit) == 0);
    limit.rlim_cur = 1 << 20;
    CHECK(setrlimit(RLIMIT_STACK, &limit) == 0);
    const brood_status status = brood_process_start(&process, leave_with_7, NULL, 0, NULL);
    if (status != BROOD_OK)
        (void)fprintf(stderr, "%s\n", brood_last_error());
    CHECK(status == BROOD_OK);
    CHECK(brood_process_join(process, MEETING_PATIENCE, &ended) == BROOD_OK);
    brood_process_drop(process);
    return brood_exit_number(ended);
}

enum { ARGUMENTS = 15, ARGUMENT_SIZE = 100000 };

static int execute_with_many_arguments(void *unused)
{
    static char texts[ARGUMENTS][ARGUMENT_SIZE];
    char name[] = "many arguments";
    char *argv[ARGUMENTS + 2] = { name };
    (void)unused;
    for (int i = 0; i < ARGUMENTS; i++) {
        memset(texts[i], 'x', sizeof texts[i] - 1);
        argv[i + 1] = texts[i];
    }
    (void)execve("/proc/self/exe", argv, environ);
    return 100;
}

static void a_program_with_many_arguments_has_children_under_a_small_stack_limit(void **state)
{
    (void)state;
    assert_int_equal(platform_guest(execute_with_many_arguments, NULL), 7);
}

static size_t use_stack(size_t left)
{
    volatile unsigned char room[65536];
    memset((void *)(uintptr_t)room, 1, sizeof room);
    return left <= sizeof room ? (size_t)room[7] : use_stack(left - sizeof room) + (size_t)room[9];
}

static int use_much_stack(void *arg)
{
    return use_stack(*(size_t *)arg) > 0 ? 7 : 8;
}

struct deep_start {
    brood_process_options options;
    int code;
};

static void *start_one_that_uses_much_stack(void *arg)
{
    struct deep_start *start = arg;
    const size_t bytes = 6000000; // of the usual 8 MiB
    brood_process *process;
    brood_exit ended = { .kind = BROOD_RUNNING };
    if (brood_process_start(&process, use_much_stack, &bytes, sizeof bytes, &start->options) !=
        BROOD_OK)
        return NULL;
    (void)brood_process_join(process, MEETING_PATIENCE, &ended);
    brood_process_drop(process);
    start->code = brood_exit_number(ended);
    return NULL;
}

// The thread that starts the child has a smaller stack itself.
static int start_from_a_small_thread(const brood_process_options *options)
{
    pthread_t thread;
    pthread_attr_t small;
    struct deep_start start = { *options, -1 };
    CHECK(pthread_attr_init(&small) == 0 && pthread_attr_setstacksize(&small, 1 << 18) == 0);
    CHECK(pthread_create(&thread, &small, start_one_that_uses_much_stack, &start) == 0);
    CHECK(pthread_join(thread, NULL) == 0 && pthread_attr_destroy(&small) == 0);
    return start.code;
}

// Returns 77 if this process may not set the limit.
static int start_all_from_a_small_thread(void *arg)
{
    static const int32_t methods[] = { BROOD_START_SPAWN, BROOD_START_FORKSERVER,
                                       BROOD_START_FORK };
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_STACK, &limit) == 0);
    limit.rlim_cur = *(rlim_t *)arg;
    if (setrlimit(RLIMIT_STACK, &limit) != 0)
        return 77;
    for (int i = 0; i < 6; i++) {
        const brood_process_options options = { .method = methods[i / 2],
                                                .survive_parent = i % 2,
                                                .fork_with_threads = true };
        if (methods[i / 2] == BROOD_START_FORK && !platform_copy_is_safe_beside_threads())
            continue;
        CHECK(start_from_a_small_thread(&options) == 7);
    }
    return 0;
}

static void a_child_has_the_stack_of_a_first_thread_whichever_thread_starts_it(void **state)
{
    (void)state;
    const rlim_t limits[] = { 8 << 20, RLIM_INFINITY };
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        const int code =
            platform_guest(start_all_from_a_small_thread, (void *)(uintptr_t)&limits[i]);
        if (code == 77) {
            print_message("no right to raise the limit of the stack\n");
            skip();
        }
        assert_int_equal(code, 0);
    }
}

static int do_nothing(void *unused)
{
    (void)unused;
    return 0;
}

// Forks beside a thread of brood, where no list of threads can be read.
static int fork_in_a_cell(void *arg)
{
    const brood_process_options copy = { .method = BROOD_START_FORK };
    brood_thread *thread;
    note("inside", chroot(arg) == 0 && chdir("/") == 0);
    CHECK(brood_thread_start(&thread, stay, NULL, 0, NULL) == BROOD_OK);
    CHECK(brood_process_start(NULL, do_nothing, NULL, 0, &copy) == BROOD_WRONG_STATE);
    note("leave", 1);
    CHECK(brood_thread_join(thread, MEETING_PATIENCE, NULL) == BROOD_OK);
    brood_thread_drop(thread);
    return end_in_a_cell();
}

static void a_copy_beside_threads_is_refused_where_threads_are_hidden(void **state)
{
    (void)state;
    char cell[600];
    const brood_process_options fresh = { .method = BROOD_START_SPAWN };
    brood_process *process = NULL;
    foreign_file_name(cell, sizeof cell, "forks");
    assert_int_equal(mkdir(cell, 0700), 0);
    note("inside", 0);
    note("leave", 0);
    assert_status(brood_process_start(&process, fork_in_a_cell, cell, strlen(cell) + 1, &fresh),
                  BROOD_OK);
    assert_process_ends(process, 0);
    assert_int_equal(rmdir(cell), 0);
    if (!noted("inside")) {
        print_message("no right to change the root\n");
        skip();
    }
}

int main(int argc, char **argv)
{
    brood_init();
    if (argc > ARGUMENTS && strcmp(argv[0], "many arguments") == 0)
        return start_under_a_small_stack_limit();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_living_child_is_not_taken_for_ended_when_its_descriptor_is_closed),
        cmocka_unit_test(a_start_after_the_memory_was_closed_reports_it),
        cmocka_unit_test(a_start_names_the_call_that_was_refused),
        cmocka_unit_test(a_cancelled_wait_for_the_parent_leaves_no_descriptor),
        cmocka_unit_test(a_forked_child_is_as_cancellable_as_the_thread_that_started_it),
        cmocka_unit_test(a_daemon_is_stopped_where_signals_by_descriptor_are_refused),
        cmocka_unit_test(a_daemon_that_cannot_be_signalled_is_given_up_at_the_end),
        cmocka_unit_test(a_copy_beside_threads_is_refused_where_threads_are_hidden),
        cmocka_unit_test(a_copy_has_no_descriptors_of_its_parent_s_children),
        cmocka_unit_test(a_copy_has_no_descriptors_of_starts_by_other_threads),
        cmocka_unit_test(a_parent_is_not_taken_for_dead_where_processes_are_hidden),
        cmocka_unit_test(a_program_with_many_arguments_has_children_under_a_small_stack_limit),
        cmocka_unit_test(a_child_has_the_stack_of_a_first_thread_whichever_thread_starts_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
