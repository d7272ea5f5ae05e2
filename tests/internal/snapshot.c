// SPDX-License-Identifier: MIT
// Snapshots of slots. tests/dump.c tests most of what they contain, as text.
#include "../meeting.h"

#include "../platform.h"

#include "arena/family.h"
#include "arena/self.h"
#include "insight/cycle.h"
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

// Queues

static void a_queue_is_described(void **state)
{
    (void)state;
    brood_queue queue = { 0 };
    struct broodi_snapshot_queue described;
    uint32_t index = 0;
    assert_false(broodi_snapshot_queue(&index, &described));
    assert_status(brood_queue_create(&queue, 5, 10), BROOD_OK);
    assert_status(brood_queue_put(queue, "a", 1, BROOD_NOW), BROOD_OK);
    index = 0;
    assert_true(broodi_snapshot_queue(&index, &described));
    assert_true(described.object.id == queue.id);
    assert_string_equal(described.object.kind, "queue");
    assert_int_equal(described.count, 1);
    assert_int_equal(described.capacity, 5);
    assert_int_equal(described.reserved + described.unit, 0);
    assert_false(described.is_closed || described.is_ending);
    assert_false(broodi_snapshot_queue(&index, &described));
    assert_status(brood_queue_destroy(queue), BROOD_OK);
    index = 0;
    assert_false(broodi_snapshot_queue(&index, &described));
}

// Deadlocks

enum { MEMBERS = 3 };

struct part {
    brood_lock locks[MEMBERS];
    unsigned first;
};

static int cross(void *arg)
{
    const struct part *part = arg;
    CHECK(brood_lock_acquire(part->locks[part->first], MEETING_PATIENCE) == BROOD_OK);
    note_of("holds", part->first, 1);
    CHECK(await_note("holds 0", 1) && await_note("holds 1", 1) && await_note("holds 2", 1));
    (void)!brood_lock_acquire(part->locks[(part->first + 1) % MEMBERS], BROOD_FOREVER);
    return 0;
}

static int make_a_deadlock(void *arg)
{
    struct part part = *(struct part *)arg;
    for (; part.first < MEMBERS - 1; part.first++)
        CHECK(brood_thread_start(NULL, cross, &part, sizeof part, NULL) == BROOD_OK);
    return cross(&part);
}

static struct broodi_cycle await_cycle(void)
{
    struct broodi_cycle cycle = { 0 };
    const int64_t deadline = brood_clock() + MEETING_PATIENCE;
    for (uint32_t index = 0; !broodi_cycle_next(&index, &cycle); index = 0) {
        assert_true(brood_clock() < deadline);
        brood_sleep(BROOD_MILLISECONDS(1));
    }
    return cycle;
}

// A wait for a lock is made of parts of a second at most, so a cycle may become out of date.
static void assert_certain(struct broodi_cycle *cycle)
{
    const int64_t deadline = brood_clock() + MEETING_PATIENCE;
    while (!broodi_cycle_is_certain(cycle)) {
        assert_true(brood_clock() < deadline);
        *cycle = await_cycle();
    }
}

static void assert_each_change_is_noticed(struct broodi_cycle *cycle)
{
    for (uint32_t i = 0; i < MEMBERS; i++) {
        assert_certain(cycle);
        struct broodi_cycle changed = *cycle;
        changed.members[i].blocks += 2; // the thread has gone on, and waits for the same again
        assert_false(broodi_cycle_is_certain(&changed));
        changed = *cycle;
        changed.members[i].waits++; // of another lock
        assert_false(broodi_cycle_is_certain(&changed));
        changed = *cycle;
        changed.members[i] = cycle->members[(i + 1) % MEMBERS]; // another way to go on
        changed.members[(i + 1) % MEMBERS] = cycle->members[i];
        assert_false(broodi_cycle_is_certain(&changed));
    }
}

static void a_deadlock_is_certain_only_while_no_member_goes_on(void **state)
{
    (void)state;
    struct part part = { .first = 0 };
    for (unsigned i = 0; i < MEMBERS; i++) {
        part.locks[i] = new_lock();
        note_of("holds", i, 0);
    }
    brood_process *process = started_process(make_a_deadlock, &part, sizeof part);
    struct broodi_cycle cycle = await_cycle();
    assert_int_equal(cycle.length, MEMBERS);
    for (uint32_t i = 1; i < MEMBERS; i++)
        assert_true(broodi_owner_slot(cycle.members[0].thread) <
                    broodi_owner_slot(cycle.members[i].thread));
    assert_each_change_is_noticed(&cycle);
    uint32_t index = broodi_owner_slot(cycle.members[0].thread) + 1;
    struct broodi_cycle other;
    assert_false(broodi_cycle_next(&index, &other)); // the same cycle, from another member
    assert_certain(&cycle);
    // Until the process is joined, the slots of its threads say what they were waiting for: the way
    // through them comes back to the first one, and only the second look finds that they are dead.
    intptr_t native = -1;
    assert_status(brood_process_native(process, &native), BROOD_OK);
    assert_status(brood_process_kill(process), BROOD_OK);
    assert_true(platform_is_ready(native, MEETING_PATIENCE));
    index = 0;
    assert_false(broodi_cycle_next(&index, &other));
    assert_status(brood_process_join(process, MEETING_PATIENCE, NULL), BROOD_OK);
    brood_process_drop(process);
    assert_false(broodi_cycle_is_certain(&cycle));
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
        cmocka_unit_test(a_queue_is_described),
        cmocka_unit_test(a_deadlock_is_certain_only_while_no_member_goes_on),
        cmocka_unit_test(an_overwritten_slot_has_known_enumerators),
    };
    brood_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
