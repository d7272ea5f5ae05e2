// SPDX-License-Identifier: MIT
#include "meeting.h"

#include "../src/base/atomic.h"
#include "../src/base/compiler.h"
#include "foreign.h"
#include "platform.h"

#include <limits.h>
#include <string.h>

// Longer than a call that does not block may take, however loaded the machine is.
#define AT_ONCE BROOD_SECONDS(10)

// The threads of one process wait for this gate; other processes use names in the registry.
static _Atomic unsigned gate;

static bool await_count(_Atomic unsigned *count, unsigned least)
{
    const int64_t deadline = brood_clock() + MEETING_PATIENCE;
    while (atomic_load(count) < least) {
        if (brood_clock() > deadline)
            return false;
        brood_sleep(BROOD_MILLISECONDS(1));
    }
    return true;
}

// For a wait that must end without delay: spins at first, then lets other threads run.
static void back_off(unsigned *polls)
{
    if (++*polls > 1000)
        brood_sleep(1);
}

static brood_thread *started_with(brood_target target, const void *arg, size_t size,
                                  const brood_thread_options *options)
{
    brood_thread *thread = NULL;
    assert_status(brood_thread_start(&thread, target, arg, size, options), BROOD_OK);
    assert_non_null(thread);
    return thread;
}

// Targets of many tests

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int code_of_argument(void *arg)
{
    return *(int *)arg;
}

// Lives until the gate opens.
static int stay(void *arg)
{
    (void)arg;
    CHECK(await_count(&gate, 1));
    return 0;
}

static brood_thread *started_stayer(void)
{
    atomic_store(&gate, 0);
    return started_thread(stay, NULL, 0);
}

static void end_stayer(brood_thread *thread)
{
    atomic_store(&gate, 1);
    assert_thread_ends(thread, 0);
}

// For targets: starts a thread, which must get this name, and joins it.
static int expect_next_name(const char *name)
{
    brood_thread *thread;
    CHECK(brood_thread_start(&thread, nothing, NULL, 0, NULL) == BROOD_OK);
    CHECK(strcmp(brood_thread_name(thread), name) == 0);
    CHECK(brood_thread_join(thread, MEETING_PATIENCE, NULL) == BROOD_OK);
    CHECK(strcmp(brood_thread_name(thread), name) == 0);
    brood_thread_drop(thread);
    return 0;
}

// Names. These tests come first, while no thread has been counted.

static void threads_are_named_by_number(void **state)
{
    (void)state;
    brood_thread *first = started_thread(nothing, NULL, 0);
    brood_thread *second = started_thread(nothing, NULL, 0);
    assert_string_equal(brood_thread_name(first), "Thread-1");
    assert_string_equal(brood_thread_name(second), "Thread-2");
    assert_thread_ends(second, 0);
    assert_string_equal(brood_thread_name(first), "Thread-1");
    assert_thread_ends(first, 0);
}

static int expect_names_from_the_first(void *arg)
{
    (void)arg;
    CHECK(expect_next_name("Thread-1") == 0);
    CHECK(expect_next_name("Thread-2") == 0);
    return 0;
}

static void each_process_counts_its_own_threads(void **state)
{
    (void)state;
    const brood_process_options copy = { .method = BROOD_START_FORK };
    assert_process_ends(started_process(expect_names_from_the_first, NULL, 0), 0);
    if (platform_copy_may_start_threads()) {
        brood_process *process;
        assert_status(brood_process_start(&process, expect_names_from_the_first, NULL, 0, &copy),
                      BROOD_OK);
        assert_process_ends(process, 0);
        assert_int_equal(platform_guest(expect_names_from_the_first, NULL), 0);
    }
    assert_int_equal(expect_next_name("Thread-3"), 0);
}

static void a_given_name_is_copied(void **state)
{
    (void)state;
    char name[] = "reader of \xc3\xa9t\xc3\xa9 & %s \"winter\"";
    char copy[sizeof name];
    memcpy(copy, name, sizeof name);
    const brood_thread_options options = { .name = name };
    brood_thread *thread = started_with(nothing, NULL, 0, &options);
    memset(name, 'X', sizeof name - 1);
    assert_string_equal(brood_thread_name(thread), copy);
    assert_status(brood_thread_join(thread, MEETING_PATIENCE, NULL), BROOD_OK);
    assert_string_equal(brood_thread_name(thread), copy); // valid as long as the reference
    brood_thread_drop(thread);
}

static void a_name_may_be_empty_or_long(void **state)
{
    (void)state;
    static char name[10000];
    const brood_thread_options options = { .name = name };
    for (int i = 0; i < 2; i++) {
        brood_thread *thread = started_with(nothing, NULL, 0, &options);
        assert_string_equal(brood_thread_name(thread), name);
        assert_thread_ends(thread, 0);
        memset(name, 'n', sizeof name - 1);
    }
}

static void names_need_not_differ(void **state)
{
    (void)state;
    const brood_thread_options options = { .name = "Thread-1" };
    brood_thread *one = started_with(nothing, NULL, 0, &options);
    brood_thread *other = started_with(nothing, NULL, 0, &options);
    assert_string_equal(brood_thread_name(one), brood_thread_name(other));
    assert_thread_ends(one, 0);
    assert_thread_ends(other, 0);
}

// Ends

static void a_thread_returns_all_bits_of_its_code(void **state)
{
    (void)state;
    static const int codes[] = { 0,         1,          -1,      8,       255,     256,
                                 -15,       0x12345678, INT_MAX, INT_MIN, 0x10009, INT_MIN + 255,
                                 0x40000005 };
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        assert_thread_ends(started_thread(code_of_argument, &codes[i], sizeof codes[i]), codes[i]);
}

static BROODI_THREAD_LOCAL int own = 1;

static int change_own(void *arg)
{
    CHECK(own == 1);
    own = 3;
    CHECK(brood_self_thread_id() != *(uint64_t *)arg);
    return 0;
}

static void a_target_runs_in_another_thread(void **state)
{
    (void)state;
    const uint64_t id = brood_self_thread_id();
    own = 2;
    assert_thread_ends(started_thread(change_own, &id, sizeof id), 0);
    assert_int_equal(own, 2);
    own = 1;
}

static int leave_by_the_system(void *arg)
{
    (void)arg;
    CHECK(await_count(&gate, 1));
    foreign_thread_exit();
}

static void a_thread_that_leaves_by_the_system_itself_is_joined(void **state)
{
    (void)state;
    atomic_store(&gate, 0);
    brood_thread *thread = started_thread(leave_by_the_system, NULL, 0);
    assert_status(brood_thread_join(thread, BROOD_MILLISECONDS(5), NULL), BROOD_TIMEOUT);
    assert_true(brood_thread_is_alive(thread));
    atomic_store(&gate, 1);
    assert_status(brood_thread_join(thread, MEETING_PATIENCE, NULL), BROOD_OK);
    assert_false(brood_thread_is_alive(thread));
    assert_status(brood_thread_join(thread, BROOD_NOW, NULL), BROOD_OK);
    brood_thread_drop(thread);
}

// Arguments

static unsigned char pattern_at(size_t at)
{
    return (unsigned char)(at * 7 + at / 251);
}

static size_t expected_size; // written before the start

static int expect_argument(void *arg)
{
    const unsigned char *bytes = arg;
    CHECK((uintptr_t)arg % (2 * sizeof(void *)) == 0); // aligned as memory from malloc
    CHECK(await_count(&gate, 1));                      // the caller has changed its bytes by then
    for (size_t at = 0; at < expected_size; at++)
        CHECK(bytes[at] == pattern_at(at));
    memset(arg, 0xee, expected_size); // the memory is the thread's own
    return 0;
}

static void an_argument_of_any_size_is_copied_whole_and_aligned(void **state)
{
    (void)state;
    static const size_t sizes[] = { 1, 3, 15, 16, 4096, (1 << 20) + 3, 16 << 20 };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        // Of exactly this size, so that a sanitizer notices a read beyond it.
        unsigned char *bytes = malloc(sizes[i]);
        assert_non_null(bytes);
        for (size_t at = 0; at < sizes[i]; at++)
            bytes[at] = pattern_at(at);
        expected_size = sizes[i];
        atomic_store(&gate, 0);
        brood_thread *thread = started_thread(expect_argument, bytes, sizes[i]);
        memset(bytes, 0x55, sizes[i]);
        atomic_store(&gate, 1);
        assert_thread_ends(thread, 0);
        for (size_t at = 0; at < sizes[i]; at++)
            if (bytes[at] != 0x55)
                fail_msg("byte %d of %d was not copied", (int)at, (int)sizes[i]);
        free(bytes);
    }
}

static void *seen; // read after the join

static int store_pointer(void *arg)
{
    seen = arg;
    return 0;
}

static void without_a_size_the_pointer_itself_is_passed_on(void **state)
{
    (void)state;
    static int here;
    int on_stack;
    void *const pointers[] = { NULL, &here, &on_stack, (void *)(uintptr_t)1, (void *)UINTPTR_MAX };
    for (size_t i = 0; i < sizeof pointers / sizeof pointers[0]; i++) {
        seen = &seen;
        assert_thread_ends(started_thread(store_pointer, pointers[i], 0), 0);
        assert_ptr_equal(seen, pointers[i]);
    }
}

// Joining

static void joining_a_live_thread_with_no_time_returns_at_once(void **state)
{
    (void)state;
    static const brood_duration none[] = { BROOD_NOW, -1, -BROOD_SECONDS(100), INT64_MIN };
    brood_thread *thread = started_stayer();
    int code = 99;
    const int64_t before = brood_clock();
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        assert_status(brood_thread_join(thread, none[i], &code), BROOD_TIMEOUT);
    assert_true(brood_clock() - before < AT_ONCE);
    assert_last_error_names("brood_thread_join");
    assert_int_equal(code, 99); // untouched on failure
    assert_status(brood_thread_join(thread, BROOD_NOW, NULL), BROOD_TIMEOUT);
    assert_true(brood_thread_is_alive(thread));
    end_stayer(thread);
}

static void a_join_lasts_at_least_its_timeout(void **state)
{
    (void)state;
    static const brood_duration some[] = { 1, BROOD_MICROSECONDS(700), BROOD_MILLISECONDS(30),
                                           BROOD_MILLISECONDS(150) };
    brood_thread *thread = started_stayer();
    for (size_t i = 0; i < sizeof some / sizeof some[0]; i++) {
        int code = 99;
        const int64_t before = brood_clock();
        assert_status(brood_thread_join(thread, some[i], &code), BROOD_TIMEOUT);
        const int64_t took = brood_clock() - before;
        assert_true(took >= some[i] && took < AT_ONCE);
        assert_int_equal(code, 99);
    }
    end_stayer(thread);
}

// Ends later than a join returns that takes an endless timeout for a past one.
static int stay_a_while(void *arg)
{
    brood_sleep(BROOD_MILLISECONDS(30));
    return *(int *)arg;
}

static void an_endless_timeout_is_not_taken_for_a_past_one(void **state)
{
    (void)state;
    static const brood_duration endless[] = { BROOD_FOREVER, INT64_MAX - 1, INT64_MAX / 2 };
    for (size_t i = 0; i < sizeof endless / sizeof endless[0]; i++) {
        const int number = 40 + (int)i;
        int code = 99;
        brood_thread *thread = started_thread(stay_a_while, &number, sizeof number);
        assert_status(brood_thread_join(thread, endless[i], &code), BROOD_OK);
        assert_int_equal(code, number);
        brood_thread_drop(thread);
    }
}

static void a_thread_is_joined_any_number_of_times(void **state)
{
    (void)state;
    static const brood_duration any[] = { BROOD_FOREVER, BROOD_NOW,       -1, 1,
                                          INT64_MIN,     BROOD_SECONDS(1) };
    const int number = -77;
    brood_thread *thread = started_thread(code_of_argument, &number, sizeof number);
    for (size_t i = 0; i < sizeof any / sizeof any[0]; i++) {
        int code = 99;
        assert_status(brood_thread_join(thread, any[i], &code), BROOD_OK);
        assert_int_equal(code, number);
        assert_status(brood_thread_join(thread, any[i], NULL), BROOD_OK);
        assert_false(brood_thread_is_alive(thread));
    }
    brood_thread_drop(thread);
}

static _Atomic unsigned joiners;

struct joining {
    brood_thread *thread;
    int code; // the code to expect
};

static int join_by_waiting(void *arg)
{
    const struct joining *joining = arg;
    int code = 99;
    atomic_fetch_add(&joiners, 1);
    CHECK(brood_thread_join(joining->thread, MEETING_PATIENCE, &code) == BROOD_OK);
    CHECK(code == joining->code);
    return 0;
}

static int join_by_trying(void *arg)
{
    const struct joining *joining = arg;
    const int64_t deadline = brood_clock() + MEETING_PATIENCE;
    unsigned polls = 0;
    brood_status status;
    int code = 99;
    atomic_fetch_add(&joiners, 1);
    while ((status = brood_thread_join(joining->thread, BROOD_NOW, &code)) == BROOD_TIMEOUT) {
        CHECK(code == 99);
        CHECK(brood_clock() < deadline);
        back_off(&polls);
    }
    CHECK(status == BROOD_OK);
    CHECK(code == joining->code);
    return 0;
}

static void join_in_foreign_thread(void *arg)
{
    if (join_by_waiting(arg) != 0)
        abort();
}

static void many_threads_join_one_thread(void **state)
{
    (void)state;
    enum { JOINERS = 8 };
    brood_thread *threads[JOINERS];
    struct joining joining = { started_stayer(), 0 };
    atomic_store(&joiners, 0);
    for (int i = 0; i < JOINERS; i++)
        threads[i] = started_thread(i % 2 ? join_by_trying : join_by_waiting, &joining,
                                    i < 4 ? 0 : sizeof joining);
    foreign_thread *foreign = foreign_thread_start(join_in_foreign_thread, &joining);
    assert_true(await_count(&joiners, JOINERS + 1));
    assert_status(brood_thread_join(joining.thread, BROOD_MILLISECONDS(20), NULL), BROOD_TIMEOUT);
    atomic_store(&gate, 1);
    for (int i = 0; i < JOINERS; i++)
        assert_thread_ends(threads[i], 0);
    foreign_thread_join(foreign);
    assert_thread_ends(joining.thread, 0);
}

// A joiner cancelled while it has the right to join must not keep that right.
static void a_cancelled_joiner_leaves_the_thread_joinable(void **state)
{
    (void)state;
    // At that point it would be cancelled in one of twenty.
    const int rounds = foreign_is_slow() ? 20 : 400;
    for (int i = 0; i < rounds; i++) {
        struct joining joining = { started_stayer(), 0 };
        atomic_store(&joiners, 0);
        foreign_thread *joiner = foreign_thread_start(join_in_foreign_thread, &joining);
        assert_true(await_count(&joiners, 1));
        foreign_thread_cancel(joiner);
        atomic_store(&gate, 1);
        foreign_thread_join(joiner);
        assert_thread_ends(joining.thread, 0);
    }
}

static int return_when_the_gate_opens(void *arg)
{
    unsigned polls = 0;
    while (atomic_load(&gate) == 0)
        back_off(&polls);
    return *(int *)arg;
}

// All join at about the same moment, and one of them reaps the thread.
static void joins_at_the_moment_of_the_end_all_get_the_code(void **state)
{
    (void)state;
    enum { JOINERS = 4 };
    const int rounds = foreign_is_slow() ? 50 : 400;
    for (int round = 0; round < rounds; round++) {
        brood_thread *threads[JOINERS];
        atomic_store(&gate, 0);
        atomic_store(&joiners, 0);
        const struct joining joining = {
            started_thread(return_when_the_gate_opens, &round, sizeof round), round
        };
        for (int i = 0; i < JOINERS; i++)
            threads[i] =
                started_thread(i % 2 ? join_by_trying : join_by_waiting, &joining, sizeof joining);
        unsigned polls = 0;
        while (atomic_load(&joiners) < (unsigned)(round % (JOINERS + 1)))
            back_off(&polls);
        atomic_store(&gate, 1);
        for (int i = 0; i < JOINERS; i++)
            assert_thread_ends(threads[i], 0);
        assert_thread_ends(joining.thread, round);
    }
}

static brood_thread *self; // written before the gate opens

static int join_itself(void *arg)
{
    static const brood_duration any[] = { BROOD_NOW, -1, BROOD_MILLISECONDS(1), BROOD_FOREVER };
    (void)arg;
    CHECK(await_count(&gate, 1));
    for (size_t i = 0; i < sizeof any / sizeof any[0]; i++) {
        int code = 99;
        CHECK(brood_thread_join(self, any[i], &code) == BROOD_DEADLOCK);
        CHECK(code == 99);
        CHECK(strstr(brood_last_error(), "brood_thread_join"));
    }
    CHECK(brood_thread_is_alive(self));
    return 0;
}

static void a_thread_cannot_join_itself(void **state)
{
    (void)state;
    atomic_store(&gate, 0);
    self = started_thread(join_itself, NULL, 0);
    atomic_store(&gate, 1);
    assert_thread_ends(self, 0);
}

static void is_alive_turns_false_without_a_join(void **state)
{
    (void)state;
    brood_thread *thread = started_stayer();
    assert_true(brood_thread_is_alive(thread));
    atomic_store(&gate, 1);
    const int64_t deadline = brood_clock() + MEETING_PATIENCE;
    while (brood_thread_is_alive(thread) && brood_clock() < deadline)
        brood_sleep(BROOD_MILLISECONDS(1));
    assert_false(brood_thread_is_alive(thread));
    assert_status(brood_thread_join(thread, BROOD_NOW, NULL), BROOD_OK);
    assert_false(brood_thread_is_alive(thread));
    brood_thread_drop(thread);
}

// References

static _Atomic unsigned done;

static int read_late(void *arg)
{
    CHECK(await_count(&gate, 1));
    atomic_fetch_add(&done, *(unsigned *)arg);
    return 0;
}

static void dropping_neither_ends_a_thread_nor_frees_its_argument(void **state)
{
    (void)state;
    const unsigned value = 5;
    atomic_store(&gate, 0);
    atomic_store(&done, 0);
    brood_thread_drop(started_thread(read_late, &value, sizeof value));
    assert_status(brood_thread_start(NULL, read_late, &value, sizeof value, NULL), BROOD_OK);
    assert_thread_ends(started_thread(nothing, NULL, 0), 0); // reaps threads that have ended
    assert_int_equal(atomic_load(&done), 0);
    atomic_store(&gate, 1);
    assert_true(await_count(&done, 10));
}

static int drop_itself(void *arg)
{
    CHECK(await_count(&gate, 1));
    brood_thread_drop(self);
    atomic_store(&done, *(unsigned *)arg); // the argument is still there
    return 0;
}

static void a_thread_may_drop_the_last_reference_to_itself(void **state)
{
    (void)state;
    const unsigned value = 7;
    atomic_store(&gate, 0);
    atomic_store(&done, 0);
    self = started_thread(drop_itself, &value, sizeof value);
    atomic_store(&gate, 1);
    assert_true(await_count(&done, value));
}

// Ids of threads

enum { MOST_IDS = 400 };

static uint64_t ids[MOST_IDS]; // each written by one thread, read after it has ended
static size_t id_count;

static int by_size(const void *a, const void *b)
{
    const uint64_t left = *(const uint64_t *)a;
    const uint64_t right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static void assert_ids_differ(void)
{
    qsort(ids, id_count, sizeof ids[0], by_size);
    assert_true(ids[0] != 0);
    for (size_t i = 1; i < id_count; i++)
        assert_true(ids[i] != ids[i - 1]);
    id_count = 0;
}

static int store_id(void *arg)
{
    uint64_t *id = arg;
    *id = brood_self_thread_id();
    CHECK(brood_self_thread_id() == *id);
    return 0;
}

static void store_id_in_foreign_thread(void *arg)
{
    if (store_id(arg) != 0)
        abort();
}

// One after the other, so that the system reuses numbers, addresses and slots.
static void collect_ids_of_threads(int count)
{
    for (int i = 0; i < count; i++) {
        uint64_t *id = &ids[id_count++];
        brood_thread *thread = started_thread(store_id, id, 0);
        const uint64_t known = brood_thread_id(thread);
        assert_status(brood_thread_join(thread, MEETING_PATIENCE, NULL), BROOD_OK);
        assert_true(*id == known);
        assert_true(brood_thread_id(thread) == known);
        brood_thread_drop(thread);
        foreign_thread_join(foreign_thread_start(store_id_in_foreign_thread, &ids[id_count++]));
    }
}

static void the_id_of_a_thread_is_unique_and_never_changes(void **state)
{
    (void)state;
    const uint64_t id = brood_self_thread_id();
    ids[id_count++] = id;
    collect_ids_of_threads(50);
    assert_true(brood_self_thread_id() == id);
    assert_ids_differ();
}

enum { OTHERS = 4, IDS_OF_OTHERS = 21 };

static void name_of_id(char name[32], int process, int number)
{
    (void)snprintf(name, 32, "id %d of %d", number, process);
}

// In another process: notes the ids of its main thread, and of threads that it starts and joins.
static int note_ids(void *arg)
{
    char name[32];
    const int process = *(int *)arg;
    for (int i = 0; i < IDS_OF_OTHERS; i++) {
        uint64_t id = brood_self_thread_id();
        if (i > 0) {
            brood_thread *thread;
            CHECK(brood_thread_start(&thread, store_id, &id, 0, NULL) == BROOD_OK);
            CHECK(brood_thread_join(thread, MEETING_PATIENCE, NULL) == BROOD_OK);
            CHECK(brood_thread_id(thread) == id);
            brood_thread_drop(thread);
        }
        name_of_id(name, process, i);
        note(name, id);
    }
    return 0;
}

static void collect_ids_of(int process)
{
    char name[32];
    for (int i = 0; i < IDS_OF_OTHERS; i++) {
        name_of_id(name, process, i);
        ids[id_count++] = noted(name);
        note(name, 0);
    }
}

static void no_two_threads_of_a_family_ever_have_the_same_id(void **state)
{
    (void)state;
    const int32_t last = platform_copy_may_start_threads() ? BROOD_START_FORK : BROOD_START_SPAWN;
    const brood_process_options methods[OTHERS] = { { .method = BROOD_START_DEFAULT },
                                                    { .method = BROOD_START_SPAWN },
                                                    { .method = last } };
    brood_process *processes[OTHERS];
    for (int i = 0; i < OTHERS - 1; i++)
        assert_status(brood_process_start(&processes[i], note_ids, &i, sizeof i, &methods[i]),
                      BROOD_OK);
    ids[id_count++] = brood_self_thread_id();
    collect_ids_of_threads(20); // while the other processes have theirs
    for (int i = 0; i < OTHERS - 1; i++) {
        assert_process_ends(processes[i], 0);
        collect_ids_of(i);
    }
    if (platform_copy_may_start_threads()) {
        int guest = OTHERS - 1;
        assert_int_equal(platform_guest(note_ids, &guest), 0);
        collect_ids_of(guest);
    }
    assert_ids_differ();
}

// The end of a process. Its main part returns, or exits, with 5 while a thread waits for "go" and
// then notes "late".

static int note_late(void *arg)
{
    (void)arg;
    note("runs", 1);
    CHECK(await_note("go", 1));
    note("late", 1);
    return 0;
}

static int leave_a_thread_behind(void *arg)
{
    const brood_thread_options options = { .daemon = *(int32_t *)arg };
    CHECK(brood_thread_start(NULL, note_late, NULL, 0, &options) == BROOD_OK);
    CHECK(await_note("runs", 1));
    return 5;
}

static int exit_and_leave_a_thread_behind(void *arg)
{
    exit(leave_a_thread_behind(arg));
}

static brood_process *started_leaver(brood_target target, const void *arg, size_t size,
                                     const brood_process_options *options)
{
    brood_process *process = NULL;
    note("runs", 0);
    note("go", 0);
    note("late", 0);
    assert_status(brood_process_start(&process, target, arg, size, options), BROOD_OK);
    assert_true(await_note("runs", 1));
    return process;
}

static void assert_waits_for_its_thread(brood_process *process)
{
    assert_status(brood_process_join(process, BROOD_MILLISECONDS(100), NULL), BROOD_TIMEOUT);
    assert_int_equal(noted("late"), 0);
    note("go", 1);
    assert_process_ends(process, 5);
    assert_int_equal(noted("late"), 1);
}

static void assert_ends_at_once(brood_process *process)
{
    const int64_t before = brood_clock();
    assert_process_ends(process, 5);
    assert_true(brood_clock() - before < AT_ONCE);
    assert_int_equal(noted("late"), 0);
}

static void the_end_of_a_process_waits_for_unjoined_threads(void **state)
{
    (void)state;
    static const brood_target leavers[] = { leave_a_thread_behind, exit_and_leave_a_thread_behind };
    static const int32_t modes[] = { BROOD_DAEMON_INHERIT, BROOD_DAEMON_NO };
    for (size_t i = 0; i < sizeof leavers / sizeof leavers[0]; i++)
        for (size_t j = 0; j < sizeof modes / sizeof modes[0]; j++)
            assert_waits_for_its_thread(
                started_leaver(leavers[i], &modes[j], sizeof modes[j], NULL));
}

static int note_late_and_exit_thread(void *arg)
{
    (void)note_late(arg);
    foreign_thread_exit();
}

static int leave_an_exiting_thread_behind(void *arg)
{
    CHECK(brood_thread_start(NULL, note_late_and_exit_thread, arg, 0, NULL) == BROOD_OK);
    CHECK(await_note("runs", 1));
    return 5;
}

static void the_end_of_a_process_waits_for_a_thread_that_leaves_by_the_system_itself(void **state)
{
    (void)state;
    assert_waits_for_its_thread(started_leaver(leave_an_exiting_thread_behind, NULL, 0, NULL));
}

static int note_later(void *arg)
{
    (void)arg;
    brood_sleep(BROOD_MILLISECONDS(30)); // a process that does not wait has ended by then
    note("late", 1);
    return 0;
}

static int start_another_one_late(void *arg)
{
    note("runs", 1);
    CHECK(await_note("go", 1));
    CHECK(brood_thread_start(NULL, note_later, arg, 0, NULL) == BROOD_OK);
    return 0;
}

static int leave_a_starting_thread_behind(void *arg)
{
    CHECK(brood_thread_start(NULL, start_another_one_late, arg, 0, NULL) == BROOD_OK);
    CHECK(await_note("runs", 1));
    return 5;
}

static void a_thread_started_while_the_process_ends_is_waited_for_too(void **state)
{
    (void)state;
    assert_waits_for_its_thread(started_leaver(leave_a_starting_thread_behind, NULL, 0, NULL));
}

static void the_end_of_a_process_does_not_wait_for_daemons(void **state)
{
    (void)state;
    const int32_t mode = BROOD_DAEMON_YES;
    assert_ends_at_once(started_leaver(leave_a_thread_behind, &mode, sizeof mode, NULL));
    assert_ends_at_once(started_leaver(exit_and_leave_a_thread_behind, &mode, sizeof mode, NULL));
}

// Long waits of a daemon.

static int stay_in_sleep(void *arg)
{
    (void)arg;
    note("runs", 1);
    brood_sleep(BROOD_FOREVER);
    return 0;
}

static int stay_in_acquire(void *arg)
{
    (void)arg;
    const brood_lock lock = { noted("lock") };
    note("runs", 1);
    return (int)brood_lock_acquire(lock, BROOD_FOREVER);
}

static int stay_in_join(void *arg)
{
    brood_thread *thread;
    CHECK(brood_thread_start(&thread, stay_in_sleep, arg, 0, NULL) == BROOD_OK);
    return (int)brood_thread_join(thread, BROOD_FOREVER, NULL);
}

static const brood_target long_waits[] = { stay_in_sleep, stay_in_acquire, stay_in_join };

static int leave_a_daemon_waiting(void *arg)
{
    const brood_thread_options options = { .daemon = BROOD_DAEMON_YES };
    brood_thread *thread;
    CHECK(brood_thread_start(&thread, long_waits[*(size_t *)arg], NULL, 0, &options) == BROOD_OK);
    CHECK(await_note("runs", 1));
    CHECK(brood_thread_join(thread, BROOD_MILLISECONDS(10), NULL) == BROOD_TIMEOUT);
    brood_thread_drop(thread);
    return 5;
}

static void a_process_ends_even_if_a_daemon_is_in_a_long_wait(void **state)
{
    (void)state;
    brood_lock lock;
    assert_status(brood_lock_create(&lock), BROOD_OK);
    assert_status(brood_lock_acquire(lock, BROOD_NOW), BROOD_OK);
    note("lock", lock.id);
    for (size_t i = 0; i < sizeof long_waits / sizeof long_waits[0]; i++)
        assert_ends_at_once(started_leaver(leave_a_daemon_waiting, &i, sizeof i, NULL));
    assert_status(brood_lock_release(lock), BROOD_OK);
    assert_status(brood_lock_destroy(lock), BROOD_OK);
    note("lock", 0);
}

// The daemon modes of a thread and of the thread that it starts.
struct modes {
    int32_t first;
    int32_t second;
};

static int start_the_second(void *arg)
{
    const brood_thread_options options = { .daemon = ((const struct modes *)arg)->second };
    CHECK(brood_thread_start(NULL, note_late, NULL, 0, &options) == BROOD_OK);
    return 0;
}

static int leave_a_second_thread_behind(void *arg)
{
    const brood_thread_options options = { .daemon = ((const struct modes *)arg)->first };
    brood_thread *thread;
    int code;
    CHECK(brood_thread_start(&thread, start_the_second, arg, sizeof(struct modes), &options) ==
          BROOD_OK);
    // Daemons are joined like other threads.
    CHECK(brood_thread_join(thread, MEETING_PATIENCE, &code) == BROOD_OK);
    CHECK(code == 0);
    brood_thread_drop(thread);
    CHECK(await_note("runs", 1));
    return 5;
}

static void being_a_daemon_is_inherited(void **state)
{
    (void)state;
    static const struct {
        struct modes modes;
        bool daemon;
    } rows[] = {
        { { BROOD_DAEMON_INHERIT, BROOD_DAEMON_INHERIT }, false },
        { { BROOD_DAEMON_NO, BROOD_DAEMON_INHERIT }, false },
        { { BROOD_DAEMON_YES, BROOD_DAEMON_INHERIT }, true },
        { { BROOD_DAEMON_YES, BROOD_DAEMON_NO }, false },
        { { BROOD_DAEMON_NO, BROOD_DAEMON_YES }, true },
        { { BROOD_DAEMON_YES, BROOD_DAEMON_YES }, true },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        brood_process *process = started_leaver(leave_a_second_thread_behind, &rows[i].modes,
                                                sizeof rows[i].modes, NULL);
        if (rows[i].daemon)
            assert_ends_at_once(process);
        else
            assert_waits_for_its_thread(process);
    }
}

static brood_process *copied; // written by a thread, read after its end

static int copy_the_process(void *arg)
{
    const int32_t mode = BROOD_DAEMON_INHERIT;
    CHECK(brood_process_start(&copied, leave_a_thread_behind, &mode, sizeof mode, arg) == BROOD_OK);
    return 0;
}

// The thread that goes on in a copy is its main thread, whatever it was in the process that was
// copied.
static void a_copy_made_by_a_daemon_thread_waits_for_its_threads(void **state)
{
    (void)state;
    const brood_thread_options daemon = { .daemon = BROOD_DAEMON_YES };
    const brood_process_options copies[] = {
        { .method = BROOD_START_FORK, .fork_with_threads = true },
        { .method = BROOD_START_FORK, .fork_with_threads = true, .survive_parent = true },
    };
    if (!platform_copy_may_start_threads() || !platform_copy_can_be_made_beside_threads()) {
        print_message("this system makes no copies beside threads\n");
        skip();
    }
    for (size_t i = 0; i < sizeof copies / sizeof copies[0]; i++) {
        note("runs", 0);
        note("go", 0);
        note("late", 0);
        assert_thread_ends(started_with(copy_the_process, &copies[i], sizeof copies[i], &daemon),
                           0);
        assert_true(await_note("runs", 1));
        assert_waits_for_its_thread(copied);
    }
}

static int start_after_the_end_has_begun(void *arg)
{
    brood_thread *thread = NULL;
    (void)arg;
    CHECK(brood_shutdown(MEETING_PATIENCE) == BROOD_OK);
    CHECK(brood_thread_start(&thread, nothing, NULL, 0, NULL) == BROOD_WRONG_STATE);
    CHECK(strstr(brood_last_error(), "brood_thread_start"));
    CHECK(thread == NULL);
    return 0;
}

static void once_the_end_has_begun_no_thread_is_started(void **state)
{
    (void)state;
    assert_process_ends(started_process(start_after_the_end_has_begun, NULL, 0), 0);
}

// Misuse

static int count_run(void *arg)
{
    (void)arg;
    atomic_fetch_add(&done, 1);
    return 0;
}

static void bad_arguments_are_refused(void **state)
{
    (void)state;
    const struct {
        brood_target target;
        const void *arg;
        size_t size;
        brood_thread_options options;
    } rows[] = {
        { NULL, NULL, 0, BROOD_THREAD_OPTIONS_INIT },
        { NULL, "arg", 4, BROOD_THREAD_OPTIONS_INIT },
        { count_run, NULL, 1, BROOD_THREAD_OPTIONS_INIT },
        { count_run, NULL, SIZE_MAX, BROOD_THREAD_OPTIONS_INIT },
        { count_run, NULL, 0, { .daemon = 3 } },
        { count_run, NULL, 0, { .daemon = -1 } },
        { count_run, NULL, 0, { .daemon = INT32_MAX } },
        { count_run, NULL, 0, { .daemon = INT32_MIN } },
        { count_run, NULL, 0, { .reserved = { 1 } } },
        { count_run, NULL, 0, { .reserved = { 0, 1 } } },
        { count_run, NULL, 0, { .reserved = { 0, 0, UINT64_C(1) << 32 } } },
        { count_run, NULL, 0, { .reserved = { 0, 0, 0, UINT64_MAX } } },
    };
    const size_t before = platform_descriptor_count();
    atomic_store(&done, 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int here;
        brood_thread *thread = (brood_thread *)&here;
        if (brood_thread_start(&thread, rows[i].target, rows[i].arg, rows[i].size,
                               &rows[i].options) != BROOD_INVALID)
            fail_msg("row %d: %s", (int)i, brood_last_error());
        assert_last_error_names("brood_thread_start");
        assert_ptr_equal(thread, &here); // untouched on failure
        assert_status(
            brood_thread_start(NULL, rows[i].target, rows[i].arg, rows[i].size, &rows[i].options),
            BROOD_INVALID);
    }
    assert_int_equal(platform_descriptor_count(), before);
    assert_int_equal(atomic_load(&done), 0);
}

static void default_options_are_accepted(void **state)
{
    (void)state;
    const brood_thread_options defaults = BROOD_THREAD_OPTIONS_INIT;
    atomic_store(&done, 0);
    assert_thread_ends(started_with(count_run, NULL, 0, &defaults), 0);
    assert_int_equal(atomic_load(&done), 1);
}

static void calls_without_a_thread_are_harmless(void **state)
{
    (void)state;
    static const brood_duration any[] = { BROOD_NOW, -1, BROOD_FOREVER };
    int code = 99;
    for (size_t i = 0; i < sizeof any / sizeof any[0]; i++)
        assert_status(brood_thread_join(NULL, any[i], &code), BROOD_INVALID);
    assert_last_error_names("brood_thread_join");
    assert_status(brood_thread_join(NULL, BROOD_NOW, NULL), BROOD_INVALID);
    assert_int_equal(code, 99);
    assert_false(brood_thread_is_alive(NULL));
    assert_true(brood_thread_id(NULL) == 0);
    assert_string_equal(brood_thread_name(NULL), "");
    brood_thread_drop(NULL);
}

// Stacks

// Has that many blocks of 1 KiB on the stack at once.
static unsigned fill_stack(unsigned kilobytes)
{
    volatile unsigned char block[1024];
    block[0] = 1;
    block[sizeof block - 1] = 1;
    const unsigned below = kilobytes > 1 ? fill_stack(kilobytes - 1) : 0;
    return below + block[0] * block[sizeof block - 1];
}

static int use_stack(void *arg)
{
    const unsigned kilobytes = *(unsigned *)arg;
    CHECK(brood_self_thread_id() != 0);
    CHECK(kilobytes == 0 || fill_stack(kilobytes) == kilobytes);
    return 0;
}

// The rest of each stack is left to the system, and to what sanitizers add.
static void a_stack_is_as_large_as_requested(void **state)
{
    (void)state;
    static const struct {
        size_t size;
        unsigned used; // KiB
    } rows[] = {
        { 0, 256 },
        { 1, 0 },
        { 4097, 0 },
        { 64 << 10, 16 },
        { 2 << 20, 900 },
        { 8 << 20, 5 << 10 }, // more than the default of Windows
        { (8 << 20) + 1, 5 << 10 },
        { 64 << 20, 40 << 10 }, // more than the default of Linux
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const brood_thread_options options = { .stack_size = rows[i].size };
        assert_thread_ends(started_with(use_stack, &rows[i].used, sizeof rows[i].used, &options),
                           0);
    }
}

// Systems that put thread-local variables on the stack have to enlarge it.
static BROODI_THREAD_LOCAL char large[1 << 17];

static int use_large(void *size)
{
    memset(large, 1, sizeof large);
    return large[*(size_t *)size] == 1 ? 0 : 1;
}

static void a_small_stack_is_large_enough_for_thread_local_variables(void **state)
{
    const brood_thread_options options = { .stack_size = 1 };
    size_t last = sizeof large - 1;
    (void)state;
    assert_thread_ends(started_with(use_large, &last, sizeof last, &options), 0);
}

static void a_stack_too_large_for_any_system_is_refused(void **state)
{
    (void)state;
    static const size_t sizes[] = {
        SIZE_MAX,
        SIZE_MAX - 1,
        SIZE_MAX - 4095,
        SIZE_MAX - 4096,
        SIZE_MAX - 65536,
        SIZE_MAX - SIZE_MAX / 8,
        SIZE_MAX > UINT32_MAX ? SIZE_MAX / 2
                              : SIZE_MAX, // with 32 bits, half of the address space may be free
    };
    const size_t before = platform_descriptor_count();
    atomic_store(&done, 0);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const brood_thread_options options = { .stack_size = sizes[i] };
        brood_thread *thread = NULL;
        const brood_status status = brood_thread_start(&thread, count_run, NULL, 0, &options);
        if (status != BROOD_NO_MEMORY && status != BROOD_NO_RESOURCES)
            fail_msg("row %d: %s (%s)", (int)i, brood_status_name(status), brood_last_error());
        assert_last_error_names("brood_thread_start");
        assert_null(thread);
    }
    assert_int_equal(atomic_load(&done), 0);
    assert_int_equal(platform_descriptor_count(), before);
}

// Many threads

static brood_lock lock_of_many;

// Acquires a lock, for which the thread needs a slot.
static int lock_and_return(void *arg)
{
    CHECK(brood_lock_acquire(lock_of_many, MEETING_PATIENCE) == BROOD_OK);
    CHECK(brood_lock_release(lock_of_many) == BROOD_OK);
    return *(int *)arg;
}

static void start_some_and_join_them(int count)
{
    enum { BATCH = 10 };
    brood_thread *batch[BATCH];
    for (int begun = 0; begun < count; begun += BATCH) {
        for (int i = 0; i < BATCH; i++) {
            const int code = begun + i;
            batch[i] = started_thread(lock_and_return, &code, sizeof code);
        }
        for (int i = 0; i < BATCH; i++)
            assert_thread_ends(batch[i], begun + i);
    }
}

static void hundreds_of_joined_threads_leave_nothing(void **state)
{
    (void)state;
    assert_status(brood_lock_create(&lock_of_many), BROOD_OK);
    start_some_and_join_them(50); // what is allocated once is allocated now
    const size_t before = platform_descriptor_count();
    start_some_and_join_them(foreign_is_slow() ? 400 : 2000);
    assert_int_equal(platform_descriptor_count(), before);
    assert_status(brood_lock_destroy(lock_of_many), BROOD_OK);
}

enum { MANY = 400 };

static uint64_t stacks[MANY]; // addresses, each written by its thread

static int store_stack(void *arg)
{
    volatile char here = 0;
    *(uint64_t *)arg = (uint64_t)(uintptr_t)&here;
    atomic_fetch_add(&done, 1);
    return here;
}

// A thread that has ended is reaped when the next one is started.
static void start_some_and_leave_them(unsigned count)
{
    enum { ALIVE = 20 };
    atomic_store(&done, 0);
    for (unsigned i = 0; i < count; i++) {
        assert_status(brood_thread_start(NULL, store_stack, &stacks[i], 0, NULL), BROOD_OK);
        assert_true(await_count(&done, i < ALIVE ? 0 : i - ALIVE));
    }
    assert_true(await_count(&done, count));
}

// A thread is counted as done a moment before it has ended.
static bool reaps_down_to(size_t descriptors)
{
    const int64_t deadline = brood_clock() + MEETING_PATIENCE;
    while (platform_descriptor_count() > descriptors && brood_clock() < deadline) {
        assert_thread_ends(started_thread(nothing, NULL, 0), 0);
        brood_sleep(BROOD_MILLISECONDS(1));
    }
    return platform_descriptor_count() <= descriptors;
}

// The system reuses a stack only when its thread has been reaped.
static void threads_without_a_reference_are_reaped_in_passing(void **state)
{
    (void)state;
    unsigned different = 1;
    start_some_and_leave_them(50);
    assert_thread_ends(started_thread(nothing, NULL, 0), 0);
    const size_t before = platform_descriptor_count();
    start_some_and_leave_them(MANY);
    assert_true(reaps_down_to(before));
    qsort(stacks, MANY, sizeof stacks[0], by_size);
    for (int i = 1; i < MANY; i++)
        different += stacks[i] != stacks[i - 1];
    assert_in_range(different, 1, MANY / 2);
}

static int wait_for_all(void *arg)
{
    enum { ALL = 100 };
    uint64_t *id = arg;
    *id = brood_self_thread_id();
    atomic_fetch_add(&done, 1);
    CHECK(await_count(&done, ALL));
    return (int)(id - ids);
}

static void a_hundred_threads_live_at_once(void **state)
{
    (void)state;
    enum { ALL = 100 };
    brood_thread *threads[ALL];
    atomic_store(&done, 0);
    for (int i = 0; i < ALL; i++)
        threads[i] = started_thread(wait_for_all, &ids[i], 0);
    id_count = ALL;
    for (int i = ALL - 1; i >= 0; i--) { // no thread waits for a join of a lower number
        const uint64_t id = brood_thread_id(threads[i]);
        assert_thread_ends(threads[i], i);
        assert_true(ids[i] == id);
    }
    assert_ids_differ();
}

// Threads start threads

static int grow_a_tree(void *arg)
{
    const int height = *(int *)arg;
    const int lower = height - 1;
    brood_thread *threads[2];
    int codes[2];
    if (height == 0)
        return 1;
    for (int i = 0; i < 2; i++)
        CHECK(brood_thread_start(&threads[i], grow_a_tree, &lower, sizeof lower, NULL) == BROOD_OK);
    for (int i = 0; i < 2; i++) {
        CHECK(brood_thread_join(threads[i], MEETING_PATIENCE, &codes[i]) == BROOD_OK);
        brood_thread_drop(threads[i]);
    }
    return codes[0] + codes[1];
}

static void grow_a_tree_in_foreign_thread(void *arg)
{
    *(int *)arg = grow_a_tree(arg);
}

static void threads_start_threads(void **state)
{
    (void)state;
    int height = 5;
    assert_thread_ends(started_thread(grow_a_tree, &height, sizeof height), 32);
    foreign_thread_join(foreign_thread_start(grow_a_tree_in_foreign_thread, &height));
    assert_int_equal(height, 32);
}

static int start_and_join_some(void *arg)
{
    (void)arg;
    const int rounds = foreign_is_slow() ? 20 : 200;
    for (int i = 0; i < rounds; i++) {
        brood_thread *thread;
        int code;
        CHECK(brood_thread_start(NULL, nothing, NULL, 0, NULL) == BROOD_OK);
        CHECK(brood_thread_start(&thread, code_of_argument, &i, sizeof i, NULL) == BROOD_OK);
        CHECK(brood_thread_join(thread, MEETING_PATIENCE, &code) == BROOD_OK);
        CHECK(code == i);
        brood_thread_drop(thread);
    }
    return 0;
}

static void threads_start_threads_at_the_same_time(void **state)
{
    (void)state;
    enum { THREADS = 4 };
    brood_thread *threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        threads[i] = started_thread(start_and_join_some, NULL, 0);
    for (int i = 0; i < THREADS; i++)
        assert_thread_ends(threads[i], 0);
}

static int start_a_stayer(void *arg)
{
    CHECK(brood_thread_start(arg, stay, NULL, 0, NULL) == BROOD_OK);
    return 0;
}

static void start_a_stayer_in_foreign_thread(void *arg)
{
    if (start_a_stayer(arg) != 0)
        abort();
}

static void a_thread_outlives_the_thread_that_started_it(void **state)
{
    (void)state;
    brood_thread *threads[2] = { NULL, NULL };
    atomic_store(&gate, 0);
    assert_thread_ends(started_thread(start_a_stayer, &threads[0], 0), 0);
    foreign_thread_join(foreign_thread_start(start_a_stayer_in_foreign_thread, &threads[1]));
    for (int i = 0; i < 2; i++) {
        assert_non_null(threads[i]);
        assert_status(brood_thread_join(threads[i], BROOD_MILLISECONDS(20), NULL), BROOD_TIMEOUT);
        assert_true(brood_thread_is_alive(threads[i]));
    }
    atomic_store(&gate, 1);
    for (int i = 0; i < 2; i++)
        assert_thread_ends(threads[i], 0);
}

// What belongs to another process

struct of_parent {
    brood_thread *living;
    brood_thread *ended;
    uint64_t id; // of the living thread
};

static int expect_wrong_state(brood_thread *thread)
{
    int code = 99;
    CHECK(brood_thread_join(thread, BROOD_NOW, &code) == BROOD_WRONG_STATE);
    CHECK(strstr(brood_last_error(), "brood_thread_join"));
    CHECK(brood_thread_join(thread, BROOD_FOREVER, &code) == BROOD_WRONG_STATE);
    CHECK(code == 99);
    CHECK(!brood_thread_is_alive(thread));
    return 0;
}

static int use_threads_of_another_process(void *arg)
{
    const struct of_parent *of_parent = arg;
    CHECK(expect_wrong_state(of_parent->living) == 0);
    CHECK(expect_wrong_state(of_parent->ended) == 0);
    CHECK(brood_thread_id(of_parent->living) == of_parent->id);
    CHECK(strcmp(brood_thread_name(of_parent->living), "thread of the parent") == 0);
    brood_thread_drop(of_parent->living);
    brood_thread_drop(of_parent->ended);
    return 0;
}

static void a_copy_cannot_use_the_threads_of_its_parent(void **state)
{
    (void)state;
    const brood_process_options copy = { .method = BROOD_START_FORK, .fork_with_threads = true };
    const brood_thread_options options = { .name = "thread of the parent" };
    atomic_store(&gate, 0);
    struct of_parent of_parent = { started_with(stay, NULL, 0, &options),
                                   started_thread(nothing, NULL, 0), 0 };
    of_parent.id = brood_thread_id(of_parent.living);
    assert_status(brood_thread_join(of_parent.ended, MEETING_PATIENCE, NULL), BROOD_OK);
    if (platform_copy_may_start_threads()) { // as brood does at the end of the copy
        brood_process *process;
        assert_status(brood_process_start(&process, use_threads_of_another_process, &of_parent,
                                          sizeof of_parent, &copy),
                      BROOD_OK);
        assert_process_ends(process, 0);
    }
    assert_int_equal(platform_guest(use_threads_of_another_process, &of_parent),
                     platform_has_fork() ? 0 : -1);
    assert_true(brood_thread_is_alive(of_parent.living));
    end_stayer(of_parent.living);
    assert_thread_ends(of_parent.ended, 0);
}

static int have_a_thread(void *arg)
{
    brood_thread *thread;
    int code = 99;
    CHECK(brood_thread_start(&thread, code_of_argument, arg, sizeof(int), NULL) == BROOD_OK);
    CHECK(brood_thread_join(thread, MEETING_PATIENCE, &code) == BROOD_OK);
    CHECK(code == *(int *)arg);
    brood_thread_drop(thread);
    return 0;
}

static void a_copy_has_threads_of_its_own(void **state)
{
    (void)state;
    int code = 1234567;
    if (platform_copy_may_start_threads())
        assert_int_equal(platform_guest(have_a_thread, &code), 0);
    assert_int_equal(have_a_thread(&code), 0);
}

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_are_named_by_number),
        cmocka_unit_test(each_process_counts_its_own_threads),
        cmocka_unit_test(a_given_name_is_copied),
        cmocka_unit_test(a_name_may_be_empty_or_long),
        cmocka_unit_test(names_need_not_differ),
        cmocka_unit_test(a_thread_returns_all_bits_of_its_code),
        cmocka_unit_test(a_target_runs_in_another_thread),
        cmocka_unit_test(a_thread_that_leaves_by_the_system_itself_is_joined),
        cmocka_unit_test(an_argument_of_any_size_is_copied_whole_and_aligned),
        cmocka_unit_test(without_a_size_the_pointer_itself_is_passed_on),
        cmocka_unit_test(joining_a_live_thread_with_no_time_returns_at_once),
        cmocka_unit_test(a_join_lasts_at_least_its_timeout),
        cmocka_unit_test(an_endless_timeout_is_not_taken_for_a_past_one),
        cmocka_unit_test(a_thread_is_joined_any_number_of_times),
        cmocka_unit_test(many_threads_join_one_thread),
        cmocka_unit_test(a_cancelled_joiner_leaves_the_thread_joinable),
        cmocka_unit_test(joins_at_the_moment_of_the_end_all_get_the_code),
        cmocka_unit_test(a_thread_cannot_join_itself),
        cmocka_unit_test(is_alive_turns_false_without_a_join),
        cmocka_unit_test(dropping_neither_ends_a_thread_nor_frees_its_argument),
        cmocka_unit_test(a_thread_may_drop_the_last_reference_to_itself),
        cmocka_unit_test(the_id_of_a_thread_is_unique_and_never_changes),
        cmocka_unit_test(no_two_threads_of_a_family_ever_have_the_same_id),
        cmocka_unit_test(the_end_of_a_process_waits_for_unjoined_threads),
        cmocka_unit_test(the_end_of_a_process_waits_for_a_thread_that_leaves_by_the_system_itself),
        cmocka_unit_test(a_thread_started_while_the_process_ends_is_waited_for_too),
        cmocka_unit_test(the_end_of_a_process_does_not_wait_for_daemons),
        cmocka_unit_test(a_process_ends_even_if_a_daemon_is_in_a_long_wait),
        cmocka_unit_test(being_a_daemon_is_inherited),
        cmocka_unit_test(a_copy_made_by_a_daemon_thread_waits_for_its_threads),
        cmocka_unit_test(once_the_end_has_begun_no_thread_is_started),
        cmocka_unit_test(bad_arguments_are_refused),
        cmocka_unit_test(default_options_are_accepted),
        cmocka_unit_test(calls_without_a_thread_are_harmless),
        cmocka_unit_test(a_stack_is_as_large_as_requested),
        cmocka_unit_test(a_small_stack_is_large_enough_for_thread_local_variables),
        cmocka_unit_test(a_stack_too_large_for_any_system_is_refused),
        cmocka_unit_test(hundreds_of_joined_threads_leave_nothing),
        cmocka_unit_test(threads_without_a_reference_are_reaped_in_passing),
        cmocka_unit_test(a_hundred_threads_live_at_once),
        cmocka_unit_test(threads_start_threads),
        cmocka_unit_test(threads_start_threads_at_the_same_time),
        cmocka_unit_test(a_thread_outlives_the_thread_that_started_it),
        cmocka_unit_test(a_copy_cannot_use_the_threads_of_its_parent),
        cmocka_unit_test(a_copy_has_threads_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
