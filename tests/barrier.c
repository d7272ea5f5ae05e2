// SPDX-License-Identifier: MIT
#include "meeting.h"

#include "../src/base/atomic.h"
#include "foreign.h"

static brood_barrier made_barrier(uint32_t parties)
{
    brood_barrier barrier = { 0 };
    assert_status(brood_barrier_create(&barrier, parties), BROOD_OK);
    return barrier;
}

static bool is_broken(brood_barrier barrier)
{
    bool broken = false;
    assert_status(brood_barrier_is_broken(barrier, &broken), BROOD_OK);
    return broken;
}

static uint32_t waiting_at(brood_barrier barrier)
{
    uint32_t count = UINT32_MAX;
    assert_status(brood_barrier_waiting(barrier, &count), BROOD_OK);
    return count;
}

static void await_waiting(brood_barrier barrier, uint32_t count)
{
    const int64_t deadline = brood_clock() + MEETING_PATIENCE;
    while (waiting_at(barrier) != count) {
        assert_true(brood_clock() < deadline);
        brood_sleep(BROOD_MILLISECONDS(1));
    }
}

static void a_barrier_for_one_never_waits(void **state)
{
    (void)state;
    const brood_barrier barrier = made_barrier(1);
    for (int i = 0; i < 1000; i++) {
        uint32_t index = 7;
        assert_status(brood_barrier_wait(barrier, BROOD_NOW, &index), BROOD_OK);
        assert_int_equal(index, 0);
    }
    assert_status(brood_barrier_wait(barrier, BROOD_NOW, NULL), BROOD_OK);
    assert_status(brood_barrier_destroy(barrier), BROOD_OK);
}

static void bad_arguments_are_refused(void **state)
{
    (void)state;
    bool broken;
    uint32_t count;
    brood_barrier barrier;
    const brood_barrier none = { 0 };
    assert_status(brood_barrier_create(NULL, 1), BROOD_INVALID);
    assert_status(brood_barrier_create(&barrier, 0), BROOD_INVALID);
    assert_status(brood_barrier_create(&barrier, BROOD_BARRIER_MAX + 1), BROOD_INVALID);
    assert_status(brood_barrier_wait(none, BROOD_NOW, NULL), BROOD_INVALID);
    assert_status(brood_barrier_reset(none), BROOD_INVALID);
    assert_status(brood_barrier_abort(none), BROOD_INVALID);
    assert_status(brood_barrier_is_broken(none, &broken), BROOD_INVALID);
    assert_status(brood_barrier_waiting(none, &count), BROOD_INVALID);
    assert_status(brood_barrier_destroy(none), BROOD_INVALID);
    barrier = made_barrier(2);
    assert_status(brood_barrier_is_broken(barrier, NULL), BROOD_INVALID);
    assert_status(brood_barrier_waiting(barrier, NULL), BROOD_INVALID);
    assert_status(brood_barrier_destroy(barrier), BROOD_OK);
}

static void a_destroyed_barrier_stays_stale(void **state)
{
    (void)state;
    bool broken;
    uint32_t count;
    const brood_barrier barrier = made_barrier(3);
    assert_status(brood_barrier_destroy(barrier), BROOD_OK);
    // Goes through all slots, so that another barrier has reused the first one's.
    for (int i = 0; i < 3000; i++)
        assert_status(brood_barrier_destroy(made_barrier(3)), BROOD_OK);
    assert_status(brood_barrier_wait(barrier, BROOD_FOREVER, NULL), BROOD_STALE);
    assert_status(brood_barrier_reset(barrier), BROOD_STALE);
    assert_status(brood_barrier_abort(barrier), BROOD_STALE);
    assert_status(brood_barrier_is_broken(barrier, &broken), BROOD_STALE);
    assert_status(brood_barrier_waiting(barrier, &count), BROOD_STALE);
    assert_status(brood_barrier_destroy(barrier), BROOD_STALE);
}

// Rounds

enum { PARTIES = 5 };

struct rounds {
    brood_barrier barrier;
    int count;
    int participant; // its number, or -1 in a thread of the test
};

static _Atomic uint32_t seen[2]; // the indexes of the threads in even and odd rounds, as bits

static int go_round(void *arg)
{
    const struct rounds *rounds = arg;
    for (int i = 0; i < rounds->count; i++) {
        uint32_t index = 99;
        CHECK(brood_barrier_wait(rounds->barrier, MEETING_PATIENCE, &index) == BROOD_OK);
        CHECK(index < PARTIES);
        const uint32_t before = atomic_fetch_or(&seen[i % 2], UINT32_C(1) << index);
        CHECK(!(before >> index & 1)); // no other thread has had it in this round
        CHECK(brood_barrier_wait(rounds->barrier, MEETING_PATIENCE, &index) == BROOD_OK);
        if (index == 0) {
            CHECK(atomic_load(&seen[i % 2]) == (UINT32_C(1) << PARTIES) - 1);
            atomic_store(&seen[i % 2], 0);
        }
    }
    return 0;
}

static void threads_go_in_lockstep_and_get_distinct_indexes(void **state)
{
    (void)state;
    brood_thread *threads[PARTIES];
    const struct rounds rounds = { made_barrier(PARTIES), foreign_is_slow() ? 50 : 1000, -1 };
    atomic_store(&seen[0], 0);
    atomic_store(&seen[1], 0);
    for (int i = 0; i < PARTIES; i++)
        threads[i] = started_thread(go_round, &rounds, sizeof rounds);
    for (int i = 0; i < PARTIES; i++)
        assert_thread_ends(threads[i], 0);
    assert_false(is_broken(rounds.barrier));
    assert_status(brood_barrier_destroy(rounds.barrier), BROOD_OK);
}

static void name_participant(char name[32], int participant)
{
    (void)snprintf(name, 32, "participant %d", participant);
}

// Each process notes its round before it waits. Afterwards no process is in an earlier round, or
// more than one round ahead.
static int march(void *arg)
{
    const struct rounds *rounds = arg;
    char name[32];
    for (uint64_t i = 1; i <= (uint64_t)rounds->count; i++) {
        name_participant(name, rounds->participant);
        note(name, i);
        CHECK(brood_barrier_wait(rounds->barrier, MEETING_PATIENCE, NULL) == BROOD_OK);
        for (int participant = 0; participant < PARTIES; participant++) {
            name_participant(name, participant);
            const uint64_t other = noted(name);
            CHECK(other == i || other == i + 1);
        }
    }
    return 0;
}

static void processes_go_in_lockstep(void **state)
{
    (void)state;
    brood_process *processes[PARTIES];
    struct rounds rounds = { made_barrier(PARTIES), foreign_is_slow() ? 100 : 1000, 0 };
    for (int i = 0; i < PARTIES; i++) {
        char name[32];
        name_participant(name, i);
        note(name, 0);
    }
    for (; rounds.participant < PARTIES; rounds.participant++)
        processes[rounds.participant] = started_process(march, &rounds, sizeof rounds);
    for (int i = 0; i < PARTIES; i++)
        assert_process_ends(processes[i], 0);
    assert_false(is_broken(rounds.barrier));
    assert_status(brood_barrier_destroy(rounds.barrier), BROOD_OK);
}

// Broken barriers

static int wait_there(void *arg)
{
    return (int)brood_barrier_wait(*(brood_barrier *)arg, MEETING_PATIENCE, NULL);
}

struct two {
    brood_thread *thread;
    brood_process *process;
};

static struct two started_two(brood_barrier barrier)
{
    const struct two two = { started_thread(wait_there, &barrier, sizeof barrier),
                             started_process(wait_there, &barrier, sizeof barrier) };
    await_waiting(barrier, 2);
    return two;
}

static void assert_two_end(struct two two, brood_status status)
{
    assert_thread_ends(two.thread, (int)status);
    assert_process_ends(two.process, (int)status);
}

static void a_timeout_breaks_the_barrier_for_all(void **state)
{
    (void)state;
    const brood_barrier barrier = made_barrier(4);
    const struct two two = started_two(barrier);
    const int64_t before = brood_clock();
    assert_status(brood_barrier_wait(barrier, BROOD_MILLISECONDS(30), NULL), BROOD_TIMEOUT);
    assert_true(brood_clock() - before >= BROOD_MILLISECONDS(30));
    assert_two_end(two, BROOD_BROKEN);
    assert_true(is_broken(barrier));
    assert_int_equal(waiting_at(barrier), 0);
    assert_status(brood_barrier_wait(barrier, BROOD_FOREVER, NULL), BROOD_BROKEN);
    assert_status(brood_barrier_destroy(barrier), BROOD_OK);
}

static void an_abort_breaks_the_barrier_until_a_reset(void **state)
{
    (void)state;
    const brood_barrier barrier = made_barrier(3);
    struct two two = started_two(barrier);
    assert_status(brood_barrier_abort(barrier), BROOD_OK);
    assert_two_end(two, BROOD_BROKEN);
    assert_status(brood_barrier_abort(barrier), BROOD_OK);
    assert_true(is_broken(barrier));
    assert_status(brood_barrier_reset(barrier), BROOD_OK);
    assert_false(is_broken(barrier));
    two = started_two(barrier);
    assert_status(brood_barrier_wait(barrier, MEETING_PATIENCE, NULL), BROOD_OK);
    assert_two_end(two, BROOD_OK);
    assert_status(brood_barrier_destroy(barrier), BROOD_OK);
}

static void a_reset_breaks_the_current_waits(void **state)
{
    (void)state;
    const brood_barrier barrier = made_barrier(3);
    for (int i = 0; i < 3; i++) {
        struct two two = started_two(barrier);
        assert_status(brood_barrier_reset(barrier), BROOD_OK);
        assert_two_end(two, BROOD_BROKEN);
        assert_false(is_broken(barrier));
    }
    for (int i = 0; i < 300; i++) // round numbers recur
        assert_status(brood_barrier_reset(barrier), BROOD_OK);
    const struct two two = started_two(barrier);
    assert_status(brood_barrier_wait(barrier, MEETING_PATIENCE, NULL), BROOD_OK);
    assert_two_end(two, BROOD_OK);
    assert_status(brood_barrier_destroy(barrier), BROOD_OK);
}

static void destroying_releases_all_waiters(void **state)
{
    (void)state;
    const brood_barrier barrier = made_barrier(3);
    const struct two two = started_two(barrier);
    assert_status(brood_barrier_destroy(barrier), BROOD_OK);
    assert_two_end(two, BROOD_STALE);
}

// The participant with the last index destroys the barrier at once, possibly before the others
// have run again.
static int wait_and_destroy(void *arg)
{
    const struct rounds *rounds = arg;
    uint32_t index = 99;
    const brood_status status = brood_barrier_wait(rounds->barrier, MEETING_PATIENCE, &index);
    if (status == BROOD_OK && index == PARTIES - 1)
        CHECK(brood_barrier_destroy(rounds->barrier) == BROOD_OK);
    return (int)status;
}

static void all_participants_of_a_complete_round_succeed(void **state)
{
    (void)state;
    const int count = foreign_is_slow() ? 20 : 200;
    for (int i = 0; i < count; i++) {
        const bool processes = i % 10 == 0;
        brood_thread *threads[PARTIES];
        brood_process *process = NULL;
        const struct rounds rounds = { .barrier = made_barrier(PARTIES) };
        for (int participant = processes; participant < PARTIES; participant++)
            threads[participant] = started_thread(wait_and_destroy, &rounds, sizeof rounds);
        if (processes)
            process = started_process(wait_and_destroy, &rounds, sizeof rounds);
        for (int participant = processes; participant < PARTIES; participant++)
            assert_thread_ends(threads[participant], BROOD_OK);
        if (processes)
            assert_process_ends(process, BROOD_OK);
    }
}

static int go_rounds(void *arg)
{
    const struct rounds *rounds = arg;
    brood_status status = BROOD_OK;
    for (int i = 0; i < rounds->count && status == BROOD_OK; i++)
        status = brood_barrier_wait(rounds->barrier, MEETING_PATIENCE, NULL);
    return (int)status;
}

// Creates more barriers than a table has slots at first, so that each free slot that may be
// reused is reused.
static void reuse_slots(void)
{
    for (int i = 0; i < 200; i++)
        assert_status(brood_barrier_destroy(made_barrier(2)), BROOD_OK);
}

// The number of a round recurs after a power of two of rounds. Then the word of a barrier without
// waiters is that of a new barrier.
static void a_complete_round_of_any_number_succeeds_after_a_destroy(void **state)
{
    (void)state;
    static const int counts[] = { 15, 16, 32 };
    const int tries = foreign_is_slow() ? 3 : 60;
    for (int i = 0; i < tries; i++) {
        const struct rounds rounds = { made_barrier(2), counts[i % 3], -1 };
        brood_thread *thread = started_thread(go_rounds, &rounds, sizeof rounds);
        for (int round = 0; round < rounds.count; round++) {
            await_waiting(rounds.barrier, 1);
            assert_status(brood_barrier_wait(rounds.barrier, MEETING_PATIENCE, NULL), BROOD_OK);
        }
        assert_status(brood_barrier_destroy(rounds.barrier), BROOD_OK);
        reuse_slots();
        assert_thread_ends(thread, BROOD_OK);
    }
}

// Waits again as soon as a reset has broken its wait; the second wait belongs to the new round.
static int wait_again(void *arg)
{
    const struct rounds *rounds = arg;
    for (int i = 0; i < rounds->count; i++) {
        CHECK(brood_barrier_wait(rounds->barrier, MEETING_PATIENCE, NULL) == BROOD_BROKEN);
        CHECK(brood_barrier_wait(rounds->barrier, MEETING_PATIENCE, NULL) == BROOD_OK);
    }
    return 0;
}

static void a_waiter_of_a_reset_barrier_may_wait_again_at_once(void **state)
{
    (void)state;
    enum { OTHERS = 2 };
    brood_thread *threads[OTHERS];
    brood_process *processes[OTHERS];
    const struct rounds rounds = { made_barrier(2 * OTHERS + 1), foreign_is_slow() ? 10 : 100, -1 };
    for (int i = 0; i < OTHERS; i++) {
        threads[i] = started_thread(wait_again, &rounds, sizeof rounds);
        processes[i] = started_process(wait_again, &rounds, sizeof rounds);
    }
    for (int i = 0; i < rounds.count; i++) {
        await_waiting(rounds.barrier, 2 * OTHERS);
        assert_status(brood_barrier_reset(rounds.barrier), BROOD_OK);
        assert_status(brood_barrier_wait(rounds.barrier, MEETING_PATIENCE, NULL), BROOD_OK);
    }
    for (int i = 0; i < OTHERS; i++) {
        assert_thread_ends(threads[i], 0);
        assert_process_ends(processes[i], 0);
    }
    assert_status(brood_barrier_destroy(rounds.barrier), BROOD_OK);
}

// Deaths

static int wait_and_stay(void *arg)
{
    const brood_barrier barrier = *(brood_barrier *)arg;
    CHECK(brood_barrier_wait(barrier, MEETING_PATIENCE, NULL) == BROOD_OK);
    brood_sleep(BROOD_FOREVER);
    return 0;
}

static void a_killed_waiter_breaks_the_barrier(void **state)
{
    (void)state;
    const brood_barrier barrier = made_barrier(4);
    brood_process *victim = started_process(wait_and_stay, &barrier, sizeof barrier);
    await_waiting(barrier, 1);
    brood_thread *thread = started_thread(wait_there, &barrier, sizeof barrier);
    await_waiting(barrier, 2);
    assert_status(brood_process_kill(victim), BROOD_OK); // but not joined yet
    assert_thread_ends(thread, BROOD_BROKEN);
    kill_process(victim);
    assert_status(brood_barrier_reset(barrier), BROOD_OK);
    const struct two two = started_two(barrier);
    brood_thread *third = started_thread(wait_there, &barrier, sizeof barrier);
    assert_status(brood_barrier_wait(barrier, MEETING_PATIENCE, NULL), BROOD_OK);
    assert_two_end(two, BROOD_OK);
    assert_thread_ends(third, BROOD_OK);
    assert_status(brood_barrier_destroy(barrier), BROOD_OK);
}

struct barrier_and_lock {
    brood_barrier barrier;
    brood_lock lock;
};

static int wait_and_stay_with_a_lock(void *arg)
{
    const struct barrier_and_lock *both = arg;
    CHECK(brood_barrier_wait(both->barrier, MEETING_PATIENCE, NULL) == BROOD_OK);
    CHECK(brood_lock_acquire(both->lock, BROOD_NOW) == BROOD_OK);
    note("has the lock", 1);
    brood_sleep(BROOD_FOREVER);
    return 0;
}

static struct barrier_and_lock made_barrier_and_lock(void)
{
    struct barrier_and_lock both = { .barrier = made_barrier(2) };
    assert_status(brood_lock_create(&both.lock), BROOD_OK);
    return both;
}

static void destroy_both(struct barrier_and_lock both)
{
    assert_status(brood_lock_destroy(both.lock), BROOD_OK);
    assert_status(brood_barrier_destroy(both.barrier), BROOD_OK);
}

// Kills a process that has taken part in a round and holds the lock.
static void kill_one_with_the_lock(const struct barrier_and_lock *both)
{
    note("has the lock", 0);
    brood_process *victim = started_process(wait_and_stay_with_a_lock, both, sizeof *both);
    assert_status(brood_barrier_wait(both->barrier, MEETING_PATIENCE, NULL), BROOD_OK);
    assert_true(await_note("has the lock", 1));
    kill_process(victim);
}

static void expect_a_round_and_an_heir(const struct barrier_and_lock *both)
{
    brood_thread *thread = started_thread(wait_there, &both->barrier, sizeof both->barrier);
    assert_status(brood_barrier_wait(both->barrier, MEETING_PATIENCE, NULL), BROOD_OK);
    assert_thread_ends(thread, BROOD_OK);
    assert_status(brood_lock_acquire(both->lock, BROOD_NOW), BROOD_OWNER_DIED);
    assert_status(brood_lock_release(both->lock), BROOD_OK);
}

// Including one whose slot is not free yet, because the lock still names it.
static void a_reset_forgets_dead_participants(void **state)
{
    (void)state;
    const struct barrier_and_lock both = made_barrier_and_lock();
    kill_one_with_the_lock(&both);
    assert_status(brood_barrier_reset(both.barrier), BROOD_OK);
    expect_a_round_and_an_heir(&both);
    destroy_both(both);
}

// The lock keeps the slot of the dead thread longer than that of its process, which another
// process may have taken by then.
static void a_participant_killed_with_a_lock_breaks_the_barrier_at_once(void **state)
{
    (void)state;
    const struct barrier_and_lock both = made_barrier_and_lock();
    kill_one_with_the_lock(&both);
    assert_true(is_broken(both.barrier));
    destroy_both(both);
}

static int wait_and_return_with_a_lock(void *arg)
{
    const struct barrier_and_lock *both = arg;
    CHECK(brood_barrier_wait(both->barrier, MEETING_PATIENCE, NULL) == BROOD_OK);
    CHECK(brood_lock_acquire(both->lock, BROOD_NOW) == BROOD_OK);
    return 0;
}

static void a_thread_that_returns_with_a_lock_does_not_break_the_barrier(void **state)
{
    (void)state;
    const struct barrier_and_lock both = made_barrier_and_lock();
    brood_thread *first = started_thread(wait_and_return_with_a_lock, &both, sizeof both);
    assert_status(brood_barrier_wait(both.barrier, MEETING_PATIENCE, NULL), BROOD_OK);
    assert_thread_ends(first, 0);
    expect_a_round_and_an_heir(&both);
    destroy_both(both);
}

static void expect_a_death_to_break_the_next_round(bool reaped)
{
    const brood_barrier barrier = made_barrier(2);
    brood_process *victim = started_process(wait_and_stay, &barrier, sizeof barrier);
    assert_status(brood_barrier_wait(barrier, MEETING_PATIENCE, NULL), BROOD_OK);
    if (reaped) {
        kill_process(victim);
        assert_true(is_broken(barrier));
    } else {
        assert_status(brood_process_kill(victim), BROOD_OK);
    }
    assert_status(brood_barrier_wait(barrier, MEETING_PATIENCE, NULL), BROOD_BROKEN);
    if (!reaped)
        kill_process(victim);
    assert_status(brood_barrier_destroy(barrier), BROOD_OK);
}

static void a_killed_participant_breaks_the_next_round(void **state)
{
    (void)state;
    expect_a_death_to_break_the_next_round(false);
    expect_a_death_to_break_the_next_round(true);
}

// Other threads may take the place of a thread that returned or of a process that ended in order.
static void a_participant_that_leaves_in_order_does_not_break_the_barrier(void **state)
{
    (void)state;
    const brood_barrier barrier = made_barrier(3);
    for (int i = 0; i < 5; i++) {
        const struct two two = started_two(barrier);
        assert_status(brood_barrier_wait(barrier, MEETING_PATIENCE, NULL), BROOD_OK);
        assert_two_end(two, BROOD_OK);
        assert_false(is_broken(barrier));
    }
    assert_status(brood_barrier_destroy(barrier), BROOD_OK);
}

// More threads than parties: each round takes as many as it needs, and no thread is lost.

struct crowd {
    brood_barrier barrier;
    int times;
};

static int pass_often(void *arg)
{
    const struct crowd *crowd = arg;
    for (int i = 0; i < crowd->times; i++)
        CHECK(brood_barrier_wait(crowd->barrier, MEETING_PATIENCE, NULL) == BROOD_OK);
    return 0;
}

static int alive_among(brood_thread **threads, int count)
{
    int alive = 0;
    for (int i = 0; i < count; i++)
        alive += brood_thread_is_alive(threads[i]);
    return alive;
}

static void a_crowd_passes_in_groups(void **state)
{
    (void)state;
    // Many threads pass a barrier for two: so the last rounds find a partner too.
    enum { CROWD = 6 };
    brood_thread *threads[CROWD];
    const struct crowd crowd = { made_barrier(2), foreign_is_slow() ? 20 : 300 };
    for (int i = 0; i < CROWD; i++)
        threads[i] = started_thread(pass_often, &crowd, sizeof crowd);
    // The last thread may have no partner left: then this thread is its partner.
    int alive;
    while ((alive = alive_among(threads, CROWD)) > 0) {
        if (alive == 1 && waiting_at(crowd.barrier) == 1)
            assert_status(brood_barrier_wait(crowd.barrier, MEETING_PATIENCE, NULL), BROOD_OK);
        brood_sleep(BROOD_MILLISECONDS(1));
    }
    for (int i = 0; i < CROWD; i++)
        assert_thread_ends(threads[i], 0);
    assert_status(brood_barrier_destroy(crowd.barrier), BROOD_OK);
}

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_barrier_for_one_never_waits),
        cmocka_unit_test(bad_arguments_are_refused),
        cmocka_unit_test(a_destroyed_barrier_stays_stale),
        cmocka_unit_test(threads_go_in_lockstep_and_get_distinct_indexes),
        cmocka_unit_test(processes_go_in_lockstep),
        cmocka_unit_test(a_timeout_breaks_the_barrier_for_all),
        cmocka_unit_test(an_abort_breaks_the_barrier_until_a_reset),
        cmocka_unit_test(a_reset_breaks_the_current_waits),
        cmocka_unit_test(destroying_releases_all_waiters),
        cmocka_unit_test(all_participants_of_a_complete_round_succeed),
        cmocka_unit_test(a_complete_round_of_any_number_succeeds_after_a_destroy),
        cmocka_unit_test(a_waiter_of_a_reset_barrier_may_wait_again_at_once),
        cmocka_unit_test(a_killed_waiter_breaks_the_barrier),
        cmocka_unit_test(a_killed_participant_breaks_the_next_round),
        cmocka_unit_test(a_participant_killed_with_a_lock_breaks_the_barrier_at_once),
        cmocka_unit_test(a_reset_forgets_dead_participants),
        cmocka_unit_test(a_thread_that_returns_with_a_lock_does_not_break_the_barrier),
        cmocka_unit_test(a_participant_that_leaves_in_order_does_not_break_the_barrier),
        cmocka_unit_test(a_crowd_passes_in_groups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
