// SPDX-License-Identifier: MIT
// Guests: processes that the program makes with its own fork(). A guest may use all of brood. At
// its end nothing is joined or stopped, and it does not die with any other process. A system
// without fork has no guests.
#include "meeting.h"

#include "../src/base/atomic.h"
#include "methods.h"
#include "platform.h"

#include <string.h>

static void assert_guest_ends_well(int (*fn)(void *), void *arg)
{
    note("guest failed", 0);
    const int code = platform_guest(fn, arg);
    if (code != (platform_has_fork() ? 0 : -1))
        fail_msg("the guest ended with %d, in line %d", code, (int)noted("guest failed"));
}

// As CHECK, for guests, which return 8 bits only.
#define CHECK_GUEST(condition)                        \
    do {                                              \
        if (!(condition)) {                           \
            note("guest failed", (uint64_t)__LINE__); \
            print_error("%s\n", brood_last_error());  \
            return 1;                                 \
        }                                             \
    } while (0)

// What a guest may use

enum { LARGE = 30000 };

static int use_what_is_shared(void *arg)
{
    const brood_lock *locks = arg; // the first is free, the parent holds the second
    CHECK_GUEST(noted("left for the guest") == 17);
    note("left by the guest", 18);
    CHECK_GUEST(brood_lock_acquire(locks[0], BROOD_NOW) == BROOD_OK);
    CHECK_GUEST(brood_lock_release(locks[0]) == BROOD_OK);
    CHECK_GUEST(brood_lock_acquire(locks[1], BROOD_NOW) == BROOD_TIMEOUT);
    CHECK_GUEST(brood_lock_release(locks[1]) == BROOD_NOT_OWNER);
    CHECK_GUEST(brood_lock_acquire(locks[0], BROOD_NOW) == BROOD_OK); // held at the guest's end
    return 0;
}

static void a_guest_uses_locks_and_the_registry(void **state)
{
    (void)state;
    brood_lock locks[2];
    for (int i = 0; i < 2; i++)
        assert_status(brood_lock_create(&locks[i]), BROOD_OK);
    assert_status(brood_lock_acquire(locks[1], BROOD_NOW), BROOD_OK);
    note("left for the guest", 17);
    assert_guest_ends_well(use_what_is_shared, locks);
    if (platform_has_fork()) {
        assert_int_equal(noted("left by the guest"), 18);
        assert_status(brood_lock_acquire(locks[0], MEETING_PATIENCE), BROOD_OWNER_DIED);
        assert_status(brood_lock_release(locks[0]), BROOD_OK);
    }
    assert_status(brood_lock_release(locks[1]), BROOD_OK);
    for (int i = 0; i < 2; i++)
        assert_status(brood_lock_destroy(locks[i]), BROOD_OK);
}

static int code_of_argument(void *arg)
{
    return *(int *)arg;
}

// The children come first: in a copy, the thread sanitizer starts a thread of its own with the
// first thread, and a fork beside threads is refused.
static int run_children_and_threads(void *arg)
{
    int32_t methods[MOST_METHODS];
    const size_t count = methods_of_this_system(methods);
    (void)arg;
    for (int i = 0; i < 3 * (int)count; i++) {
        const brood_process_options options = { .method = methods[(size_t)i % count] };
        brood_process *process;
        brood_exit ended;
        CHECK_GUEST(brood_process_start(&process, code_of_argument, &i, sizeof i, &options) ==
                    BROOD_OK);
        CHECK_GUEST(brood_process_join(process, MEETING_PATIENCE, &ended) == BROOD_OK);
        CHECK_GUEST(ended.kind == BROOD_EXITED && ended.code == i);
        brood_process_drop(process);
    }
    for (int i = 0; i < 3; i++) {
        brood_thread *thread;
        int code = -1;
        CHECK_GUEST(brood_thread_start(&thread, code_of_argument, &i, sizeof i, NULL) == BROOD_OK);
        CHECK_GUEST(brood_thread_join(thread, MEETING_PATIENCE, &code) == BROOD_OK && code == i);
        brood_thread_drop(thread);
    }
    CHECK_GUEST(brood_active_children(NULL, 0) == 0);
    return 0;
}

static void a_guest_has_threads_and_children_of_its_own(void **state)
{
    (void)state;
    assert_guest_ends_well(run_children_and_threads, NULL);
}

static int have_a_guest(void *arg)
{
    return platform_guest(run_children_and_threads, arg);
}

static void a_guest_of_a_guest_or_of_a_child_has_them_too(void **state)
{
    (void)state;
    int32_t methods[MOST_METHODS];
    const size_t count = methods_of_this_system(methods);
    assert_guest_ends_well(have_a_guest, NULL);
    for (size_t i = 0; i < count; i++) {
        const brood_process_options options = { .method = methods[i] };
        brood_process *process = NULL;
        assert_status(brood_process_start(&process, have_a_guest, NULL, 0, &options), BROOD_OK);
        assert_process_ends(process, platform_has_fork() ? 0 : -1);
    }
}

static int use_a_queue(void *arg)
{
    const brood_queue queue = *(brood_queue *)arg;
    static unsigned char data[LARGE];
    size_t size = 0;
    char byte = 0;
    CHECK_GUEST(brood_queue_get(queue, &byte, 1, NULL, MEETING_PATIENCE) == BROOD_OK);
    CHECK_GUEST(byte == 'a');
    CHECK_GUEST(brood_queue_get(queue, data, sizeof data, &size, MEETING_PATIENCE) == BROOD_OK);
    CHECK_GUEST(size == sizeof data && data[0] == 'b' && data[LARGE - 1] == 'b');
    CHECK_GUEST(brood_queue_put(queue, "c", 1, MEETING_PATIENCE) == BROOD_OK);
    memset(data, 'd', sizeof data);
    CHECK_GUEST(brood_queue_put(queue, data, sizeof data, MEETING_PATIENCE) == BROOD_OK);
    return 0;
}

static void a_guest_puts_and_gets_messages(void **state)
{
    (void)state;
    brood_queue queue = { 0 };
    static unsigned char data[LARGE];
    size_t size = 0;
    assert_status(brood_queue_create(&queue, 4, LARGE), BROOD_OK);
    memset(data, 'b', sizeof data);
    assert_status(brood_queue_put(queue, "a", 1, BROOD_NOW), BROOD_OK);
    assert_status(brood_queue_put(queue, data, sizeof data, BROOD_NOW), BROOD_OK);
    assert_guest_ends_well(use_a_queue, &queue);
    if (platform_has_fork()) {
        assert_status(brood_queue_get(queue, data, 1, NULL, BROOD_NOW), BROOD_OK);
        assert_int_equal(data[0], 'c');
        assert_status(brood_queue_get(queue, data, sizeof data, &size, BROOD_NOW), BROOD_OK);
        assert_true(size == sizeof data && data[0] == 'd' && data[LARGE - 1] == 'd');
        assert_status(brood_queue_get(queue, data, 1, NULL, BROOD_NOW), BROOD_TIMEOUT);
    }
    assert_status(brood_queue_destroy(queue), BROOD_OK);
}

// Guests made at any moment

static atomic_bool enough;

static int be_busy(void *arg)
{
    const brood_lock lock = *(brood_lock *)arg;
    while (!atomic_load(&enough)) {
        brood_process *process;
        const int code = 3;
        CHECK(brood_lock_acquire(lock, MEETING_PATIENCE) == BROOD_OK);
        note("busy", brood_self_thread_id());
        CHECK(brood_lock_release(lock) == BROOD_OK);
        CHECK(brood_process_start(&process, code_of_argument, &code, sizeof code, NULL) ==
              BROOD_OK);
        CHECK(brood_process_join(process, MEETING_PATIENCE, NULL) == BROOD_OK);
        brood_process_drop(process);
    }
    return 0;
}

static int do_a_little_of_everything(void *arg)
{
    const brood_lock lock = *(brood_lock *)arg;
    const int code = 7;
    brood_process *process;
    brood_thread *thread;
    brood_exit ended;
    int returned = -1;
    CHECK_GUEST(brood_active_children(NULL, 0) == 0);
    CHECK_GUEST(brood_lock_acquire(lock, MEETING_PATIENCE) == BROOD_OK);
    note("busy", 1);
    CHECK_GUEST(brood_lock_release(lock) == BROOD_OK);
    CHECK_GUEST(brood_thread_start(&thread, code_of_argument, &code, sizeof code, NULL) ==
                BROOD_OK);
    CHECK_GUEST(brood_thread_join(thread, MEETING_PATIENCE, &returned) == BROOD_OK &&
                returned == code);
    brood_thread_drop(thread);
    CHECK_GUEST(brood_process_start(&process, code_of_argument, &code, sizeof code, NULL) ==
                BROOD_OK);
    CHECK_GUEST(brood_process_join(process, MEETING_PATIENCE, &ended) == BROOD_OK);
    CHECK_GUEST(ended.kind == BROOD_EXITED && ended.code == code);
    brood_process_drop(process);
    return 0;
}

static void a_guest_made_beside_busy_threads_has_none_of_their_locks(void **state)
{
    (void)state;
    enum { THREADS = 3, GUESTS = 40 };
    brood_thread *threads[THREADS];
    brood_lock lock;
    skip_unless_copies_are_safe_beside_threads();
    assert_status(brood_lock_create(&lock), BROOD_OK);
    atomic_store(&enough, false);
    for (int i = 0; i < THREADS; i++)
        threads[i] = started_thread(be_busy, &lock, sizeof lock);
    note("guest failed", 0);
    int code = 0;
    for (int i = 0; i < GUESTS && code == 0; i++)
        code = platform_guest(do_a_little_of_everything, &lock);
    atomic_store(&enough, true);
    for (int i = 0; i < THREADS; i++)
        assert_thread_ends(threads[i], 0);
    if (code != 0)
        fail_msg("a guest ended with %d, in line %d", code, (int)noted("guest failed"));
    assert_status(brood_lock_destroy(lock), BROOD_OK);
}

// The end of a guest

static int stay(void *arg)
{
    note(arg, (uint64_t)brood_self_pid());
    CHECK(await_note("leave", 1));
    return 0;
}

static int stay_in_a_thread(void *arg)
{
    (void)arg;
    (void)await_note("never", 1);
    return 0;
}

// Calls exit() while a thread and two children of its own go on.
static int exit_and_leave_all(void *arg)
{
    const brood_process_options tied = { .method = *(int32_t *)arg };
    const brood_process_options surviving = { .method = *(int32_t *)arg, .survive_parent = true };
    CHECK_GUEST(brood_process_start(NULL, stay, "tied", sizeof "tied", &tied) == BROOD_OK);
    CHECK_GUEST(brood_process_start(NULL, stay, "survivor", sizeof "survivor", &surviving) ==
                BROOD_OK);
    CHECK_GUEST(await_note("tied", 1) && await_note("survivor", 1));
    CHECK_GUEST(brood_thread_start(NULL, stay_in_a_thread, NULL, 0, NULL) == BROOD_OK);
    exit(0);
}

static void the_end_of_a_guest_waits_for_no_thread_or_child(void **state)
{
    (void)state;
    int32_t methods[MOST_METHODS];
    const size_t count = platform_has_fork() ? methods_of_this_system(methods) : 0;
    for (size_t i = 0; i < count; i++) {
        note("leave", 0);
        note("tied", 0);
        note("survivor", 0);
        assert_guest_ends_well(exit_and_leave_all, &methods[i]);
        // By the system: it is tied to its parent.
        assert_true(platform_process_ends((brood_pid)noted("tied")));
        assert_true(platform_process_lives((brood_pid)noted("survivor")));
        note("leave", 1);
        assert_true(platform_process_ends((brood_pid)noted("survivor")));
    }
}

static int exit_at_once(void *arg)
{
    (void)arg;
    exit(0);
}

static void the_end_of_a_guest_does_not_touch_its_parent_s_children(void **state)
{
    (void)state;
    const brood_process_options daemon = { .daemon = BROOD_DAEMON_YES };
    brood_process *children[2];
    note("leave", 0);
    note("first", 0);
    note("second", 0);
    children[0] = started_process(stay, "first", sizeof "first");
    assert_status(brood_process_start(&children[1], stay, "second", sizeof "second", &daemon),
                  BROOD_OK);
    assert_guest_ends_well(exit_at_once, NULL);
    for (int i = 0; i < 2; i++)
        assert_true(brood_process_is_alive(children[i]));
    note("leave", 1);
    for (int i = 0; i < 2; i++)
        assert_process_ends(children[i], 0);
}

static int wait_at_barrier(void *arg)
{
    CHECK_GUEST(brood_barrier_wait(*(brood_barrier *)arg, MEETING_PATIENCE, NULL) == BROOD_OK);
    return 0;
}

static int wait_and_exit(void *arg)
{
    exit(wait_at_barrier(arg));
}

// Waits until the other participant waits, or has found the barrier broken.
static void await_other(brood_barrier barrier, bool breaks)
{
    const int64_t deadline = brood_clock() + MEETING_PATIENCE;
    uint32_t waiting = 0;
    bool broken = false;
    while (breaks ? !broken : waiting != 1) {
        assert_true(brood_clock() < deadline);
        brood_sleep(BROOD_MILLISECONDS(1));
        assert_status(brood_barrier_waiting(barrier, &waiting), BROOD_OK);
        assert_status(brood_barrier_is_broken(barrier, &broken), BROOD_OK);
    }
}

// The round after one with a guest breaks for the others, or completes. (Two participants that
// arrive at once would complete it in either case, because the barrier is for two.)
static void expect_round_after(int (*guest)(void *), bool breaks)
{
    brood_barrier barrier;
    assert_status(brood_barrier_create(&barrier, 2), BROOD_OK);
    brood_process *other = started_process(wait_at_barrier, &barrier, sizeof barrier);
    assert_guest_ends_well(guest, &barrier);
    if (!platform_has_fork())
        assert_int_equal(wait_at_barrier(&barrier), 0);
    assert_process_ends(other, 0);
    other = started_process(wait_at_barrier, &barrier, sizeof barrier);
    await_other(barrier, breaks);
    assert_status(brood_barrier_wait(barrier, MEETING_PATIENCE, NULL),
                  breaks ? BROOD_BROKEN : BROOD_OK);
    assert_process_ends(other, breaks ? 1 : 0);
    assert_status(brood_barrier_destroy(barrier), BROOD_OK);
}

static void only_a_guest_that_does_not_end_in_order_breaks_a_barrier(void **state)
{
    (void)state;
    expect_round_after(wait_and_exit, false);
    expect_round_after(wait_at_barrier, platform_has_fork()); // it ends without exit()
}

// The end of other processes

struct guest_with_child {
    int32_t method;
    brood_lock lock;
};

static int stay_as_guest(void *arg)
{
    const struct guest_with_child *guest = arg;
    const brood_process_options options = { .method = guest->method };
    CHECK_GUEST(brood_process_start(NULL, stay, "child", sizeof "child", &options) == BROOD_OK);
    CHECK_GUEST(await_note("child", 1));
    note("guest", (uint64_t)brood_self_pid());
    CHECK_GUEST(await_note("go on", 1));
    CHECK_GUEST(!brood_parent_is_alive());
    CHECK_GUEST(brood_lock_acquire(guest->lock, MEETING_PATIENCE) == BROOD_OK);
    CHECK_GUEST(brood_lock_release(guest->lock) == BROOD_OK);
    note("went on", 1);
    (void)await_note("never", 1);
    return 0;
}

static int have_guest_and_child(void *arg)
{
    const struct guest_with_child *guest = arg;
    const brood_process_options options = { .method = guest->method };
    CHECK(brood_process_start(NULL, stay, "other child", sizeof "other child", &options) ==
          BROOD_OK);
    CHECK(await_note("other child", 1));
    CHECK(platform_guest_start(stay_as_guest, arg) > 0);
    (void)await_note("never", 1);
    return 0;
}

static void expect_a_guest_to_outlive_its_parent(struct guest_with_child guest)
{
    static const char *const names[] = { "leave", "child", "other child",
                                         "guest", "go on", "went on" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        note(names[i], 0);
    brood_process *parent = started_process(have_guest_and_child, &guest, sizeof guest);
    assert_true(await_note("guest", 1));
    kill_process(parent);
    assert_true(platform_process_ends((brood_pid)noted("other child")));
    note("go on", 1);
    assert_true(await_note("went on", 1));
    assert_true(platform_process_lives((brood_pid)noted("guest")));
    assert_true(platform_process_lives((brood_pid)noted("child")));
    platform_process_kill((brood_pid)noted("guest"));
    assert_true(platform_process_ends((brood_pid)noted("guest")));
    assert_true(platform_process_ends((brood_pid)noted("child")));
}

static void a_guest_and_its_children_stay_when_its_parent_is_killed(void **state)
{
    (void)state;
    int32_t methods[MOST_METHODS];
    struct guest_with_child guest;
    const size_t count = platform_has_fork() ? methods_of_this_system(methods) : 0;
    assert_status(brood_lock_create(&guest.lock), BROOD_OK);
    for (size_t i = 0; i < count; i++) {
        guest.method = methods[i];
        expect_a_guest_to_outlive_its_parent(guest);
    }
    assert_status(brood_lock_destroy(guest.lock), BROOD_OK);
}

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_guest_uses_locks_and_the_registry),
        cmocka_unit_test(a_guest_puts_and_gets_messages),
        cmocka_unit_test(a_guest_has_threads_and_children_of_its_own),
        cmocka_unit_test(a_guest_of_a_guest_or_of_a_child_has_them_too),
        cmocka_unit_test(a_guest_made_beside_busy_threads_has_none_of_their_locks),
        cmocka_unit_test(the_end_of_a_guest_waits_for_no_thread_or_child),
        cmocka_unit_test(the_end_of_a_guest_does_not_touch_its_parent_s_children),
        cmocka_unit_test(only_a_guest_that_does_not_end_in_order_breaks_a_barrier),
        cmocka_unit_test(a_guest_and_its_children_stay_when_its_parent_is_killed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
