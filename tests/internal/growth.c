// SPDX-License-Identifier: MIT
// Costs that must not grow with the number of children, nor stay at a past peak. The program
// counts queries for the ends of children: it is linked with --wrap for them.
#include "../meeting.h"

#include "../foreign.h"
#include "arena/allocator.h"
#include "arena/family.h"
#include "arena/groups.h"
#include "arena/slots.h"
#include "os/os_process.h"
#include "process/child.h"

#include <stdlib.h>

static unsigned queries; // for the ends of children

bool __real_brood_os_process_reap(const brood_os_child *child, brood_exit *out);
bool __wrap_brood_os_process_reap(const brood_os_child *child, brood_exit *out);
brood_status __real_brood_os_process_await_end(const brood_os_child *child, int64_t deadline);
brood_status __wrap_brood_os_process_await_end(const brood_os_child *child, int64_t deadline);

bool __wrap_brood_os_process_reap(const brood_os_child *child, brood_exit *out)
{
    queries++;
    return __real_brood_os_process_reap(child, out);
}

brood_status __wrap_brood_os_process_await_end(const brood_os_child *child, int64_t deadline)
{
    queries++;
    return __real_brood_os_process_await_end(child, deadline);
}

// Children

enum { CHILDREN = 40 };

static int stay(void *arg)
{
    (void)arg;
    (void)brood_stop_wait(MEETING_PATIENCE);
    return 0;
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

// The number of queries by one start and its join.
static unsigned queries_of_a_start(void)
{
    queries = 0;
    assert_process_ends(started_process(nothing, NULL, 0), 0);
    return queries;
}

static void a_start_queries_only_a_few_children(void **state)
{
    (void)state;
    brood_process *children[CHILDREN];
    for (size_t i = 0; i < CHILDREN; i++)
        children[i] = started_process(stay, NULL, 0);
    assert_in_range(queries_of_a_start(), 1, CHILDREN / 2);
    assert_in_range(queries_of_a_start(), 1, CHILDREN / 2);
    assert_int_equal(brood_active_children(NULL, 0), CHILDREN);
    for (size_t i = 0; i < CHILDREN; i++)
        assert_status(brood_process_request_stop(children[i]), BROOD_OK);
    for (size_t i = CHILDREN; i-- > 0;)
        assert_process_ends(children[i], 0);
    assert_int_equal(brood_active_children(NULL, 0), 0);
}

// Each start queries other children than the one before, until all have been queried.
static void successive_starts_reap_all_ended_children(void **state)
{
    (void)state;
    brood_process *children[CHILDREN];
    for (size_t i = 0; i < CHILDREN; i++)
        children[i] = started_process(i % 2 ? nothing : stay, NULL, 0);
    for (size_t i = 1; i < CHILDREN; i += 2)
        assert_status(__real_brood_os_process_await_end(&children[i]->child, INT64_MAX), BROOD_OK);
    for (size_t i = 0; i < CHILDREN; i++)
        (void)queries_of_a_start();
    for (size_t i = 1; i < CHILDREN; i += 2)
        assert_true(children[i]->ended);
    for (size_t i = 0; i < CHILDREN; i++)
        assert_status(brood_process_request_stop(children[i]), BROOD_OK);
    for (size_t i = 0; i < CHILDREN; i++)
        assert_process_ends(children[i], 0);
}

static void active_children_come_in_the_order_of_their_starts(void **state)
{
    (void)state;
    enum { EACH = 3 };
    brood_process *children[2 * EACH];
    brood_process *listed[2 * EACH + 1];
    for (int i = 0; i < 2 * EACH; i++) {
        const brood_process_options options = { .daemon = i % 3 == 1 ? BROOD_DAEMON_YES
                                                                     : BROOD_DAEMON_NO };
        assert_status(brood_process_start(&children[i], stay, NULL, 0, &options), BROOD_OK);
    }
    assert_int_equal(brood_active_children(listed, 2 * EACH + 1), 2 * EACH);
    for (int i = 0; i < 2 * EACH; i++) {
        assert_ptr_equal(listed[i], children[i]);
        brood_process_drop(listed[i]);
    }
    assert_int_equal(brood_active_children(listed, 2), 2 * EACH);
    assert_ptr_equal(listed[1], children[1]);
    brood_process_drop(listed[0]);
    brood_process_drop(listed[1]);
    for (int i = 0; i < 2 * EACH; i++) {
        assert_status(brood_process_request_stop(children[i]), BROOD_OK);
        assert_process_ends(children[i], 0);
    }
}

// Slots

// The number of slots that a scan of the table visits.
static uint32_t slots_visited(enum broodi_kind kind)
{
    uint32_t count = 0;
    const uint32_t limit = broodi_slot_limit(kind);
    for (uint32_t index = 0; (index = broodi_slot_next(kind, index, limit)) < limit; index++)
        count++;
    return count;
}

static uint32_t slots_in_a_group(enum broodi_kind kind)
{
    return broodi_group_masks[kind] + 1;
}

static brood_event all_may_go;

static int wait_with_a_slot(void *arg)
{
    (void)arg;
    return brood_event_wait(all_may_go, MEETING_PATIENCE) == BROOD_OK ? 0 : 1;
}

static void a_peak_of_threads_is_forgotten(void **state)
{
    (void)state;
    enum { THREADS = 1500 };
    static brood_thread *threads[THREADS];
    const brood_thread_options small = { .stack_size = 65536 };
    const uint32_t most = foreign_is_slow() ? 300 : THREADS;
    assert_status(brood_event_create(&all_may_go), BROOD_OK);
    uint32_t count = 0;
    while (count < most &&
           brood_thread_start(&threads[count], wait_with_a_slot, NULL, 0, &small) == BROOD_OK)
        count++;
    assert_true(count > 100);
    const int64_t deadline = brood_clock() + MEETING_PATIENCE;
    while (slots_visited(BROODI_THREAD) < count) { // until all threads have taken their slots
        assert_true(brood_clock() < deadline);
        brood_sleep(BROOD_MILLISECONDS(1));
    }
    assert_status(brood_event_set(all_may_go), BROOD_OK);
    for (uint32_t i = 0; i < count; i++)
        assert_thread_ends(threads[i], 0);
    assert_true(slots_visited(BROODI_THREAD) <= 2 * slots_in_a_group(BROODI_THREAD));
    assert_status(brood_event_destroy(all_may_go), BROOD_OK);
}

static void a_peak_of_locks_is_forgotten(void **state)
{
    (void)state;
    enum { LOCKS = 1 << 15 };
    static brood_lock locks[LOCKS];
    for (size_t i = 0; i < LOCKS; i++)
        assert_status(brood_lock_create(&locks[i]), BROOD_OK);
    assert_true(slots_visited(BROODI_LOCK) >= LOCKS);
    for (size_t i = 0; i < LOCKS; i++)
        assert_status(brood_lock_destroy(locks[i]), BROOD_OK);
    assert_true(slots_visited(BROODI_LOCK) <= slots_in_a_group(BROODI_LOCK));
}

// A taken slot is found, however many other threads scan, take and free slots at the same time.

static bool is_found(enum broodi_kind kind, uint32_t wanted)
{
    const uint32_t limit = broodi_slot_limit(kind);
    for (uint32_t index = 0; (index = broodi_slot_next(kind, index, limit)) < limit; index++)
        if (index == wanted)
            return true;
    return false;
}

static int take_and_be_found(void *arg)
{
    (void)arg;
    const int rounds = foreign_is_slow() ? 2000 : 20000;
    for (int i = 0; i < rounds; i++) {
        uint32_t index = 0;
        CHECK(broodi_slot_allocate(BROODI_NAME, 5, &index) == BROOD_OK);
        CHECK(is_found(BROODI_NAME, index));
        const broodi_word *word = broodi_slot(BROODI_NAME, index);
        CHECK(broodi_slot_free(BROODI_NAME, index, broodi_word_load(word)));
    }
    return 0;
}

static void a_taken_slot_is_always_found(void **state)
{
    (void)state;
    enum { THREADS = 4 };
    brood_thread *threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        threads[i] = started_thread(take_and_be_found, NULL, 0);
    for (int i = 0; i < THREADS; i++)
        assert_thread_ends(threads[i], 0);
}

// A process leaves its first thread and others, ended or not.

static int leave_threads(void *arg)
{
    const brood_thread_options daemon = { .daemon = BROOD_DAEMON_YES };
    brood_thread *thread;
    for (int i = 0; i < 3; i++)
        CHECK(brood_thread_start(NULL, stay, NULL, 0, &daemon) == BROOD_OK);
    CHECK(brood_thread_start(&thread, nothing, NULL, 0, NULL) == BROOD_OK);
    CHECK(brood_thread_join(thread, MEETING_PATIENCE, NULL) == BROOD_OK);
    brood_thread_drop(thread);
    return *(int *)arg;
}

static void the_threads_of_an_ended_process_are_all_buried(void **state)
{
    (void)state;
    assert_process_ends(started_process(leave_threads, &(int){ 0 }, sizeof(int)), 0);
    const uint32_t before = atomic_load(&broodi_family.header->tables[BROODI_THREAD].live);
    for (int i = 0; i < 3; i++) {
        assert_process_ends(started_process(leave_threads, &i, sizeof i), i);
        assert_int_equal(atomic_load(&broodi_family.header->tables[BROODI_THREAD].live), before);
    }
}

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_start_queries_only_a_few_children),
        cmocka_unit_test(successive_starts_reap_all_ended_children),
        cmocka_unit_test(active_children_come_in_the_order_of_their_starts),
        cmocka_unit_test(a_peak_of_threads_is_forgotten),
        cmocka_unit_test(a_peak_of_locks_is_forgotten),
        cmocka_unit_test(a_taken_slot_is_always_found),
        cmocka_unit_test(the_threads_of_an_ended_process_are_all_buried),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
