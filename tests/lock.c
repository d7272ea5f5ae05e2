// SPDX-License-Identifier: MIT
#include "meeting.h"

#include "../src/base/atomic.h"
#include "foreign.h"

#include <string.h>

static brood_lock made_lock(void)
{
    brood_lock lock = { 0 };
    assert_status(brood_lock_create(&lock), BROOD_OK);
    return lock;
}

// Exclusion

static long shared_count; // guarded by the test's lock, so not atomic

static int count_in_memory(void *arg)
{
    const brood_lock lock = *(brood_lock *)arg;
    const int rounds = foreign_is_slow() ? 5000 : 20000;
    for (int i = 0; i < rounds; i++) {
        CHECK(brood_lock_acquire(lock, BROOD_FOREVER) == BROOD_OK);
        shared_count++;
        CHECK(brood_lock_release(lock) == BROOD_OK);
    }
    return 0;
}

static void threads_exclude_each_other(void **state)
{
    (void)state;
    enum { THREADS = 4 };
    const brood_lock lock = made_lock();
    brood_thread *threads[THREADS];
    shared_count = 0;
    for (int i = 0; i < THREADS; i++)
        threads[i] = started_thread(count_in_memory, &lock, sizeof lock);
    for (int i = 0; i < THREADS; i++)
        assert_thread_ends(threads[i], 0);
    assert_int_equal(shared_count, THREADS * (foreign_is_slow() ? 5000 : 20000));
    assert_status(brood_lock_destroy(lock), BROOD_OK);
}

enum { MOST_OF_EACH = 5 };

static int count_rounds(void)
{
    return foreign_is_slow() ? 300 : 10000;
}

static int count_in_registry(void *arg)
{
    const brood_lock lock = *(brood_lock *)arg;
    const int rounds = count_rounds();
    for (int i = 0; i < rounds; i++) {
        CHECK(brood_lock_acquire(lock, BROOD_FOREVER) == BROOD_OK);
        note("count", noted("count") + 1);
        CHECK(brood_lock_release(lock) == BROOD_OK);
    }
    return 0;
}

static void count_together(int process_count, int thread_count)
{
    brood_process *processes[MOST_OF_EACH];
    brood_thread *threads[MOST_OF_EACH];
    const brood_lock lock = made_lock();
    note("count", 0);
    for (int i = 0; i < process_count; i++)
        processes[i] = started_process(count_in_registry, &lock, sizeof lock);
    for (int i = 0; i < thread_count; i++)
        threads[i] = started_thread(count_in_registry, &lock, sizeof lock);
    for (int i = 0; i < process_count; i++)
        assert_process_ends(processes[i], 0);
    for (int i = 0; i < thread_count; i++)
        assert_thread_ends(threads[i], 0);
    assert_int_equal(noted("count"), (process_count + thread_count) * count_rounds());
    assert_status(brood_lock_destroy(lock), BROOD_OK);
}

static void processes_exclude_each_other(void **state)
{
    (void)state;
    count_together(4, 0);
}

static void threads_and_processes_exclude_each_other(void **state)
{
    (void)state;
    count_together(MOST_OF_EACH, MOST_OF_EACH);
}

// A thread or process that holds a lock until the test notes "let go".

static int hold(void *arg)
{
    const brood_lock lock = *(brood_lock *)arg;
    CHECK(brood_lock_acquire(lock, MEETING_PATIENCE) == BROOD_OK);
    note("held", 1);
    CHECK(await_note("let go", 1));
    CHECK(brood_lock_release(lock) == BROOD_OK);
    return 0;
}

struct holder {
    brood_thread *thread;
    brood_process *process;
};

static struct holder started_holder(brood_lock lock, bool as_process)
{
    struct holder holder = { NULL, NULL };
    note("held", 0);
    note("let go", 0);
    if (as_process)
        holder.process = started_process(hold, &lock, sizeof lock);
    else
        holder.thread = started_thread(hold, &lock, sizeof lock);
    assert_true(await_note("held", 1));
    return holder;
}

static void let_go(struct holder holder)
{
    note("let go", 1);
    if (holder.process)
        assert_process_ends(holder.process, 0);
    if (holder.thread)
        assert_thread_ends(holder.thread, 0);
}

// Timeouts

static void expect_timeouts(bool as_process)
{
    const brood_lock lock = made_lock();
    const struct holder holder = started_holder(lock, as_process);
    const brood_duration none[] = { BROOD_NOW, -1, -BROOD_SECONDS(5), INT64_MIN };
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        assert_status(brood_lock_acquire(lock, none[i]), BROOD_TIMEOUT);
    const brood_duration some[] = { 1, BROOD_MICROSECONDS(300), BROOD_MILLISECONDS(20),
                                    BROOD_MILLISECONDS(120) };
    for (size_t i = 0; i < sizeof some / sizeof some[0]; i++) {
        const int64_t before = brood_clock();
        assert_status(brood_lock_acquire(lock, some[i]), BROOD_TIMEOUT);
        const int64_t took = brood_clock() - before;
        assert_true(took >= some[i]);
        assert_true(took < BROOD_SECONDS(20));
    }
    let_go(holder);
    assert_status(brood_lock_acquire(lock, BROOD_NOW), BROOD_OK);
    assert_status(brood_lock_release(lock), BROOD_OK);
    assert_status(brood_lock_destroy(lock), BROOD_OK);
}

static void an_acquire_times_out_at_its_deadline_and_not_before(void **state)
{
    (void)state;
    expect_timeouts(false);
    expect_timeouts(true);
}

static int hold_a_while(void *arg)
{
    const brood_lock lock = *(brood_lock *)arg;
    CHECK(brood_lock_acquire(lock, MEETING_PATIENCE) == BROOD_OK);
    note("held", 1);
    brood_sleep(BROOD_MILLISECONDS(30));
    CHECK(brood_lock_release(lock) == BROOD_OK);
    return 0;
}

static void an_endless_timeout_is_not_taken_for_a_past_one(void **state)
{
    (void)state;
    const brood_duration endless[] = { BROOD_FOREVER, INT64_MAX - 1, INT64_MAX / 2 };
    const brood_lock lock = made_lock();
    for (size_t i = 0; i < sizeof endless / sizeof endless[0]; i++) {
        note("held", 0);
        brood_thread *thread = started_thread(hold_a_while, &lock, sizeof lock);
        assert_true(await_note("held", 1));
        assert_status(brood_lock_acquire(lock, endless[i]), BROOD_OK);
        assert_status(brood_lock_release(lock), BROOD_OK);
        assert_thread_ends(thread, 0);
    }
    assert_status(brood_lock_destroy(lock), BROOD_OK);
}

// Rules for the holder and others

static void a_holder_that_acquires_again_gets_an_error_whatever_the_timeout(void **state)
{
    (void)state;
    const brood_duration timeouts[] = { BROOD_NOW, -1, BROOD_MILLISECONDS(1), BROOD_SECONDS(3),
                                        BROOD_FOREVER };
    const brood_lock lock = made_lock();
    assert_status(brood_lock_acquire(lock, BROOD_NOW), BROOD_OK);
    for (size_t i = 0; i < sizeof timeouts / sizeof timeouts[0]; i++)
        assert_status(brood_lock_acquire(lock, timeouts[i]), BROOD_DEADLOCK);
    assert_string_equal(
        brood_last_error(),
        "brood_lock_acquire: would wait for itself: this thread already holds the lock");
    assert_status(brood_lock_release(lock), BROOD_OK);
    assert_status(brood_lock_release(lock), BROOD_NOT_OWNER);
    assert_status(brood_lock_destroy(lock), BROOD_OK);
}

static int try_once(void *arg)
{
    const brood_lock lock = *(brood_lock *)arg;
    const brood_status status = brood_lock_acquire(lock, BROOD_NOW);
    if (brood_status_acquired(status))
        (void)brood_lock_release(lock);
    return (int)status;
}

// What another thread and another process get when they try to acquire.
static void assert_others_get(brood_lock lock, brood_status expected)
{
    assert_thread_ends(started_thread(try_once, &lock, sizeof lock), (int)expected);
    assert_process_ends(started_process(try_once, &lock, sizeof lock), (int)expected);
}

static void a_recursive_lock_is_free_after_as_many_releases(void **state)
{
    (void)state;
    brood_lock lock;
    assert_status(brood_lock_create_recursive(&lock), BROOD_OK);
    for (int round = 0; round < 2; round++) {
        for (int level = 0; level < 3; level++)
            assert_status(brood_lock_acquire(lock, level == 1 ? BROOD_FOREVER : BROOD_NOW),
                          BROOD_OK);
        assert_status(brood_lock_release(lock), BROOD_OK);
        assert_status(brood_lock_release(lock), BROOD_OK);
        assert_others_get(lock, BROOD_TIMEOUT);
        assert_status(brood_lock_destroy(lock), BROOD_BUSY);
        assert_status(brood_lock_release(lock), BROOD_OK);
        assert_others_get(lock, BROOD_OK);
        assert_status(brood_lock_release(lock), BROOD_NOT_OWNER);
    }
    assert_status(brood_lock_destroy(lock), BROOD_OK);
}

static void only_the_holder_releases(void **state)
{
    (void)state;
    brood_lock locks[2] = { made_lock(), { 0 } };
    assert_status(brood_lock_create_recursive(&locks[1]), BROOD_OK);
    for (int i = 0; i < 4; i++) {
        const brood_lock lock = locks[i % 2];
        assert_status(brood_lock_release(lock), BROOD_NOT_OWNER);
        const struct holder holder = started_holder(lock, i >= 2);
        assert_status(brood_lock_release(lock), BROOD_NOT_OWNER);
        assert_status(brood_lock_acquire(lock, BROOD_NOW), BROOD_TIMEOUT);
        let_go(holder);
        assert_status(brood_lock_release(lock), BROOD_NOT_OWNER);
    }
    for (int i = 0; i < 2; i++)
        assert_status(brood_lock_destroy(locks[i]), BROOD_OK);
}

static void a_held_lock_is_not_destroyed(void **state)
{
    (void)state;
    const brood_lock lock = made_lock();
    assert_status(brood_lock_acquire(lock, BROOD_NOW), BROOD_OK);
    assert_status(brood_lock_destroy(lock), BROOD_BUSY);
    assert_status(brood_lock_release(lock), BROOD_OK);
    for (int i = 0; i < 2; i++) {
        const struct holder holder = started_holder(lock, i == 1);
        assert_status(brood_lock_destroy(lock), BROOD_BUSY);
        assert_status(brood_lock_destroy(lock), BROOD_BUSY);
        let_go(holder);
    }
    assert_status(brood_lock_destroy(lock), BROOD_OK);
}

// Handles

static int find_stale(void *arg)
{
    const brood_lock lock = *(brood_lock *)arg;
    CHECK(brood_lock_acquire(lock, BROOD_FOREVER) == BROOD_STALE);
    CHECK(brood_lock_release(lock) == BROOD_STALE);
    CHECK(brood_lock_destroy(lock) == BROOD_STALE);
    return 0;
}

static void a_destroyed_lock_is_stale_everywhere(void **state)
{
    (void)state;
    const brood_lock lock = made_lock();
    assert_status(brood_lock_destroy(lock), BROOD_OK);
    assert_int_equal(find_stale(&(brood_lock){ lock.id }), 0);
    assert_thread_ends(started_thread(find_stale, &lock, sizeof lock), 0);
    assert_process_ends(started_process(find_stale, &lock, sizeof lock), 0);
    const brood_lock next = made_lock();
    assert_int_not_equal(next.id, lock.id);
    assert_int_equal(find_stale(&(brood_lock){ lock.id }), 0);
    assert_status(brood_lock_destroy(next), BROOD_OK);
}

static int wait_for_the_end(void *arg)
{
    const brood_lock lock = *(brood_lock *)arg;
    note("about to wait", 1);
    const brood_status status = brood_lock_acquire(lock, MEETING_PATIENCE);
    if (brood_status_acquired(status))
        CHECK(brood_lock_release(lock) == BROOD_OK);
    return (int)status;
}

// A waiter may acquire the lock between the release and the destroy, and then holds it for a
// moment.
static bool destroy_under_a_waiter(bool as_process)
{
    const brood_lock lock = made_lock();
    int code = -1;
    note("about to wait", 0);
    assert_status(brood_lock_acquire(lock, BROOD_NOW), BROOD_OK);
    brood_thread *thread = as_process ? NULL : started_thread(wait_for_the_end, &lock, sizeof lock);
    brood_process *process =
        as_process ? started_process(wait_for_the_end, &lock, sizeof lock) : NULL;
    assert_true(await_note("about to wait", 1));
    // Most likely the other side waits by then; nothing depends on it.
    brood_sleep(BROOD_MILLISECONDS(3));
    assert_status(brood_lock_release(lock), BROOD_OK);
    while (brood_lock_destroy(lock) == BROOD_BUSY)
        brood_sleep(BROOD_MICROSECONDS(100));
    if (thread) {
        assert_status(brood_thread_join(thread, MEETING_PATIENCE, &code), BROOD_OK);
        brood_thread_drop(thread);
    } else {
        brood_exit ended;
        assert_status(brood_process_join(process, MEETING_PATIENCE, &ended), BROOD_OK);
        assert_int_equal(ended.kind, BROOD_EXITED);
        code = ended.code;
        brood_process_drop(process);
    }
    assert_true(code == BROOD_STALE || code == BROOD_OK);
    return code == BROOD_STALE;
}

static void a_waiter_learns_that_the_lock_was_destroyed(void **state)
{
    (void)state;
    for (int as_process = 0; as_process < 2; as_process++) {
        int left = 200;
        while (left > 0 && !destroy_under_a_waiter(as_process))
            left--;
        assert_true(left > 0);
    }
}

static void assert_invalid(uint64_t id)
{
    const brood_lock lock = { id };
    assert_status(brood_lock_acquire(lock, BROOD_NOW), BROOD_INVALID);
    assert_status(brood_lock_acquire(lock, BROOD_FOREVER), BROOD_INVALID);
    assert_status(brood_lock_release(lock), BROOD_INVALID);
    assert_status(brood_lock_destroy(lock), BROOD_INVALID);
}

static void a_value_that_was_never_a_lock_is_invalid(void **state)
{
    (void)state;
    static const uint64_t evil[] = { 0,
                                     1,
                                     UINT64_MAX,
                                     INT64_MAX,
                                     UINT64_C(0xdeadbeefdeadbeef),
                                     UINT64_C(0xcdcdcdcdcdcdcdcd),
                                     UINT64_C(1) << 63 };
    for (size_t i = 0; i < sizeof evil / sizeof evil[0]; i++)
        assert_invalid(evil[i]);
    // A lock's handle with one bit changed is never usable. The low bits are left out: they may
    // lead to another lock.
    const brood_lock lock = made_lock();
    for (unsigned bit = 20; bit < 64; bit++) {
        const brood_lock other = { lock.id ^ (UINT64_C(1) << bit) };
        const brood_status status = brood_lock_acquire(other, BROOD_NOW);
        assert_true(status == BROOD_INVALID || status == BROOD_STALE);
        assert_int_equal(brood_lock_release(other), status);
        assert_int_equal(brood_lock_destroy(other), status);
    }
    // Another family, another kind.
    assert_invalid(lock.id ^ (UINT64_C(1) << 50));
    assert_invalid(lock.id ^ (UINT64_C(1) << 42));
    assert_status(brood_lock_destroy(lock), BROOD_OK);
}

static void a_missing_result_pointer_is_invalid(void **state)
{
    (void)state;
    assert_status(brood_lock_create(NULL), BROOD_INVALID);
    assert_string_equal(brood_last_error(), "brood_lock_create: a bad argument: out is NULL");
    assert_status(brood_lock_create_recursive(NULL), BROOD_INVALID);
}

// Deaths of holders

enum { WAITERS = 3, MOST_LATENCIES = 64 };

static int64_t latencies[MOST_LATENCIES];
static size_t latency_count;

static int by_size(const void *a, const void *b)
{
    const int64_t left = *(const int64_t *)a;
    const int64_t right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

static void keep_latency(int64_t latency)
{
    if (latency_count < MOST_LATENCIES)
        latencies[latency_count++] = latency > 0 ? latency : 0;
    assert_true(latency < BROOD_SECONDS(10));
}

static void print_latencies(const char *what)
{
    if (latency_count == 0)
        return;
    qsort(latencies, latency_count, sizeof latencies[0], by_size);
    print_message("%s: from the death to OWNER_DIED: median %.3f ms, longest %.3f ms of %u\n", what,
                  (double)latencies[latency_count / 2] / 1e6,
                  (double)latencies[latency_count - 1] / 1e6, (unsigned)latency_count);
    latency_count = 0;
}

struct waiter {
    brood_lock lock;
    unsigned number;
};

static int outlive(void *arg)
{
    const struct waiter *self = arg;
    note_of("waits", self->number, 1);
    const brood_status status = brood_lock_acquire(self->lock, MEETING_PATIENCE);
    const int64_t now = brood_clock();
    CHECK(brood_status_acquired(status));
    if (status == BROOD_OWNER_DIED) {
        note("heirs", noted("heirs") + 1); // guarded by the lock
        note("inherited at", (uint64_t)now);
    }
    CHECK(brood_lock_release(self->lock) == BROOD_OK);
    CHECK(brood_lock_acquire(self->lock, MEETING_PATIENCE) == BROOD_OK);
    CHECK(brood_lock_release(self->lock) == BROOD_OK);
    return 0;
}

// How a holder dies: `begin` starts it, and it notes "held"; `end` kills it or awaits its end.
struct death {
    void (*begin)(brood_lock lock);
    void (*end)(void); // returns when the holder has ended
};

// Two threads and a process wait for the lock, for `patience` or longer, when its holder dies.
static void expect_one_heir(const struct death *death, brood_duration patience)
{
    brood_thread *threads[WAITERS - 1];
    const brood_lock lock = made_lock();
    note("held", 0);
    note("die", 0);
    note("heirs", 0);
    note("died at", 0);
    death->begin(lock);
    assert_true(await_note("held", 1));
    for (unsigned i = 0; i < WAITERS; i++)
        note_of("waits", i, 0);
    const struct waiter last = { lock, WAITERS - 1 };
    brood_process *process = started_process(outlive, &last, sizeof last);
    for (unsigned i = 0; i < WAITERS - 1; i++)
        threads[i] = started_thread(outlive, &(struct waiter){ lock, i }, sizeof(struct waiter));
    for (unsigned i = 0; i < WAITERS; i++)
        while (noted_of("waits", i) == 0)
            brood_sleep(BROOD_MILLISECONDS(1));
    brood_sleep(patience);
    assert_int_equal(noted("heirs"), 0);
    note("died at", (uint64_t)brood_clock());
    note("die", 1);
    death->end();
    for (int i = 0; i < WAITERS - 1; i++)
        assert_thread_ends(threads[i], 0);
    assert_process_ends(process, 0);
    assert_int_equal(noted("heirs"), 1);
    keep_latency((int64_t)(noted("inherited at") - noted("died at")));
    assert_others_get(lock, BROOD_OK);
    assert_status(brood_lock_acquire(lock, BROOD_NOW), BROOD_OK);
    assert_status(brood_lock_release(lock), BROOD_OK);
    assert_status(brood_lock_destroy(lock), BROOD_OK);
}

static brood_process *dying_process;
static brood_thread *dying_thread;
static foreign_thread *dying_foreign_thread;

// A process that is killed.

static int hold_until_killed(void *arg)
{
    CHECK(brood_lock_acquire(*(brood_lock *)arg, MEETING_PATIENCE) == BROOD_OK);
    note("held", 1);
    brood_sleep(MEETING_PATIENCE);
    return 0;
}

static void begin_process(brood_lock lock)
{
    dying_process = started_process(hold_until_killed, &lock, sizeof lock);
}

static void kill_dying_process(void)
{
    note("died at", (uint64_t)brood_clock());
    kill_process(dying_process);
}

static const struct death by_kill = { begin_process, kill_dying_process };

// A process, and a thread of this process, whose target returns.

static int hold_and_return(void *arg)
{
    CHECK(brood_lock_acquire(*(brood_lock *)arg, MEETING_PATIENCE) == BROOD_OK);
    note("held", 1);
    CHECK(await_note("die", 1));
    note("died at", (uint64_t)brood_clock());
    return 7;
}

static void begin_returning_process(brood_lock lock)
{
    dying_process = started_process(hold_and_return, &lock, sizeof lock);
}

static void expect_return_of_process(void)
{
    assert_process_ends(dying_process, 7);
}

static const struct death by_return_of_process = { begin_returning_process,
                                                   expect_return_of_process };

static void begin_thread(brood_lock lock)
{
    dying_thread = started_thread(hold_and_return, &lock, sizeof lock);
}

static void expect_return_of_thread(void)
{
    assert_thread_ends(dying_thread, 7);
}

static const struct death by_return_of_thread = { begin_thread, expect_return_of_thread };

// A process that calls exit().

static int hold_and_exit(void *arg)
{
    (void)hold_and_return(arg);
    exit(9);
}

static void begin_exiting_process(brood_lock lock)
{
    dying_process = started_process(hold_and_exit, &lock, sizeof lock);
}

static void expect_exit(void)
{
    assert_process_ends(dying_process, 9);
}

static const struct death by_exit = { begin_exiting_process, expect_exit };

// A thread of another process, which lives on.

static int live_on(void *arg)
{
    brood_thread *thread = NULL;
    int code = 0;
    CHECK(brood_thread_start(&thread, hold_and_return, arg, sizeof(brood_lock), NULL) == BROOD_OK);
    CHECK(brood_thread_join(thread, MEETING_PATIENCE, &code) == BROOD_OK);
    CHECK(code == 7);
    brood_thread_drop(thread);
    CHECK(await_note("leave", 1));
    return 0;
}

static void begin_living_process(brood_lock lock)
{
    note("leave", 0);
    dying_process = started_process(live_on, &lock, sizeof lock);
}

static void expect_heir_before_the_end(void)
{
    assert_true(await_note("heirs", 1));
    assert_true(brood_process_is_alive(dying_process));
    note("leave", 1);
    assert_process_ends(dying_process, 0);
}

static const struct death by_return_elsewhere = { begin_living_process,
                                                  expect_heir_before_the_end };

// A thread that brood did not start.

static void hold_in_foreign_thread(void *arg)
{
    brood_lock lock = *(brood_lock *)arg;
    free(arg);
    if (hold_and_return(&lock) != 7)
        abort();
}

static void hold_and_exit_thread(void *arg)
{
    hold_in_foreign_thread(arg);
    foreign_thread_exit();
}

static void *copy_of(brood_lock lock)
{
    brood_lock *copy = malloc(sizeof *copy);
    assert_non_null(copy);
    *copy = lock;
    return copy;
}

static void begin_foreign_thread(brood_lock lock)
{
    dying_foreign_thread = foreign_thread_start(hold_in_foreign_thread, copy_of(lock));
}

static void begin_exiting_foreign_thread(brood_lock lock)
{
    dying_foreign_thread = foreign_thread_start(hold_and_exit_thread, copy_of(lock));
}

static void join_foreign_thread(void)
{
    foreign_thread_join(dying_foreign_thread);
}

static const struct death by_return_of_foreign_thread = { begin_foreign_thread,
                                                          join_foreign_thread };
static const struct death by_exit_of_foreign_thread = { begin_exiting_foreign_thread,
                                                        join_foreign_thread };

static void expect_heirs(const char *what, const struct death *death)
{
    for (int i = 0; i < 5; i++)
        expect_one_heir(death, i == 0 ? BROOD_MILLISECONDS(120) : 0);
    print_latencies(what);
}

static void a_killed_process_passes_the_lock_on(void **state)
{
    (void)state;
    expect_heirs("process killed", &by_kill);
}

static void a_process_that_returns_passes_the_lock_on(void **state)
{
    (void)state;
    expect_heirs("process returns", &by_return_of_process);
}

static void a_process_that_exits_passes_the_lock_on(void **state)
{
    (void)state;
    expect_heirs("process exits", &by_exit);
}

static void a_thread_that_returns_passes_the_lock_on(void **state)
{
    (void)state;
    expect_heirs("thread returns", &by_return_of_thread);
}

static void a_thread_of_another_living_process_passes_the_lock_on(void **state)
{
    (void)state;
    expect_heirs("thread of another process returns", &by_return_elsewhere);
}

static void a_thread_that_brood_did_not_start_passes_the_lock_on(void **state)
{
    (void)state;
    expect_heirs("foreign thread returns", &by_return_of_foreign_thread);
    expect_heirs("foreign thread exits", &by_exit_of_foreign_thread);
}

// A thread that has acquired a lock in a fiber, which is deleted.

static void acquire_in_fiber(void *arg)
{
    if (brood_lock_acquire(*(brood_lock *)arg, MEETING_PATIENCE) != BROOD_OK)
        abort();
}

static void hold_after_a_fiber(void *arg)
{
    foreign_fiber *fiber = foreign_fiber_run(acquire_in_fiber, arg);
    if (fiber)
        foreign_fiber_delete(fiber);
    note("held", fiber ? 1 : 2);
    if (fiber && await_note("die", 1))
        note("released", 1 + (uint64_t)brood_lock_release(*(brood_lock *)arg));
}

static void a_thread_keeps_its_lock_when_its_fiber_is_deleted(void **state)
{
    (void)state;
    brood_lock lock = made_lock();
    note("held", 0);
    note("die", 0);
    note("released", 0);
    foreign_thread *holder = foreign_thread_start(hold_after_a_fiber, &lock);
    assert_true(await_note("held", 1));
    if (noted("held") == 1) {
        const brood_status status = brood_lock_acquire(lock, BROOD_NOW);
        note("die", 1);
        foreign_thread_join(holder);
        assert_status(status, BROOD_TIMEOUT);
        assert_int_equal(noted("released"), 1 + BROOD_OK);
        assert_status(brood_lock_acquire(lock, BROOD_NOW), BROOD_OK);
        assert_status(brood_lock_release(lock), BROOD_OK);
    } else {
        foreign_thread_join(holder);
    }
    assert_status(brood_lock_destroy(lock), BROOD_OK);
}

static void a_waiter_that_has_waited_for_long_inherits_too(void **state)
{
    (void)state;
    expect_one_heir(&by_kill, BROOD_MILLISECONDS(1700));
    expect_one_heir(&by_return_of_thread, BROOD_MILLISECONDS(1700));
    print_latencies("after 1.7 s of waiting");
}

static int inherit_and_wait(void *arg)
{
    const struct waiter *self = arg;
    note_of("waits", self->number, 1);
    const brood_status status = brood_lock_acquire(self->lock, MEETING_PATIENCE);
    CHECK(status == BROOD_OWNER_DIED);
    note("inherited at", (uint64_t)brood_clock());
    note("holder", (uint64_t)self->number + 1);
    brood_sleep(MEETING_PATIENCE);
    return 0;
}

static void an_heir_that_dies_has_an_heir(void **state)
{
    (void)state;
    enum { HEIRS = 4 };
    const brood_lock lock = made_lock();
    brood_process *heirs[HEIRS];
    note("held", 0);
    note("holder", 0);
    begin_process(lock);
    assert_true(await_note("held", 1));
    for (unsigned i = 0; i < HEIRS; i++) {
        note_of("waits", i, 0);
        heirs[i] =
            started_process(inherit_and_wait, &(struct waiter){ lock, i }, sizeof(struct waiter));
    }
    for (unsigned i = 0; i < HEIRS; i++)
        while (noted_of("waits", i) == 0)
            brood_sleep(BROOD_MILLISECONDS(1));
    for (int i = 0; i < HEIRS; i++) {
        const int64_t before = brood_clock();
        note("holder", 0);
        kill_process(dying_process);
        assert_true(await_note("holder", 1));
        keep_latency((int64_t)noted("inherited at") - before);
        dying_process = heirs[noted("holder") - 1];
    }
    kill_process(dying_process);
    assert_status(brood_lock_acquire(lock, BROOD_SECONDS(10)), BROOD_OWNER_DIED);
    assert_status(brood_lock_release(lock), BROOD_OK);
    assert_others_get(lock, BROOD_OK);
    assert_status(brood_lock_destroy(lock), BROOD_OK);
    print_latencies("a chain of heirs");
}

static int acquire_and_release(void *arg)
{
    const brood_lock lock = *(brood_lock *)arg;
    note("held", 1);
    for (;;) {
        CHECK(brood_status_acquired(brood_lock_acquire(lock, MEETING_PATIENCE)));
        CHECK(brood_lock_release(lock) == BROOD_OK);
    }
}

static void processes_killed_at_any_moment_leave_a_usable_lock(void **state)
{
    (void)state;
    const int rounds = foreign_is_slow() ? 5 : 30;
    const brood_lock lock = made_lock();
    int died = 0;
    for (int i = 0; i < rounds; i++) {
        note("held", 0);
        brood_process *pair[2];
        for (int j = 0; j < 2; j++)
            pair[j] = started_process(acquire_and_release, &lock, sizeof lock);
        assert_true(await_note("held", 1));
        brood_sleep(BROOD_MICROSECONDS(37 * i));
        for (int j = 0; j < 2; j++)
            kill_process(pair[j]);
        const brood_status status = brood_lock_acquire(lock, BROOD_SECONDS(10));
        assert_true(brood_status_acquired(status));
        died += status == BROOD_OWNER_DIED;
        assert_status(brood_lock_release(lock), BROOD_OK);
        assert_status(brood_lock_acquire(lock, BROOD_NOW), BROOD_OK);
        assert_status(brood_lock_release(lock), BROOD_OK);
    }
    assert_status(brood_lock_destroy(lock), BROOD_OK);
    print_message("of %d pairs of killed processes %d held the lock\n", rounds, died);
}

static void holders_are_killed_again_and_again(void **state)
{
    (void)state;
    const int rounds = foreign_is_slow() ? 5 : 30;
    const brood_lock lock = made_lock();
    for (int i = 0; i < rounds; i++) {
        note("held", 0);
        begin_process(lock);
        assert_true(await_note("held", 1));
        assert_status(brood_lock_acquire(lock, BROOD_NOW), BROOD_TIMEOUT);
        const int64_t before = brood_clock();
        assert_status(brood_process_kill(dying_process), BROOD_OK);
        assert_status(brood_lock_acquire(lock, BROOD_SECONDS(10)), BROOD_OWNER_DIED);
        keep_latency(brood_clock() - before);
        assert_status(brood_lock_release(lock), BROOD_OK);
        assert_status(brood_process_join(dying_process, MEETING_PATIENCE, NULL), BROOD_OK);
        brood_process_drop(dying_process);
        assert_status(brood_lock_acquire(lock, BROOD_NOW), BROOD_OK);
        assert_status(brood_lock_release(lock), BROOD_OK);
    }
    assert_status(brood_lock_destroy(lock), BROOD_OK);
    print_latencies("holder killed, no waiter yet");
}

static void a_lock_of_a_dead_holder_may_be_destroyed(void **state)
{
    (void)state;
    const brood_lock lock = made_lock();
    note("held", 0);
    begin_process(lock);
    assert_true(await_note("held", 1));
    kill_process(dying_process);
    // The system may still be cleaning up.
    const int64_t deadline = brood_clock() + BROOD_SECONDS(10);
    brood_status status;
    while ((status = brood_lock_destroy(lock)) == BROOD_BUSY && brood_clock() < deadline)
        brood_sleep(BROOD_MILLISECONDS(1));
    assert_status(status, BROOD_OK);
    assert_status(brood_lock_acquire(lock, BROOD_NOW), BROOD_STALE);
}

static void a_recursive_lock_of_a_dead_holder_starts_at_one_level(void **state)
{
    (void)state;
    brood_lock lock;
    assert_status(brood_lock_create_recursive(&lock), BROOD_OK);
    assert_status(brood_lock_acquire(lock, BROOD_NOW), BROOD_OK);
    assert_status(brood_lock_acquire(lock, BROOD_NOW), BROOD_OK);
    assert_status(brood_lock_release(lock), BROOD_OK);
    assert_status(brood_lock_release(lock), BROOD_OK);
    note("held", 0);
    note("die", 1);
    assert_thread_ends(started_thread(hold_and_return, &lock, sizeof lock), 7);
    assert_status(brood_lock_acquire(lock, BROOD_SECONDS(10)), BROOD_OWNER_DIED);
    assert_status(brood_lock_acquire(lock, BROOD_NOW), BROOD_OK);
    assert_status(brood_lock_release(lock), BROOD_OK);
    assert_others_get(lock, BROOD_TIMEOUT);
    assert_status(brood_lock_release(lock), BROOD_OK);
    assert_others_get(lock, BROOD_OK);
    assert_status(brood_lock_destroy(lock), BROOD_OK);
}

static int hold_many(void *arg)
{
    const brood_lock *locks = arg;
    for (int i = 0; locks[i].id != 0; i++)
        CHECK(brood_lock_acquire(locks[i], MEETING_PATIENCE) == BROOD_OK);
    return 0;
}

static void all_locks_of_a_dead_thread_are_passed_on(void **state)
{
    (void)state;
    enum { LOCKS = 20 };
    brood_lock locks[LOCKS + 1] = { { 0 } };
    for (int i = 0; i < LOCKS; i++)
        locks[i] = made_lock();
    assert_thread_ends(started_thread(hold_many, locks, sizeof locks), 0);
    for (int i = 0; i < LOCKS; i++) {
        assert_status(brood_lock_acquire(locks[i], BROOD_SECONDS(10)), BROOD_OWNER_DIED);
        // Threads that start and end meanwhile are not taken for the dead one.
        assert_thread_ends(started_thread(try_once, &locks[i], sizeof locks[i]), BROOD_TIMEOUT);
        assert_status(brood_lock_release(locks[i]), BROOD_OK);
    }
    for (int i = 0; i < LOCKS; i++)
        assert_status(brood_lock_destroy(locks[i]), BROOD_OK);
}

// Fairness

static atomic_bool greedy_stops;

static int be_greedy(void *arg)
{
    const brood_lock lock = *(brood_lock *)arg;
    note("held", 1);
    while (!atomic_load(&greedy_stops)) {
        CHECK(brood_lock_acquire(lock, MEETING_PATIENCE) == BROOD_OK);
        CHECK(brood_lock_release(lock) == BROOD_OK);
    }
    return 0;
}

static int be_greedy_elsewhere(void *arg)
{
    const brood_lock lock = *(brood_lock *)arg;
    note("held", 1);
    while (noted("stop") == 0)
        for (int i = 0; i < 2000; i++) {
            CHECK(brood_lock_acquire(lock, MEETING_PATIENCE) == BROOD_OK);
            CHECK(brood_lock_release(lock) == BROOD_OK);
        }
    return 0;
}

static void take_turns(brood_lock lock)
{
    for (int i = 0; i < 20; i++) {
        assert_status(brood_lock_acquire(lock, BROOD_SECONDS(10)), BROOD_OK);
        brood_sleep(BROOD_MILLISECONDS(2)); // so that the greedy side waits too
        assert_status(brood_lock_release(lock), BROOD_OK);
    }
}

static void newcomers_do_not_starve_a_waiter(void **state)
{
    (void)state;
    const brood_lock lock = made_lock();
    atomic_store(&greedy_stops, false);
    note("held", 0);
    note("stop", 0);
    brood_thread *greedy = started_thread(be_greedy, &lock, sizeof lock);
    assert_true(await_note("held", 1));
    take_turns(lock);
    atomic_store(&greedy_stops, true);
    assert_thread_ends(greedy, 0);
    note("held", 0);
    brood_process *elsewhere = started_process(be_greedy_elsewhere, &lock, sizeof lock);
    assert_true(await_note("held", 1));
    take_turns(lock);
    note("stop", 1);
    assert_process_ends(elsewhere, 0);
    assert_status(brood_lock_destroy(lock), BROOD_OK);
}

enum { SHARERS = 5, TURNS = 500 };

static struct {
    brood_lock lock;
    int all; // guarded by the lock, as is of_each
    int of_each[SHARERS];
} turns;

static int take_its_turns(void *arg)
{
    const int self = *(int *)arg;
    for (bool over = false; !over;) {
        CHECK(brood_lock_acquire(turns.lock, MEETING_PATIENCE) == BROOD_OK);
        over = turns.all == TURNS;
        turns.all += !over;
        turns.of_each[self] += !over;
        brood_sleep(BROOD_MILLISECONDS(1)); // so that all others wait
        CHECK(brood_lock_release(turns.lock) == BROOD_OK);
    }
    return 0;
}

static void waiters_get_turns_whatever_their_slots_are(void **state)
{
    (void)state;
    brood_thread *threads[SHARERS];
    turns.lock = made_lock();
    assert_status(brood_lock_acquire(turns.lock, BROOD_NOW), BROOD_OK);
    for (int i = 0; i < SHARERS; i++)
        threads[i] = started_thread(take_its_turns, &i, sizeof i);
    brood_sleep(BROOD_MILLISECONDS(20)); // most of them wait by then
    assert_status(brood_lock_release(turns.lock), BROOD_OK);
    for (int i = 0; i < SHARERS; i++)
        assert_thread_ends(threads[i], 0);
    for (int i = 0; i < SHARERS; i++)
        if (turns.of_each[i] < TURNS / SHARERS / 4)
            fail_msg("one of %d had %d of %d turns", SHARERS, turns.of_each[i], TURNS);
    assert_status(brood_lock_destroy(turns.lock), BROOD_OK);
}

// Numbers of locks

static void slots_of_destroyed_locks_are_reused(void **state)
{
    (void)state;
    enum { KEPT = 100, CYCLES = 5000 };
    static brood_lock kept[KEPT];
    for (int i = 0; i < CYCLES; i++) {
        const brood_lock lock = made_lock();
        assert_status(brood_lock_acquire(lock, BROOD_NOW), BROOD_OK);
        assert_status(brood_lock_release(lock), BROOD_OK);
        assert_status(brood_lock_destroy(lock), BROOD_OK);
        kept[i % KEPT] = lock;
        assert_status(brood_lock_acquire(kept[(i + 1) % KEPT], BROOD_NOW),
                      i + 1 < KEPT ? BROOD_INVALID : BROOD_STALE);
    }
    for (int i = 0; i < KEPT; i++)
        assert_int_equal(find_stale(&kept[i]), 0);
}

static int by_id(const void *a, const void *b)
{
    const uint64_t left = ((const brood_lock *)a)->id;
    const uint64_t right = ((const brood_lock *)b)->id;
    return (left > right) - (left < right);
}

static int use_the_last(void *arg)
{
    return hold_many((brood_lock[]){ *(brood_lock *)arg, { 0 } }) ||
           brood_lock_release(*(brood_lock *)arg) != BROOD_OK;
}

static void there_may_be_many_locks_at_once(void **state)
{
    (void)state;
    enum { LOCKS = 20000 };
    brood_lock *locks = malloc(LOCKS * sizeof *locks);
    assert_non_null(locks);
    for (int i = 0; i < LOCKS; i++) {
        locks[i] = made_lock();
        if (brood_lock_acquire(locks[i], BROOD_NOW) != BROOD_OK)
            fail_msg("lock %d is not free: %s", i, brood_last_error());
    }
    for (int i = 0; i < LOCKS; i++)
        if (brood_lock_release(locks[i]) != BROOD_OK)
            fail_msg("lock %d is not held by this thread: %s", i, brood_last_error());
    assert_process_ends(started_process(use_the_last, &locks[LOCKS - 1], sizeof locks[0]), 0);
    qsort(locks, LOCKS, sizeof *locks, by_id);
    for (int i = 1; i < LOCKS; i++)
        assert_true(locks[i].id != locks[i - 1].id);
    for (int i = 0; i < LOCKS; i++)
        if (brood_lock_destroy(locks[i]) != BROOD_OK)
            fail_msg("lock %d is not destroyed: %s", i, brood_last_error());
    free(locks);
}

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_exclude_each_other),
        cmocka_unit_test(processes_exclude_each_other),
        cmocka_unit_test(threads_and_processes_exclude_each_other),
        cmocka_unit_test(an_acquire_times_out_at_its_deadline_and_not_before),
        cmocka_unit_test(an_endless_timeout_is_not_taken_for_a_past_one),
        cmocka_unit_test(a_holder_that_acquires_again_gets_an_error_whatever_the_timeout),
        cmocka_unit_test(a_recursive_lock_is_free_after_as_many_releases),
        cmocka_unit_test(only_the_holder_releases),
        cmocka_unit_test(a_held_lock_is_not_destroyed),
        cmocka_unit_test(a_destroyed_lock_is_stale_everywhere),
        cmocka_unit_test(a_waiter_learns_that_the_lock_was_destroyed),
        cmocka_unit_test(a_value_that_was_never_a_lock_is_invalid),
        cmocka_unit_test(a_missing_result_pointer_is_invalid),
        cmocka_unit_test(a_killed_process_passes_the_lock_on),
        cmocka_unit_test(a_process_that_returns_passes_the_lock_on),
        cmocka_unit_test(a_process_that_exits_passes_the_lock_on),
        cmocka_unit_test(a_thread_that_returns_passes_the_lock_on),
        cmocka_unit_test(a_thread_of_another_living_process_passes_the_lock_on),
        cmocka_unit_test(a_thread_that_brood_did_not_start_passes_the_lock_on),
        cmocka_unit_test(a_thread_keeps_its_lock_when_its_fiber_is_deleted),
        cmocka_unit_test(a_waiter_that_has_waited_for_long_inherits_too),
        cmocka_unit_test(an_heir_that_dies_has_an_heir),
        cmocka_unit_test(processes_killed_at_any_moment_leave_a_usable_lock),
        cmocka_unit_test(holders_are_killed_again_and_again),
        cmocka_unit_test(a_lock_of_a_dead_holder_may_be_destroyed),
        cmocka_unit_test(a_recursive_lock_of_a_dead_holder_starts_at_one_level),
        cmocka_unit_test(all_locks_of_a_dead_thread_are_passed_on),
        cmocka_unit_test(newcomers_do_not_starve_a_waiter),
        cmocka_unit_test(waiters_get_turns_whatever_their_slots_are),
        cmocka_unit_test(slots_of_destroyed_locks_are_reused),
        cmocka_unit_test(there_may_be_many_locks_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
