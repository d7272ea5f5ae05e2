// SPDX-License-Identifier: MIT
// Threads that are cancelled in a call of the library. Waits for a process or for a time are
// cancellation points; all other calls return first. In either case no lock stays held and
// nothing is lost.
#include "../meeting.h"

#include "../foreign.h"
#include "../methods.h"
#include "../platform.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

// What the calls use. Each child that makes the calls has its own.
static struct {
    brood_lock lock;
    brood_lock held;
    brood_semaphore semaphore;
    brood_event event;
    brood_condition condition;
    brood_barrier barrier;
    brood_block block;
    brood_block large;
    brood_local local;
    brood_process *child;
    brood_process *started[MOST_METHODS];
    brood_thread *thread;
    brood_once_flag once;
    size_t count;
} with = { .once = BROOD_ONCE_INIT };

static atomic_bool returned;

static int stay(void *arg)
{
    (void)arg;
    CHECK(await_note("leave", 1));
    return 0;
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static void start(int32_t method)
{
    const brood_process_options options = { .method = method };
    if (brood_process_start(&with.started[with.count], nothing, NULL, 0, &options) == BROOD_OK)
        with.count++;
}

static void start_spawn(void)
{
    start(BROOD_START_SPAWN);
}

static void start_served(void)
{
    start(BROOD_START_FORKSERVER);
}

static void start_fork(void)
{
    start(BROOD_START_FORK);
}

static void join_ended(void)
{
    (void)brood_process_join(with.started[0], MEETING_PATIENCE, NULL);
}

static void query_child(void)
{
    brood_exit ended;
    intptr_t native;
    (void)!brood_process_report(with.child, &ended);
    (void)!brood_process_native(with.child, &native);
    (void)brood_process_is_alive(with.child);
    (void)brood_process_request_stop(with.child);
    (void)brood_process_join(with.child, BROOD_NOW, NULL);
    (void)brood_active_children(NULL, 0);
}

static void drop_all(void)
{
    while (with.count > 0)
        brood_process_drop(with.started[--with.count]);
}

static void end_child(void)
{
    (void)brood_process_terminate(with.child);
    (void)brood_process_kill(with.child);
}

static void query_parent(void)
{
    (void)brood_parent_is_alive();
    (void)brood_parent_pid();
}

static void have_a_thread(void)
{
    brood_thread *thread;
    if (brood_thread_start(&thread, nothing, NULL, 0, NULL) != BROOD_OK)
        return;
    (void)brood_thread_join(thread, MEETING_PATIENCE, NULL);
    brood_thread_drop(thread);
}

static void have_objects(void)
{
    brood_lock lock;
    if (brood_lock_create(&lock) == BROOD_OK &&
        brood_lock_acquire(lock, BROOD_FOREVER) == BROOD_OK && brood_lock_release(lock) == BROOD_OK)
        (void)brood_lock_destroy(lock);
    (void)!brood_semaphore_acquire(with.semaphore, BROOD_MILLISECONDS(1));
    (void)!brood_event_wait(with.event, BROOD_MILLISECONDS(1));
    (void)!brood_lock_acquire(with.held, BROOD_MILLISECONDS(1));
    (void)!brood_stop_wait(BROOD_MILLISECONDS(1));
}

static void wait_without_time(void)
{
    if (brood_lock_acquire(with.lock, MEETING_PATIENCE) != BROOD_OK)
        return;
    (void)!brood_condition_wait(with.condition, with.lock, BROOD_MILLISECONDS(1));
    (void)brood_lock_release(with.lock);
    (void)!brood_barrier_wait(with.barrier, BROOD_MILLISECONDS(1), NULL);
    (void)brood_barrier_reset(with.barrier);
}

static void have_blocks(void)
{
    static const size_t sizes[] = { 64, 4 << 20, 64 << 20 };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        brood_block block;
        const brood_status status = i == 2 ? brood_block_create_lazy(&block, sizes[i])
                                           : brood_block_create(&block, sizes[i]);
        if (status != BROOD_OK)
            continue;
        char *data = brood_block_data(block);
        if (data)
            data[0] = 1;
        (void)brood_block_destroy(block);
    }
}

static void have_a_name(void)
{
    uint64_t id;
    (void)!brood_registry_set("name of the cancelled", 7);
    (void)!brood_registry_get("name of the cancelled", &id);
    (void)!brood_registry_set("name of the cancelled", 0);
}

static void ignore_line(const char *text, void *unused)
{
    (void)text;
    (void)unused;
}

static void dump(void)
{
    (void)brood_dump(ignore_line, NULL);
}

static void have_a_local(void)
{
    (void)!brood_local_set(with.local, &with);
    (void)brood_local_get(with.local);
}

static void be_slow(void)
{
    pthread_testcancel(); // acts when the function has returned, because others wait for it
}

static void once(void)
{
    brood_once(&with.once, be_slow);
}

static void shut_down(void)
{
    printf("words in the buffer\n");
    (void)brood_shutdown(MEETING_PATIENCE);
}

static void sleep_long(void)
{
    brood_sleep(MEETING_PATIENCE);
}

static void join_long(void)
{
    (void)brood_process_join(with.child, MEETING_PATIENCE, NULL);
}

static void stop_slowly(void)
{
    (void)brood_process_stop(with.child, MEETING_PATIENCE, NULL);
}

static void wait_for_parent(void)
{
    (void)brood_parent_wait(BROOD_FOREVER);
}

static void acquire_lock(void)
{
    if (brood_status_acquired(brood_lock_acquire(with.held, MEETING_PATIENCE)))
        (void)brood_lock_release(with.held);
}

static void await_event(void)
{
    (void)!brood_event_wait(with.event, MEETING_PATIENCE);
}

static void acquire_semaphore(void)
{
    (void)!brood_semaphore_acquire(with.semaphore, MEETING_PATIENCE);
}

static void await_condition(void)
{
    if (brood_lock_acquire(with.lock, MEETING_PATIENCE) != BROOD_OK)
        return;
    (void)!brood_condition_wait(with.condition, with.lock, MEETING_PATIENCE);
    (void)brood_lock_release(with.lock);
}

static void await_barrier(void)
{
    (void)!brood_barrier_wait(with.barrier, MEETING_PATIENCE, NULL);
}

static void join_thread(void)
{
    (void)brood_thread_join(with.thread, MEETING_PATIENCE, NULL);
}

// Runs one call in a thread that is cancelled before it, or while it waits.

struct attempt {
    void (*call)(void);
    bool before;
    atomic_bool begun;
};

extern void __asan_unpoison_memory_region(const volatile void *address, size_t size)
    __attribute__((__weak__));

// The address sanitizer does not notice that cancellation leaves functions: its marks around
// their variables stay, and it would take what runs there next for an overflow.
static void clear_stack(void *unused)
{
    enum { DEEPEST = 256 << 10 };
    (void)unused;
    if (__asan_unpoison_memory_region)
        __asan_unpoison_memory_region((char *)__builtin_frame_address(0) - DEEPEST, DEEPEST);
}

static void *attempt(void *arg)
{
    struct attempt *self = arg;
    pthread_cleanup_push(clear_stack, NULL);
    if (self->before)
        (void)pthread_cancel(pthread_self());
    atomic_store(&self->begun, true);
    self->call();
    atomic_store(&returned, true);
    pthread_testcancel();
    pthread_cleanup_pop(0);
    return NULL;
}

static pthread_t begin(struct attempt *self)
{
    pthread_t thread;
    atomic_store(&returned, false);
    if (pthread_create(&thread, NULL, attempt, self) != 0)
        abort();
    while (!atomic_load(&self->begun))
        brood_sleep(BROOD_MILLISECONDS(1));
    return thread;
}

// False if the thread was not cancelled, if its call returned although it should have been
// cancelled, or the reverse.
static bool is_cancelled(pthread_t thread, bool returns)
{
    void *result;
    return pthread_join(thread, &result) == 0 && result == PTHREAD_CANCELED &&
           atomic_load(&returned) == returns;
}

static bool try_before(void (*call)(void), bool returns)
{
    struct attempt self = { .call = call, .before = true };
    return is_cancelled(begin(&self), returns);
}

static bool try_meanwhile(void (*call)(void), void (*let_go)(void))
{
    struct attempt self = { .call = call };
    const pthread_t thread = begin(&self);
    brood_sleep(BROOD_MILLISECONDS(20)); // it waits by then, or is cancelled before
    (void)pthread_cancel(thread);
    if (let_go)
        let_go();
    return is_cancelled(thread, let_go != NULL);
}

// Each of these calls needs something that a cancelled thread could have kept.
static bool is_whole(void)
{
    brood_process *process;
    brood_block block;
    const brood_process_options served = { .method = BROOD_START_FORKSERVER };
    if (ftrylockfile(stdout) != 0)
        return false;
    funlockfile(stdout);
    if (brood_process_start(&process, nothing, NULL, 0, &served) != BROOD_OK ||
        brood_process_join(process, MEETING_PATIENCE, NULL) != BROOD_OK)
        return false;
    brood_process_drop(process);
    if (brood_block_create(&block, 64) != BROOD_OK || brood_block_destroy(block) != BROOD_OK)
        return false;
    have_a_name();
    return brood_active_children(NULL, 0) == (with.child ? 1 : 0) &&
           brood_lock_acquire(with.lock, BROOD_MILLISECONDS(1)) == BROOD_OK &&
           brood_lock_release(with.lock) == BROOD_OK;
}

static int make_all(void)
{
    CHECK(brood_lock_create(&with.lock) == BROOD_OK && brood_lock_create(&with.held) == BROOD_OK);
    CHECK(brood_lock_acquire(with.held, BROOD_NOW) == BROOD_OK);
    CHECK(brood_semaphore_create(&with.semaphore, 0, 1) == BROOD_OK);
    CHECK(brood_event_create(&with.event) == BROOD_OK);
    CHECK(brood_condition_create(&with.condition) == BROOD_OK);
    CHECK(brood_barrier_create(&with.barrier, 2) == BROOD_OK);
    CHECK(brood_local_create(&with.local, NULL) == BROOD_OK);
    CHECK(brood_process_start(&with.child, stay, NULL, 0, NULL) == BROOD_OK);
    return is_whole() ? 0 : __LINE__;
}

// Leaves the child to the library, which may have reaped it already. In an emulator the child's
// first thread ends earlier.
static bool ends(const brood_process *process)
{
    const int64_t deadline = brood_clock() + MEETING_PATIENCE;
    const id_t pid = (id_t)brood_process_pid(process);
    siginfo_t info = { .si_pid = 0 };
    while (waitid(P_PID, pid, &info, WEXITED | WNOWAIT | WNOHANG) == 0 && info.si_pid == 0 &&
           brood_clock() < deadline)
        brood_sleep(BROOD_MILLISECONDS(1));
    return info.si_pid != 0 || errno == ECHILD;
}

static int cancel_before(void *unused)
{
    static void (*const calls[])(void) = {
        start_spawn,  start_served,  start_fork,   join_ended,        drop_all,    query_child,
        query_parent, have_a_thread, have_objects, wait_without_time, have_blocks, have_a_name,
        dump,         have_a_local,  once,         end_child
    };
    enum { CALLS = sizeof calls / sizeof calls[0] };
    (void)unused;
    CHECK(make_all() == 0);
    const size_t before = platform_descriptor_count();
    for (size_t i = 0; i < CALLS; i++) {
        if (calls[i] == start_fork && !platform_copy_can_be_made_beside_threads())
            continue;
        note("call", i + 1);
        CHECK(calls[i] != join_ended || ends(with.started[0])); // a join that waits is cancelled
        CHECK(try_before(calls[i], true));
        if (calls[i] == end_child) {
            CHECK(brood_process_join(with.child, MEETING_PATIENCE, NULL) == BROOD_OK);
            brood_process_drop(with.child);
            with.child = NULL;
        }
    }
    CHECK(is_whole());
    CHECK(platform_descriptor_count() <= before);
    CHECK(try_before(shut_down, true));
    CHECK(ftrylockfile(stdout) == 0);
    funlockfile(stdout);
    return 0;
}

static void a_call_that_does_not_wait_returns_before_its_thread_is_cancelled(void **state)
{
    (void)state;
    note("leave", 0);
    note("call", 0);
    brood_process *process = started_process(cancel_before, NULL, 0);
    brood_exit ended = { .kind = BROOD_RUNNING };
    const brood_status status = brood_process_join(process, MEETING_PATIENCE, &ended);
    brood_process_drop(process);
    if (status != BROOD_OK || brood_exit_number(ended) != 0)
        fail_msg("%s with call %d in line %d", brood_status_name(status), (int)noted("call"),
                 brood_exit_number(ended));
}

static int cancel_points(void *unused)
{
    static void (*const calls[])(void) = { sleep_long, join_long, stop_slowly, wait_for_parent };
    (void)unused;
    CHECK(make_all() == 0);
    const size_t before = platform_descriptor_count();
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        CHECK(try_before(calls[i], false));
        CHECK(try_meanwhile(calls[i], NULL));
        CHECK(is_whole());
    }
    CHECK(platform_descriptor_count() == before);
    note("leave", 1);
    CHECK(brood_process_join(with.child, MEETING_PATIENCE, NULL) == BROOD_OK);
    brood_process_drop(with.child);
    return 0;
}

static void a_wait_for_a_process_or_a_time_is_a_cancellation_point(void **state)
{
    (void)state;
    note("leave", 0);
    assert_process_ends(started_process(cancel_points, NULL, 0), 0);
}

static void release_held(void)
{
    (void)brood_lock_release(with.held);
}

static void set_event(void)
{
    (void)brood_event_set(with.event);
}

static void release_semaphore(void)
{
    (void)brood_semaphore_release(with.semaphore, 1);
}

static void notify(void)
{
    bool done = false;
    while (!done) {
        (void)brood_condition_notify_all(with.condition);
        brood_sleep(BROOD_MILLISECONDS(1));
        done = atomic_load(&returned);
    }
}

static void await_any(void)
{
    const brood_waitable all[] = { brood_waitable_semaphore(with.semaphore),
                                   brood_waitable_process(with.child) };
    if (brood_wait_any(all, 1, MEETING_PATIENCE, NULL) == BROOD_OK)
        (void)!brood_semaphore_acquire(with.semaphore, BROOD_NOW);
}

static void await_any_by_system(void)
{
    const brood_waitable all[] = { brood_waitable_semaphore(with.semaphore),
                                   brood_waitable_process(with.child) };
    if (brood_wait_any(all, 2, MEETING_PATIENCE, NULL) == BROOD_OK)
        (void)!brood_semaphore_acquire(with.semaphore, BROOD_NOW);
}

static void leave(void)
{
    note("leave", 1);
}

static int cancel_while_blocked(void *unused)
{
    static const struct {
        void (*call)(void);
        void (*let_go)(void);
    } waits[] = { { acquire_lock, release_held },
                  { await_event, set_event },
                  { acquire_semaphore, release_semaphore },
                  { await_condition, notify },
                  { await_barrier, await_barrier },
                  { await_any, release_semaphore },
                  { await_any_by_system, release_semaphore },
                  { join_thread, leave } };
    (void)unused;
    CHECK(make_all() == 0);
    CHECK(brood_thread_start(&with.thread, stay, NULL, 0, NULL) == BROOD_OK);
    for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++)
        CHECK(try_meanwhile(waits[i].call, waits[i].let_go));
    brood_thread_drop(with.thread);
    CHECK(brood_process_join(with.child, MEETING_PATIENCE, NULL) == BROOD_OK);
    brood_process_drop(with.child);
    with.child = NULL;
    CHECK(is_whole());
    note("leave", 0);
    CHECK(brood_thread_start(NULL, stay, NULL, 0, NULL) == BROOD_OK);
    CHECK(try_meanwhile(shut_down, leave));
    return 0;
}

static void a_wait_for_a_shared_object_or_a_thread_is_no_cancellation_point(void **state)
{
    (void)state;
    note("leave", 0);
    assert_process_ends(started_process(cancel_while_blocked, NULL, 0), 0);
}

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_that_does_not_wait_returns_before_its_thread_is_cancelled),
        cmocka_unit_test(a_wait_for_a_process_or_a_time_is_a_cancellation_point),
        cmocka_unit_test(a_wait_for_a_shared_object_or_a_thread_is_no_cancellation_point),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
