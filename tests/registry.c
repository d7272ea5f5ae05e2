// SPDX-License-Identifier: MIT
// The registry: values under names, for the whole family.
#include "children.h"

#include "../src/base/atomic.h"
#include "foreign.h"

#include <string.h>

enum { NAME_ROOM = BROOD_REGISTRY_NAME_MAX + 1 };

// Values

static void assert_registered(const char *name, uint64_t expected)
{
    uint64_t value = ~expected;
    assert_status(brood_registry_get(name, &value), BROOD_OK);
    assert_true(value == expected);
}

static void assert_not_registered(const char *name)
{
    uint64_t value = UINT64_C(0x5a5a5a5a5a5a5a5a);
    assert_status(brood_registry_get(name, &value), BROOD_NOT_FOUND);
    assert_true(value == UINT64_C(0x5a5a5a5a5a5a5a5a)); // untouched on failure
}

static void a_name_gets_a_value_then_another_and_then_none(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_not_registered("known");
        assert_status(brood_registry_set("known", 5), BROOD_OK);
        assert_registered("known", 5);
        assert_registered("known", 5);
        assert_status(brood_registry_set("known", 6), BROOD_OK);
        assert_registered("known", 6);
        assert_status(brood_registry_set("known", 0), BROOD_OK);
    }
    assert_not_registered("known");
    assert_status(brood_registry_set("known", 0), BROOD_OK);
    assert_not_registered("known");
}

static void a_value_may_be_any_number_but_0(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 64; bit++) {
        assert_status(brood_registry_set("number", UINT64_C(1) << bit), BROOD_OK);
        assert_registered("number", UINT64_C(1) << bit);
        assert_status(brood_registry_set("number", UINT64_MAX >> bit), BROOD_OK);
        assert_registered("number", UINT64_MAX >> bit);
    }
    assert_status(brood_registry_set("number", 0), BROOD_OK);
}

static void an_unknown_name_is_not_found(void **state)
{
    (void)state;
    assert_not_registered("unknown");
    assert_last_error_names("brood_registry_get");
    assert_last_error_names("unknown");
}

// Names

static void a_name_has_1_to_255_bytes(void **state)
{
    (void)state;
    static const size_t lengths[] = { 1, 2, 7, 8, 9, 63, 64, 65, 127, 128, 254, 255 };
    char name[NAME_ROOM];
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        memset(name, 'l', sizeof name);
        name[lengths[i]] = 0;
        assert_not_registered(name);
        assert_status(brood_registry_set(name, lengths[i]), BROOD_OK);
    }
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        memset(name, 'l', sizeof name);
        name[lengths[i]] = 0;
        assert_registered(name, lengths[i]);
        assert_status(brood_registry_set(name, 0), BROOD_OK);
        assert_not_registered(name);
    }
}

static void a_name_of_256_bytes_is_too_large(void **state)
{
    (void)state;
    static const size_t lengths[] = { BROOD_REGISTRY_NAME_MAX + 1, BROOD_REGISTRY_NAME_MAX + 2,
                                      99999 };
    static char name[100000];
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        uint64_t value = 99;
        memset(name, 't', sizeof name);
        name[lengths[i]] = 0;
        assert_status(brood_registry_set(name, 1), BROOD_TOO_LARGE);
        assert_last_error_names("brood_registry_set");
        assert_status(brood_registry_set(name, 0), BROOD_TOO_LARGE);
        assert_status(brood_registry_get(name, &value), BROOD_TOO_LARGE);
        assert_last_error_names("brood_registry_get");
        assert_int_equal(value, 99);
    }
    name[BROOD_REGISTRY_NAME_MAX] = 0; // the name was not truncated to one that fits
    assert_not_registered(name);
}

static void a_missing_name_or_pointer_is_invalid(void **state)
{
    (void)state;
    static const char *const names[] = { NULL, "" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        uint64_t value = 99;
        assert_status(brood_registry_set(names[i], 1), BROOD_INVALID);
        assert_last_error_names("brood_registry_set");
        assert_status(brood_registry_set(names[i], 0), BROOD_INVALID);
        assert_status(brood_registry_get(names[i], &value), BROOD_INVALID);
        assert_last_error_names("brood_registry_get");
        assert_int_equal(value, 99);
    }
    assert_status(brood_registry_get("unknown", NULL), BROOD_INVALID);
    note("known", 1);
    assert_status(brood_registry_get("known", NULL), BROOD_INVALID);
    note("known", 0);
}

// All are different names.
// clang-format off
static const char *const strange_names[] = {
    " ", "  ", "\t", "\n", "\r\n", "\x01", "\x7f", "\x80", "\xff", "\xff\xff", "%s%n%d", "\\", "/",
    "..", "name=value", "\"quoted\"", "a", "A", "a ", " a", "a\n", "ab", "abc", "abd", "aba", "b",
    "bc", "a\377b", "a\001b",
    "\xc3", "\xc3\xa9", "e\xcc\x81", "\xe2\x82\xac", "\xf0\x9f\x90\xa3", "\xed\xa0\x80",
    "name with spaces", "name\twith\vcontrols\x1b[0m",
};
// clang-format on

enum { STRANGE_NAMES = sizeof strange_names / sizeof strange_names[0] };

static int expect_strange_names(void *arg)
{
    (void)arg;
    for (size_t i = 0; i < STRANGE_NAMES; i++)
        CHECK(noted(strange_names[i]) == 1000 + i);
    return 0;
}

static void a_name_may_hold_any_bytes_and_each_of_them_counts(void **state)
{
    (void)state;
    for (size_t i = 0; i < STRANGE_NAMES; i++) {
        assert_not_registered(strange_names[i]);
        assert_status(brood_registry_set(strange_names[i], 1000 + i), BROOD_OK);
    }
    assert_int_equal(expect_strange_names(NULL), 0);
    assert_process_ends(started_process(expect_strange_names, NULL, 0), 0);
    for (size_t i = 0; i < STRANGE_NAMES; i++) { // one after the other: the rest stays
        assert_status(brood_registry_set(strange_names[i], 0), BROOD_OK);
        assert_not_registered(strange_names[i]);
        for (size_t k = i + 1; k < STRANGE_NAMES; k++)
            assert_registered(strange_names[k], 1000 + k);
    }
}

// All bytes but 0, as many as a name can have, beginning with `first`.
static void make_name_of_all_bytes(char *name, unsigned first)
{
    for (unsigned i = 0; i < 255; i++)
        name[i] = (char)(unsigned char)(1 + (first + i) % 255);
    name[255] = 0;
}

static void a_name_may_hold_all_bytes(void **state)
{
    (void)state;
    char name[NAME_ROOM];
    for (unsigned first = 0; first < 255; first++) {
        make_name_of_all_bytes(name, first);
        assert_status(brood_registry_set(name, first + 1), BROOD_OK);
    }
    for (unsigned first = 0; first < 255; first++) {
        make_name_of_all_bytes(name, first);
        assert_registered(name, first + 1);
        assert_status(brood_registry_set(name, 0), BROOD_OK);
        assert_not_registered(name);
    }
}

static void a_prefix_of_a_name_is_another_name(void **state)
{
    (void)state;
    char name[NAME_ROOM];
    memset(name, 'p', sizeof name);
    for (size_t length = 255; length > 0; length--) {
        name[length] = 0;
        assert_not_registered(name);
        assert_status(brood_registry_set(name, length), BROOD_OK);
    }
    for (size_t length = 255; length > 0; length--) {
        memset(name, 'p', length);
        name[length] = 0;
        assert_registered(name, length);
    }
    for (size_t length = 1; length <= 255; length++) {
        memset(name, 'p', length);
        name[length] = 0;
        assert_registered(name, length);
        assert_status(brood_registry_set(name, 0), BROOD_OK);
        assert_not_registered(name);
    }
}

enum { HUNDREDS = 700 };

static int expect_hundreds(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < HUNDREDS; i++)
        CHECK(noted_of("one of hundreds", i) == i + 1);
    return 0;
}

static void there_can_be_hundreds_of_names(void **state)
{
    (void)state;
    for (unsigned i = 0; i < HUNDREDS; i++)
        note_of("one of hundreds", i, i + 1);
    assert_int_equal(expect_hundreds(NULL), 0);
    expect_success_under_each_method(expect_hundreds);
    for (unsigned i = 0; i < HUNDREDS; i += 2)
        note_of("one of hundreds", i, 0);
    for (unsigned i = 0; i < HUNDREDS; i++)
        assert_int_equal(noted_of("one of hundreds", i), i % 2 ? i + 1 : 0);
    for (unsigned i = 0; i < HUNDREDS; i++)
        note_of("one of hundreds", i, 0);
}

// A full registry

static void name_filler(char *name, unsigned number)
{
    (void)snprintf(name, NAME_ROOM, "filler %u", number);
}

// Adds names until the registry is full; returns how many.
static unsigned fill(void)
{
    char name[NAME_ROOM];
    for (unsigned count = 0;; count++) {
        name_filler(name, count);
        const brood_status status = brood_registry_set(name, count + 1);
        if (status == BROOD_NO_RESOURCES)
            return count;
        assert_status(status, BROOD_OK);
        assert_true(count < 1U << 20); // it must be full at some time
    }
}

static void remove_fillers(unsigned from, unsigned to)
{
    char name[NAME_ROOM];
    for (unsigned i = from; i < to; i++) {
        name_filler(name, i);
        assert_status(brood_registry_set(name, 0), BROOD_OK);
    }
}

// A child finds the registry full too, and one removed name makes room for one.
static int expect_no_room(void *arg)
{
    (void)arg;
    CHECK(brood_registry_set("one more", 1) == BROOD_NO_RESOURCES);
    CHECK(strstr(brood_last_error(), "brood_registry_set"));
    CHECK(noted("one more") == 0);
    CHECK(brood_registry_set("one more", 0) == BROOD_OK);
    CHECK(brood_registry_set("filler 5", 55) == BROOD_OK && noted("filler 5") == 55);
    CHECK(brood_registry_set("filler 3", 0) == BROOD_OK);
    CHECK(brood_registry_set("one more", 1) == BROOD_OK && noted("one more") == 1);
    CHECK(brood_registry_set("filler 3", 4) == BROOD_NO_RESOURCES);
    CHECK(brood_registry_set("one more", 0) == BROOD_OK);
    CHECK(brood_registry_set("filler 3", 4) == BROOD_OK);
    CHECK(brood_registry_set("filler 5", 6) == BROOD_OK);
    CHECK(brood_registry_set("one more", 1) == BROOD_NO_RESOURCES);
    return 0;
}

static void a_full_registry_refuses_names_until_others_are_removed(void **state)
{
    (void)state;
    char name[NAME_ROOM];
    const unsigned count = fill();
    assert_true(count >= HUNDREDS);
    assert_int_equal(expect_no_room(NULL), 0);
    expect_success_under_each_method(expect_no_room);
    for (unsigned i = 0; i < count; i++) {
        name_filler(name, i);
        assert_registered(name, i + 1);
    }
    remove_fillers(count / 3, count / 2);
    assert_int_equal(fill(), count); // no more and no less
    remove_fillers(0, count);
    assert_not_registered("filler 0");
    assert_int_equal(fill(), count);
    remove_fillers(0, count);
}

// Names in the family

struct relay {
    int32_t method;
    unsigned left;
};

// Each generation finds the names that all generations before it have set, and sets more.
static int pass_on(void *arg)
{
    const struct relay *relay = arg;
    const struct relay next = { relay->method, relay->left - 1 };
    CHECK(noted("relay") == relay->left);
    CHECK(noted_of("taken away by", relay->left + 1) == 0);
    CHECK(noted_of("passed by", relay->left + 1) == relay->left + 1);
    note_of("passed by", relay->left, relay->left);
    note_of("taken away by", relay->left, 0);
    note("relay", relay->left - 1);
    if (relay->left > 1)
        CHECK(code_of_child(next.method, pass_on, &next, sizeof next) == 0);
    CHECK(noted("relay") == 0);
    return 0;
}

static void children_and_their_children_see_and_set_names(void **state)
{
    (void)state;
    enum { GENERATIONS = 3 };
    for (int32_t method = BROOD_START_DEFAULT; method <= BROOD_START_FORK; method++) {
        if (method != BROOD_START_DEFAULT && !system_has(method))
            continue;
        const struct relay first = { method, GENERATIONS };
        note("relay", GENERATIONS);
        for (unsigned i = 1; i <= GENERATIONS; i++) {
            note_of("passed by", i, 0);
            note_of("taken away by", i, 1);
        }
        note_of("passed by", GENERATIONS + 1, GENERATIONS + 1);
        assert_process_ends(started_by(method, pass_on, &first, sizeof first), 0);
        for (unsigned i = 1; i <= GENERATIONS; i++) {
            assert_int_equal(noted_of("passed by", i), i);
            assert_int_equal(noted_of("taken away by", i), 0);
        }
    }
}

// The lock is found by its name: a static variable would be zero in a fresh image.
static int find_a_lock_by_its_name(void *arg)
{
    const brood_lock lock = { noted("a lock") };
    (void)arg;
    CHECK(brood_lock_acquire(lock, BROOD_NOW) == BROOD_TIMEOUT);
    note("tried the lock", 1);
    CHECK(brood_lock_acquire(lock, MEETING_PATIENCE) == BROOD_OK);
    CHECK(brood_lock_release(lock) == BROOD_OK);
    return 0;
}

static void a_lock_is_found_by_its_name(void **state)
{
    (void)state;
    brood_lock lock;
    assert_status(brood_lock_create(&lock), BROOD_OK);
    assert_status(brood_registry_set("a lock", lock.id), BROOD_OK);
    for (int32_t method = BROOD_START_SPAWN; method <= BROOD_START_FORK; method++) {
        if (!system_has(method))
            continue;
        note("tried the lock", 0);
        assert_status(brood_lock_acquire(lock, BROOD_NOW), BROOD_OK);
        brood_process *process = started_by(method, find_a_lock_by_its_name, NULL, 0);
        assert_true(await_note("tried the lock", 1));
        assert_status(brood_lock_release(lock), BROOD_OK);
        assert_process_ends(process, 0);
    }
    assert_status(brood_registry_set("a lock", 0), BROOD_OK);
    assert_status(brood_lock_destroy(lock), BROOD_OK);
}

// Many at once. The names of the rivals come and go in few entries, so that the names of the
// entries change all the time; the first STEADY names are only ever replaced. A value shows whose
// it is, and that it is whole.

enum { RIVALS = 12, STEADY = 3, ROOM_FOR_RIVALS = 8 };

static uint32_t next_random(uint32_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 17;
    *random ^= *random << 5;
    return *random;
}

static void name_rival(char *name, unsigned number)
{
    (void)snprintf(name, NAME_ROOM, "rival %u %0*d", number, (int)(number * 15 + 1), 0);
}

static uint64_t value_for(const char *name, uint32_t salt)
{
    uint32_t hash = 2166136261U ^ salt;
    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * 16777619U;
    return (uint64_t)(salt | 1) << 32 | hash;
}

static bool is_value_of(const char *name, uint64_t value)
{
    const uint32_t salt = (uint32_t)(value >> 32);
    return value_for(name, salt) == value || value_for(name, salt & ~1U) == value;
}

static int check_value(const char *name, bool is_steady)
{
    uint64_t value = 0;
    const brood_status status = brood_registry_get(name, &value);
    CHECK(status == BROOD_OK || (status == BROOD_NOT_FOUND && !is_steady));
    CHECK(status != BROOD_OK || is_value_of(name, value));
    return 0;
}

static int check_one(uint32_t *random)
{
    char name[NAME_ROOM];
    const unsigned number = next_random(random) % RIVALS;
    name_rival(name, number);
    return check_value(name, number < STEADY);
}

static int change_one(uint32_t *random)
{
    char name[NAME_ROOM];
    const unsigned number = next_random(random) % RIVALS;
    const bool is_steady = number < STEADY;
    const bool is_to_go = next_random(random) % 2 == 0 && !is_steady;
    name_rival(name, number);
    if (is_to_go) {
        CHECK(brood_registry_set(name, 0) == BROOD_OK);
        return 0;
    }
    const brood_status status = brood_registry_set(name, value_for(name, next_random(random)));
    CHECK(status == BROOD_OK || (status == BROOD_NO_RESOURCES && !is_steady));
    return 0;
}

static void begin_rivals(void)
{
    char name[NAME_ROOM];
    for (unsigned i = 0; i < RIVALS; i++) {
        name_rival(name, i);
        assert_status(brood_registry_set(name, i < STEADY ? value_for(name, i) : 0), BROOD_OK);
    }
}

static void assert_rivals(void)
{
    char name[NAME_ROOM];
    for (unsigned i = 0; i < RIVALS; i++) {
        name_rival(name, i);
        assert_int_equal(check_value(name, i < STEADY), 0);
    }
}

static void end_rivals(void)
{
    char name[NAME_ROOM];
    for (unsigned i = 0; i < RIVALS; i++) {
        name_rival(name, i);
        assert_status(brood_registry_set(name, 0), BROOD_OK);
        assert_not_registered(name);
    }
}

// How long many compete at most, so that a slow machine has fewer rounds and not a longer test.
#define CONTEST (MEETING_PATIENCE / 4)

struct rival {
    uint32_t seed;
    int rounds;
    int64_t end;
    bool only_reads;
};

static int compete(void *arg)
{
    struct rival *self = arg;
    for (int i = 0; i < self->rounds && brood_clock() < self->end; i++) {
        CHECK(check_one(&self->seed) == 0);
        const int failed = self->only_reads ? check_one(&self->seed) : change_one(&self->seed);
        if (failed)
            return failed;
    }
    return 0;
}

static void compete_together(int rounds)
{
    enum { THREADS = 4, PROCESSES = 3 };
    brood_thread *threads[THREADS];
    brood_process *processes[PROCESSES];
    begin_rivals();
    const int64_t end = brood_clock() + CONTEST;
    for (uint32_t i = 0; i < PROCESSES; i++) {
        const struct rival rival = { 1000 + i, rounds, end, i == 1 };
        processes[i] = started_process(compete, &rival, sizeof rival);
    }
    for (uint32_t i = 0; i < THREADS; i++) {
        const struct rival rival = { 2000 + i, rounds, end, i % 2 };
        threads[i] = started_thread(compete, &rival, sizeof rival);
    }
    for (int i = 0; i < THREADS; i++)
        assert_thread_ends(threads[i], 0);
    for (int i = 0; i < PROCESSES; i++)
        assert_process_ends(processes[i], 0);
    assert_rivals();
}

// This runs before the registry has ever been full, when lookups are fast.
static void a_value_is_never_torn_and_never_that_of_another_name(void **state)
{
    (void)state;
    compete_together(foreign_is_slow() ? 3000 : 40000);
    end_rivals();
}

// The few free entries are reused at once.
static void a_value_is_never_that_of_the_previous_name_in_its_entry(void **state)
{
    (void)state;
    const unsigned count = fill();
    remove_fillers(0, ROOM_FOR_RIVALS);
    compete_together(foreign_is_slow() ? 500 : 2500);
    end_rivals();
    remove_fillers(ROOM_FOR_RIVALS, count);
}

// Threads set the same name at the same moment, again and again. A thread does not return when a
// call fails, because the others wait for it.

enum { SETTERS = 4 };

static _Atomic unsigned arrived;
static _Atomic unsigned wrong;
static _Atomic bool is_late;

static void meet_all(unsigned until)
{
    atomic_fetch_add(&arrived, 1);
    for (unsigned i = 0; atomic_load(&arrived) < until; i++)
        if (i >= 10000)
            brood_sleep(BROOD_MICROSECONDS(10));
}

static int set_at_once(void *arg)
{
    static const char name[] = "contested";
    const unsigned number = *(unsigned *)arg;
    const unsigned rounds = foreign_is_slow() ? 60 : 400;
    const int64_t end = brood_clock() + CONTEST;
    for (unsigned i = 0; i < rounds && !atomic_load(&is_late); i++) {
        meet_all((2 * i + 1) * SETTERS);
        if (brood_registry_set(name, value_for(name, number + 1)) != BROOD_OK)
            atomic_fetch_add(&wrong, 1);
        if (number == 0 && brood_clock() >= end)
            atomic_store(&is_late, true); // for all: they have yet to meet
        meet_all((2 * i + 2) * SETTERS);
        if (number == 0 && (!is_value_of(name, noted(name)) ||
                            brood_registry_set(name, 0) != BROOD_OK || noted(name) != 0))
            atomic_fetch_add(&wrong, 1);
    }
    return 0;
}

static void a_name_that_many_set_at_once_is_there_once(void **state)
{
    (void)state;
    brood_thread *threads[SETTERS];
    const unsigned count = fill(); // so that a lookup of a missing name searches all entries
    remove_fillers(0, ROOM_FOR_RIVALS);
    atomic_store(&arrived, 0);
    atomic_store(&wrong, 0);
    atomic_store(&is_late, false);
    for (unsigned i = 0; i < SETTERS; i++)
        threads[i] = started_thread(set_at_once, &i, sizeof i);
    for (unsigned i = 0; i < SETTERS; i++)
        assert_thread_ends(threads[i], 0);
    assert_int_equal(atomic_load(&wrong), 0);
    remove_fillers(ROOM_FOR_RIVALS, count);
}

// Deaths in the middle of a change

static int change_until_killed(void *arg)
{
    const int64_t deadline = brood_clock() + MEETING_PATIENCE;
    note("changes", 1);
    while (brood_clock() < deadline)
        CHECK(change_one(arg) == 0);
    return 0;
}

// A process that must notice nothing of the deaths.
static int change_until_stopped(void *arg)
{
    const int64_t deadline = brood_clock() + 4 * MEETING_PATIENCE; // for all the deaths
    note("bystander", 1);
    while (noted("stop changes") == 0) {
        const int failed = change_one(arg);
        if (failed)
            return failed;
        CHECK(check_one(arg) == 0);
        CHECK(brood_clock() < deadline);
    }
    return 0;
}

static void kill_one_that_changes(uint32_t *random)
{
    const uint32_t seed = next_random(random);
    note("changes", 0);
    brood_process *process = started_process(change_until_killed, &seed, sizeof seed);
    assert_true(await_note("changes", 1));
    brood_sleep(BROOD_MICROSECONDS(next_random(random) % 2000)); // at any point of a change
    kill_process(process);
}

static void a_process_that_is_killed_while_it_sets_leaves_the_registry_usable(void **state)
{
    (void)state;
    const unsigned rounds = foreign_is_slow() ? 5 : 40;
    const uint32_t seed = 4711;
    uint32_t random = 42;
    note("changes", 0);
    note("bystander", 0);
    note("stop changes", 0);
    const unsigned before = fill();
    remove_fillers(0, 2 * ROOM_FOR_RIVALS + rounds);
    begin_rivals();
    brood_process *bystander = started_process(change_until_stopped, &seed, sizeof seed);
    assert_true(await_note("bystander", 1));
    for (unsigned i = 0; i < rounds; i++) {
        kill_one_that_changes(&random);
        assert_rivals();
        for (int k = 0; k < 10; k++)
            assert_int_equal(change_one(&random), 0);
    }
    note("stop changes", 1);
    assert_process_ends(bystander, 0);
    assert_rivals();
    end_rivals();
    note("changes", 0);
    note("bystander", 0);
    note("stop changes", 0);
    remove_fillers(0, before);
    const unsigned after = fill();
    remove_fillers(0, after);
    assert_int_equal(after, before); // no death has leaked an entry
}

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_is_never_torn_and_never_that_of_another_name),
        cmocka_unit_test(a_name_gets_a_value_then_another_and_then_none),
        cmocka_unit_test(a_value_may_be_any_number_but_0),
        cmocka_unit_test(an_unknown_name_is_not_found),
        cmocka_unit_test(a_name_has_1_to_255_bytes),
        cmocka_unit_test(a_name_of_256_bytes_is_too_large),
        cmocka_unit_test(a_missing_name_or_pointer_is_invalid),
        cmocka_unit_test(a_name_may_hold_any_bytes_and_each_of_them_counts),
        cmocka_unit_test(a_name_may_hold_all_bytes),
        cmocka_unit_test(a_prefix_of_a_name_is_another_name),
        cmocka_unit_test(there_can_be_hundreds_of_names),
        cmocka_unit_test(children_and_their_children_see_and_set_names),
        cmocka_unit_test(a_lock_is_found_by_its_name),
        // A registry that has been full stays large, and lookups take longer: so these come last.
        cmocka_unit_test(a_full_registry_refuses_names_until_others_are_removed),
        cmocka_unit_test(a_value_is_never_that_of_the_previous_name_in_its_entry),
        cmocka_unit_test(a_name_that_many_set_at_once_is_there_once),
        cmocka_unit_test(a_process_that_is_killed_while_it_sets_leaves_the_registry_usable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
