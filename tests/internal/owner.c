// SPDX-License-Identifier: MIT
// Owners: their encoding, short owners, and the states of threads and processes.
#include "../meeting.h"

#include "arena/family.h"
#include "arena/kinds.h"
#include "arena/owner.h"
#include "arena/process_slot.h"
#include "arena/self.h"

enum { SHORT = 29 };

#define NEXT_GENERATION (UINT64_C(1) << BROODI_OWNER_GENERATION_AT)

static broodi_owner this_process(void)
{
    return broodi_owner_at(BROODI_PROCESS, broodi_here_process());
}

// Starts a thread that reports itself as an owner, and joins it when it has ended in order.
static int report_self(void *arg)
{
    atomic_store(*(_Atomic broodi_owner **)arg, broodi_owner_self());
    return 0;
}

static int report_self_holding(void *arg)
{
    brood_lock lock;
    CHECK(brood_lock_create(&lock) == BROOD_OK);
    CHECK(brood_lock_acquire(lock, BROOD_NOW) == BROOD_OK);
    note("lock", lock.id);
    return report_self(arg);
}

static broodi_owner ended_thread(brood_target target)
{
    _Atomic broodi_owner owner = 0;
    _Atomic broodi_owner *out = &owner;
    assert_thread_ends(started_thread(target, &out, sizeof out), 0);
    return atomic_load(&owner);
}

static void an_owner_keeps_slot_and_generation(void **state)
{
    (void)state;
    const uint32_t slots[] = { 0, 1, 63, (1 << BROODI_OWNER_SLOT_BITS) - 1 };
    const uint32_t generations[] = { 1, 3, 12345, UINT32_MAX };
    for (int i = 0; i < 4; i++) {
        for (int j = 0; j < 4; j++) {
            const uint64_t taken = broodi_state(generations[j], 77);
            const broodi_owner owner = broodi_owner_of(slots[i], taken);
            assert_true(owner != 0);
            assert_int_equal(broodi_owner_slot(owner), slots[i]);
            assert_int_equal(broodi_owner_slot(broodi_owner_shorten(owner, SHORT)), slots[i]);
            assert_int_equal(broodi_owner_generation(owner), generations[j]);
            assert_true(broodi_owner_has_slot(owner, taken));
            assert_false(broodi_owner_has_slot(owner, broodi_state(generations[j] + 1, 77)));
            assert_false(broodi_owner_has_slot(owner, broodi_state(generations[j] + 2, 77)));
        }
    }
    assert_false(broodi_owner_has_slot(0, broodi_state(1, 0)));
}

static void only_the_present_owner_completes_a_short_one(void **state)
{
    (void)state;
    const broodi_owner self = broodi_owner_self();
    const uint64_t name = broodi_owner_shorten(self, SHORT);
    assert_int_equal(broodi_owner_at(BROODI_THREAD, broodi_self_slot()), self);
    assert_int_equal(broodi_owner_complete(BROODI_THREAD, name, SHORT), self);
    assert_int_equal(broodi_owner_complete(BROODI_THREAD, name ^ NEXT_GENERATION, SHORT), 0);
    assert_int_equal(broodi_owner_complete(BROODI_THREAD, 0, SHORT), 0);
    const uint64_t process = broodi_owner_shorten(this_process(), SHORT);
    assert_int_equal(broodi_owner_complete(BROODI_PROCESS, process, SHORT), this_process());
}

static void a_slot_that_is_free_or_does_not_exist_has_no_owner(void **state)
{
    (void)state;
    const broodi_owner gone = ended_thread(report_self);
    const uint32_t limit = broodi_slot_limit(BROODI_THREAD);
    assert_int_equal(broodi_owner_at(BROODI_THREAD, broodi_owner_slot(gone)), 0);
    assert_int_equal(broodi_owner_at(BROODI_THREAD, limit), 0);
    assert_int_equal(broodi_owner_at(BROODI_THREAD, BROODI_NONE), 0);
    assert_int_equal(broodi_owner_state(broodi_owner_of(limit, broodi_state(1, 0))),
                     BROODI_OWNER_GONE);
}

static void a_thread_lives_until_it_ends(void **state)
{
    (void)state;
    const broodi_owner self = broodi_owner_self();
    assert_int_equal(broodi_owner_state(self), BROODI_OWNER_LIVES);
    assert_int_equal(broodi_owner_state(self ^ NEXT_GENERATION), BROODI_OWNER_GONE);
    assert_int_equal(broodi_owner_state(0), BROODI_OWNER_GONE);
    assert_int_equal(broodi_owner_state(ended_thread(report_self)), BROODI_OWNER_GONE);
}

static void a_thread_that_ended_with_a_lock_is_dead_until_an_heir_releases_it(void **state)
{
    (void)state;
    const broodi_owner dead = ended_thread(report_self_holding);
    const brood_lock lock = { noted("lock") };
    assert_int_equal(broodi_owner_state(dead), BROODI_OWNER_DEAD);
    assert_status(brood_lock_acquire(lock, BROOD_SECONDS(10)), BROOD_OWNER_DIED);
    assert_status(brood_lock_release(lock), BROOD_OK);
    assert_status(brood_lock_destroy(lock), BROOD_OK);
    broodi_kind_sweep(BROODI_THREAD);
    assert_int_equal(broodi_owner_state(dead), BROODI_OWNER_GONE);
}

static int stay(void *unused)
{
    (void)unused;
    note("slot", (uint64_t)broodi_here_process() + 1);
    return brood_stop_wait(MEETING_PATIENCE) == BROOD_OK ? 0 : 1;
}

static void a_killed_process_is_dead_until_it_is_joined(void **state)
{
    (void)state;
    note("slot", 0);
    brood_process *process = started_process(stay, NULL, 0);
    assert_true(await_note("slot", 1));
    const broodi_owner child = broodi_owner_at(BROODI_PROCESS, (uint32_t)noted("slot") - 1);
    assert_int_equal(broodi_process_state(child), BROODI_OWNER_LIVES);
    assert_status(brood_process_kill(process), BROOD_OK);
    const int64_t deadline = brood_clock() + MEETING_PATIENCE;
    while (broodi_process_state(child) == BROODI_OWNER_LIVES && brood_clock() < deadline)
        brood_sleep(BROOD_MILLISECONDS(1));
    assert_int_equal(broodi_process_state(child), BROODI_OWNER_DEAD);
    assert_status(brood_process_join(process, MEETING_PATIENCE, NULL), BROOD_OK);
    assert_int_equal(broodi_process_state(child), BROODI_OWNER_GONE);
    assert_int_equal(broodi_process_state(this_process()), BROODI_OWNER_LIVES);
    assert_int_equal(broodi_process_state(0), BROODI_OWNER_GONE);
    brood_process_drop(process);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_owner_keeps_slot_and_generation),
        cmocka_unit_test(only_the_present_owner_completes_a_short_one),
        cmocka_unit_test(a_slot_that_is_free_or_does_not_exist_has_no_owner),
        cmocka_unit_test(a_thread_lives_until_it_ends),
        cmocka_unit_test(a_thread_that_ended_with_a_lock_is_dead_until_an_heir_releases_it),
        cmocka_unit_test(a_killed_process_is_dead_until_it_is_joined),
    };
    brood_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
