// SPDX-License-Identifier: MIT
// The slots of threads and processes at the ends of their lives. Tests stop a thread at a step, or
// write what a process that was stopped or killed there would have left.
#include "../meeting.h"

#include "../foreign.h"
#include "../platform.h"
#include "arena/allocator.h"
#include "arena/family.h"
#include "arena/groups.h"
#include "arena/kinds.h"
#include "arena/process_slot.h"
#include "arena/self.h"
#include "arena/thread_slot.h"
#include "base/atomic.h"
#include "base/step.h"
#include "process/burial.h"
#include "process/child.h"
#include "process/served.h"

static uint32_t slots_taken(enum broodi_kind kind)
{
    uint32_t taken = 0;
    for (uint32_t i = 0; i < broodi_slot_limit(kind); i++) {
        const broodi_word *word = broodi_slot(kind, i); // every slot begins with its state
        taken += broodi_slot_is_live(atomic_load(&word->state));
    }
    return taken;
}

static brood_lock new_lock(void)
{
    brood_lock lock;
    assert_status(brood_lock_create(&lock), BROOD_OK);
    return lock;
}

// A thread that stops at a step

static enum broodi_step wanted;
static _Atomic uint32_t held_up; // 1: a thread has stopped; 2: it may continue

static void hold_up(enum broodi_step step)
{
    uint32_t none = 0;
    if (step != wanted || !atomic_compare_exchange_strong(&held_up, &none, 1))
        return;
    while (atomic_load(&held_up) != 2)
        brood_sleep(BROOD_MILLISECONDS(1));
}

static void stop_at(enum broodi_step step)
{
    wanted = step;
    atomic_store(&held_up, 0);
    broodi_step_hook = hold_up;
}

static void await_stop(void)
{
    while (atomic_load(&held_up) == 0)
        brood_sleep(BROOD_MILLISECONDS(1));
}

static void let_go(void)
{
    broodi_step_hook = NULL;
    atomic_store(&held_up, 2);
}

// Threads

static int leave_locked(void *arg)
{
    return (int)brood_lock_acquire(*(brood_lock *)arg, MEETING_PATIENCE);
}

static void a_slot_is_not_reused_while_its_thread_ends(void **state)
{
    (void)state;
    const brood_lock lock = new_lock();
    stop_at(BROODI_STEP_THREAD_ENDING);
    brood_thread *thread = started_thread(leave_locked, &lock, sizeof lock);
    await_stop();
    const uint32_t taken = slots_taken(BROODI_THREAD);
    const brood_status early = brood_lock_acquire(lock, BROOD_MILLISECONDS(200));
    broodi_kind_sweep(BROODI_THREAD);
    const uint32_t left = slots_taken(BROODI_THREAD);
    let_go();
    assert_thread_ends(thread, BROOD_OK);
    assert_status(early, BROOD_TIMEOUT);
    assert_int_equal(left, taken);
    assert_status(brood_lock_acquire(lock, MEETING_PATIENCE), BROOD_OWNER_DIED);
    broodi_kind_sweep(BROODI_THREAD);
    assert_int_equal(slots_taken(BROODI_THREAD), taken - 1);
    assert_status(brood_lock_release(lock), BROOD_OK);
    assert_status(brood_lock_destroy(lock), BROOD_OK);
}

static brood_local local;

static void use_lock(void *value)
{
    const brood_lock *lock = value;
    assert_status(brood_lock_acquire(*lock, MEETING_PATIENCE), BROOD_OK);
    assert_status(brood_lock_release(*lock), BROOD_OK);
}

static void leave_value(void *value)
{
    assert_status(brood_local_set(local, value), BROOD_OK);
}

static void a_slot_that_a_destructor_takes_is_freed(void **state)
{
    (void)state;
    brood_lock lock = new_lock();
    assert_status(brood_local_create(&local, use_lock), BROOD_OK);
    const uint32_t taken = slots_taken(BROODI_THREAD);
    foreign_thread_join(foreign_thread_start(leave_value, &lock));
    assert_int_equal(slots_taken(BROODI_THREAD), taken);
    brood_local_destroy(local);
    assert_status(brood_lock_destroy(lock), BROOD_OK);
}

// Processes

// The slot of a process that does not exist; it is STARTING.
static uint32_t new_process(void)
{
    const struct broodi_process_facts facts = { .parent = broodi_self_process(), .name = "none" };
    uint32_t process = BROODI_NONE;
    assert_status(broodi_process_slot_allocate(&facts, &process), BROOD_OK);
    return process;
}

static const struct broodi_process_slot *process_at(uint32_t index)
{
    return broodi_slot(BROODI_PROCESS, index);
}

// Ends the process, and returns when another one has its slot.
static void replace(uint32_t process)
{
    uint32_t next = new_process();
    broodi_process_slot_end(process);
    while (next != process) {
        broodi_process_slot_end(next);
        next = new_process();
    }
}

static void a_late_process_does_not_change_the_pid_of_the_next_one(void **state)
{
    (void)state;
    const uint32_t process = new_process();
    const uint64_t live = broodi_process_slot_live(process);
    broodi_process_slot_announce(process, live, 4711);
    assert_int_equal(broodi_process_pid_here(process_at(process)), 4711);
    replace(process);
    const uint64_t next = broodi_process_slot_live(process);
    for (int64_t pid = 0; pid < 2; pid++) {
        broodi_process_slot_announce(process, next, pid);
        broodi_process_slot_announce(process, live, 4711);
        assert_false(broodi_process_slot_begin(process, live, 4711));
        broodi_process_slot_retract(process, live);
        assert_int_equal(broodi_process_pid(process_at(process)), pid);
    }
    broodi_process_slot_end(process);
}

static void a_pid_is_not_paired_with_the_namespace_of_the_process_before(void **state)
{
    (void)state;
    const uint64_t space = broodi_here.space;
    const uint32_t process = new_process();
    broodi_process_slot_announce(process, broodi_process_slot_live(process), 4711);
    replace(process);
    broodi_here.space = space + 1;
    broodi_process_slot_announce(process, broodi_process_slot_live(process), 4712);
    broodi_here.space = space;
    assert_int_equal(broodi_process_pid(process_at(process)), 4712);
    assert_int_equal(broodi_process_pid_here(process_at(process)), 0);
    broodi_process_slot_end(process);
}

static int stay(void *arg)
{
    (void)arg;
    brood_sleep(MEETING_PATIENCE);
    return 0;
}

// With a handle, and known by its pid alone.
static void a_killed_served_child_has_ended(void **state)
{
    (void)state;
    const brood_process_options options = { .method = BROOD_START_FORKSERVER };
    if (!platform_has_fork())
        skip();
    for (int with_handle = 0; with_handle < 2; with_handle++) {
        brood_process *process;
        brood_exit ended;
        assert_status(brood_process_start(&process, stay, NULL, 0, &options), BROOD_OK);
        brood_process known = *process;
        if (!with_handle)
            known.child.handle = -1;
        broodi_served_kill(&known);
        assert_false(platform_process_lives(brood_process_pid(process)));
        assert_status(brood_process_join(process, MEETING_PATIENCE, &ended), BROOD_OK);
        assert_int_equal(ended.kind, BROOD_SIGNALLED);
        brood_process_drop(process);
    }
}

static void die(enum broodi_step step)
{
    if (step == wanted)
        platform_process_kill(brood_self_pid());
}

static int die_as_worker(void *arg)
{
    wanted = *(enum broodi_step *)arg;
    if (broodi_self_process() == BROODI_NONE)
        return 1;
    broodi_step_hook = die;
    broodi_process_slot_end(new_process());
    return 2;
}

static void a_slot_whose_worker_was_a_guest_is_swept(void **state)
{
    (void)state;
    static const enum broodi_step some[] = { BROODI_STEP_PROCESS_TAKEN, BROODI_STEP_PROCESS_DYING };
    const uint32_t taken = slots_taken(BROODI_PROCESS);
    if (!platform_has_fork())
        skip();
    for (size_t i = 0; i < 2; i++) {
        enum broodi_step step = some[i];
        assert_int_equal(platform_guest_end(platform_guest_start(die_as_worker, &step)), -2);
        broodi_kind_sweep(BROODI_PROCESS);
        broodi_kind_sweep(BROODI_PROCESS);
        assert_int_equal(slots_taken(BROODI_PROCESS), taken);
    }
}

// As if the thread had been killed before it marked the group of its slot, and a scan had cleared
// the mark in between.
static void a_thread_in_a_group_without_a_mark_is_buried(void **state)
{
    (void)state;
    const uint32_t process = new_process();
    const uint32_t taken = slots_taken(BROODI_THREAD);
    const uint32_t low = broodi_thread_low(BROODI_THREAD_STARTING, process);
    uint32_t thread;
    broodi_process_slot_count(process);
    assert_status(broodi_slot_allocate(BROODI_THREAD, low, &thread), BROOD_OK);
    assert_in_range(thread, 0, broodi_group_masks[BROODI_THREAD]);
    atomic_store(&broodi_family.header->groups.words[0], 0); // of this test's own thread, too
    broodi_process_slot_end(process);
    broodi_groups_add(BROODI_THREAD, thread);
    assert_int_equal(slots_taken(BROODI_THREAD), taken);
}

// Also after a failure: the next test must not run with the hook of this one, and a thread that is
// held up must be able to end.
static int forget_hook(void **state)
{
    (void)state;
    let_go();
    return 0;
}

#define hooked_test(test) cmocka_unit_test_teardown(test, forget_hook)

int main(void)
{
    const struct CMUnitTest tests[] = {
        hooked_test(a_slot_is_not_reused_while_its_thread_ends),
        hooked_test(a_slot_that_a_destructor_takes_is_freed),
        hooked_test(a_late_process_does_not_change_the_pid_of_the_next_one),
        hooked_test(a_pid_is_not_paired_with_the_namespace_of_the_process_before),
        hooked_test(a_killed_served_child_has_ended),
        hooked_test(a_slot_whose_worker_was_a_guest_is_swept),
        hooked_test(a_thread_in_a_group_without_a_mark_is_buried),
    };
    brood_init();
    (void)broodi_self_slot();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
