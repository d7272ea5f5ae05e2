// SPDX-License-Identifier: MIT
// The fault walk: each scenario is run with its first fault, its second, its third... until it meets none. Every failure must be a status that the
// header names, must leave nothing behind, and must not spoil what comes after.
#include "../meeting.h"

#include "../foreign.h"
#include "../platform.h"
#include "family.h"
#include "fault.h"

#include <string.h>

// Faults that a scenario asks for and gets over without a failure are fine, too.
struct scenario {
    const char *name;
    brood_status (*run)(void);
    brood_status allowed[4]; // failures; ends with BROOD_OK
    bool cold;               // does something for the first time that stays: handles are not counted
};

struct holdings {
    size_t descriptors;
    uint32_t live[BROODI_KINDS];
};

static struct holdings take_stock(void)
{
    struct holdings now = { .descriptors = platform_descriptor_count() };
    for (int kind = 1; kind < BROODI_KINDS; kind++)
        now.live[kind] = atomic_load(&broodi_family.header->tables[kind].live);
    return now;
}

static void assert_same(const struct scenario *scenario, unsigned n, struct holdings before)
{
    const struct holdings after = take_stock();
    if (!scenario->cold && after.descriptors != before.descriptors)
        fail_msg("%s, fault %u: %u descriptors have become %u", scenario->name, n,
                 (unsigned)before.descriptors, (unsigned)after.descriptors);
    for (int kind = 1; kind < BROODI_KINDS; kind++)
        if (after.live[kind] != before.live[kind] && !scenario->cold)
            fail_msg("%s, fault %u: %u slots of kind %d have become %u", scenario->name, n,
                     (unsigned)before.live[kind], kind, (unsigned)after.live[kind]);
}

static void assert_allowed(const struct scenario *scenario, unsigned n, brood_status status)
{
    if (status == BROOD_OK)
        return;
    for (size_t i = 0; scenario->allowed[i] != BROOD_OK; i++)
        if (scenario->allowed[i] == status)
            return;
    fail_msg("%s, fault %u: %s (%s)", scenario->name, n, brood_status_name(status), brood_last_error());
}

// Takes the fault back; whether it was still to come.
static bool is_pending(unsigned n)
{
    bool pending = false;
    for (unsigned i = 0; i < n && !pending; i++)
        pending = broodi_fault();
    broodi_fault_set(0);
    return pending;
}

static void walk(const struct scenario *scenario)
{
    enum { MOST = 400 };
    unsigned failures = 0;
    bool pending = false;
    unsigned n = 0;
    while (!pending && n < MOST) {
        const struct holdings before = take_stock();
        broodi_fault_set(++n);
        const brood_status status = scenario->run();
        pending = is_pending(n);
        assert_allowed(scenario, n, status);
        assert_same(scenario, n, before);
        failures += status != BROOD_OK;
    }
    assert_true(pending);
    assert_status(scenario->run(), BROOD_OK);
    print_message("%s: %u faults, %u of them failures\n", scenario->name, n - 1, failures);
}

static void walk_twice(const struct scenario *scenario)
{
    struct scenario first = *scenario;
    first.cold = true;
    walk(&first);
    walk(scenario);
}

// Processes

static int read_argument(void *arg)
{
    return strcmp(arg, "an argument") == 0 ? 5 : 6;
}

static brood_status start_and_join(brood_start_method method)
{
    static const char *const environment[] = { "BROOD_TEST_A=1", "BROOD_TEST_B", NULL };
    const brood_process_options options = { .method = (int32_t)method, .environment = environment };
    brood_process *process = NULL;
    brood_exit ended = { .kind = BROOD_RUNNING };
    const brood_status status =
        brood_process_start(&process, read_argument, "an argument", sizeof "an argument", &options);
    if (status != BROOD_OK) {
        assert_null(process);
        return status;
    }
    assert_status(brood_process_join(process, MEETING_PATIENCE, &ended), BROOD_OK);
    assert_int_equal(ended.kind, BROOD_EXITED);
    assert_int_equal(ended.code, 5);
    brood_process_drop(process);
    assert_int_equal(brood_active_children(NULL, 0), 0);
    return BROOD_OK;
}

static brood_status spawn_and_join(void)
{
    return start_and_join(BROOD_START_SPAWN);
}

static brood_status fork_and_join(void)
{
    return start_and_join(BROOD_START_FORK);
}

static void a_spawn_that_fails_leaves_nothing(void **state)
{
    (void)state;
    walk_twice(&(struct scenario){
        "spawn", spawn_and_join, { BROOD_NO_MEMORY, BROOD_NO_RESOURCES, BROOD_SYSTEM }, false });
}

static void a_fork_that_fails_leaves_nothing(void **state)
{
    (void)state;
    if (!platform_has_fork()) {
        assert_status(fork_and_join(), BROOD_UNSUPPORTED);
        return;
    }
    walk_twice(&(struct scenario){
        "fork", fork_and_join, { BROOD_NO_MEMORY, BROOD_NO_RESOURCES, BROOD_SYSTEM }, false });
}

// In a thread that is new to brood. What it found is for the thread of the test to judge.

struct errand {
    brood_status (*run)(void);
    brood_status status;
};

static void run_errand(void *arg)
{
    struct errand *errand = arg;
    errand->status = errand->run();
}

static brood_status in_fresh_thread(brood_status (*run)(void))
{
    struct errand errand = { run, BROOD_OK };
    foreign_thread_join(foreign_thread_start(run_errand, &errand));
    return errand.status;
}

static brood_status start_elsewhere(void)
{
    static const brood_process_options options = { .method = BROOD_START_SPAWN };
    brood_process *process = NULL;
    const brood_status status =
        brood_process_start(&process, read_argument, "an argument", sizeof "an argument", &options);
    if (status != BROOD_OK)
        return status;
    (void)brood_process_join(process, MEETING_PATIENCE, NULL);
    brood_process_drop(process);
    return BROOD_OK;
}

static brood_status spawn_in_fresh_thread(void)
{
    return in_fresh_thread(start_elsewhere);
}

static void a_spawn_by_a_new_thread_that_fails_leaves_nothing(void **state)
{
    (void)state;
    walk_twice(&(struct scenario){ "spawn by a new thread",
                                   spawn_in_fresh_thread,
                                   { BROOD_NO_MEMORY, BROOD_NO_RESOURCES, BROOD_SYSTEM },
                                   false });
}

// Threads

static int use_lock_and_local(void *arg)
{
    brood_local local;
    brood_lock lock;
    memcpy(&lock, arg, sizeof lock);
    if (brood_lock_acquire(lock, MEETING_PATIENCE) == BROOD_OK && brood_lock_release(lock) != BROOD_OK)
        return 1;
    if (brood_local_create(&local, free) != BROOD_OK)
        return 0;
    void *value = malloc(8);
    if (!value || brood_local_set(local, value) != BROOD_OK)
        free(value);
    brood_local_destroy(local); // its value is nobody's any more
    if (brood_local_get(local))
        return 2;
    return 0;
}

static int use_lock(void *arg)
{
    brood_lock lock;
    memcpy(&lock, arg, sizeof lock);
    if (brood_lock_acquire(lock, MEETING_PATIENCE) != BROOD_OK)
        return 0;
    return brood_lock_release(lock) != BROOD_OK;
}

static brood_lock shared_lock;

static brood_status thread_and_join(void)
{
    brood_thread *thread = NULL;
    int code = -1;
    const brood_status status = brood_thread_start(&thread, use_lock, &shared_lock, sizeof shared_lock, NULL);
    if (status != BROOD_OK) {
        assert_null(thread);
        return status;
    }
    assert_status(brood_thread_join(thread, MEETING_PATIENCE, &code), BROOD_OK);
    assert_int_equal(code, 0);
    brood_thread_drop(thread);
    return BROOD_OK;
}

static void a_thread_that_fails_leaves_nothing(void **state)
{
    (void)state;
    assert_status(brood_lock_create(&shared_lock), BROOD_OK);
    walk_twice(
        &(struct scenario){ "thread", thread_and_join, { BROOD_NO_MEMORY, BROOD_NO_RESOURCES }, false });
    assert_status(brood_lock_destroy(shared_lock), BROOD_OK);
}

// Locks

static brood_status acquire_and_release(void)
{
    const brood_status status = brood_lock_acquire(shared_lock, MEETING_PATIENCE);
    return status == BROOD_OK ? brood_lock_release(shared_lock) : status;
}

static brood_status acquire_in_fresh_thread(void)
{
    return in_fresh_thread(acquire_and_release);
}

static void an_acquire_by_a_new_thread_that_fails_leaves_the_lock_free(void **state)
{
    (void)state;
    assert_status(brood_lock_create(&shared_lock), BROOD_OK);
    walk_twice(&(struct scenario){
        "acquire by a new thread", acquire_in_fresh_thread, { BROOD_NO_RESOURCES }, false });
    assert_status(brood_lock_acquire(shared_lock, BROOD_NOW), BROOD_OK);
    assert_status(brood_lock_release(shared_lock), BROOD_OK);
    assert_status(brood_lock_destroy(shared_lock), BROOD_OK);
}

enum { HOARD = 20000 };

static brood_lock hoard[HOARD];
static size_t hoarded;

// Goes on from where a failure ended it, so that the table must grow again and again.
static brood_status hoard_locks(void)
{
    for (size_t i = 0; i < 3000 && hoarded < HOARD; i++) {
        const brood_status status = brood_lock_create(&hoard[hoarded]);
        if (status != BROOD_OK)
            return status;
        hoarded++;
    }
    return BROOD_OK;
}

static void a_table_that_cannot_grow_stays_whole(void **state)
{
    (void)state;
    walk(&(struct scenario){ "growth of a table", hoard_locks, { BROOD_NO_MEMORY }, true });
    broodi_fault_set(1);
    while (hoarded < HOARD && hoard_locks() == BROOD_OK)
        continue;
    broodi_fault_set(0);
    for (size_t i = 0; i < hoarded; i++) {
        assert_status(brood_lock_acquire(hoard[i], BROOD_NOW), BROOD_OK);
        assert_status(brood_lock_release(hoard[i]), BROOD_OK);
        assert_status(brood_lock_destroy(hoard[i]), BROOD_OK);
    }
}

// Locals

enum { LOCALS = 100 };

// Enough for a new chunk of locals at its first run, and for a new array of values at each.
static brood_status use_locals(void)
{
    brood_local locals[LOCALS];
    static int value;
    brood_status status = BROOD_OK;
    size_t count = 0;
    for (; count < LOCALS && status == BROOD_OK; count += status == BROOD_OK)
        status = brood_local_create(&locals[count], NULL);
    for (size_t i = 0; i < count && status == BROOD_OK; i++)
        status = brood_local_set(locals[i], &value);
    for (size_t i = 0; i < count && status == BROOD_OK; i++)
        if (brood_local_get(locals[i]) != &value)
            status = BROOD_BROKEN;
    for (size_t i = 0; i < count; i++)
        brood_local_destroy(locals[i]);
    return status;
}

static brood_status use_locals_in_fresh_thread(void)
{
    return in_fresh_thread(use_locals);
}

static void locals_that_fail_leave_nothing(void **state)
{
    (void)state;
    walk_twice(&(struct scenario){ "locals", use_locals, { BROOD_NO_MEMORY }, false });
    walk_twice(&(struct scenario){
        "locals in a new thread", use_locals_in_fresh_thread, { BROOD_NO_MEMORY }, false });
    assert_int_equal(use_lock_and_local(&(brood_lock){ 0 }), 0);
}

// The registry, and handlers

static brood_status set_and_take_away(void)
{
    uint64_t value = 0;
    brood_status status = brood_registry_set("faults", 9);
    if (status == BROOD_OK)
        status = brood_registry_get("faults", &value);
    if (status == BROOD_OK && value != 9)
        return BROOD_BROKEN;
    const brood_status taken = brood_registry_set("faults", 0);
    return status == BROOD_OK ? taken : status;
}

static brood_status set_in_fresh_thread(void)
{
    return in_fresh_thread(set_and_take_away);
}

static void the_registry_fails_as_documented(void **state)
{
    (void)state;
    const struct scenario scenario = {
        "registry", set_in_fresh_thread, { BROOD_NO_MEMORY, BROOD_NO_RESOURCES }, false
    };
    walk_twice(&scenario);
    assert_status(brood_registry_set("faults", 0), BROOD_OK);
}

static unsigned handled;

static void handle(void *arg)
{
    handled += *(unsigned *)arg;
}

static brood_status add_handler(void)
{
    static unsigned one = 1;
    return brood_at_exit(handle, &one);
}

static void a_handler_is_registered_or_is_not(void **state)
{
    (void)state;
    walk(&(struct scenario){ "at_exit", add_handler, { BROOD_NO_MEMORY }, false });
}

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_spawn_that_fails_leaves_nothing),
        cmocka_unit_test(a_fork_that_fails_leaves_nothing),
        cmocka_unit_test(a_spawn_by_a_new_thread_that_fails_leaves_nothing),
        cmocka_unit_test(a_thread_that_fails_leaves_nothing),
        cmocka_unit_test(an_acquire_by_a_new_thread_that_fails_leaves_the_lock_free),
        cmocka_unit_test(a_table_that_cannot_grow_stays_whole),
        cmocka_unit_test(locals_that_fail_leave_nothing),
        cmocka_unit_test(the_registry_fails_as_documented),
        cmocka_unit_test(a_handler_is_registered_or_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
