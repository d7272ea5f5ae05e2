// SPDX-License-Identifier: MIT
// brood_dump(). Other threads and processes set up what a test expects, which takes them a while:
// so a test dumps until the line appears.
#include "meeting.h"

#include "../src/base/atomic.h"
#include "foreign.h"
#include "platform.h"

#include <inttypes.h>
#include <stdarg.h>

// All lines of one dump, each with a newline.
static struct {
    char text[1 << 18];
    size_t length;
    bool wrong; // a line was malformed, or did not fit
} dumped;

static void take_line(const char *text, void *user)
{
    const size_t length = strlen(text);
    dumped.wrong = dumped.wrong || user != &dumped || strchr(text, '\n') ||
                   dumped.length + length + 2 > sizeof dumped.text;
    if (dumped.wrong)
        return;
    memcpy(dumped.text + dumped.length, text, length);
    dumped.length += length;
    dumped.text[dumped.length++] = '\n';
    dumped.text[dumped.length] = 0;
}

static void dump(void)
{
    dumped.length = 0;
    assert_status(brood_dump(take_line, &dumped), BROOD_OK);
    assert_false(dumped.wrong);
}

// Clang asks for a check of the format at the call, because it is no literal here.
#if defined(__clang__)
#define FORMATTED __attribute__((__format__(__printf__, 1, 2)))
#else
#define FORMATTED
#endif

// Dumps until the text appears; false if it does not.
FORMATTED static bool await_dumped(const char *format, ...)
{
    char wanted[1024];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(wanted, sizeof wanted, format, arguments);
    va_end(arguments);
    const int64_t deadline = brood_clock() + MEETING_PATIENCE;
    for (;;) {
        dump();
        if (strstr(dumped.text, wanted))
            return true;
        if (brood_clock() > deadline)
            break;
        brood_sleep(BROOD_MILLISECONDS(1));
    }
    print_error("missing: %s\nin: %s\n", wanted, dumped.text);
    return false;
}

static int stay(void *unused)
{
    (void)unused;
    return brood_stop_wait(MEETING_PATIENCE) == BROOD_OK ? 0 : 1;
}

static void stop_process(brood_process *process)
{
    assert_status(brood_process_stop(process, MEETING_PATIENCE, NULL), BROOD_OK);
    brood_process_drop(process);
}

// Processes

static void the_main_process_is_listed(void **state)
{
    (void)state;
    dump();
    assert_int_equal(strncmp(dumped.text, "family ", 7), 0);
    assert_true(await_dumped("\nprocess %" PRId64 " \"MainProcess\": the main process\n",
                             brood_self_pid()));
}

static void each_child_is_listed_with_how_it_was_started(void **state)
{
    static const struct {
        brood_start_method method;
        const char *words;
    } rows[] = { { BROOD_START_SPAWN, "spawned" },
                 { BROOD_START_FORKSERVER, "forked by the fork server" },
                 { BROOD_START_FORK, "forked" } };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const brood_process_options options = { .method = (int32_t)rows[i].method,
                                                .name = "worker" };
        brood_process *process = NULL;
        const brood_status status = brood_process_start(&process, stay, NULL, 0, &options);
        if (status == BROOD_UNSUPPORTED && !platform_has_fork())
            continue;
        assert_status(status, BROOD_OK);
        const brood_pid pid = brood_process_pid(process);
        assert_true(await_dumped("process %" PRId64 " \"worker\": %s, started by process %" PRId64
                                 "\n",
                                 pid, rows[i].words, brood_self_pid()));
        stop_process(process);
        dump();
        assert_null(strstr(dumped.text, "worker"));
    }
}

static void a_daemon_and_a_request_to_stop_are_listed(void **state)
{
    (void)state;
    const brood_process_options options = { .daemon = BROOD_DAEMON_YES, .name = "deaf" };
    brood_process *process = NULL;
    assert_status(brood_process_start(&process, stay, NULL, 0, &options), BROOD_OK);
    assert_true(await_dumped(", started by process %" PRId64 ", a daemon\n", brood_self_pid()));
    assert_status(brood_process_request_stop(process), BROOD_OK);
    assert_true(await_dumped(", a daemon, asked to stop"));
    assert_process_ends(process, 0);
}

static void a_dead_child_is_listed_until_it_is_joined(void **state)
{
    (void)state;
    brood_process *process = started_process(stay, NULL, 0);
    const brood_pid pid = brood_process_pid(process);
    assert_status(brood_process_kill(process), BROOD_OK);
    assert_true(await_dumped("; has ended\n"));
    assert_status(brood_process_join(process, MEETING_PATIENCE, NULL), BROOD_OK);
    brood_process_drop(process);
    char line[64];
    (void)snprintf(line, sizeof line, "process %" PRId64 " ", pid);
    dump();
    assert_null(strstr(dumped.text, line));
}

static void a_long_name_is_cut_off_between_two_characters(void **state)
{
    char name[201];
    char expected[128];
    (void)state;
    for (size_t i = 0; i < 100; i++)
        memcpy(name + 2 * i + 1, "\xc3\xa9", 2); // a character of two bytes
    name[0] = 'a';
    name[200] = 0;
    (void)snprintf(expected, sizeof expected, " \"%.55s\": ", name);
    const brood_process_options options = { .name = name };
    brood_process *process = NULL;
    assert_status(brood_process_start(&process, stay, NULL, 0, &options), BROOD_OK);
    assert_string_equal(brood_process_name(process), name);
    assert_true(await_dumped("%s", expected));
    stop_process(process);
}

static void a_name_cannot_forge_a_line(void **state)
{
    (void)state;
    const brood_process_options options = { .name = "a\nprocess 1 \x1b[2J" };
    brood_process *process = NULL;
    assert_status(brood_process_start(&process, stay, NULL, 0, &options), BROOD_OK);
    assert_true(await_dumped(" \"a?process 1 ?[2J\": "));
    stop_process(process);
}

static int use_a_lock(void *arg)
{
    const brood_lock *lock = arg;
    if (brood_lock_acquire(*lock, BROOD_FOREVER) != BROOD_OK ||
        brood_lock_release(*lock) != BROOD_OK)
        return 1;
    note("guest", (uint64_t)brood_self_pid());
    return await_note("guest may go", 1) ? 0 : 2;
}

static int make_a_guest(void *arg)
{
    return platform_guest(use_a_lock, arg);
}

static void a_guest_is_listed_once_it_uses_a_shared_object(void **state)
{
    brood_lock lock;
    (void)state;
    if (!platform_has_fork())
        return;
    assert_status(brood_lock_create(&lock), BROOD_OK);
    brood_process *process = started_process(make_a_guest, &lock, sizeof lock);
    assert_true(await_note("guest", 1));
    assert_true(await_dumped("process %" PRIu64 " \"%s\": forked by the program itself\n",
                             noted("guest"), brood_process_name(process)));
    note("guest may go", 1);
    assert_process_ends(process, 0);
    assert_status(brood_lock_destroy(lock), BROOD_OK);
}

// Threads

static brood_thread *named_thread(const char *name, brood_target target, void *arg)
{
    const brood_thread_options options = { .name = name };
    brood_thread *thread = NULL;
    assert_status(brood_thread_start(&thread, target, arg, 0, &options), BROOD_OK);
    return thread;
}

static void stop_thread(brood_thread *thread)
{
    assert_status(brood_thread_request_stop(thread), BROOD_OK);
    assert_thread_ends(thread, 0);
}

static void a_thread_is_listed_with_its_name_and_what_it_waits_for(void **state)
{
    (void)state;
    brood_thread *thread = named_thread("patient", stay, NULL);
    assert_true(await_dumped("  thread %" PRIu64 " \"patient\"\n    waits to be asked to stop\n",
                             brood_thread_id(thread)));
    stop_thread(thread);
    dump();
    assert_null(strstr(dumped.text, "patient"));
}

static int join_process(void *process)
{
    return brood_process_join(process, MEETING_PATIENCE, NULL) == BROOD_OK ? 0 : 1;
}

static int join_thread(void *thread)
{
    return brood_thread_join(thread, MEETING_PATIENCE, NULL) == BROOD_OK ? 0 : 1;
}

static void a_join_is_listed_with_its_target(void **state)
{
    (void)state;
    brood_process *process = started_process(stay, NULL, 0);
    brood_thread *first = named_thread("first", join_process, process);
    brood_thread *second = named_thread("second", join_thread, first);
    assert_true(await_dumped("\"first\"\n    waits for the end of process %" PRId64 "\n",
                             brood_process_pid(process)));
    assert_true(await_dumped("\"second\"\n    waits for the end of thread %" PRIu64 "\n",
                             brood_thread_id(first)));
    assert_status(brood_process_request_stop(process), BROOD_OK);
    assert_thread_ends(second, 0);
    assert_thread_ends(first, 0);
    stop_process(process);
}

static int await_parent(void *unused)
{
    (void)unused;
    return brood_parent_wait(BROOD_FOREVER) == BROOD_OK ? 0 : 1;
}

static void a_wait_for_the_parent_is_listed(void **state)
{
    (void)state;
    brood_process *process = started_process(await_parent, NULL, 0);
    assert_true(await_dumped("    waits for the end of its parent\n"));
    kill_process(process);
}

static brood_once_flag slow = BROOD_ONCE_INIT;

static void be_slow(void)
{
    (void)brood_stop_wait(MEETING_PATIENCE);
}

static int do_once(void *unused)
{
    (void)unused;
    brood_once(&slow, be_slow);
    return 0;
}

static void a_wait_for_a_once_flag_is_listed(void **state)
{
    (void)state;
    brood_thread *runner = named_thread("runner", do_once, NULL);
    assert_true(await_dumped("\"runner\"\n    waits to be asked to stop\n"));
    brood_thread *waiter = named_thread("waiter", do_once, NULL);
    assert_true(await_dumped("\"waiter\"\n    waits for a brood_once of its process\n"));
    stop_thread(runner);
    assert_thread_ends(waiter, 0);
}

// Locks

static int hold(void *arg)
{
    const brood_lock *lock = arg;
    CHECK(brood_lock_acquire(*lock, MEETING_PATIENCE) == BROOD_OK);
    note("holder", brood_self_thread_id());
    CHECK(await_note("holder may go", 1));
    CHECK(brood_lock_release(*lock) == BROOD_OK);
    return 0;
}

static int want(void *arg)
{
    const brood_lock *lock = arg;
    CHECK(brood_lock_acquire(*lock, MEETING_PATIENCE) == BROOD_OK);
    CHECK(brood_lock_release(*lock) == BROOD_OK);
    return 0;
}

static void a_lock_is_listed_with_its_name_its_holder_and_its_waiters(void **state)
{
    brood_lock lock;
    (void)state;
    assert_status(brood_lock_create(&lock), BROOD_OK);
    assert_status(brood_registry_set("the printer", lock.id), BROOD_OK);
    brood_process *holder = started_process(hold, &lock, sizeof lock);
    assert_true(await_note("holder", 1));
    brood_process *waiter = started_process(want, &lock, sizeof lock);
    assert_true(await_dumped("  thread %" PRIu64 "\n    holds lock %016" PRIx64
                             " \"the printer\"\n",
                             noted("holder"), lock.id));
    assert_true(await_dumped("    waits for lock %016" PRIx64
                             " \"the printer\", held by thread %" PRIu64 " of process %" PRId64
                             "\n",
                             lock.id, noted("holder"), brood_process_pid(holder)));
    note("holder may go", 1);
    assert_process_ends(holder, 0);
    assert_process_ends(waiter, 0);
    dump();
    assert_null(strstr(dumped.text, "printer"));
    assert_status(brood_registry_set("the printer", 0), BROOD_OK);
    assert_status(brood_lock_destroy(lock), BROOD_OK);
}

static int take_and_leave(void *arg)
{
    const brood_lock *lock = arg;
    return brood_status_acquired(brood_lock_acquire(*lock, BROOD_NOW)) ? 0 : 1;
}

static void a_lock_of_a_thread_that_has_ended_is_listed(void **state)
{
    brood_lock lock;
    (void)state;
    assert_status(brood_lock_create(&lock), BROOD_OK);
    brood_thread *thread = NULL;
    const brood_thread_options options = { .name = "careless" };
    assert_status(brood_thread_start(&thread, take_and_leave, &lock, sizeof lock, &options),
                  BROOD_OK);
    assert_thread_ends(thread, 0);
    assert_true(await_dumped("\"careless\": has ended\n    holds lock %016" PRIx64 "\n", lock.id));
    assert_status(brood_lock_acquire(lock, MEETING_PATIENCE), BROOD_OWNER_DIED);
    assert_status(brood_lock_release(lock), BROOD_OK);
    assert_status(brood_lock_destroy(lock), BROOD_OK);
}

// Queues

static brood_queue new_queue(const char *name, size_t capacity)
{
    brood_queue queue = { 0 };
    assert_status(brood_queue_create(&queue, capacity, 100), BROOD_OK);
    assert_status(brood_registry_set(name, queue.id), BROOD_OK);
    return queue;
}

static void end_queue(const char *name, brood_queue queue)
{
    assert_status(brood_registry_set(name, 0), BROOD_OK);
    assert_status(brood_queue_destroy(queue), BROOD_OK);
}

static void a_queue_is_listed_with_how_full_it_is(void **state)
{
    (void)state;
    const brood_queue queue = new_queue("jobs", 3);
    brood_message message;
    assert_true(await_dumped("\nqueue %016" PRIx64 " \"jobs\": 0 of 3 messages\n", queue.id));
    assert_status(brood_queue_put(queue, "a", 1, BROOD_NOW), BROOD_OK);
    assert_status(brood_queue_reserve(queue, 10, &message, BROOD_NOW), BROOD_OK);
    assert_true(await_dumped(" \"jobs\": 1 of 3 messages, 1 reserved\n"));
    assert_status(brood_queue_commit(queue, &message, 10), BROOD_OK);
    assert_status(brood_queue_close(queue), BROOD_OK);
    assert_true(await_dumped(" \"jobs\": 2 of 3 messages, closed\n"));
    end_queue("jobs", queue);
    dump();
    assert_null(strstr(dumped.text, "\nqueue "));
}

static int get_one(void *arg)
{
    char byte;
    size_t size;
    return brood_queue_get(*(brood_queue *)arg, &byte, 1, &size, MEETING_PATIENCE) == BROOD_OK ? 0
                                                                                               : 1;
}

static int put_one(void *arg)
{
    return brood_queue_put(*(brood_queue *)arg, "b", 1, MEETING_PATIENCE) == BROOD_OK ? 0 : 1;
}

static void waits_for_a_queue_are_listed_with_what_for(void **state)
{
    (void)state;
    brood_queue queue = new_queue("jobs", 1);
    brood_process *consumer = started_process(get_one, &queue, sizeof queue);
    assert_true(
        await_dumped("    waits for a message of queue %016" PRIx64 " \"jobs\"\n", queue.id));
    assert_status(brood_queue_put(queue, "a", 1, BROOD_NOW), BROOD_OK);
    assert_process_ends(consumer, 0);
    assert_status(brood_queue_put(queue, "a", 1, BROOD_NOW), BROOD_OK);
    brood_process *producer = started_process(put_one, &queue, sizeof queue);
    assert_true(await_dumped("    waits for room in queue %016" PRIx64 " \"jobs\"\n", queue.id));
    assert_int_equal(get_one(&queue), 0);
    assert_process_ends(producer, 0);
    end_queue("jobs", queue);
}

static int receive_one(void *arg)
{
    char byte;
    size_t size;
    return brood_connection_receive(*(brood_connection *)arg, &byte, 1, &size, MEETING_PATIENCE) ==
                   BROOD_OK
               ? 0
               : 1;
}

static void a_connection_is_listed_with_what_is_in_it_and_who_waits(void **state)
{
    brood_connection first;
    brood_connection second;
    (void)state;
    assert_status(brood_connection_pair(&first, &second, BROOD_DUPLEX), BROOD_OK);
    assert_status(brood_registry_set("the line", second.id), BROOD_OK);
    assert_true(await_dumped(
        "\nconnection %016" PRIx64 " \"the line\"\n    from the first end: 0 of ", first.id));
    assert_non_null(strstr(dumped.text, "\n    from the second end: 0 of "));
    assert_status(brood_connection_send(first, "a", 1, BROOD_NOW), BROOD_OK);
    assert_true(await_dumped(" \"the line\"\n    from the first end: 1 of "));
    assert_int_equal(receive_one(&second), 0);
    brood_process *receiver = started_process(receive_one, &second, sizeof second);
    assert_true(await_dumped("    waits for a message of connection %016" PRIx64, first.id));
    assert_status(brood_connection_send(first, "a", 1, BROOD_NOW), BROOD_OK);
    assert_process_ends(receiver, 0);
    assert_status(brood_connection_close(first), BROOD_OK);
    assert_true(await_dumped(" \"the line\", the first end is closed\n"));
    assert_status(brood_registry_set("the line", 0), BROOD_OK);
    assert_status(brood_connection_destroy(second), BROOD_OK);
    dump();
    assert_null(strstr(dumped.text, "\nconnection "));
}

// Deadlocks. Each is made by processes that are killed then.

enum { MOST_LOCKS = 3 };

// A thread or process that acquires one lock, and when all have one, another lock.
struct part {
    brood_lock locks[MOST_LOCKS];
    unsigned first;
    unsigned second;
    unsigned count; // of those that take part
    brood_duration patience;
};

static int cross(void *arg)
{
    const struct part *part = arg;
    CHECK(brood_lock_acquire(part->locks[part->first], MEETING_PATIENCE) == BROOD_OK);
    note_of("thread", part->first, brood_self_thread_id());
    for (unsigned i = 0; i < part->count; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "thread %u", i);
        CHECK(await_note(name, 1));
    }
    (void)!brood_lock_acquire(part->locks[part->second], part->patience);
    return 0;
}

static void begin_parts(struct part *part, unsigned count)
{
    memset(part, 0, sizeof *part);
    part->count = count;
    part->patience = BROOD_FOREVER;
    for (unsigned i = 0; i < count; i++) {
        assert_status(brood_lock_create(&part->locks[i]), BROOD_OK);
        note_of("thread", i, 0);
    }
}

// The locks are left: they have dead holders.
static void end_parts(brood_process **processes, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        kill_process(processes[i]);
    dump();
    assert_null(strstr(dumped.text, "deadlock:"));
}

// Adds the n-th part of a deadlock line: a thread that waits for the lock that the next one holds.
static size_t add_part(char *text, size_t capacity, const struct part *part, const brood_pid *pids,
                       unsigned n)
{
    const unsigned next = (n + 1) % part->count;
    return (size_t)snprintf(text, capacity,
                            "thread %" PRIu64 " of process %" PRId64 " waits for lock %016" PRIx64
                            ", held by thread %" PRIu64 " of process %" PRId64,
                            noted_of("thread", n), pids[n], part->locks[next].id,
                            noted_of("thread", next), pids[next]);
}

// Expects one line with all members in order, whichever is the first.
static void expect_deadlock(const struct part *part, const brood_pid *pids)
{
    char part_text[256];
    char *line;
    assert_true(await_dumped("\ndeadlock: "));
    line = strstr(dumped.text, "\ndeadlock: ") + 1;
    assert_null(strstr(line, "\ndeadlock: "));
    const char *first = NULL;
    for (unsigned i = 0; i < part->count; i++) {
        (void)add_part(part_text, sizeof part_text, part, pids, i);
        const char *at = strstr(line, part_text);
        if (!at)
            fail_msg("%s is not in %s", part_text, line);
        first = at == line + strlen("deadlock: ") ? at : first;
    }
    assert_non_null(first);
}

static int cross_in_threads(void *arg)
{
    struct part part = *(struct part *)arg;
    brood_thread *thread;
    CHECK(brood_thread_start(&thread, cross, &part, sizeof part, NULL) == BROOD_OK);
    part.first = 1;
    part.second = 0;
    (void)cross(&part);
    return 0;
}

static void two_threads_that_wait_for_each_other_are_a_deadlock(void **state)
{
    struct part part;
    (void)state;
    begin_parts(&part, 2);
    part.second = 1;
    brood_process *process = started_process(cross_in_threads, &part, sizeof part);
    const brood_pid pid = brood_process_pid(process);
    expect_deadlock(&part, (const brood_pid[]){ pid, pid });
    end_parts(&process, 1);
}

static void processes_that_wait_for_each_other_are_a_deadlock(void **state)
{
    (void)state;
    for (unsigned count = 2; count <= MOST_LOCKS; count++) {
        struct part part;
        brood_process *processes[MOST_LOCKS];
        brood_pid pids[MOST_LOCKS];
        begin_parts(&part, count);
        for (unsigned i = 0; i < count; i++) {
            part.first = i;
            part.second = (i + 1) % count;
            processes[i] = started_process(cross, &part, sizeof part);
            pids[i] = brood_process_pid(processes[i]);
        }
        expect_deadlock(&part, pids);
        end_parts(processes, count);
    }
}

static void a_wait_with_a_deadline_is_no_deadlock(void **state)
{
    struct part part;
    brood_process *processes[2];
    (void)state;
    begin_parts(&part, 2);
    for (unsigned i = 0; i < 2; i++) {
        part.first = i;
        part.second = 1 - i;
        part.patience = i == 0 ? BROOD_FOREVER : MEETING_PATIENCE;
        processes[i] = started_process(cross, &part, sizeof part);
    }
    assert_true(await_dumped("waits for lock %016" PRIx64 ", held by", part.locks[0].id));
    assert_true(await_dumped("waits for lock %016" PRIx64 ", held by", part.locks[1].id));
    for (int i = 0; i < 20; i++) {
        dump();
        assert_null(strstr(dumped.text, "deadlock:"));
        brood_sleep(BROOD_MILLISECONDS(5));
    }
    end_parts(processes, 2);
}

static int want_for_ever(void *arg)
{
    return brood_lock_acquire(*(brood_lock *)arg, BROOD_FOREVER) == BROOD_OK ? 0 : 1;
}

static int join_a_child_that_wants_a_lock(void *arg)
{
    brood_process *child;
    brood_lock *lock = arg;
    CHECK(brood_lock_acquire(*lock, BROOD_NOW) == BROOD_OK);
    CHECK(brood_process_start(&child, want_for_ever, lock, sizeof *lock, NULL) == BROOD_OK);
    note("child", (uint64_t)brood_process_pid(child));
    return brood_process_join(child, BROOD_FOREVER, NULL) == BROOD_OK ? 0 : 1;
}

static void a_parent_that_joins_a_child_which_wants_its_lock_is_a_deadlock(void **state)
{
    brood_lock lock;
    (void)state;
    note("child", 0);
    assert_status(brood_lock_create(&lock), BROOD_OK);
    brood_process *process = started_process(join_a_child_that_wants_a_lock, &lock, sizeof lock);
    assert_true(await_note("child", 1));
    assert_true(await_dumped("\ndeadlock: "));
    const char *line = strstr(dumped.text, "deadlock: ");
    char text[128];
    (void)snprintf(text, sizeof text,
                   " of process %" PRId64 " waits for the end of process %" PRIu64,
                   brood_process_pid(process), noted("child"));
    assert_non_null(strstr(line, text));
    (void)snprintf(text, sizeof text, " of process %" PRIu64 " waits for lock %016" PRIx64,
                   noted("child"), lock.id);
    assert_non_null(strstr(line, text));
    end_parts(&process, 1);
}

// The handler of the parent's log holds a lock for a moment, inside the line of the parent's wait.
static void hold_inside_a_wait(brood_log_level level, const char *process, const char *text,
                               void *lock)
{
    (void)level, (void)process;
    if (!strstr(text, "has waited for a second for the end of process") ||
        brood_lock_acquire(*(brood_lock *)lock, BROOD_NOW) != BROOD_OK)
        return;
    note("handles", 1);
    (void)await_note("handled", 1);
    (void)!brood_lock_release(*(brood_lock *)lock);
}

static int want_what_the_handler_holds(void *arg)
{
    CHECK(await_note("handles", 1));
    return want_for_ever(arg);
}

static int join_and_log(void *arg)
{
    brood_process *child;
    brood_lock *lock = arg;
    CHECK(brood_process_start(&child, want_what_the_handler_holds, lock, sizeof *lock, NULL) ==
          BROOD_OK);
    brood_log_set_handler(hold_inside_a_wait, BROOD_LOG_DEBUG, lock);
    const brood_status status = brood_process_join(child, BROOD_FOREVER, NULL);
    brood_process_drop(child);
    return status == BROOD_OK ? 0 : 1;
}

static void a_handler_inside_a_wait_is_no_part_of_a_deadlock(void **state)
{
    brood_lock lock;
    char text[64];
    (void)state;
    note("handles", 0);
    note("handled", 0);
    assert_status(brood_lock_create(&lock), BROOD_OK);
    brood_process *process = started_process(join_and_log, &lock, sizeof lock);
    (void)snprintf(text, sizeof text, "waits for lock %016" PRIx64, lock.id);
    assert_true(await_dumped("%s", text));
    assert_null(strstr(dumped.text, "deadlock:"));
    note("handled", 1);
    assert_process_ends(process, 0);
    assert_status(brood_lock_destroy(lock), BROOD_OK);
}

static int await_parent_for_ever(void *unused)
{
    (void)unused;
    return brood_parent_wait(BROOD_FOREVER) == BROOD_OK ? 0 : 1;
}

static int join_a_child_that_waits_for_its_parent(void *unused)
{
    brood_process *child;
    (void)unused;
    CHECK(brood_process_start(&child, await_parent_for_ever, NULL, 0, NULL) == BROOD_OK);
    return brood_process_join(child, BROOD_FOREVER, NULL) == BROOD_OK ? 0 : 1;
}

static void a_parent_and_a_child_that_wait_for_each_other_are_a_deadlock(void **state)
{
    (void)state;
    brood_process *process = started_process(join_a_child_that_waits_for_its_parent, NULL, 0);
    assert_true(await_dumped("\ndeadlock: "));
    assert_non_null(strstr(strstr(dumped.text, "deadlock: "), " waits for the end of its parent"));
    end_parts(&process, 1);
}

static int join_thread_for_ever(void *thread)
{
    return brood_thread_join(thread, BROOD_FOREVER, NULL) == BROOD_OK ? 0 : 1;
}

// The thread that joins holds what the joined thread wants.
static int join_a_thread_that_wants_a_lock(void *arg)
{
    brood_thread *thread;
    CHECK(brood_lock_acquire(*(brood_lock *)arg, BROOD_NOW) == BROOD_OK);
    CHECK(brood_thread_start(&thread, want_for_ever, arg, 0, NULL) == BROOD_OK);
    note("joined", brood_thread_id(thread));
    return join_thread_for_ever(thread);
}

static void a_join_of_a_thread_is_a_part_of_a_deadlock(void **state)
{
    brood_lock lock;
    char text[128];
    (void)state;
    note("joined", 0);
    assert_status(brood_lock_create(&lock), BROOD_OK);
    brood_process *process = started_process(join_a_thread_that_wants_a_lock, &lock, sizeof lock);
    assert_true(await_note("joined", 1));
    (void)snprintf(text, sizeof text, " waits for the end of thread %" PRIu64, noted("joined"));
    assert_true(await_dumped("\ndeadlock: "));
    assert_non_null(strstr(strstr(dumped.text, "deadlock: "), text));
    end_parts(&process, 1);
}

// Long enough that the others do not only poll for the lock.
static void use_lock(void)
{
    brood_sleep(BROOD_MICROSECONDS(100));
}

// Takes both locks, while the others take one after the other: so each of the waits that would be a
// deadlock together occurs, at different moments.
static int take_both(void *arg)
{
    const brood_lock *locks = arg;
    while (!brood_stop_requested()) {
        CHECK(brood_lock_acquire(locks[0], BROOD_FOREVER) == BROOD_OK);
        use_lock();
        CHECK(brood_lock_acquire(locks[1], BROOD_FOREVER) == BROOD_OK);
        CHECK(brood_lock_release(locks[1]) == BROOD_OK);
        CHECK(brood_lock_release(locks[0]) == BROOD_OK);
    }
    return 0;
}

static int take_each(void *arg)
{
    const brood_lock *locks = arg;
    while (!brood_stop_requested()) {
        for (int i = 1; i >= 0; i--) {
            CHECK(brood_lock_acquire(locks[i], BROOD_FOREVER) == BROOD_OK);
            use_lock();
            CHECK(brood_lock_release(locks[i]) == BROOD_OK);
        }
    }
    return 0;
}

static void locks_in_use_are_no_deadlock(void **state)
{
    enum { DUMPS = 5000, SLOW_DUMPS = 200, USERS = 4 };
    brood_lock locks[2];
    brood_process *users[USERS];
    (void)state;
    assert_status(brood_lock_create(&locks[0]), BROOD_OK);
    assert_status(brood_lock_create(&locks[1]), BROOD_OK);
    for (int i = 0; i < USERS; i++)
        users[i] = started_process(i % 2 ? take_each : take_both, locks, sizeof locks);
    for (int i = 0; i < (foreign_is_slow() ? SLOW_DUMPS : DUMPS); i++) {
        dump();
        assert_null(strstr(dumped.text, "deadlock:"));
    }
    for (int i = 0; i < USERS; i++)
        assert_status(brood_process_request_stop(users[i]), BROOD_OK);
    for (int i = 0; i < USERS; i++)
        assert_process_ends(users[i], 0);
    assert_status(brood_lock_destroy(locks[0]), BROOD_OK);
    assert_status(brood_lock_destroy(locks[1]), BROOD_OK);
}

// Others

static atomic_bool enough;

static int start_threads(void *unused)
{
    (void)unused;
    while (!atomic_load(&enough)) {
        brood_thread *thread;
        CHECK(brood_thread_start(&thread, want, unused, sizeof(brood_lock), NULL) == BROOD_OK);
        CHECK(brood_thread_join(thread, MEETING_PATIENCE, NULL) == BROOD_OK);
        brood_thread_drop(thread);
    }
    return 0;
}

static int start_processes(void *lock)
{
    while (!atomic_load(&enough)) {
        brood_process *process;
        CHECK(brood_process_start(&process, want, lock, sizeof(brood_lock), NULL) == BROOD_OK);
        CHECK(brood_process_join(process, MEETING_PATIENCE, NULL) == BROOD_OK);
        brood_process_drop(process);
    }
    return 0;
}

// Each line has a known beginning.
static void assert_well_formed(void)
{
    static const char *const beginnings[] = {
        "family ",   "process ",        "process being started, \"",
        "  thread ", "    holds lock ", "    waits ",
        "queue ",    "connection ",     "    from "
    };
    for (const char *line = dumped.text; *line; line = strchr(line, '\n') + 1) {
        bool fits = false;
        for (size_t i = 0; i < sizeof beginnings / sizeof beginnings[0]; i++)
            fits = fits || strncmp(line, beginnings[i], strlen(beginnings[i])) == 0;
        assert_true(fits);
    }
}

static void a_family_can_be_dumped_while_it_changes(void **state)
{
    enum { DUMPS = 300, SLOW_DUMPS = 30 };
    brood_lock lock;
    (void)state;
    assert_status(brood_lock_create(&lock), BROOD_OK);
    atomic_store(&enough, false);
    brood_thread *threads = started_thread(start_threads, &lock, sizeof lock);
    brood_thread *processes = started_thread(start_processes, &lock, sizeof lock);
    for (int i = 0; i < (foreign_is_slow() ? SLOW_DUMPS : DUMPS); i++) {
        dump();
        assert_well_formed();
        assert_non_null(strstr(dumped.text, "\"MainProcess\": the main process\n"));
    }
    atomic_store(&enough, true);
    assert_thread_ends(threads, 0);
    assert_thread_ends(processes, 0);
    assert_status(brood_lock_destroy(lock), BROOD_OK);
}

static int dump_in_child(void *unused)
{
    (void)unused;
    char line[64];
    dumped.length = 0;
    CHECK(brood_dump(take_line, &dumped) == BROOD_OK && !dumped.wrong);
    (void)snprintf(line, sizeof line, "process %" PRId64 " \"MainProcess\"", brood_parent_pid());
    CHECK(strstr(dumped.text, line));
    (void)snprintf(line, sizeof line, "process %" PRId64 " \"%s\"", brood_self_pid(),
                   brood_self_name());
    CHECK(strstr(dumped.text, line));
    return 0;
}

static void every_process_can_dump_the_family(void **state)
{
    (void)state;
    assert_process_ends(started_process(dump_in_child, NULL, 0), 0);
}

static void a_missing_function_for_lines_is_invalid(void **state)
{
    (void)state;
    assert_status(brood_dump(NULL, NULL), BROOD_INVALID);
    assert_last_error_names("brood_dump");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_main_process_is_listed),
        cmocka_unit_test(each_child_is_listed_with_how_it_was_started),
        cmocka_unit_test(a_daemon_and_a_request_to_stop_are_listed),
        cmocka_unit_test(a_dead_child_is_listed_until_it_is_joined),
        cmocka_unit_test(a_long_name_is_cut_off_between_two_characters),
        cmocka_unit_test(a_name_cannot_forge_a_line),
        cmocka_unit_test(a_guest_is_listed_once_it_uses_a_shared_object),
        cmocka_unit_test(a_thread_is_listed_with_its_name_and_what_it_waits_for),
        cmocka_unit_test(a_join_is_listed_with_its_target),
        cmocka_unit_test(a_wait_for_the_parent_is_listed),
        cmocka_unit_test(a_wait_for_a_once_flag_is_listed),
        cmocka_unit_test(a_lock_is_listed_with_its_name_its_holder_and_its_waiters),
        cmocka_unit_test(a_lock_of_a_thread_that_has_ended_is_listed),
        cmocka_unit_test(a_queue_is_listed_with_how_full_it_is),
        cmocka_unit_test(waits_for_a_queue_are_listed_with_what_for),
        cmocka_unit_test(a_connection_is_listed_with_what_is_in_it_and_who_waits),
        cmocka_unit_test(two_threads_that_wait_for_each_other_are_a_deadlock),
        cmocka_unit_test(processes_that_wait_for_each_other_are_a_deadlock),
        cmocka_unit_test(a_wait_with_a_deadline_is_no_deadlock),
        cmocka_unit_test(a_parent_that_joins_a_child_which_wants_its_lock_is_a_deadlock),
        cmocka_unit_test(a_handler_inside_a_wait_is_no_part_of_a_deadlock),
        cmocka_unit_test(a_parent_and_a_child_that_wait_for_each_other_are_a_deadlock),
        cmocka_unit_test(a_join_of_a_thread_is_a_part_of_a_deadlock),
        cmocka_unit_test(locks_in_use_are_no_deadlock),
        cmocka_unit_test(a_family_can_be_dumped_while_it_changes),
        cmocka_unit_test(every_process_can_dump_the_family),
        cmocka_unit_test(a_missing_function_for_lines_is_invalid),
    };
    brood_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
