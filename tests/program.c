// SPDX-License-Identifier: MIT
// What can only be seen from outside: how a whole program begins and ends. The test runs this
// program again, with the name of a scenario as its argument, as the main process of another
// family, and reads what that prints.
#include "meeting.h"

#include "foreign.h"
#include "platform.h"

#include <string.h>

enum { REFUSED = 70 };

// The scenarios. Their output is in the order of events: each process flushes the lines that it
// prints.

static void say(const char *line)
{
    puts(line);
    (void)fflush(stdout);
}

static void demand(brood_status status)
{
    if (status == BROOD_OK)
        return;
    say(brood_last_error());
    _Exit(99);
}

static void handler_of_the_program(void)
{
    say("a handler of the program");
    note("program", 1);
}

static int be_thread(void *arg)
{
    (void)arg;
    CHECK(await_note("program", 1));
    say("thread");
    note("thread", 1);
    return 0;
}

static int be_daemon(void *arg)
{
    (void)arg;
    note("daemon", (uint64_t)brood_self_pid());
    (void)await_note("never", 1);
    return 0;
}

// Ends only after the daemon has ended: if the children were joined before the daemons are
// stopped, neither would end.
static int be_child(void *arg)
{
    (void)arg;
    CHECK(await_note("thread", 1));
    CHECK(platform_process_ends((brood_pid)noted("daemon")));
    say("child");
    return 0;
}

static void second_handler(void *arg)
{
    printf("%s: %d children\n", (const char *)arg, (int)brood_active_children(NULL, 0));
    (void)fflush(stdout);
}

static void first_handler(void *arg)
{
    printf("%s", (const char *)arg); // flushed only by the end of the process
}

static void older_handler_of_the_program(void)
{
    printf(", and an older handler of the program");
}

static void begin_everything(void)
{
    static char second[] = "second handler";
    static char first[] = "first handler: last words";
    const brood_process_options daemon = { .daemon = BROOD_DAEMON_YES };
    brood_init();
    if (atexit(older_handler_of_the_program) != 0)
        abort();
    demand(brood_at_exit(first_handler, first));
    demand(brood_at_exit(second_handler, second));
    demand(brood_thread_start(NULL, be_thread, NULL, 0, NULL));
    demand(brood_process_start(NULL, be_daemon, NULL, 0, &daemon));
    demand(brood_process_start(NULL, be_child, NULL, 0, NULL));
    if (atexit(handler_of_the_program) != 0)
        abort();
    (void)await_note("daemon", 1);
}

static int return_from_main(void)
{
    begin_everything();
    say("main returns");
    return 5;
}

static int exit_in_main(void)
{
    begin_everything();
    say("main exits");
    exit(6);
}

static int shut_down(void)
{
    begin_everything();
    say("main shuts down");
    // Times out: the thread waits for the program's handler.
    if (brood_shutdown(BROOD_MILLISECONDS(50)) != BROOD_TIMEOUT)
        return 1;
    note("program", 1);
    demand(brood_shutdown(BROOD_FOREVER));
    (void)fflush(stdout);
    demand(brood_shutdown(BROOD_NOW));
    if (brood_process_start(NULL, be_child, NULL, 0, NULL) != BROOD_WRONG_STATE ||
        brood_thread_start(NULL, be_thread, NULL, 0, NULL) != BROOD_WRONG_STATE)
        return 2;
    say(", and all is shut down");
    return 7;
}

static int exit_here(void *arg)
{
    (void)arg;
    say("a thread exits");
    exit(8);
}

static void exit_in_foreign_thread(void *arg)
{
    (void)exit_here(arg);
}

static void sleep_for_ever(void)
{
    for (;;)
        brood_sleep(BROOD_SECONDS(3600));
}

static int exit_in_a_thread(void)
{
    begin_everything();
    demand(brood_thread_start(NULL, exit_here, NULL, 0, NULL));
    sleep_for_ever();
    return 0;
}

static int exit_in_a_foreign_thread(void)
{
    begin_everything();
    (void)foreign_thread_start(exit_in_foreign_thread, NULL);
    sleep_for_ever();
    return 0;
}

// Text that is in the buffer of a process when it starts children.
static int add_words(void *arg)
{
    printf("%s", (const char *)arg);
    return 0;
}

static int leave_words_in_the_buffer(void)
{
    static const int32_t methods[] = { BROOD_START_DEFAULT, BROOD_START_SPAWN, BROOD_START_FORK };
    brood_init();
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        brood_process_options options = { .method = methods[i] };
        brood_process *child;
        if (!platform_has_fork() && options.method == BROOD_START_FORK)
            options.method = BROOD_START_DEFAULT;
        printf("before %d, ", (int)i);
        demand(brood_process_start(&child, add_words, "child, ", sizeof "child, ", &options));
        demand(brood_process_join(child, MEETING_PATIENCE, NULL));
        brood_process_drop(child);
    }
    printf("end");
    return 0;
}

// Before brood_init

static int start_before_init(void)
{
    brood_lock lock = { 0 };
    brood_thread *thread = NULL;
    brood_process *child = NULL;
    uint64_t value = 0;
    const brood_status statuses[] = {
        brood_process_start(&child, add_words, "x", sizeof "x", NULL),
        brood_thread_start(&thread, add_words, "x", sizeof "x", NULL),
        brood_lock_create(&lock),
        brood_lock_acquire(lock, BROOD_FOREVER),
        brood_registry_set("name", 1),
        brood_registry_get("name", &value),
        brood_parent_wait(BROOD_FOREVER),
        brood_shutdown(BROOD_FOREVER),
        brood_at_exit(first_handler, NULL),
    };
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++)
        say(brood_status_name(statuses[i]));
    if (child || thread || lock.id || value)
        return 1;
    say(brood_last_error());
    return 0;
}

// A main that ignores that it may run in a child.
static int use_before_init(void)
{
    brood_lock lock;
    say(brood_status_name(brood_lock_create(&lock)));
    brood_init();
    brood_init(); // a second call does nothing
    brood_process *child = NULL;
    const brood_status status =
        brood_process_start(&child, add_words, "x", sizeof "x",
                            &(brood_process_options){ .method = BROOD_START_SPAWN });
    say(brood_status_name(status));
    say(brood_last_error());
    return child != NULL;
}

static int never_reach_init(void)
{
    const char *const environment[] = { "BROOD_TEST_SKIP=1", NULL };
    const brood_process_options options = { .method = BROOD_START_SPAWN,
                                            .environment = environment };
    if (getenv("BROOD_TEST_SKIP"))
        return 3;
    brood_init();
    brood_process *child = NULL;
    say(brood_status_name(brood_process_start(&child, add_words, "x", sizeof "x", &options)));
    say(brood_last_error());
    return child != NULL || brood_active_children(NULL, 0) != 0;
}

static int just_begin(void)
{
    brood_init();
    const char *announcement = getenv("BROOD_BOOT");
    if (announcement && announcement[0])
        say("with an announcement");
    say("main runs");
    return 0;
}

static int init_with_a_later_version(void)
{
    brood_init_with(BROOD_VERSION_NUMBER + 1, atexit);
    say("main runs");
    return 0;
}

// An entry of `environment` that looks like an announcement is not one.
static int pass_on_a_forgery(void)
{
    const char *const environment[] = { "BROOD_BOOT=3:4:1", NULL };
    const brood_process_options options = { .method = BROOD_START_SPAWN,
                                            .environment = environment };
    brood_process *child;
    brood_exit ended;
    brood_init();
    demand(brood_process_start(&child, add_words, "child", sizeof "child", &options));
    demand(brood_process_join(child, MEETING_PATIENCE, &ended));
    brood_process_drop(child);
    return brood_exit_number(ended);
}

// The default method

static bool has_started;

// Prints how this process was made, and starts a child that does so too if `*arg` is above 1.
static int print_origin(void *arg)
{
    const int generations = *(int *)arg - 1;
    const bool is_direct = platform_parent_of(brood_self_pid()) == brood_parent_pid();
    say(!is_direct ? "by a server" : has_started ? "a copy" : "executed by its parent");
    has_started = true;
    if (generations == 0)
        return 0;
    brood_process *child;
    demand(brood_process_start(&child, print_origin, &generations, sizeof generations, NULL));
    demand(brood_process_join(child, MEETING_PATIENCE, NULL));
    brood_process_drop(child);
    return 0;
}

static int start_by_default(void)
{
    enum { STARTS = 4 };
    const int generations = 2;
    brood_init();
    has_started = true;
    for (int i = 0; i < STARTS; i++) {
        brood_process *child;
        demand(brood_process_start(&child, print_origin, &generations, sizeof generations, NULL));
        demand(brood_process_join(child, MEETING_PATIENCE, NULL));
        brood_process_drop(child);
    }
    return 0;
}

static int start_by_default_beside_a_thread(void)
{
    brood_init();
    brood_thread *thread;
    demand(brood_thread_start(&thread, be_thread, NULL, 0, NULL));
    (void)start_by_default();
    note("program", 1);
    demand(brood_thread_join(thread, MEETING_PATIENCE, NULL));
    brood_thread_drop(thread);
    return 0;
}

// Ends by force

enum { RELATIVES = 5 };

static void say_relative(int number)
{
    printf("%d %lld\n", number, (long long)brood_self_pid());
    (void)fflush(stdout);
}

static int be_relative(void *arg)
{
    const int number = *(int *)arg;
    if (number == 1 || number == 2) {
        const int child = number + 2;
        CHECK(brood_process_start(NULL, be_relative, &child, sizeof child, NULL) == BROOD_OK);
    }
    say_relative(number);
    (void)await_note("never", 1);
    return 0;
}

static int start_in_a_thread(void *arg)
{
    CHECK(brood_process_start(NULL, be_relative, arg, sizeof(int), NULL) == BROOD_OK);
    return 0;
}

static void begin_relatives(void)
{
    const brood_process_options daemon = { .daemon = BROOD_DAEMON_YES };
    const int numbers[] = { 0, 1, 2 };
    brood_thread *thread;
    int code;
    brood_init();
    demand(brood_process_start(NULL, be_relative, &numbers[0], sizeof(int), &daemon));
    demand(brood_process_start(NULL, be_relative, &numbers[1], sizeof(int), NULL));
    demand(brood_thread_start(&thread, start_in_a_thread, &numbers[2], sizeof(int), NULL));
    demand(brood_thread_join(thread, MEETING_PATIENCE, &code));
    brood_thread_drop(thread);
}

static int sleep_for_ever_in_child(void *unused)
{
    (void)unused;
    sleep_for_ever();
    return 0;
}

static int wait_to_be_killed(void)
{
    begin_relatives();
    sleep_for_ever();
    return 0;
}

static void stay_beside(void *unused)
{
    (void)unused;
    for (;;)
        brood_sleep(BROOD_SECONDS(1));
}

static void report_a_death(brood_start_method method)
{
    const brood_process_options options = { .method = (int32_t)method };
    brood_process *process;
    brood_exit ended;
    demand(brood_process_start(&process, sleep_for_ever_in_child, NULL, 0, &options));
    platform_process_kill(brood_process_pid(process));
    demand(brood_process_join(process, MEETING_PATIENCE, &ended));
    if (platform_has_signals() && brood_exit_number(ended) != -9)
        say("a wrong end was reported");
    brood_process_drop(process);
}

// Like a library that starts a thread when it is loaded: the fork server and every child have
// that thread too.
static int run_beside_a_thread(void)
{
    (void)foreign_thread_start(stay_beside, NULL);
    brood_init();
    report_a_death(BROOD_START_SPAWN);
    if (platform_has_fork())
        report_a_death(BROOD_START_FORKSERVER);
    say("done");
    return 0;
}

// Processes that live on when the main process is killed: a survivor and its child, a guest and
// its child. A tied child, of the fork server if there is one, does not.

static int be_lasting(void *arg)
{
    const int number = *(int *)arg;
    const int child = number + 1;
    if (number % 2 == 0)
        CHECK(brood_process_start(NULL, be_lasting, &child, sizeof child, NULL) == BROOD_OK);
    say_relative(number);
    (void)await_note("never", 1);
    return 0;
}

static int leave_lasting_processes(void)
{
    enum { SURVIVOR = 0, GUEST = 2, TIED = 4 };
    static int numbers[] = { 0, 1, 2, 3, 4 };
    const brood_process_options surviving = { .survive_parent = true };
    const brood_process_options server = { .method = BROOD_START_FORKSERVER };
    brood_init();
    demand(brood_process_start(NULL, be_lasting, &numbers[SURVIVOR], sizeof(int), &surviving));
    demand(brood_process_start(NULL, be_relative, &numbers[TIED], sizeof(int),
                               platform_has_fork() ? &server : NULL));
    if (platform_guest_start(be_lasting, &numbers[GUEST]) == 0)
        printf("2 -1\n3 -1\n"); // there are no guests
    (void)fflush(stdout);
    sleep_for_ever();
    return 0;
}

// A guest that lives longer than the main process, with which it has passed a barrier.

static int pass(void *arg)
{
    return (int)brood_barrier_wait(*(brood_barrier *)arg, MEETING_PATIENCE, NULL);
}

static int pass_once_more(void *arg)
{
    brood_thread *thread;
    int code = -1;
    demand((brood_status)pass(arg));
    demand(brood_parent_wait(MEETING_PATIENCE));
    demand(brood_thread_start(&thread, pass, arg, sizeof(brood_barrier), NULL));
    demand((brood_status)pass(arg));
    demand(brood_thread_join(thread, MEETING_PATIENCE, &code));
    brood_thread_drop(thread);
    demand((brood_status)code);
    say("passed without main");
    return 0;
}

static int pass_and_return(void)
{
    brood_barrier barrier;
    brood_init();
    demand(brood_barrier_create(&barrier, 2));
    if (platform_guest_start(pass_once_more, &barrier) == 0) {
        say("passed without main"); // there are no guests
        return 0;
    }
    return pass(&barrier);
}

static int crash_at_the_end_of_input(void)
{
    begin_relatives();
    const int64_t deadline = brood_clock() + MEETING_PATIENCE;
    while (getchar() != EOF && brood_clock() < deadline)
        continue;
    platform_crash();
}

static const struct {
    const char *name;
    int (*run)(void);
} scenarios[] = {
    { "return_from_main", return_from_main },
    { "exit_in_main", exit_in_main },
    { "shut_down", shut_down },
    { "exit_in_a_thread", exit_in_a_thread },
    { "exit_in_a_foreign_thread", exit_in_a_foreign_thread },
    { "leave_words_in_the_buffer", leave_words_in_the_buffer },
    { "start_before_init", start_before_init },
    { "use_before_init", use_before_init },
    { "never_reach_init", never_reach_init },
    { "just_begin", just_begin },
    { "init_with_a_later_version", init_with_a_later_version },
    { "pass_on_a_forgery", pass_on_a_forgery },
    { "wait_to_be_killed", wait_to_be_killed },
    { "leave_lasting_processes", leave_lasting_processes },
    { "pass_and_return", pass_and_return },
    { "crash_at_the_end_of_input", crash_at_the_end_of_input },
    { "run_beside_a_thread", run_beside_a_thread },
    { "start_by_default", start_by_default },
    { "start_by_default_beside_a_thread", start_by_default_beside_a_thread },
};

// The tests

static char printed[16384];

static void read_printed(const char *path)
{
    FILE *file = fopen(path, "r"); // as text: line ends are the same everywhere
    assert_non_null(file);
    printed[fread(printed, 1, sizeof printed - 1, file)] = 0;
    (void)fclose(file);
    char *to = printed;
    for (const char *from = printed; *from; from++) // a refusal is written past the C library
        if (*from != '\r')
            *to++ = *from;
    *to = 0;
}

// Runs a scenario to its end and returns its exit code.
static int run_scenario(const char *name, const char *variable)
{
    char path[512];
    foreign_file_name(path, sizeof path, name);
    const platform_program program = platform_program_start(name, variable, path);
    platform_program_close_input(program);
    const int code = platform_program_wait(program);
    read_printed(path);
    foreign_file_remove(path);
    return code;
}

static void assert_scenario(const char *name, int code, const char *text)
{
    const int ended = run_scenario(name, NULL);
    if (ended != code || strcmp(printed, text) != 0)
        fail_msg("%s ended with %d instead of %d, and printed\n%s\ninstead of\n%s", name, ended,
                 code, printed, text);
}

static void the_end_has_one_order_after_a_return(void **state)
{
    (void)state;
    assert_scenario("return_from_main", 5,
                    "main returns\n"
                    "a handler of the program\n"
                    "thread\n"
                    "child\n"
                    "second handler: 0 children\n"
                    "first handler: last words, and an older handler of the program");
}

static void the_end_has_the_same_order_after_an_exit(void **state)
{
    (void)state;
    assert_scenario("exit_in_main", 6,
                    "main exits\n"
                    "a handler of the program\n"
                    "thread\n"
                    "child\n"
                    "second handler: 0 children\n"
                    "first handler: last words, and an older handler of the program");
}

static void a_shutdown_runs_the_whole_end(void **state)
{
    (void)state;
    assert_scenario("shut_down", 7,
                    "main shuts down\n"
                    "thread\n"
                    "child\n"
                    "second handler: 0 children\n"
                    "first handler: last words, and all is shut down\n"
                    "a handler of the program\n"
                    ", and an older handler of the program");
}

static void a_thread_may_end_the_process(void **state)
{
    (void)state;
    static const char *const names[] = { "exit_in_a_thread", "exit_in_a_foreign_thread" };
    for (size_t i = 0; i < 2; i++)
        assert_scenario(names[i], 8,
                        "a thread exits\n"
                        "a handler of the program\n"
                        "thread\n"
                        "child\n"
                        "second handler: 0 children\n"
                        "first handler: last words, and an older handler of the program");
}

static void printed_text_comes_out_once(void **state)
{
    (void)state;
    assert_scenario("leave_words_in_the_buffer", 0,
                    "before 0, child, before 1, child, before 2, child, end");
}

static void nothing_is_started_before_init(void **state)
{
    (void)state;
    assert_int_equal(run_scenario("start_before_init", NULL), 0);
    const char *line = printed;
    for (int i = 0; i < 9; i++) {
        if (strncmp(line, "BROOD_NOT_INITIALIZED\n", strlen("BROOD_NOT_INITIALIZED\n")) != 0)
            fail_msg("call %d: %s", i, printed);
        line += strlen("BROOD_NOT_INITIALIZED\n");
    }
    assert_string_equal(
        line,
        "brood_at_exit: brood_init has not run in this process: brood_init() must be the first "
        "statement of main\n");
}

static void a_child_that_uses_brood_before_init_ends_with_one_line(void **state)
{
    (void)state;
    assert_scenario("use_before_init", 0,
                    "BROOD_NOT_INITIALIZED\n"
                    "brood: this process was started as a child, but its main used brood before "
                    "brood_init(), which "
                    "must be the first statement\n"
                    "BROOD_SYSTEM\n"
                    "brood_process_start: the operating system failed in an unexpected way: the "
                    "child ended before it "
                    "reached its target: exited with code 70\n");
}

static void a_child_that_never_reaches_init_is_reported(void **state)
{
    (void)state;
    assert_int_equal(run_scenario("never_reach_init", NULL), 0);
    const char *first = "BROOD_SYSTEM\nbrood_process_start: ";
    if (strncmp(printed, first, strlen(first)) != 0 ||
        !strstr(printed, "before it reached its target"))
        fail_msg("printed %s", printed);
}

// One line of the library, and no output of the program.
static void assert_refusal(int code)
{
    const char *end = strchr(printed, '\n');
    if (code != REFUSED || strncmp(printed, "brood: brood_init: ", 19) != 0 || !end || end[1] != 0)
        fail_msg("ended with %d and printed\n%s", code, printed);
}

static void assert_begins_as_main(const char *variable)
{
    const int code = run_scenario("just_begin", variable);
    if (code != 0 || strcmp(printed, "main runs\n") != 0)
        fail_msg("%s: ended with %d and printed\n%s", variable ? variable : "no variable", code,
                 printed);
}

// No parent has announced it, so the program begins as a main process, and a program that it
// executes finds no announcement.
static void a_forged_announcement_is_ignored_and_erased(void **state)
{
    (void)state;
    static char long_one[8192] = "BROOD_BOOT=3:4:";
    memset(long_one + strlen(long_one), '1', sizeof long_one - 1 - strlen(long_one));
    const char *const forgeries[] = {
        "BROOD_BOOT=1",
        "BROOD_BOOT=garbage",
        "BROOD_BOOT=3:4:1",
        "BROOD_BOOT=3:4:1:1",
        "BROOD_BOOT=0:1:2",
        "BROOD_BOOT=-1:-2:3",
        "BROOD_BOOT=1:2:3:4",
        "BROOD_BOOT=%s%n:%d:%x",
        "BROOD_BOOT=::",
        "BROOD_BOOT=:::",
        "BROOD_BOOT= 3: 4: 1",
        "BROOD_BOOT=+3:+4:+1",
        "BROOD_BOOT=3:4:1x",
        "BROOD_BOOT=4294967299:4294967300:1",
        "BROOD_BOOT=3:4:11111111111111111",
        "BROOD_BOOT=9999999:5:6",
        "BROOD_BOOT=ffffffffffffffff:ffffffffffffffff:ffffffffffffffff:1",
        "BROOD_BOOT=4:8:c:10",
        "BROOD_BOOT=99999999999999999999:99999999999999999999:1",
        "BROOD_BOOT=\xc3\xa4\xff",
        long_one,
    };
    for (size_t i = 0; i < sizeof forgeries / sizeof forgeries[0]; i++)
        assert_begins_as_main(forgeries[i]);
    assert_begins_as_main("BROOD_BOOT="); // an empty announcement
    assert_begins_as_main(NULL);
}

static void a_program_of_a_later_version_is_refused(void **state)
{
    (void)state;
    assert_refusal(run_scenario("init_with_a_later_version", NULL));
    if (!strstr(printed, brood_version()))
        fail_msg("%s does not name the version", printed);
}

static void an_announcement_of_the_program_s_own_is_not_passed_on(void **state)
{
    (void)state;
    assert_scenario("pass_on_a_forgery", 0, "child");
}

#define TWICE(text) text text
#define ALL_EXECUTED TWICE(TWICE(TWICE("executed by its parent\n")))

static void assert_scenario_under(const char *variable, const char *name, const char *text)
{
    assert_int_equal(run_scenario(name, variable), 0);
    assert_string_equal(printed, text);
}

static void the_default_executes_the_program_again_however_often(void **state)
{
    (void)state;
    assert_scenario_under("BROOD_START_METHOD=", "start_by_default", ALL_EXECUTED);
    assert_scenario_under("BROOD_START_METHOD=spawn", "start_by_default", ALL_EXECUTED);
}

static void an_unknown_method_in_the_environment_is_reported_once(void **state)
{
    (void)state;
    static const char unknown[] =
        "brood: BROOD_START_METHOD=bogus is ignored: the methods are \"spawn\", "
        "\"forkserver\" and \"fork\"\n" ALL_EXECUTED;
    static const char lacking[] =
        "brood: BROOD_START_METHOD=fork is ignored: this system has no fork\n" ALL_EXECUTED;
    assert_scenario_under("BROOD_START_METHOD=bogus", "start_by_default", unknown);
    if (!platform_has_fork())
        assert_scenario_under("BROOD_START_METHOD=fork", "start_by_default", lacking);
}

static void a_copy_by_the_environment_beside_threads_is_a_fresh_image_instead(void **state)
{
    (void)state;
    if (!platform_has_fork()) {
        print_message("this system has no fork\n");
        skip();
    }
    assert_scenario_under("BROOD_START_METHOD=fork", "start_by_default_beside_a_thread",
                          "executed by its parent\na copy\n"
                          "executed by its parent\na copy\n"
                          "executed by its parent\na copy\n"
                          "executed by its parent\na copy\nthread\n");
}

// Waits until all relatives of the main process have printed their pids, which are stored in the
// order of the relatives' numbers.
static void await_relatives(const char *path, brood_pid pids[RELATIVES])
{
    int known = 0;
    const int64_t deadline = brood_clock() + MEETING_PATIENCE;
    while (known < RELATIVES && brood_clock() < deadline) {
        brood_sleep(BROOD_MILLISECONDS(5));
        read_printed(path);
        known = 0;
        for (int number = 0; number < RELATIVES; number++) {
            char start[16];
            long long pid = 0;
            (void)snprintf(start, sizeof start, "%d ", number);
            for (const char *line = printed; line && *line;
                 line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
                if (strncmp(line, start, strlen(start)) == 0 && strchr(line, '\n'))
                    pid = strtoll(line + strlen(start), NULL, 10);
            pids[number] = (brood_pid)pid;
            known += pid != 0;
        }
    }
    assert_int_equal(known, RELATIVES);
}

static platform_program started_scenario(const char *name, char *path, size_t capacity)
{
    foreign_file_name(path, capacity, name);
    FILE *empty = fopen(path, "w");
    assert_non_null(empty);
    (void)fclose(empty);
    return platform_program_start(name, NULL, path);
}

static void expect_all_to_die(const char *scenario, bool by_kill)
{
    char path[512];
    brood_pid pids[RELATIVES];
    const platform_program program = started_scenario(scenario, path, sizeof path);
    await_relatives(path, pids);
    for (int i = 0; i < RELATIVES; i++)
        assert_true(platform_process_lives(pids[i]));
    if (by_kill)
        platform_process_kill(program.pid);
    platform_program_close_input(program);
    const int64_t before = brood_clock();
    for (int i = 0; i < RELATIVES; i++)
        if (!platform_process_ends(pids[i]))
            fail_msg("relative %d lives on", i);
    print_message("%s: all gone %d ms later\n", scenario,
                  (int)((brood_clock() - before) / 1000000));
    assert_true(platform_program_wait(program) != 0 || !platform_has_signals());
    foreign_file_remove(path);
}

static void a_thread_from_before_brood_init_hides_no_death(void **state)
{
    (void)state;
    assert_scenario("run_beside_a_thread", 0, "done\n");
}

static void survivors_and_guests_stay_when_the_main_process_is_killed(void **state)
{
    (void)state;
    enum { TIED = RELATIVES - 1 };
    char path[512];
    brood_pid pids[RELATIVES];
    const platform_program program = started_scenario("leave_lasting_processes", path, sizeof path);
    await_relatives(path, pids);
    platform_process_kill(program.pid);
    platform_program_close_input(program);
    assert_true(platform_process_ends(pids[TIED]));
    for (int i = 0; i < TIED; i++)
        assert_true(pids[i] < 0 || platform_process_lives(pids[i]));
    for (int i = 0; i < TIED; i += 2) {
        if (pids[i] < 0)
            continue;
        platform_process_kill(pids[i]);
        assert_true(platform_process_ends(pids[i]) && platform_process_ends(pids[i + 1]));
    }
    (void)platform_program_wait(program);
    foreign_file_remove(path);
}

static void a_main_process_that_returns_does_not_break_a_barrier(void **state)
{
    (void)state;
    char path[512];
    const int64_t deadline = brood_clock() + MEETING_PATIENCE;
    const platform_program program = started_scenario("pass_and_return", path, sizeof path);
    platform_program_close_input(program);
    assert_int_equal(platform_program_wait(program), 0);
    do {
        brood_sleep(BROOD_MILLISECONDS(5));
        read_printed(path);
    } while (!strchr(printed, '\n') && brood_clock() < deadline);
    assert_string_equal(printed, "passed without main\n");
    foreign_file_remove(path);
}

static void all_processes_die_with_a_killed_main_process(void **state)
{
    (void)state;
    expect_all_to_die("wait_to_be_killed", true);
}

static void all_processes_die_with_a_crashed_main_process(void **state)
{
    (void)state;
    expect_all_to_die("crash_at_the_end_of_input", false);
}

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof scenarios / sizeof scenarios[0]; i++)
        if (strcmp(argv[1], scenarios[i].name) == 0)
            return scenarios[i].run();
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_end_has_one_order_after_a_return),
        cmocka_unit_test(the_end_has_the_same_order_after_an_exit),
        cmocka_unit_test(a_shutdown_runs_the_whole_end),
        cmocka_unit_test(a_thread_may_end_the_process),
        cmocka_unit_test(printed_text_comes_out_once),
        cmocka_unit_test(nothing_is_started_before_init),
        cmocka_unit_test(a_child_that_uses_brood_before_init_ends_with_one_line),
        cmocka_unit_test(a_child_that_never_reaches_init_is_reported),
        cmocka_unit_test(a_forged_announcement_is_ignored_and_erased),
        cmocka_unit_test(a_program_of_a_later_version_is_refused),
        cmocka_unit_test(an_announcement_of_the_program_s_own_is_not_passed_on),
        cmocka_unit_test(the_default_executes_the_program_again_however_often),
        cmocka_unit_test(an_unknown_method_in_the_environment_is_reported_once),
        cmocka_unit_test(a_copy_by_the_environment_beside_threads_is_a_fresh_image_instead),
        cmocka_unit_test(a_thread_from_before_brood_init_hides_no_death),
        cmocka_unit_test(a_main_process_that_returns_does_not_break_a_barrier),
        cmocka_unit_test(all_processes_die_with_a_killed_main_process),
        cmocka_unit_test(all_processes_die_with_a_crashed_main_process),
        cmocka_unit_test(survivors_and_guests_stay_when_the_main_process_is_killed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
