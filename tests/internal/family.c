// SPDX-License-Identifier: MIT
// Handles, and the slots that they name. The registry stays empty: the tests use the table of
// names for slots of their own.
#include "../meeting.h"

#include "../foreign.h"
#include "../objects.h"
#include "arena/allocator.h"
#include "arena/family.h"
#include "arena/process_slot.h"
#include "arena/report.h"
#include "base/atomic.h"
#include "process/burial.h"
#include "sync/lock.h"

#include <string.h>

enum { NAMES = 4096 };

static broodi_word *word_at(uint32_t index)
{
    return broodi_slot(BROODI_NAME, index);
}

static uint32_t taken(void)
{
    uint32_t index = 0;
    assert_status(broodi_slot_allocate(BROODI_NAME, 1, &index), BROOD_OK);
    assert_true(index < broodi_slot_limit(BROODI_NAME));
    assert_true(broodi_slot_is_live(atomic_load(&word_at(index)->state)));
    assert_int_equal(broodi_low(atomic_load(&word_at(index)->state)), 1);
    return index;
}

static void free_slot(uint32_t index)
{
    assert_true(broodi_slot_free(BROODI_NAME, index, atomic_load(&word_at(index)->state)));
    assert_false(broodi_slot_is_live(atomic_load(&word_at(index)->state)));
}

// The status that a call with such a handle would return.
static brood_status find(enum broodi_kind kind, uint64_t id, uint32_t *out_index)
{
    broodi_word *word = broodi_handle_slot(kind, id); // every slot begins with its state
    if (!word)
        return BROOD_INVALID;
    *out_index = broodi_handle_unpack(id).slot;
    assert_ptr_equal(word, broodi_slot(kind, *out_index));
    return broodi_handle_is_current(id, atomic_load(&word->state)) ? BROOD_OK : BROOD_STALE;
}

static void a_handle_keeps_its_parts(void **state)
{
    (void)state;
    uint64_t seed = 88172645463325252;
    for (int i = 0; i < 100000; i++) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        const struct broodi_handle out = broodi_handle_unpack(seed);
        assert_true(broodi_handle_pack(out) == seed);
        const struct broodi_handle in = {
            .tag = (uint32_t)(seed >> 3) & BROODI_TAG_MASK,
            .kind = (uint32_t)(seed >> 20) & BROODI_KIND_MASK,
            .generation = (uint32_t)(seed >> 29) & BROODI_GENERATION_MASK,
            .slot = (uint32_t)(seed >> 11) & ((1U << BROODI_SLOT_BITS) - 1),
        };
        const struct broodi_handle back = broodi_handle_unpack(broodi_handle_pack(in));
        assert_int_equal(back.tag, in.tag);
        assert_int_equal(back.kind, in.kind);
        assert_int_equal(back.generation, in.generation);
        assert_int_equal(back.slot, in.slot);
    }
}

static void a_handle_finds_its_slot_until_it_is_freed(void **state)
{
    (void)state;
    const uint32_t index = taken();
    const uint64_t id = broodi_handle_of(BROODI_NAME, index);
    uint32_t found = BROODI_NONE;
    assert_status(find(BROODI_NAME, id, &found), BROOD_OK);
    assert_int_equal(found, index);
    assert_true(broodi_handle_is_current(id, atomic_load(&word_at(index)->state)));
    assert_int_not_equal(broodi_handle_unpack(id).tag, 0);
    free_slot(index);
    assert_status(find(BROODI_NAME, id, &found), BROOD_STALE);
    assert_false(broodi_handle_is_current(id, atomic_load(&word_at(index)->state)));
}

static void a_slot_is_freed_only_once(void **state)
{
    (void)state;
    const uint32_t index = taken();
    const uint64_t before = atomic_load(&word_at(index)->state);
    // As if another thread had changed the low word.
    assert_false(broodi_slot_free(BROODI_NAME, index, before + 1));
    assert_false(broodi_slot_free(BROODI_NAME, index, before + (UINT64_C(2) << 32)));
    assert_true(broodi_slot_free(BROODI_NAME, index, before));
    assert_false(broodi_slot_free(BROODI_NAME, index, before));
}

static void a_handle_that_names_no_slot_is_invalid(void **state)
{
    (void)state;
    const uint32_t index = taken();
    const uint64_t id = broodi_handle_of(BROODI_NAME, index);
    const struct broodi_handle good = broodi_handle_unpack(id);
    struct broodi_handle evil[7];
    for (size_t i = 0; i < 7; i++)
        evil[i] = good;
    evil[0].tag ^= 1;
    evil[1].tag = 0;
    evil[2].kind = BROODI_LOCK;
    evil[3].kind = BROODI_KIND_MASK;
    evil[4].generation ^= 1; // a taken slot's generation is odd
    evil[5].slot = broodi_slot_limit(BROODI_NAME);
    evil[6].slot = (1U << BROODI_SLOT_BITS) - 1;
    uint32_t found = 77;
    for (size_t i = 0; i < 7; i++)
        assert_status(find(BROODI_NAME, broodi_handle_pack(evil[i]), &found), BROOD_INVALID);
    assert_status(find(BROODI_LOCK, id, &found), BROOD_INVALID);
    assert_status(find(BROODI_NAME, 0, &found), BROOD_INVALID);
    assert_status(find(BROODI_NAME, UINT64_MAX, &found), BROOD_INVALID);
    assert_int_equal(found, 77);
    // A generation that the slot has not had yet, as a random number may contain.
    struct broodi_handle later = good;
    later.generation += 2;
    assert_status(find(BROODI_NAME, broodi_handle_pack(later), &found), BROOD_STALE);
    free_slot(index);
}

static void a_freed_slot_is_reused_last(void **state)
{
    (void)state;
    const uint32_t first = taken();
    free_slot(first);
    const uint32_t limit = broodi_slot_limit(BROODI_NAME);
    // All others are allocated first, so that a stale handle is detected for as long as possible.
    for (uint32_t i = 1; i < limit; i++) {
        const uint32_t next = taken();
        assert_int_not_equal(next, first);
        free_slot(next);
    }
    assert_int_equal(taken(), first);
    free_slot(first);
    assert_int_equal(broodi_slot_limit(BROODI_NAME), limit);
}

static void generations_wrap_around(void **state)
{
    (void)state;
    const uint32_t index = taken();
    uint32_t found;
    // The last odd generation that a handle can express.
    atomic_store(&word_at(index)->state, broodi_state(BROODI_GENERATION_MASK, 1));
    const uint64_t last = broodi_handle_of(BROODI_NAME, index);
    assert_status(find(BROODI_NAME, last, &found), BROOD_OK);
    free_slot(index);
    assert_status(find(BROODI_NAME, last, &found), BROOD_STALE);
    while (taken() != index)
        continue;
    const uint64_t next = broodi_handle_of(BROODI_NAME, index);
    assert_int_equal(broodi_handle_unpack(next).generation, 1);
    assert_status(find(BROODI_NAME, next, &found), BROOD_OK);
    assert_status(find(BROODI_NAME, last, &found), BROOD_STALE);
    atomic_store(&word_at(index)->state, broodi_state(UINT32_MAX, 1));
    free_slot(index);
    assert_int_equal(atomic_load(&word_at(index)->state), 0);
    const uint32_t limit = broodi_slot_limit(BROODI_NAME);
    for (uint32_t i = 0; i < limit; i++)
        if (broodi_slot_is_live(atomic_load(&word_at(i)->state)))
            free_slot(i);
}

// Kinds that have handles

static _Atomic uint64_t *state_of(enum broodi_kind kind, uint32_t index)
{
    broodi_word *word = broodi_slot(kind, index);
    return &word->state;
}

// The handle of the next object in this slot.
static uint64_t next_in(enum broodi_kind kind, uint32_t wanted)
{
    uint32_t index = BROODI_NONE;
    atomic_store(&broodi_family.header->tables[kind].cursor, wanted);
    assert_status(broodi_slot_allocate(kind, 0, &index), BROOD_OK);
    assert_int_equal(index, wanted);
    const uint64_t id = broodi_handle_of(kind, index);
    assert_true(broodi_slot_free(kind, index, atomic_load(state_of(kind, index))));
    return id;
}

static void the_first_handle_of_a_slot_differs_by_slot_and_family(void **state)
{
    (void)state;
    enum { SLOTS = 16 };
    uint64_t *family = broodi_family.header->family;
    const uint64_t usual = family[1];
    for (enum broodi_kind kind = BROODI_LOCK; kind < BROODI_OWN_LOCK; kind++) {
        uint32_t same = 0;
        assert_status(broodi_slot_commit(kind, SLOTS), BROOD_OK);
        for (uint32_t index = 0; index < SLOTS; index++) {
            atomic_store(state_of(kind, index), 0); // as if it had never been taken
            const uint64_t here = next_in(kind, index);
            family[1] = usual ^ (UINT64_C(1) << index);
            atomic_store(state_of(kind, index), 0);
            const uint64_t there = next_in(kind, index); // in a family with the same tag
            family[1] = usual;
            same += broodi_handle_unpack(here).generation == 1;
            same += here == there;
            atomic_store(state_of(kind, index), 0);
        }
        assert_true(same <= 1);
    }
}

// Leaves the free slot as if it had been used until its next handle would repeat the first one.
static void wear_out(enum broodi_kind kind, uint32_t index)
{
    uint32_t taken_index;
    atomic_store(state_of(kind, index), 0);
    atomic_store(&broodi_family.header->tables[kind].cursor, index);
    assert_status(broodi_slot_allocate(kind, 0, &taken_index), BROOD_OK);
    assert_int_equal(taken_index, index);
    const uint32_t first = broodi_generation(atomic_load(state_of(kind, index)));
    const uint64_t last = broodi_state(first + BROODI_GENERATION_MASK - 1, 0);
    atomic_store(state_of(kind, index), last);
    assert_true(broodi_slot_free(kind, index, last));
}

static void a_handle_is_not_repeated_while_others_are_left(void **state)
{
    (void)state;
    brood_event event;
    assert_status(brood_event_create(&event), BROOD_OK);
    const uint32_t spent = broodi_handle_unpack(event.id).slot;
    assert_status(brood_event_destroy(event), BROOD_OK);
    const uint32_t live = atomic_load(&broodi_family.header->tables[BROODI_EVENT].live);
    wear_out(BROODI_EVENT, spent);
    assert_int_equal(atomic_load(&broodi_family.header->tables[BROODI_EVENT].live), live + 1);
    const uint32_t limit = broodi_slot_limit(BROODI_EVENT);
    for (uint32_t i = 0; i < 2 * limit; i++) {
        brood_event other;
        assert_status(brood_event_create(&other), BROOD_OK);
        assert_int_not_equal(broodi_handle_unpack(other.id).slot, spent);
        assert_status(brood_event_destroy(other), BROOD_OK);
    }
    assert_status(brood_event_destroy(event), BROOD_STALE);
}

static void a_table_grows_when_its_slots_are_spent(void **state)
{
    (void)state;
    brood_event event;
    const uint32_t limit = broodi_slot_limit(BROODI_EVENT);
    for (uint32_t index = 0; index < limit; index++)
        wear_out(BROODI_EVENT, index);
    assert_status(brood_event_create(&event), BROOD_OK);
    assert_true(broodi_slot_limit(BROODI_EVENT) > limit);
    assert_true(broodi_handle_unpack(event.id).slot >= limit);
    assert_status(brood_event_destroy(event), BROOD_OK);
}

static void all_slots_of_a_full_table_begin_their_second_lap_at_once(void **state)
{
    (void)state;
    const enum broodi_kind kind = BROODI_OWN_LOCK; // a small table
    struct broodi_table_state *table = &broodi_family.header->tables[kind];
    uint64_t id[2];
    uint32_t used = 0;
    while (used < broodi_family.views[kind].capacity && broodi_own_lock_make(&id[0]) == BROOD_OK)
        used++;
    assert_status(broodi_own_lock_make(&id[0]), BROOD_NO_RESOURCES);
    assert_int_equal(atomic_load(&table->laps), 0);
    const uint32_t last = broodi_family.views[kind].capacity - 1;
    const uint32_t first = broodi_family.views[kind].capacity - used;
    for (uint32_t index = first; index <= last; index++) {
        assert_true(broodi_slot_free(kind, index, atomic_load(state_of(kind, index))));
        wear_out(kind, index);
    }
    for (uint32_t i = 0; i < used; i++)
        assert_status(broodi_own_lock_make(&id[0]), BROOD_OK);
    assert_int_equal(atomic_load(&table->laps), 1);
    assert_status(broodi_own_lock_make(&id[1]), BROOD_NO_RESOURCES);
    assert_int_equal(atomic_load(&table->laps), 1);
    for (uint32_t index = first; index <= last; index++)
        assert_true(broodi_slot_free(kind, index, atomic_load(state_of(kind, index))));
}

static void expect_refused(uint64_t id)
{
    brood_condition condition;
    brood_lock lock;
    for (int i = 0; i < OPERATIONS; i++)
        if (operations[i].fn(id) != BROOD_INVALID)
            fail_msg("%s of %llx", operations[i].name, (unsigned long long)id);
    assert_status(brood_condition_create(&condition), BROOD_OK);
    assert_status(brood_lock_create(&lock), BROOD_OK);
    assert_status(brood_lock_acquire(lock, BROOD_NOW), BROOD_OK);
    assert_status(brood_condition_wait(condition, (brood_lock){ id }, BROOD_NOW), BROOD_INVALID);
    assert_status(brood_lock_release(lock), BROOD_OK);
    assert_status(brood_lock_destroy(lock), BROOD_OK);
    assert_status(brood_condition_destroy(condition), BROOD_OK);
}

static void a_program_cannot_use_the_librarys_own_locks(void **state)
{
    (void)state;
    const uint64_t own[] = { broodi_family.header->names, broodi_family.header->heap.lock };
    for (size_t i = 0; i < 2; i++) {
        expect_refused(own[i]);
        assert_status(broodi_own_lock_acquire(own[i]), BROOD_OK);
        expect_refused(own[i]);
        broodi_own_lock_release(own[i]);
        // No handle of the program's kind names the same slot either.
        struct broodi_handle handle = broodi_handle_unpack(own[i]);
        handle.kind = BROODI_LOCK;
        assert_ptr_not_equal(broodi_handle_slot(BROODI_LOCK, broodi_handle_pack(handle)),
                             broodi_slot(BROODI_OWN_LOCK, handle.slot));
    }
}

static void a_full_table_reports_its_limit(void **state)
{
    (void)state;
    static uint32_t slots[NAMES];
    static bool seen[NAMES];
    memset(seen, 0, sizeof seen);
    for (uint32_t i = 0; i < NAMES; i++) {
        slots[i] = taken();
        assert_true(slots[i] < NAMES);
        assert_false(seen[slots[i]]);
        seen[slots[i]] = true;
    }
    uint32_t none = 7;
    assert_status(broodi_slot_allocate(BROODI_NAME, 1, &none), BROOD_NO_RESOURCES);
    assert_int_equal(none, 7);
    assert_status(brood_registry_set("one too many", 1), BROOD_NO_RESOURCES);
    assert_non_null(strstr(brood_last_error(), "4096"));
    // After one slot has been freed, it can be allocated again.
    free_slot(slots[1000]);
    assert_int_equal(taken(), slots[1000]);
    assert_status(broodi_slot_allocate(BROODI_NAME, 1, &none), BROOD_NO_RESOURCES);
    for (uint32_t i = 0; i < NAMES; i++)
        free_slot(slots[i]);
    assert_status(brood_registry_set("one too many", 1), BROOD_OK);
    assert_status(brood_registry_set("one too many", 0), BROOD_OK);
}

// Allocation by many threads at once: no slot has two owners.

static _Atomic uint32_t owners[NAMES];

static int take_and_free(void *arg)
{
    const uint32_t own = *(uint32_t *)arg;
    const int rounds = foreign_is_slow() ? 5000 : 20000;
    for (int i = 0; i < rounds; i++) {
        uint32_t index;
        uint32_t none = 0;
        CHECK(broodi_slot_allocate(BROODI_NAME, own, &index) == BROOD_OK);
        CHECK(atomic_compare_exchange_strong(&owners[index], &none, own));
        const uint64_t state = atomic_load(&word_at(index)->state);
        CHECK(broodi_low(state) == own);
        atomic_store(&owners[index], 0);
        CHECK(broodi_slot_free(BROODI_NAME, index, state));
    }
    return 0;
}

static void threads_do_not_get_the_same_slot(void **state)
{
    (void)state;
    enum { THREADS = 4 };
    brood_thread *threads[THREADS];
    for (uint32_t i = 0; i < THREADS; i++)
        threads[i] = started_thread(take_and_free, &(uint32_t){ i + 1 }, sizeof(uint32_t));
    for (int i = 0; i < THREADS; i++)
        assert_thread_ends(threads[i], 0);
}

// A depth that no test can reach by acquiring the lock.
static void a_recursive_lock_does_not_overflow(void **state)
{
    (void)state;
    brood_lock lock;
    assert_status(brood_lock_create_recursive(&lock), BROOD_OK);
    assert_status(brood_lock_acquire(lock, BROOD_NOW), BROOD_OK);
    struct broodi_lock_slot *slot = broodi_slot(BROODI_LOCK, broodi_handle_unpack(lock.id).slot);
    atomic_store(&slot->depth, UINT32_MAX - 1);
    assert_status(brood_lock_acquire(lock, BROOD_NOW), BROOD_OK);
    assert_status(brood_lock_acquire(lock, BROOD_FOREVER), BROOD_OVERFLOW);
    assert_int_equal(atomic_load(&slot->depth), UINT32_MAX);
    atomic_store(&slot->depth, 1);
    assert_status(brood_lock_release(lock), BROOD_OK);
    assert_status(brood_lock_destroy(lock), BROOD_OK);
}

// Process ids are reused.

static uint32_t slot_of_process(enum broodi_origin origin, int64_t pid)
{
    const struct broodi_process_facts facts = { .parent = BROODI_NONE,
                                                .origin = origin,
                                                .name = "any" };
    uint32_t index = 0;
    assert_status(broodi_process_slot_allocate(&facts, &index), BROOD_OK);
    assert_true(broodi_process_slot_begin(index, broodi_process_slot_live(index), pid));
    return index;
}

static void an_end_is_not_reported_for_an_earlier_process_of_the_same_id(void **state)
{
    (void)state;
    const int64_t pid = 4711;
    const uint32_t before = slot_of_process(BROODI_ORIGIN_SERVER, pid);
    const uint32_t now = slot_of_process(BROODI_ORIGIN_FORKSERVER, pid);
    brood_exit reported = { 0 };
    broodi_report_write(pid, (brood_exit){ .kind = BROOD_EXITED, .native = 5 });
    assert_false(broodi_report_read(before, &reported));
    assert_true(broodi_report_read(now, &reported));
    assert_int_equal(reported.code, 5);
    broodi_process_slot_end(before);
    broodi_process_slot_end(now);
}

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_handle_keeps_its_parts),
        cmocka_unit_test(a_handle_finds_its_slot_until_it_is_freed),
        cmocka_unit_test(a_slot_is_freed_only_once),
        cmocka_unit_test(a_handle_that_names_no_slot_is_invalid),
        cmocka_unit_test(a_freed_slot_is_reused_last),
        cmocka_unit_test(generations_wrap_around),
        cmocka_unit_test(the_first_handle_of_a_slot_differs_by_slot_and_family),
        cmocka_unit_test(a_handle_is_not_repeated_while_others_are_left),
        cmocka_unit_test(a_table_grows_when_its_slots_are_spent),
        cmocka_unit_test(all_slots_of_a_full_table_begin_their_second_lap_at_once),
        cmocka_unit_test(a_program_cannot_use_the_librarys_own_locks),
        cmocka_unit_test(a_full_table_reports_its_limit),
        cmocka_unit_test(threads_do_not_get_the_same_slot),
        cmocka_unit_test(a_recursive_lock_does_not_overflow),
        cmocka_unit_test(an_end_is_not_reported_for_an_earlier_process_of_the_same_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
