// SPDX-License-Identifier: MIT
// Snapshots of slots. tests/dump.c tests most of what they contain, as text.
#include "../meeting.h"

#include "arena/family.h"
#include "arena/self.h"
#include "insight/snapshot.h"
#include "sync/lock_word.h"

#include <string.h>

static brood_lock new_lock(void)
{
    brood_lock lock;
    assert_status(brood_lock_create(&lock), BROOD_OK);
    return lock;
}

static struct broodi_snapshot_process this_process(void)
{
    struct broodi_snapshot_process process = { 0 };
    for (uint32_t index = 0; broodi_snapshot_process(&index, &process);)
        if (process.pid == brood_self_pid())
            return process;
    fail_msg("this process is missing");
    return process;
}

// The thread of this process with that number; false if there is none.
static bool find_thread(uint64_t id, struct broodi_snapshot_thread *out)
{
    for (uint32_t index = 0; broodi_snapshot_thread(broodi_here_process(), &index, out);)
        if (out->id == id)
            return true;
    return false;
}

static void the_tables_and_the_memory_are_counted(void **state)
{
    (void)state;
    struct broodi_snapshot_family before;
    struct broodi_snapshot_family after;
    broodi_snapshot_family(&before);
    const brood_lock lock = new_lock();
    broodi_snapshot_family(&after);
    assert_int_equal(after.tables[BROODI_LOCK].taken, before.tables[BROODI_LOCK].taken + 1);
    assert_status(brood_lock_destroy(lock), BROOD_OK);
    for (int kind = 1; kind < BROODI_KINDS; kind++) {
        const struct broodi_snapshot_table *table = &after.tables[kind];
        assert_non_null(table->name);
        assert_true(table->taken <= table->committed && table->committed <= table->capacity);
    }
    assert_string_equal(after.tables[BROODI_OWN_LOCK].name, "lock of the library");
    assert_memory_equal(after.family, broodi_family.header->family, sizeof after.family);
    assert_true(after.claimed > 0 && after.claimed <= after.window);
    assert_true(after.heap_at > BROODI_BOOT && after.heap_at < after.window);
}

static void this_process_is_described(void **state)
{
    (void)state;
    const struct broodi_snapshot_process process = this_process();
    assert_int_equal(process.slot, broodi_here_process());
    assert_true(process.generation & 1);
    assert_int_equal(process.parent, 0);
    assert_int_equal(process.origin, BROODI_ORIGIN_MAIN);
    assert_false(process.is_elsewhere || process.daemon || process.asked_to_stop ||
                 process.has_ended);
    assert_string_equal(process.name, "MainProcess");
}

static int stay(void *unused)
{
    (void)unused;
    return brood_stop_wait(MEETING_PATIENCE) == BROOD_OK ? 0 : 1;
}

static void a_dead_child_is_described_until_it_is_joined(void **state)
{
    (void)state;
    struct broodi_snapshot_process child = { 0 };
    brood_process *process = started_process(stay, NULL, 0);
    const brood_pid pid = brood_process_pid(process);
    assert_status(brood_process_kill(process), BROOD_OK);
    const int64_t deadline = brood_clock() + MEETING_PATIENCE;
    while (!child.has_ended && brood_clock() < deadline)
        for (uint32_t index = 0; broodi_snapshot_process(&index, &child) && child.pid != pid;)
            continue;
    assert_true(child.pid == pid && child.has_ended);
    assert_int_equal(child.parent, brood_self_pid());
    assert_status(brood_process_join(process, MEETING_PATIENCE, NULL), BROOD_OK);
    brood_process_drop(process);
}

static void a_thread_is_described_with_its_locks(void **state)
{
    (void)state;
    struct broodi_snapshot_thread thread;
    struct broodi_snapshot_object object;
    struct broodi_snapshot_position position = { 0 };
    const brood_lock lock = new_lock();
    assert_status(brood_lock_acquire(lock, BROOD_NOW), BROOD_OK);
    assert_status(brood_registry_set("the printer", lock.id), BROOD_OK);
    assert_true(find_thread(brood_self_thread_id(), &thread));
    assert_int_equal(thread.owner, broodi_owner_self());
    assert_int_equal(thread.process, broodi_here_process());
    assert_true(thread.may_hold && !thread.has_ended);
    assert_int_equal(thread.wait.kind, BROODI_WAITS_NOT);
    assert_true(broodi_snapshot_lock(&thread, &position, &object));
    assert_true(object.id == lock.id);
    assert_string_equal(object.kind, "lock");
    assert_string_equal(object.name, "the printer");
    assert_false(broodi_snapshot_lock(&thread, &position, &object));
    assert_status(brood_registry_set("the printer", 0), BROOD_OK);
    assert_status(brood_lock_release(lock), BROOD_OK);
    assert_status(brood_lock_destroy(lock), BROOD_OK);
}

static int want(void *arg)
{
    const brood_lock *lock = arg;
    CHECK(brood_lock_acquire(*lock, MEETING_PATIENCE) == BROOD_OK);
    return brood_lock_release(*lock) == BROOD_OK ? 0 : 1;
}

static void a_wait_is_described_with_the_holder(void **state)
{
    (void)state;
    struct broodi_snapshot_thread thread = { 0 };
    const brood_lock lock = new_lock();
    assert_status(brood_lock_acquire(lock, BROOD_NOW), BROOD_OK);
    brood_thread *waiter = started_thread(want, &lock, sizeof lock);
    const int64_t deadline = brood_clock() + MEETING_PATIENCE;
    while ((!find_thread(brood_thread_id(waiter), &thread) ||
            thread.wait.kind != BROODI_WAITS_OBJECT) &&
           brood_clock() < deadline)
        brood_sleep(BROOD_MILLISECONDS(1));
    assert_int_equal(thread.wait.kind, BROODI_WAITS_OBJECT);
    assert_true(thread.wait.object.id == lock.id);
    assert_string_equal(thread.wait.object.name, "");
    assert_true(thread.wait.is_held && thread.wait.holder == brood_self_thread_id());
    assert_int_equal(thread.wait.holder_pid, brood_self_pid());
    assert_status(brood_lock_release(lock), BROOD_OK);
    assert_thread_ends(waiter, 0);
    assert_status(brood_lock_destroy(lock), BROOD_OK);
}

static void the_locks_of_a_freed_slot_are_not_listed(void **state)
{
    (void)state;
    struct broodi_snapshot_thread thread;
    struct broodi_snapshot_object object;
    struct broodi_snapshot_position position = { 0 };
    const brood_lock lock = new_lock();
    assert_status(brood_lock_acquire(lock, BROOD_NOW), BROOD_OK);
    assert_true(find_thread(brood_self_thread_id(), &thread));
    thread.owner ^= UINT64_C(1) << BROODI_HOLDER_BITS; // an earlier thread that the lock may name
    assert_false(broodi_snapshot_lock(&thread, &position, &object));
    assert_status(brood_lock_release(lock), BROOD_OK);
    assert_status(brood_lock_destroy(lock), BROOD_OK);
}

static void an_overwritten_slot_has_known_enumerators(void **state)
{
    (void)state;
    struct broodi_process_slot *slot = broodi_slot(BROODI_PROCESS, broodi_here_process());
    struct broodi_thread_slot *own = broodi_slot(BROODI_THREAD, broodi_self_slot());
    struct broodi_snapshot_thread thread;
    atomic_store(&slot->origin, 77);
    assert_int_equal(this_process().origin, BROODI_ORIGIN_GUEST);
    atomic_store(&slot->origin, BROODI_ORIGIN_MAIN);
    atomic_store(&own->waits, UINT64_MAX);
    assert_true(find_thread(brood_self_thread_id(), &thread));
    assert_int_equal(thread.wait.kind, BROODI_WAITS_NOT);
    atomic_store(&own->waits, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tables_and_the_memory_are_counted),
        cmocka_unit_test(this_process_is_described),
        cmocka_unit_test(a_dead_child_is_described_until_it_is_joined),
        cmocka_unit_test(a_thread_is_described_with_its_locks),
        cmocka_unit_test(a_wait_is_described_with_the_holder),
        cmocka_unit_test(the_locks_of_a_freed_slot_are_not_listed),
        cmocka_unit_test(an_overwritten_slot_has_known_enumerators),
    };
    brood_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
