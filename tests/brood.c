// SPDX-License-Identifier: MIT
// The registry, handlers, brood_shutdown() and the end of a child. tests/program.c sees the end
// of the main process from outside.
#include "meeting.h"

#include "../src/atomic.h"
#include "foreign.h"
#include "platform.h"

#include <signal.h>
#include <string.h>

// Longer than a call that does not block may take, however loaded the machine is.
#define AT_ONCE BROOD_SECONDS(10)

// What must not happen would have happened within this time.
#define A_WHILE BROOD_MILLISECONDS(150)

enum { NAME_ROOM = BROOD_REGISTRY_NAME_MAX + 1 };

static void note_of(const char *what, unsigned number, uint64_t value)
{
    char name[32];
    (void)snprintf(name, sizeof name, "%s %u", what, number);
    note(name, value);
}

static uint64_t noted_of(const char *what, unsigned number)
{
    char name[32];
    (void)snprintf(name, sizeof name, "%s %u", what, number);
    return noted(name);
}

// A system without fork has no fork server either.
static bool system_has(int32_t method)
{
    return method == BROOD_START_SPAWN || platform_has_fork();
}

static brood_process *started_by(int32_t method, brood_target target, const void *arg, size_t size)
{
    const brood_process_options options = { .method = method };
    brood_process *process = NULL;
    assert_status(brood_process_start(&process, target, arg, size, &options), BROOD_OK);
    return process;
}

// Expects the target to return 0 under each method of the system.
static void expect_success_under_each_method(brood_target target)
{
    for (int32_t method = BROOD_START_SPAWN; method <= BROOD_START_FORK; method++)
        if (system_has(method))
            assert_process_ends(started_by(method, target, NULL, 0), 0);
}

// For targets: the exit code of a child that is started and joined, or -1 if there is none.
static int code_of_child(int32_t method, brood_target target, const void *arg, size_t size)
{
    const brood_process_options options = { .method = method };
    brood_process *process;
    brood_exit ended;
    if (brood_process_start(&process, target, arg, size, &options) != BROOD_OK)
        return -1;
    const brood_status status = brood_process_join(process, MEETING_PATIENCE, &ended);
    brood_process_drop(process);
    return status == BROOD_OK && ended.kind == BROOD_EXITED ? ended.code : -1;
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

// Lives until the test notes "leave".
static int stay(void *arg)
{
    (void)arg;
    CHECK(await_note("leave", 1));
    return 0;
}

static int stay_for_ever(void *arg)
{
    (void)arg;
    note("stays", (uint64_t)brood_self_pid());
    (void)await_note("never", 1);
    return 0;
}

// The version

static void the_version_is_that_of_the_headers(void **state)
{
    (void)state;
    char text[64];
    (void)snprintf(text, sizeof text, "%d.%d.%d", BROOD_VERSION_MAJOR, BROOD_VERSION_MINOR,
                   BROOD_VERSION_PATCH);
    assert_string_equal(brood_version(), text);
    assert_int_equal(BROOD_VERSION_NUMBER, BROOD_VERSION_MAJOR * 1000000 +
                                               BROOD_VERSION_MINOR * 1000 + BROOD_VERSION_PATCH);
}

static int begin_again(void *arg)
{
    const brood_pid parent = brood_parent_pid();
    (void)arg;
    brood_init();
    brood_init();
    CHECK(noted("known before") == 77);
    CHECK(brood_parent_pid() == parent);
    CHECK(strcmp(brood_self_name(), "MainProcess") != 0);
    CHECK(brood_shutdown(MEETING_PATIENCE) == BROOD_OK);
    return 0;
}

static void a_second_brood_init_changes_nothing(void **state)
{
    (void)state;
    note("known before", 77);
    brood_init();
    assert_int_equal(noted("known before"), 77);
    assert_string_equal(brood_self_name(), "MainProcess");
    assert_int_equal(brood_parent_pid(), 0);
    expect_success_under_each_method(begin_again);
}

// Files

struct place {
    char path[512];
};

static struct place made_text_file(void)
{
    struct place place;
    foreign_file_name(place.path, sizeof place.path, "text.txt");
    foreign_file_remove(place.path);
    return place;
}

static void read_text_file(const struct place *place, char *text, size_t capacity)
{
    FILE *file = fopen(place->path, "rb");
    assert_non_null(file);
    text[fread(text, 1, capacity - 1, file)] = 0;
    assert_int_equal(fclose(file), 0);
}

static void assert_text(const struct place *place, const char *expected)
{
    char text[1024];
    read_text_file(place, text, sizeof text);
    assert_string_equal(text, expected);
    foreign_file_remove(place->path);
}

struct headers {
    uint32_t version;
    struct place place;
};

static int init_with_other_headers(void *arg)
{
    const struct headers *headers = arg;
    CHECK(freopen(headers->place.path, "w", stderr));
    brood_init_with(headers->version, atexit);
    return 0;
}

static void unknown_headers_end_the_process(void **state)
{
    (void)state;
    static const uint32_t versions[] = { BROOD_VERSION_NUMBER + 1,
                                         (BROOD_VERSION_MAJOR + 1) * 1000000, UINT32_MAX };
    struct headers headers = { .version = BROOD_VERSION_NUMBER, .place = made_text_file() };
    assert_process_ends(started_process(init_with_other_headers, &headers, sizeof headers), 0);
    assert_text(&headers.place, "");
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
        char text[1024];
        headers.version = versions[i];
        assert_process_ends(started_process(init_with_other_headers, &headers, sizeof headers), 70);
        read_text_file(&headers.place, text, sizeof text);
        assert_true(strstr(text, "brood: ") == text && strstr(text, brood_version()));
        assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1); // one line
        foreign_file_remove(headers.place.path);
    }
}

// The registry: values

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

// The registry: names

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

// The registry and the family

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

struct rival {
    uint32_t seed;
    int rounds;
    bool only_reads;
};

static int compete(void *arg)
{
    struct rival *self = arg;
    for (int i = 0; i < self->rounds; i++) {
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
    for (uint32_t i = 0; i < PROCESSES; i++) {
        const struct rival rival = { 1000 + i, rounds, i == 1 };
        processes[i] = started_process(compete, &rival, sizeof rival);
    }
    for (uint32_t i = 0; i < THREADS; i++) {
        const struct rival rival = { 2000 + i, rounds, i % 2 };
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
    for (unsigned i = 0; i < rounds; i++) {
        meet_all((2 * i + 1) * SETTERS);
        if (brood_registry_set(name, value_for(name, number + 1)) != BROOD_OK)
            atomic_fetch_add(&wrong, 1);
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

// Steps: what happens in a family, in the order in which it happens.

static void begin_steps(void)
{
    brood_lock lock;
    assert_status(brood_lock_create(&lock), BROOD_OK);
    note("lock of steps", lock.id);
    note("steps", 0);
}

static void append_step(uint64_t step)
{
    const brood_lock lock = { noted("lock of steps") };
    if (brood_lock_acquire(lock, MEETING_PATIENCE) != BROOD_OK) {
        (void)fprintf(stderr, "step %d: %s\n", (int)step, brood_last_error());
        abort();
    }
    const unsigned count = (unsigned)noted("steps") + 1;
    note_of("step", count, step);
    note("steps", count);
    (void)brood_lock_release(lock);
}

static void forget_steps(void)
{
    const brood_lock lock = { noted("lock of steps") };
    assert_status(brood_lock_destroy(lock), BROOD_OK);
}

static void assert_steps(const uint64_t *expected, size_t count)
{
    for (unsigned i = 0; i < count && i < noted("steps"); i++)
        assert_int_equal(noted_of("step", i + 1), expected[i]);
    assert_int_equal(noted("steps"), count);
    forget_steps();
}

#define ASSERT_STEPS(...)                           \
    assert_steps((const uint64_t[]){ __VA_ARGS__ }, \
                 sizeof(uint64_t[]){ __VA_ARGS__ } / sizeof(uint64_t))

// A handler: appends its argument, a number.
static void append(void *arg)
{
    append_step((uint64_t)(uintptr_t)arg);
}

static brood_status append_at_exit(unsigned step)
{
    return brood_at_exit(append, (void *)(uintptr_t)step);
}

// How a child ends.
enum way { BY_RETURN, BY_EXIT, BY_SHUTDOWN, WAYS };

// The last statement of a target.
static int leave(int way, int code)
{
    if (way == BY_EXIT)
        exit(code);
    if (way == BY_SHUTDOWN)
        CHECK(brood_shutdown(MEETING_PATIENCE) == BROOD_OK);
    return code;
}

// Handlers

static int register_some(void *arg)
{
    CHECK(append_at_exit(1) == BROOD_OK);
    CHECK(append_at_exit(2) == BROOD_OK);
    CHECK(append_at_exit(3) == BROOD_OK);
    CHECK(append_at_exit(2) == BROOD_OK); // a handler registered again runs again
    CHECK(noted("steps") == 0);
    return leave(*(int *)arg, 21);
}

static void handlers_run_newest_first_each_once_with_its_argument(void **state)
{
    (void)state;
    for (int way = 0; way < WAYS; way++) {
        for (int32_t method = BROOD_START_SPAWN; method <= BROOD_START_FORK; method++) {
            if (!system_has(method))
                continue;
            begin_steps();
            assert_process_ends(started_by(method, register_some, &way, sizeof way), 21);
            ASSERT_STEPS(2, 3, 2, 1);
        }
    }
}

enum { ANCESTOR = 1, DESCENDANT };

static int register_and_leave(void *arg)
{
    CHECK(append_at_exit(DESCENDANT) == BROOD_OK);
    return leave(*(int *)arg, 0);
}

static int leave_at_once(void *arg)
{
    return leave(*(int *)arg, 0);
}

static int leave_as_guest(void *arg)
{
    (void)arg;
    exit(9);
}

static int register_and_have_children(void *arg)
{
    CHECK(append_at_exit(ANCESTOR) == BROOD_OK);
    for (int way = 0; way < WAYS; way++) {
        for (int32_t method = BROOD_START_SPAWN; method <= BROOD_START_FORK; method++) {
            if (!system_has(method))
                continue;
            const uint64_t before = noted("steps");
            CHECK(code_of_child(method, leave_at_once, &way, sizeof way) == 0);
            CHECK(noted("steps") == before);
            CHECK(code_of_child(method, register_and_leave, &way, sizeof way) == 0);
            CHECK(noted("steps") == before + 1);
            CHECK(noted_of("step", (unsigned)before + 1) == DESCENDANT);
        }
    }
    // A guest runs none of the handlers when it ends.
    const uint64_t before = noted("steps");
    CHECK(platform_guest(leave_as_guest, NULL) == (platform_has_fork() ? 9 : -1));
    CHECK(noted("steps") == before);
    return leave(*(int *)arg, 0);
}

static void a_handler_runs_in_the_process_that_registered_it_and_in_no_other(void **state)
{
    (void)state;
    const unsigned methods = platform_has_fork() ? 3 : 1;
    for (int way = 0; way < WAYS; way++) {
        begin_steps();
        assert_process_ends(started_process(register_and_have_children, &way, sizeof way), 0);
        assert_int_equal(noted("steps"), WAYS * methods + 1);
        assert_int_equal(noted_of("step", WAYS * methods + 1), ANCESTOR);
        forget_steps();
    }
}

enum { BY_QUICK_EXIT, BY_ABORT, BY_KILL, BY_TERMINATE, VIOLENT_WAYS };

static int register_and_die(void *arg)
{
    const int way = *(int *)arg;
    CHECK(append_at_exit(1) == BROOD_OK);
    if (way == BY_QUICK_EXIT)
        _Exit(4);
    if (way == BY_ABORT)
        abort();
    note("registered", 1);
    (void)await_note("never", 1);
    return 0;
}

static void no_handler_runs_when_a_process_dies_or_calls_the_exit_of_the_system(void **state)
{
    (void)state;
    for (int way = 0; way < VIOLENT_WAYS; way++) {
        begin_steps();
        note("registered", 0);
        brood_process *process = started_process(register_and_die, &way, sizeof way);
        if (way == BY_KILL || way == BY_TERMINATE)
            assert_true(await_note("registered", 1));
        if (way == BY_KILL)
            assert_status(brood_process_kill(process), BROOD_OK);
        if (way == BY_TERMINATE)
            assert_status(brood_process_terminate(process), BROOD_OK);
        assert_status(brood_process_join(process, MEETING_PATIENCE, NULL), BROOD_OK);
        brood_process_drop(process);
        assert_steps(NULL, 0);
    }
}

static void note_thread(void *arg)
{
    (void)arg;
    note("thread of the handler", brood_self_thread_id());
}

static int note_thread_and_leave(void *arg)
{
    note("thread of the end", brood_self_thread_id());
    return leave(*(int *)arg, 0);
}

static int register_and_end_here(void *arg)
{
    CHECK(brood_at_exit(note_thread, NULL) == BROOD_OK);
    return note_thread_and_leave(arg);
}

static int register_and_end_in_a_thread(void *arg)
{
    static const int way = BY_EXIT;
    (void)arg;
    CHECK(brood_at_exit(note_thread, NULL) == BROOD_OK);
    CHECK(brood_thread_start(NULL, note_thread_and_leave, &way, sizeof way, NULL) == BROOD_OK);
    (void)await_note("never", 1);
    return __LINE__;
}

static void note_thread_and_exit(void *arg)
{
    (void)note_thread_and_leave(arg);
}

static int register_and_end_in_a_foreign_thread(void *arg)
{
    static foreign_thread *thread;
    static int way = BY_EXIT;
    (void)arg;
    CHECK(brood_at_exit(note_thread, NULL) == BROOD_OK);
    thread = foreign_thread_start(note_thread_and_exit, &way);
    (void)await_note("never", 1);
    foreign_thread_join(thread);
    return __LINE__;
}

static void expect_handler_in_the_thread_of_the_end(brood_target target, int way)
{
    note("thread of the handler", 0);
    note("thread of the end", 0);
    assert_process_ends(started_process(target, &way, sizeof way), 0);
    assert_int_not_equal(noted("thread of the end"), 0);
    assert_int_equal(noted("thread of the handler"), noted("thread of the end"));
}

static void handlers_run_in_the_thread_that_ends_the_process(void **state)
{
    (void)state;
    for (int way = 0; way < WAYS; way++)
        expect_handler_in_the_thread_of_the_end(register_and_end_here, way);
    expect_handler_in_the_thread_of_the_end(register_and_end_in_a_thread, BY_EXIT);
    expect_handler_in_the_thread_of_the_end(register_and_end_in_a_foreign_thread, BY_EXIT);
}

static void append_and_register_others(void *arg)
{
    append(arg);
    if (append_at_exit(11) != BROOD_OK || append_at_exit(12) != BROOD_OK)
        append_step(99);
}

static void append_and_register_the_next(void *arg)
{
    const uintptr_t left = (uintptr_t)arg;
    append(arg);
    if (left > 20 && brood_at_exit(append_and_register_the_next, (void *)(left - 1)) != BROOD_OK)
        append_step(99);
}

static int register_what_registers(void *arg)
{
    CHECK(brood_at_exit(append_and_register_the_next, (void *)(uintptr_t)22) == BROOD_OK);
    CHECK(append_at_exit(2) == BROOD_OK);
    CHECK(brood_at_exit(append_and_register_others, (void *)(uintptr_t)3) == BROOD_OK);
    return leave(*(int *)arg, 0);
}

// A handler that a handler registers is the newest, and so runs next; even one that the last
// handler registers.
static void a_handler_may_register_others(void **state)
{
    (void)state;
    for (int way = 0; way < WAYS; way++) {
        begin_steps();
        assert_process_ends(started_process(register_what_registers, &way, sizeof way), 0);
        ASSERT_STEPS(3, 12, 11, 2, 22, 21, 20);
    }
}

enum { MANY_HANDLERS = 1000 };

static uintptr_t next_to_run = MANY_HANDLERS;

static void count_down(void *arg)
{
    if ((uintptr_t)arg == next_to_run)
        next_to_run--;
}

static void note_count(void *arg)
{
    (void)arg;
    note("not run", next_to_run + 1);
}

static int register_many(void *arg)
{
    CHECK(brood_at_exit(note_count, NULL) == BROOD_OK);
    for (uintptr_t i = 1; i <= MANY_HANDLERS; i++)
        CHECK(brood_at_exit(count_down, (void *)i) == BROOD_OK);
    return leave(*(int *)arg, 0);
}

static void there_can_be_a_thousand_handlers(void **state)
{
    (void)state;
    for (int way = 0; way < WAYS; way++) {
        note("not run", 0);
        assert_process_ends(started_process(register_many, &way, sizeof way), 0);
        assert_int_equal(noted("not run"), 1);
    }
}

static _Atomic unsigned runs;

static void count_run(void *arg)
{
    (void)arg;
    atomic_fetch_add(&runs, 1);
}

static void note_runs(void *arg)
{
    (void)arg;
    note("runs", atomic_load(&runs) + 1);
}

enum { REGISTRARS = 4, EACH_REGISTERS = 200 };

static int register_in_a_thread(void *arg)
{
    (void)arg;
    for (int i = 0; i < EACH_REGISTERS; i++)
        CHECK(brood_at_exit(count_run, NULL) == BROOD_OK);
    return 0;
}

// Only the end of the process joins the threads.
static int register_in_threads(void *arg)
{
    CHECK(brood_at_exit(note_runs, NULL) == BROOD_OK);
    for (int i = 0; i < REGISTRARS; i++)
        CHECK(brood_thread_start(NULL, register_in_a_thread, NULL, 0, NULL) == BROOD_OK);
    return leave(*(int *)arg, 0);
}

static void threads_register_handlers_at_the_same_time(void **state)
{
    (void)state;
    for (int way = 0; way < WAYS; way++) {
        note("runs", 0);
        assert_process_ends(started_process(register_in_threads, &way, sizeof way), 0);
        assert_int_equal(noted("runs"), REGISTRARS * EACH_REGISTERS + 1);
    }
}

static void a_handler_must_be_a_function(void **state)
{
    (void)state;
    int arg;
    assert_status(brood_at_exit(NULL, NULL), BROOD_INVALID);
    assert_last_error_names("brood_at_exit");
    assert_status(brood_at_exit(NULL, &arg), BROOD_INVALID);
}

static int note_a_start(void *arg)
{
    (void)arg;
    note("started in spite of the end", 1);
    return 0;
}

// Returns the line of a start that succeeded although the end has begun, or 0.
static int line_of_a_start(void)
{
    brood_process *process = NULL;
    brood_thread *thread = NULL;
    const int64_t before = brood_clock();
    note("started in spite of the end", 0);
    for (int32_t method = BROOD_START_DEFAULT; method <= BROOD_START_FORK; method++) {
        const brood_process_options options = { .method = method };
        if (method != BROOD_START_DEFAULT && !system_has(method))
            continue;
        CHECK(brood_process_start(&process, note_a_start, NULL, 0, &options) == BROOD_WRONG_STATE);
        CHECK(strstr(brood_last_error(), "brood_process_start") && !process);
    }
    CHECK(brood_thread_start(&thread, note_a_start, NULL, 0, NULL) == BROOD_WRONG_STATE);
    CHECK(strstr(brood_last_error(), "brood_thread_start") && !thread);
    CHECK(noted("started in spite of the end") == 0);
    CHECK(brood_active_children(NULL, 0) == 0);
    CHECK(brood_clock() - before < AT_ONCE);
    return 0;
}

static void try_to_start(void *arg)
{
    (void)arg;
    note("line of a start", (uint64_t)line_of_a_start() + 1);
}

static int try_to_start_in_a_handler(void *arg)
{
    CHECK(brood_at_exit(try_to_start, NULL) == BROOD_OK);
    return leave(*(int *)arg, 0);
}

static void nothing_can_be_started_in_a_handler(void **state)
{
    (void)state;
    for (int way = 0; way < WAYS; way++) {
        note("line of a start", 0);
        assert_process_ends(started_process(try_to_start_in_a_handler, &way, sizeof way), 0);
        assert_int_equal(noted("line of a start"), 1);
    }
}

static int line_of_use(const struct place *place)
{
    brood_lock own;
    const brood_lock known = { noted("lock of steps") };
    char text[8] = "";
    CHECK(brood_lock_create(&own) == BROOD_OK);
    CHECK(brood_lock_acquire(own, BROOD_NOW) == BROOD_OK);
    CHECK(brood_lock_acquire(known, MEETING_PATIENCE) == BROOD_OK);
    CHECK(brood_lock_release(known) == BROOD_OK);
    CHECK(brood_lock_release(own) == BROOD_OK);
    CHECK(brood_lock_destroy(own) == BROOD_OK);
    CHECK(brood_registry_set("set in a handler", 5) == BROOD_OK && noted("set in a handler") == 5);
    CHECK(brood_registry_set("set in a handler", 0) == BROOD_OK && noted("set in a handler") == 0);
    FILE *file = fopen(place->path, "w+");
    CHECK(file && fputs("works", file) >= 0 && fseek(file, 0, SEEK_SET) == 0);
    CHECK(fgets(text, sizeof text, file) && strcmp(text, "works") == 0 && fclose(file) == 0);
    return 0;
}

static void use_all(void *arg)
{
    note("line of use", (uint64_t)line_of_use(arg) + 1);
}

struct printer {
    int way;
    struct place place;
};

static int use_all_in_a_handler(void *arg)
{
    struct printer *self = arg;
    CHECK(brood_at_exit(use_all, &self->place) == BROOD_OK);
    return leave(self->way, 0);
}

static void a_handler_can_use_locks_the_registry_and_files(void **state)
{
    (void)state;
    struct printer printer = { .place = made_text_file() };
    for (printer.way = 0; printer.way < WAYS; printer.way++) {
        begin_steps();
        note("line of use", 0);
        assert_process_ends(started_process(use_all_in_a_handler, &printer, sizeof printer), 0);
        assert_int_equal(noted("line of use"), 1);
        assert_text(&printer.place, "works");
        assert_steps(NULL, 0);
    }
}

// brood_shutdown

static int shut_down_twice(void *arg)
{
    (void)arg;
    CHECK(append_at_exit(1) == BROOD_OK);
    CHECK(brood_shutdown(BROOD_FOREVER) == BROOD_OK);
    CHECK(noted("steps") == 1);
    CHECK(brood_at_exit(append, NULL) == BROOD_WRONG_STATE);
    CHECK(strstr(brood_last_error(), "brood_at_exit"));
    CHECK(line_of_a_start() == 0);
    CHECK(brood_shutdown(BROOD_NOW) == BROOD_OK);
    CHECK(brood_shutdown(BROOD_FOREVER) == BROOD_OK);
    CHECK(brood_at_exit(append, NULL) == BROOD_WRONG_STATE);
    CHECK(line_of_a_start() == 0);
    append_step(2);
    CHECK(noted("steps") == 2);
    return 0;
}

static void after_a_shutdown_nothing_begins_and_no_handler_runs_again(void **state)
{
    (void)state;
    for (int32_t method = BROOD_START_SPAWN; method <= BROOD_START_FORK; method++) {
        if (!system_has(method))
            continue;
        begin_steps();
        assert_process_ends(started_by(method, shut_down_twice, NULL, 0), 0);
        ASSERT_STEPS(1, 2);
    }
}

static int shut_down_now(void *arg)
{
    const brood_duration timeout = *(brood_duration *)arg;
    CHECK(append_at_exit(1) == BROOD_OK);
    CHECK(brood_shutdown(timeout) == BROOD_OK);
    CHECK(noted("steps") == 1);
    return 0;
}

static void a_shutdown_with_nothing_to_wait_for_needs_no_time(void **state)
{
    (void)state;
    static const brood_duration none[] = { BROOD_NOW, -1, -BROOD_SECONDS(100), INT64_MIN };
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        begin_steps();
        assert_process_ends(started_process(shut_down_now, &none[i], sizeof none[i]), 0);
        ASSERT_STEPS(1);
    }
}

// Shuts down while a child or a thread runs. Too short a timeout changes nothing, but nothing can
// be started any more.
static int shut_down_too_early(void)
{
    static const brood_duration none[] = { BROOD_NOW, -1, -BROOD_SECONDS(100), INT64_MIN };
    static const brood_duration some[] = { 1, BROOD_MICROSECONDS(700), BROOD_MILLISECONDS(30),
                                           BROOD_MILLISECONDS(120) };
    CHECK(append_at_exit(1) == BROOD_OK);
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        const int64_t before = brood_clock();
        CHECK(brood_shutdown(none[i]) == BROOD_TIMEOUT);
        CHECK(brood_clock() - before < AT_ONCE);
    }
    CHECK(strstr(brood_last_error(), "brood_shutdown"));
    for (size_t i = 0; i < sizeof some / sizeof some[0]; i++) {
        const int64_t before = brood_clock();
        CHECK(brood_shutdown(some[i]) == BROOD_TIMEOUT);
        const int64_t took = brood_clock() - before;
        CHECK(took >= some[i] && took < AT_ONCE);
    }
    brood_process *process = NULL;
    brood_thread *thread = NULL;
    CHECK(brood_process_start(&process, nothing, NULL, 0, NULL) == BROOD_WRONG_STATE && !process);
    CHECK(brood_thread_start(&thread, nothing, NULL, 0, NULL) == BROOD_WRONG_STATE && !thread);
    CHECK(noted("steps") == 0);
    CHECK(append_at_exit(2) == BROOD_OK); // no handler has run
    return 0;
}

static int end_in_time(void)
{
    note("leave", 1);
    CHECK(brood_shutdown(MEETING_PATIENCE) == BROOD_OK);
    CHECK(noted("steps") == 2);
    CHECK(line_of_a_start() == 0);
    CHECK(brood_at_exit(append, NULL) == BROOD_WRONG_STATE);
    return 0;
}

static int shut_down_beside_a_child(void *arg)
{
    brood_process *child;
    brood_exit ended;
    (void)arg;
    CHECK(brood_process_start(&child, stay, NULL, 0, NULL) == BROOD_OK);
    const int early = shut_down_too_early();
    if (early)
        return early;
    CHECK(brood_process_is_alive(child) && brood_active_children(NULL, 0) == 1);
    const int late = end_in_time();
    if (late)
        return late;
    CHECK(brood_process_join(child, BROOD_NOW, &ended) == BROOD_OK);
    CHECK(ended.kind == BROOD_EXITED && ended.code == 0);
    brood_process_drop(child);
    return 0;
}

static int shut_down_beside_a_thread(void *arg)
{
    brood_thread *thread;
    int code = -1;
    (void)arg;
    CHECK(brood_thread_start(&thread, stay, NULL, 0, NULL) == BROOD_OK);
    const int early = shut_down_too_early();
    if (early)
        return early;
    CHECK(brood_thread_is_alive(thread));
    const int late = end_in_time();
    if (late)
        return late;
    CHECK(brood_thread_join(thread, BROOD_NOW, &code) == BROOD_OK && code == 0);
    brood_thread_drop(thread);
    return 0;
}

static void expect_shutdown_in_a_second_attempt(brood_target target)
{
    begin_steps();
    note("leave", 0);
    assert_process_ends(started_process(target, NULL, 0), 0);
    ASSERT_STEPS(2, 1);
}

static void a_shutdown_that_was_too_short_can_be_repeated(void **state)
{
    (void)state;
    expect_shutdown_in_a_second_attempt(shut_down_beside_a_child);
    expect_shutdown_in_a_second_attempt(shut_down_beside_a_thread);
}

// Processes and threads that the program holds references to have ended like others.
static int shut_down_beside_all(void *arg)
{
    const brood_process_options as_daemon = { .daemon = BROOD_DAEMON_YES };
    brood_process *daemon;
    brood_process *child;
    brood_thread *thread;
    brood_exit ended;
    int code = -1;
    (void)arg;
    CHECK(brood_process_start(&daemon, stay_for_ever, NULL, 0, &as_daemon) == BROOD_OK);
    CHECK(brood_process_start(&child, nothing, NULL, 0, NULL) == BROOD_OK);
    CHECK(brood_thread_start(&thread, nothing, NULL, 0, NULL) == BROOD_OK);
    CHECK(brood_shutdown(MEETING_PATIENCE) == BROOD_OK);
    CHECK(!brood_process_is_alive(daemon) && !brood_process_is_alive(child) &&
          !brood_thread_is_alive(thread));
    CHECK(brood_active_children(NULL, 0) == 0 && !platform_has_child());
    CHECK(brood_process_join(daemon, BROOD_NOW, &ended) == BROOD_OK);
    CHECK(ended.kind == BROOD_TERMINATED && brood_exit_number(ended) == -15);
    CHECK(brood_process_join(child, BROOD_NOW, &ended) == BROOD_OK);
    CHECK(ended.kind == BROOD_EXITED && ended.code == 0);
    CHECK(brood_thread_join(thread, BROOD_NOW, &code) == BROOD_OK && code == 0);
    brood_process_drop(daemon);
    brood_process_drop(child);
    brood_thread_drop(thread);
    return 0;
}

static void a_shutdown_ends_all_that_runs(void **state)
{
    (void)state;
    assert_process_ends(started_process(shut_down_beside_all, NULL, 0), 0);
}

static int ignore_the_request(void *arg)
{
    (void)arg;
    CHECK(signal(SIGTERM, SIG_IGN) != SIG_ERR);
    note("ignores", 1);
    (void)await_note("never", 1);
    return 0;
}

static int shut_down_beside_a_stubborn_daemon(void *arg)
{
    const brood_process_options as_daemon = { .daemon = BROOD_DAEMON_YES };
    brood_process *daemon;
    brood_exit ended;
    (void)arg;
    CHECK(brood_process_start(&daemon, ignore_the_request, NULL, 0, &as_daemon) == BROOD_OK);
    CHECK(await_note("ignores", 1));
    CHECK(brood_shutdown(MEETING_PATIENCE) == BROOD_OK);
    CHECK(brood_process_join(daemon, BROOD_NOW, &ended) == BROOD_OK);
    CHECK(ended.kind == BROOD_TERMINATED);
    CHECK(brood_exit_number(ended) == (platform_has_signals() ? -9 : -15));
    brood_process_drop(daemon);
    return 0;
}

static void a_daemon_that_ignores_the_request_is_killed(void **state)
{
    (void)state;
    note("ignores", 0);
    assert_process_ends(started_process(shut_down_beside_a_stubborn_daemon, NULL, 0), 0);
}

static int end_beside_a_daemon_thread(void *arg)
{
    const brood_thread_options as_daemon = { .daemon = BROOD_DAEMON_YES };
    CHECK(brood_thread_start(NULL, stay, NULL, 0, &as_daemon) == BROOD_OK);
    CHECK(append_at_exit(1) == BROOD_OK);
    return leave(*(int *)arg, 3);
}

static void the_end_does_not_wait_for_a_daemon_thread(void **state)
{
    (void)state;
    note("leave", 0);
    for (int way = 0; way < WAYS; way++) {
        begin_steps();
        const int64_t before = brood_clock();
        assert_process_ends(started_process(end_beside_a_daemon_thread, &way, sizeof way), 3);
        assert_true(brood_clock() - before < MEETING_PATIENCE / 2);
        ASSERT_STEPS(1);
    }
}

static int try_to_shut_down(void *arg)
{
    const brood_status status = brood_shutdown(*(brood_duration *)arg);
    CHECK(strstr(brood_last_error(), "brood_shutdown"));
    return (int)status;
}

// A refused call does not begin the end.
static int let_threads_shut_down(void *arg)
{
    static const brood_duration timeouts[] = { BROOD_NOW, -1, BROOD_MILLISECONDS(1),
                                               BROOD_FOREVER };
    (void)arg;
    CHECK(append_at_exit(1) == BROOD_OK);
    for (size_t i = 0; i < 2 * sizeof timeouts / sizeof timeouts[0]; i++) {
        const brood_thread_options options = { .daemon =
                                                   i % 2 ? BROOD_DAEMON_YES : BROOD_DAEMON_NO };
        brood_thread *thread;
        int code = -1;
        CHECK(brood_thread_start(&thread, try_to_shut_down, &timeouts[i / 2], sizeof timeouts[0],
                                 &options) == BROOD_OK);
        CHECK(brood_thread_join(thread, MEETING_PATIENCE, &code) == BROOD_OK);
        CHECK(code == BROOD_DEADLOCK);
        brood_thread_drop(thread);
    }
    CHECK(code_of_child(BROOD_START_DEFAULT, nothing, NULL, 0) == 0);
    CHECK(noted("steps") == 0);
    return 0;
}

static void a_thread_of_brood_cannot_shut_down(void **state)
{
    (void)state;
    begin_steps();
    assert_process_ends(started_process(let_threads_shut_down, NULL, 0), 0);
    ASSERT_STEPS(1);
}

static void shut_down_in_a_handler(void *arg)
{
    static const brood_duration timeouts[] = { BROOD_NOW, -1, BROOD_FOREVER };
    (void)arg;
    for (size_t i = 0; i < sizeof timeouts / sizeof timeouts[0]; i++)
        append_step((uint64_t)brood_shutdown(timeouts[i]));
}

static int register_one_that_shuts_down(void *arg)
{
    CHECK(append_at_exit(1) == BROOD_OK);
    CHECK(brood_at_exit(shut_down_in_a_handler, NULL) == BROOD_OK);
    CHECK(append_at_exit(2) == BROOD_OK);
    return leave(*(int *)arg, 0);
}

static void a_handler_cannot_shut_down(void **state)
{
    (void)state;
    for (int way = 0; way < WAYS; way++) {
        begin_steps();
        assert_process_ends(started_process(register_one_that_shuts_down, &way, sizeof way), 0);
        ASSERT_STEPS(2, BROOD_DEADLOCK, BROOD_DEADLOCK, BROOD_DEADLOCK, 1);
    }
}

static void shut_down_in_a_foreign_thread(void *arg)
{
    *(brood_status *)arg = brood_shutdown(MEETING_PATIENCE);
}

static int let_a_foreign_thread_shut_down(void *arg)
{
    brood_status status = BROOD_SYSTEM;
    (void)arg;
    CHECK(append_at_exit(1) == BROOD_OK);
    CHECK(brood_thread_start(NULL, nothing, NULL, 0, NULL) == BROOD_OK);
    foreign_thread_join(foreign_thread_start(shut_down_in_a_foreign_thread, &status));
    CHECK(status == BROOD_OK);
    CHECK(noted("steps") == 1);
    CHECK(line_of_a_start() == 0);
    return 0;
}

static void a_thread_that_brood_did_not_start_can_shut_down(void **state)
{
    (void)state;
    begin_steps();
    assert_process_ends(started_process(let_a_foreign_thread_shut_down, NULL, 0), 0);
    ASSERT_STEPS(1);
}

static int shut_down_in_two_threads(void *arg)
{
    const brood_process_options as_daemon = { .daemon = BROOD_DAEMON_YES };
    brood_status status = BROOD_SYSTEM;
    (void)arg;
    CHECK(brood_process_start(NULL, stay_for_ever, NULL, 0, &as_daemon) == BROOD_OK);
    for (int i = 0; i < 2; i++)
        CHECK(brood_process_start(NULL, nothing, NULL, 0, NULL) == BROOD_OK);
    for (int i = 0; i < 3; i++)
        CHECK(brood_thread_start(NULL, nothing, NULL, 0, NULL) == BROOD_OK);
    for (unsigned i = 0; i < 50; i++)
        CHECK(append_at_exit(7) == BROOD_OK);
    foreign_thread *other = foreign_thread_start(shut_down_in_a_foreign_thread, &status);
    const brood_status own = brood_shutdown(MEETING_PATIENCE);
    foreign_thread_join(other);
    CHECK(own == BROOD_OK && status == BROOD_OK);
    CHECK(noted("steps") == 50);
    CHECK(brood_active_children(NULL, 0) == 0 && !platform_has_child());
    return 0;
}

static void two_threads_may_shut_down_at_once(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        begin_steps();
        assert_process_ends(started_process(shut_down_in_two_threads, NULL, 0), 0);
        assert_int_equal(noted("steps"), 50);
        forget_steps();
    }
}

static void wait_then_register(void *unused)
{
    (void)unused;
    note("handler runs", 1);
    (void)await_note("other waits", 1);
    append_step(1);
    if (append_at_exit(2) != BROOD_OK)
        append_step(3);
}

static void shut_down_beside_a_handler(void *status)
{
    (void)await_note("handler runs", 1);
    const brood_status at_once = brood_shutdown(BROOD_NOW);
    note("other waits", 1);
    *(brood_status *)status =
        at_once == BROOD_TIMEOUT ? brood_shutdown(MEETING_PATIENCE) : BROOD_SYSTEM;
    append_step(4);
}

static int shut_down_while_a_handler_runs(void *arg)
{
    brood_status status = BROOD_SYSTEM;
    (void)arg;
    CHECK(brood_at_exit(wait_then_register, NULL) == BROOD_OK);
    foreign_thread *other = foreign_thread_start(shut_down_beside_a_handler, &status);
    const brood_status own = brood_shutdown(MEETING_PATIENCE);
    foreign_thread_join(other);
    CHECK(own == BROOD_OK && status == BROOD_OK);
    return 0;
}

static void a_shutdown_waits_for_a_handler_that_another_thread_runs(void **state)
{
    (void)state;
    begin_steps();
    assert_process_ends(started_process(shut_down_while_a_handler_runs, NULL, 0), 0);
    ASSERT_STEPS(1, 2, 4);
}

static void end_the_thread(void *unused)
{
    (void)unused;
    append_step(1);
    foreign_thread_exit();
}

static void shut_down_for_ever(void *unused)
{
    (void)brood_shutdown(MEETING_PATIENCE);
    append_step((uint64_t)(uintptr_t)unused); // not reached
}

static int shut_down_after_a_handler_that_never_returns(void *arg)
{
    (void)arg;
    CHECK(append_at_exit(2) == BROOD_OK);
    CHECK(brood_at_exit(end_the_thread, NULL) == BROOD_OK);
    foreign_thread_join(foreign_thread_start(shut_down_for_ever, NULL));
    CHECK(brood_shutdown(MEETING_PATIENCE) == BROOD_OK);
    return 0;
}

static void a_handler_that_never_returns_is_not_waited_for(void **state)
{
    (void)state;
    begin_steps();
    assert_process_ends(started_process(shut_down_after_a_handler_that_never_returns, NULL, 0), 0);
    ASSERT_STEPS(1, 2);
}

// The thread that goes on in a copy is its main thread, whatever it was in the process that was
// copied.

static int shut_down_in_a_copy(void *arg)
{
    (void)arg;
    CHECK(append_at_exit(1) == BROOD_OK);
    CHECK(brood_shutdown(MEETING_PATIENCE) == BROOD_OK);
    CHECK(noted("steps") == 1);
    return 5;
}

static int shut_down_in_copies(void *arg)
{
    const brood_process_options copies[] = {
        { .method = BROOD_START_FORK, .fork_with_threads = true },
        { .method = BROOD_START_FORK, .fork_with_threads = true, .survive_parent = true },
    };
    (void)arg;
    for (size_t i = 0; i < sizeof copies / sizeof copies[0]; i++) {
        brood_process *process;
        brood_exit ended;
        note("steps", 0);
        CHECK(brood_process_start(&process, shut_down_in_a_copy, NULL, 0, &copies[i]) == BROOD_OK);
        CHECK(brood_process_join(process, MEETING_PATIENCE, &ended) == BROOD_OK);
        brood_process_drop(process);
        CHECK(ended.kind == BROOD_EXITED && ended.code == 5);
    }
    note("steps", 0);
    CHECK(platform_guest(shut_down_in_a_copy, NULL) == 5);
    return 0;
}

static void a_copy_made_in_a_thread_can_shut_down(void **state)
{
    (void)state;
    if (!platform_copy_may_start_threads())
        return;
    begin_steps();
    assert_thread_ends(started_thread(shut_down_in_copies, NULL, 0), 0);
    ASSERT_STEPS(1);
}

// The order of the end

enum { THREAD_ENDS = 1, DAEMON_HAS_ENDED, CHILD_ENDS, NEWER_HANDLER, OLDER_HANDLER, OUT_OF_ORDER };

static brood_process *daemon_of_the_end;
static FILE *file_of_the_end;

// If the daemon were stopped first, it would be gone by then.
static int expect_the_daemon_to_live(void *arg)
{
    (void)arg;
    CHECK(await_note("target is over", 1));
    CHECK(brood_process_join(daemon_of_the_end, A_WHILE, NULL) == BROOD_TIMEOUT);
    append_step(THREAD_ENDS);
    return 0;
}

// If this child were joined first, the daemon would never end. If the handlers did not wait for
// it, they would append a step in between.
static int expect_the_daemon_to_end(void *arg)
{
    const int64_t deadline = brood_clock() + MEETING_PATIENCE;
    (void)arg;
    CHECK(await_note("stays", 1));
    note("watches", 1);
    while (platform_process_lives((brood_pid)noted("stays"))) {
        CHECK(brood_clock() < deadline);
        brood_sleep(BROOD_MILLISECONDS(1));
    }
    append_step(DAEMON_HAS_ENDED);
    CHECK(brood_parent_wait(A_WHILE) == BROOD_TIMEOUT);
    append_step(CHILD_ENDS);
    return 0;
}

static void append_and_print(void *arg)
{
    const bool is_alone = brood_active_children(NULL, 0) == 0 && !platform_has_child();
    append_step(is_alone ? (uint64_t)(uintptr_t)arg : OUT_OF_ORDER);
    (void)fputs("handler ", file_of_the_end); // stays in the buffer
}

static int end_in_order(void *arg)
{
    const struct printer *self = arg;
    const brood_process_options as_daemon = { .daemon = BROOD_DAEMON_YES };
    file_of_the_end = fopen(self->place.path, "w");
    CHECK(file_of_the_end && fputs("target ", file_of_the_end) >= 0);
    CHECK(brood_at_exit(append_and_print, (void *)(uintptr_t)OLDER_HANDLER) == BROOD_OK);
    CHECK(brood_at_exit(append_and_print, (void *)(uintptr_t)NEWER_HANDLER) == BROOD_OK);
    CHECK(brood_process_start(NULL, expect_the_daemon_to_end, NULL, 0, NULL) == BROOD_OK);
    CHECK(brood_process_start(&daemon_of_the_end, stay_for_ever, NULL, 0, &as_daemon) == BROOD_OK);
    CHECK(brood_thread_start(NULL, expect_the_daemon_to_live, NULL, 0, NULL) == BROOD_OK);
    CHECK(await_note("watches", 1));
    note("target is over", 1);
    return leave(self->way, 17);
}

static void
a_child_ends_with_threads_daemons_children_handlers_and_streams_in_this_order(void **state)
{
    (void)state;
    struct printer printer = { .place = made_text_file() };
    for (printer.way = 0; printer.way < WAYS; printer.way++) {
        begin_steps();
        note("stays", 0);
        note("watches", 0);
        note("target is over", 0);
        assert_process_ends(started_process(end_in_order, &printer, sizeof printer), 17);
        ASSERT_STEPS(THREAD_ENDS, DAEMON_HAS_ENDED, CHILD_ENDS, NEWER_HANDLER, OLDER_HANDLER);
        assert_text(&printer.place, "target handler handler ");
    }
}

// The grandchild, which its parent's target has not joined, finds its parent waiting.
static int outlive_the_target(void *arg)
{
    (void)arg;
    CHECK(await_note("target is over", 1));
    CHECK(brood_parent_wait(A_WHILE) == BROOD_TIMEOUT);
    note("grandchild ends", 1);
    return 0;
}

struct parent {
    int32_t method;
    int way;
};

static int leave_a_child_behind(void *arg)
{
    const struct parent *self = arg;
    const brood_process_options options = { .method = self->method };
    CHECK(brood_process_start(NULL, outlive_the_target, NULL, 0, &options) == BROOD_OK);
    note("target is over", 1);
    return leave(self->way, 6);
}

static void an_unjoined_grandchild_is_joined(void **state)
{
    (void)state;
    struct parent parent;
    for (parent.way = 0; parent.way < WAYS; parent.way++) {
        for (parent.method = BROOD_START_SPAWN; parent.method <= BROOD_START_FORK;
             parent.method++) {
            if (!system_has(parent.method))
                continue;
            note("target is over", 0);
            note("grandchild ends", 0);
            assert_process_ends(
                started_by(parent.method, leave_a_child_behind, &parent, sizeof parent), 6);
            assert_int_equal(noted("grandchild ends"), 1);
        }
    }
}

// Text without a newline

static int print_and_leave(void *arg)
{
    const struct printer *self = arg;
    CHECK(freopen(self->place.path, "a", stdout));
    CHECK(printf("child,") == 6);
    return leave(self->way, 0);
}

struct print_job {
    int32_t method;
    struct printer printer;
};

// Text in the parent's buffer is neither lost nor printed again by the child, and precedes the
// child's text.
static int print_around_a_child(void *arg)
{
    const struct print_job *job = arg;
    CHECK(freopen(job->printer.place.path, "a", stdout));
    CHECK(printf("before,") == 7);
    CHECK(code_of_child(job->method, print_and_leave, &job->printer, sizeof job->printer) == 0);
    CHECK(printf("after") == 5);
    return leave(job->printer.way, 0);
}

static void printed_text_without_a_newline_arrives_once(void **state)
{
    (void)state;
    struct print_job job = { .printer.place = made_text_file() };
    for (job.printer.way = 0; job.printer.way < WAYS; job.printer.way++) {
        for (job.method = BROOD_START_SPAWN; job.method <= BROOD_START_FORK; job.method++) {
            if (!system_has(job.method))
                continue;
            assert_process_ends(started_by(job.method, print_around_a_child, &job, sizeof job), 0);
            assert_text(&job.printer.place, "before,child,after");
        }
    }
}

static void print_in_handler(void *arg)
{
    (void)arg;
    (void)printf("handler");
}

static int print_in_thread(void *arg)
{
    (void)arg;
    CHECK(await_note("target is over", 1));
    CHECK(printf("thread,") == 7);
    return 0;
}

// A thread that the end does not wait for makes no difference.
static int print_everywhere(void *arg)
{
    const struct printer *self = arg;
    const brood_thread_options as_daemon = { .daemon = BROOD_DAEMON_YES };
    CHECK(freopen(self->place.path, "a", stdout));
    CHECK(brood_at_exit(print_in_handler, NULL) == BROOD_OK);
    CHECK(brood_thread_start(NULL, stay, NULL, 0, &as_daemon) == BROOD_OK);
    CHECK(brood_thread_start(NULL, print_in_thread, NULL, 0, NULL) == BROOD_OK);
    CHECK(printf("target,") == 7);
    note("target is over", 1);
    return leave(self->way, 0);
}

static void text_of_threads_and_handlers_arrives_beside_a_daemon_thread(void **state)
{
    (void)state;
    struct printer printer = { .place = made_text_file() };
    note("leave", 0);
    for (printer.way = 0; printer.way < WAYS; printer.way++) {
        note("target is over", 0);
        assert_process_ends(started_process(print_everywhere, &printer, sizeof printer), 0);
        assert_text(&printer.place, "target,thread,handler");
    }
}

static int fill_a_file_and_leave(void *arg)
{
    const struct printer *self = arg;
    const brood_thread_options as_daemon = { .daemon = BROOD_DAEMON_YES };
    CHECK(brood_thread_start(NULL, stay, NULL, 0, &as_daemon) == BROOD_OK);
    FILE *file = fopen(self->place.path, "w");
    CHECK(file && fputs("not closed", file) >= 0);
    return leave(self->way, 0);
}

static void a_file_left_open_is_complete(void **state)
{
    (void)state;
    struct printer printer = { .place = made_text_file() };
    note("leave", 0);
    for (printer.way = 0; printer.way < WAYS; printer.way++) {
        assert_process_ends(started_process(fill_a_file_and_leave, &printer, sizeof printer), 0);
        assert_text(&printer.place, "not closed");
    }
}

// A thread that does not stop

enum { MOST_BORN = 200 };

static int be_born(void *arg)
{
    note_of("born", *(unsigned *)arg, (uint64_t)brood_self_pid());
    (void)await_note("never", 1);
    return 0;
}

static int start_without_end(void *arg)
{
    const brood_process_options as_daemon = { .daemon = BROOD_DAEMON_YES };
    (void)arg;
    for (unsigned i = 0; i < MOST_BORN; i++) {
        note("births", i + 1);
        (void)!brood_process_start(NULL, be_born, &i, sizeof i, &as_daemon);
        (void)!brood_thread_start(NULL, nothing, NULL, 0, NULL);
    }
    (void)await_note("never", 1);
    return 0;
}

static int end_while_a_thread_starts(void *arg)
{
    const brood_thread_options as_daemon = { .daemon = BROOD_DAEMON_YES };
    CHECK(brood_thread_start(NULL, start_without_end, NULL, 0, &as_daemon) == BROOD_OK);
    CHECK(await_note("births", noted("births wanted")));
    return leave(*(int *)arg, 4);
}

// They would not end by themselves within this time.
static void assert_no_process_is_left(void)
{
    const int64_t deadline = brood_clock() + AT_ONCE;
    for (unsigned i = 0; i < MOST_BORN; i++) {
        const brood_pid pid = (brood_pid)noted_of("born", i);
        while (pid != 0 && platform_process_lives(pid) && brood_clock() < deadline)
            brood_sleep(BROOD_MILLISECONDS(1));
        assert_false(pid != 0 && platform_process_lives(pid));
        note_of("born", i, 0);
    }
}

static void a_daemon_thread_that_starts_without_end_does_not_hold_up_the_end(void **state)
{
    (void)state;
    const uint64_t rounds = foreign_is_slow() ? 3 : 6;
    for (uint64_t wanted = 1; wanted <= rounds; wanted++) {
        const int way = (int)(wanted % WAYS);
        note("births", 0);
        note("births wanted", wanted);
        assert_process_ends(started_process(end_while_a_thread_starts, &way, sizeof way), 4);
        assert_no_process_is_left();
    }
}

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_version_is_that_of_the_headers),
        cmocka_unit_test(a_second_brood_init_changes_nothing),
        cmocka_unit_test(unknown_headers_end_the_process),
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
        cmocka_unit_test(handlers_run_newest_first_each_once_with_its_argument),
        cmocka_unit_test(a_handler_runs_in_the_process_that_registered_it_and_in_no_other),
        cmocka_unit_test(no_handler_runs_when_a_process_dies_or_calls_the_exit_of_the_system),
        cmocka_unit_test(handlers_run_in_the_thread_that_ends_the_process),
        cmocka_unit_test(a_handler_may_register_others),
        cmocka_unit_test(there_can_be_a_thousand_handlers),
        cmocka_unit_test(threads_register_handlers_at_the_same_time),
        cmocka_unit_test(a_handler_must_be_a_function),
        cmocka_unit_test(nothing_can_be_started_in_a_handler),
        cmocka_unit_test(a_handler_can_use_locks_the_registry_and_files),
        cmocka_unit_test(after_a_shutdown_nothing_begins_and_no_handler_runs_again),
        cmocka_unit_test(a_shutdown_with_nothing_to_wait_for_needs_no_time),
        cmocka_unit_test(a_shutdown_that_was_too_short_can_be_repeated),
        cmocka_unit_test(a_shutdown_ends_all_that_runs),
        cmocka_unit_test(a_daemon_that_ignores_the_request_is_killed),
        cmocka_unit_test(the_end_does_not_wait_for_a_daemon_thread),
        cmocka_unit_test(a_thread_of_brood_cannot_shut_down),
        cmocka_unit_test(a_handler_cannot_shut_down),
        cmocka_unit_test(a_thread_that_brood_did_not_start_can_shut_down),
        cmocka_unit_test(two_threads_may_shut_down_at_once),
        cmocka_unit_test(a_shutdown_waits_for_a_handler_that_another_thread_runs),
        cmocka_unit_test(a_handler_that_never_returns_is_not_waited_for),
        cmocka_unit_test(a_copy_made_in_a_thread_can_shut_down),
        cmocka_unit_test(
            a_child_ends_with_threads_daemons_children_handlers_and_streams_in_this_order),
        cmocka_unit_test(an_unjoined_grandchild_is_joined),
        cmocka_unit_test(printed_text_without_a_newline_arrives_once),
        cmocka_unit_test(text_of_threads_and_handlers_arrives_beside_a_daemon_thread),
        cmocka_unit_test(a_file_left_open_is_complete),
        cmocka_unit_test(a_daemon_thread_that_starts_without_end_does_not_hold_up_the_end),
        // A registry that has been full stays large, and lookups take longer: so these come last.
        cmocka_unit_test(a_full_registry_refuses_names_until_others_are_removed),
        cmocka_unit_test(a_value_is_never_that_of_the_previous_name_in_its_entry),
        cmocka_unit_test(a_name_that_many_set_at_once_is_there_once),
        cmocka_unit_test(a_process_that_is_killed_while_it_sets_leaves_the_registry_usable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
