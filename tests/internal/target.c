// SPDX-License-Identifier: MIT
// Encoded targets and their cache. What the cache returns is compared to a search that uses none.
#include "../meeting.h"

#include "../children.h"
#include "../foreign.h"
#include "../library/plugin.h"
#include "../methods.h"
#include "base/atomic.h"
#include "base/fault.h"
#include "process/target_cache.h"

#include <string.h>

static int own_function(void *arg)
{
    return *(int *)arg;
}

// Functions that differ, so that no compiler makes them one.
#define ROW(number)                    \
    static int row_##number(void *arg) \
    {                                  \
        return *(int *)arg + (number); \
    }
ROW(1)
ROW(2)
ROW(3)
ROW(4)
ROW(5)
ROW(6)
ROW(7)
ROW(8)

static const brood_target rows[] = { row_1, row_2, row_3, row_4, row_5, row_6, row_7, row_8 };

enum { ROWS = sizeof rows / sizeof rows[0] };

static brood_target adder_of(void *library)
{
    assert_non_null(library);
    plugin_function (*get)(void) =
        (plugin_function(*)(void))foreign_library_function(library, "plugin_adder");
    assert_non_null(get);
    return get();
}

static int sum_of(brood_target add)
{
    struct plugin_sum sum = { 30, 12 };
    return add(&sum);
}

// A copy of a plugin, in a file of this test's own.
static void *opened_copy(char *path, size_t capacity, const char *name, const char *plugin)
{
    foreign_file_name(path, capacity, name);
    foreign_file_remove(path);
    foreign_file_copy(plugin, path);
    return foreign_library_open(path);
}

static bool is_same(const struct broodi_target *a, const struct broodi_target *b)
{
    return a->size == b->size && memcmp(a, b, (size_t)a->size) == 0;
}

// Whether the cache agrees with a search.
static bool agrees(brood_target function)
{
    const struct broodi_target *cached = NULL;
    struct broodi_target *found = NULL;
    if (broodi_target_encode(function, &found) != BROOD_OK)
        return false;
    const bool same =
        broodi_target_encode_cached(function, &cached) == BROOD_OK && is_same(cached, found);
    free(found);
    return same;
}

static const struct broodi_target *encoded(brood_target function)
{
    const struct broodi_target *target = NULL;
    assert_true(agrees(function));
    assert_status(broodi_target_encode_cached(function, &target), BROOD_OK);
    assert_true(broodi_target_is_whole(target, target->size));
    return target;
}

// Asserts that nothing is allocated and nothing opened.
static void assert_cached(brood_target function)
{
    const struct broodi_target *target = NULL;
    brood_target found = NULL;
    broodi_fault_set(1);
    assert_status(broodi_target_encode_cached(function, &target), BROOD_OK);
    assert_status(broodi_target_resolve_cached(target, &found), BROOD_OK);
    assert_int_equal(broodi_fault_left(), 1);
    broodi_fault_set(0);
    assert_true(found == function);
}

static void assert_found_twice(brood_target function)
{
    struct broodi_target *target = NULL;
    brood_target found = NULL;
    assert_status(broodi_target_encode(function, &target), BROOD_OK);
    assert_status(broodi_target_resolve(target, &found), BROOD_OK);
    assert_true(found == function);
    const struct broodi_target *first = encoded(function);
    assert_true(encoded(function) == first);
    assert_status(broodi_target_resolve_cached(target, &found), BROOD_OK);
    assert_true(found == function);
    assert_cached(function);
    free(target);
}

static void a_function_is_encoded_and_resolved_once(void **state)
{
    (void)state;
    assert_found_twice(own_function);
    assert_found_twice((brood_target)(void (*)(void))qsort);
    assert_found_twice(adder_of(foreign_library_open(PLUGIN_FILE_1)));
}

static void a_truncated_encoding_is_not_whole(void **state)
{
    (void)state;
    const struct broodi_target *target = encoded(adder_of(foreign_library_open(PLUGIN_FILE_1)));
    for (uint64_t size = 0; size < target->size; size++)
        assert_false(broodi_target_is_whole(target, size));
    struct broodi_target *changed = malloc((size_t)target->size);
    assert_non_null(changed);
    memcpy(changed, target, (size_t)target->size);
    const uint64_t evil[] = { 0, 1, sizeof *changed, UINT64_MAX, target->size + 1 };
    for (size_t i = 0; i < sizeof evil / sizeof evil[0]; i++) {
        changed->size = evil[i];
        assert_false(broodi_target_is_whole(changed, target->size));
    }
    changed->size = target->size - 1; // not at the end of the path
    assert_false(broodi_target_is_whole(changed, target->size));
    free(changed);
}

static void out_of_memory_is_reported_and_harmless(void **state)
{
    (void)state;
    const brood_target add = adder_of(foreign_library_open(PLUGIN_FILE_2));
    const struct broodi_target *target = NULL;
    unsigned n = 0;
    brood_status status;
    do {
        broodi_fault_set(++n);
        status = broodi_target_encode_cached(add, &target);
        broodi_fault_set(0);
        assert_true(status == BROOD_OK || status == BROOD_NO_MEMORY);
    } while (status != BROOD_OK);
    assert_true(n > 2);
    bool failed = true;
    for (n = 1; failed; n++) { // without memory for the cache, a resolution succeeds all the same
        brood_target found = NULL;
        broodi_fault_set(n);
        status = broodi_target_resolve_cached(target, &found);
        failed = broodi_fault_left() == 0;
        broodi_fault_set(0);
        assert_true(status == BROOD_OK ? found == add : failed && status == BROOD_NO_MEMORY);
    }
    assert_cached(add);
}

// Modules that are unloaded

// Whether the system has unloaded the module: musl unloads none.
static bool is_unloaded(brood_target function)
{
    if (!foreign_module_base((void (*)(void))function))
        return true;
    print_message("this system unloads no module\n");
    return false;
}

static void a_function_of_an_unloaded_module_is_invalid(void **state)
{
    (void)state;
    char path[512];
    const struct broodi_target *target = NULL;
    void *library = opened_copy(path, sizeof path, "unloaded.dll", PLUGIN_FILE_1);
    const brood_target add = adder_of(library);
    const struct broodi_target *before = encoded(add);
    foreign_library_close(library);
    if (is_unloaded(add))
        assert_status(broodi_target_encode_cached(add, &target), BROOD_INVALID);
    assert_true(broodi_target_is_whole(before, before->size)); // it stays
    foreign_file_remove(path);
}

// Loads one build, unloads it and loads another one, in turn. The loader usually uses the same
// address again.
static void another_module_at_the_address_is_noticed(void **state)
{
    (void)state;
    enum { LOADS = 8 };
    char path[512];
    const struct broodi_target *targets[2] = { NULL, NULL };
    brood_target functions[2] = { NULL, NULL };
    bool unloads = true;
    unsigned reused = 0;
    for (int i = 0; i < LOADS && unloads; i++) {
        const int build = i % 2;
        void *library =
            opened_copy(path, sizeof path, "other.dll", build ? PLUGIN_FILE_2 : PLUGIN_FILE_1);
        const brood_target add = adder_of(library);
        const struct broodi_target *target = encoded(add);
        assert_int_equal(sum_of(add), 42 + build);
        reused += add == functions[!build];
        if (add == functions[build])
            assert_true(target == targets[build]); // made valid again
        if (targets[!build])
            assert_memory_not_equal(target->identity, targets[!build]->identity,
                                    sizeof target->identity);
        targets[build] = target;
        functions[build] = add;
        foreign_library_close(library);
        unloads = is_unloaded(add);
    }
    print_message("an address was used again for another build %u times\n", reused);
    foreign_file_remove(path);
}

static void an_unload_of_another_module_adds_nothing(void **state)
{
    (void)state;
    char path[512];
    const brood_target add = adder_of(foreign_library_open(PLUGIN_FILE_1));
    const struct broodi_target *target = encoded(add);
    for (int i = 0; i < 3; i++) {
        foreign_library_close(opened_copy(path, sizeof path, "elsewhere.dll", PLUGIN_FILE_2));
        assert_true(encoded(add) == target);
        assert_cached(add);
    }
    foreign_file_remove(path);
}

static void the_module_of_a_resolved_function_stays(void **state)
{
    (void)state;
    char path[512];
    brood_target found = NULL;
    void *library = opened_copy(path, sizeof path, "resolved.dll", PLUGIN_FILE_1);
    const struct broodi_target *target = encoded(adder_of(library));
    assert_status(broodi_target_resolve_cached(target, &found), BROOD_OK);
    foreign_library_close(library);
    assert_int_equal(sum_of(found), 42);
    assert_cached(found);
    assert_int_equal(sum_of(found), 42);
    foreign_file_remove(path);
}

static void a_failed_resolution_is_not_cached(void **state)
{
    (void)state;
    char path[512];
    brood_target found = NULL;
    void *library = opened_copy(path, sizeof path, "missing.dll", PLUGIN_FILE_1);
    const brood_target add = adder_of(library);
    const struct broodi_target *target = encoded(add);
    foreign_library_close(library);
    foreign_file_remove(path);
    if (is_unloaded(add))
        for (int i = 0; i < 2; i++)
            assert_status(broodi_target_resolve_cached(target, &found), BROOD_NOT_FOUND);
    foreign_file_copy(PLUGIN_FILE_1, path);
    assert_status(broodi_target_resolve_cached(target, &found), BROOD_OK);
    assert_int_equal(sum_of(found), 42);
    foreign_file_remove(path);
}

static void another_build_of_a_target_is_refused(void **state)
{
    (void)state;
    brood_target found = NULL;
    const struct broodi_target *target = encoded(own_function);
    struct broodi_target *other = malloc((size_t)target->size);
    assert_non_null(other);
    memcpy(other, target, (size_t)target->size);
    other->identity[0] ^= 1;
    for (int i = 0; i < 2; i++) {
        assert_status(broodi_target_resolve_cached(other, &found), BROOD_MISMATCH);
        assert_null(found);
        assert_status(broodi_target_resolve_cached(target, &found), BROOD_OK);
        found = NULL;
    }
    free(other);
}

// Threads and copies

static struct {
    atomic_bool enough;
    brood_target add; // in a library
} shared;

static int use_all(void)
{
    for (int i = 0; i <= ROWS; i++) {
        const brood_target function = i < ROWS ? rows[i] : shared.add;
        const struct broodi_target *target = NULL;
        brood_target found = NULL;
        CHECK(agrees(function));
        CHECK(broodi_target_encode_cached(function, &target) == BROOD_OK);
        CHECK(broodi_target_resolve_cached(target, &found) == BROOD_OK && found == function);
    }
    return 0;
}

static int use_often(void *arg)
{
    const int rounds = foreign_is_slow() ? 20 : 500;
    int failed = 0;
    (void)arg;
    for (int i = 0; i < rounds && failed == 0; i++)
        failed = use_all();
    return failed;
}

static int use_without_end(void *arg)
{
    int failed = 0;
    (void)arg;
    while (!atomic_load(&shared.enough) && failed == 0)
        failed = use_all();
    return failed;
}

static int load_without_end(void *arg)
{
    const char *path = arg;
    while (!atomic_load(&shared.enough)) {
        void *library = foreign_library_open(path);
        CHECK(library);
        foreign_library_close(library);
    }
    return 0;
}

static void several_threads_use_the_cache_while_modules_come_and_go(void **state)
{
    (void)state;
    enum { THREADS = 4 };
    char path[512];
    brood_thread *threads[THREADS];
    shared.add = adder_of(foreign_library_open(PLUGIN_FILE_1));
    foreign_library_close(opened_copy(path, sizeof path, "coming.dll", PLUGIN_FILE_2));
    atomic_store(&shared.enough, false);
    brood_thread *loader = started_thread(load_without_end, path, 0);
    for (int i = 0; i < THREADS; i++)
        threads[i] = started_thread(use_often, NULL, 0);
    for (int i = 0; i < THREADS; i++)
        assert_thread_ends(threads[i], 0);
    atomic_store(&shared.enough, true);
    assert_thread_ends(loader, 0);
    foreign_file_remove(path);
}

static int use_once(void *arg)
{
    (void)arg;
    return use_all();
}

static void a_copy_made_meanwhile_can_use_the_cache(void **state)
{
    (void)state;
    enum { COPIES = 100 };
    skip_unless_copies_are_safe_beside_threads();
    shared.add = adder_of(foreign_library_open(PLUGIN_FILE_1));
    atomic_store(&shared.enough, false);
    brood_thread *thread = started_thread(use_without_end, NULL, 0);
    int ended = 0;
    for (int i = 0; i < COPIES && ended == 0; i++)
        ended = platform_guest(use_once, NULL);
    atomic_store(&shared.enough, true);
    assert_thread_ends(thread, 0);
    assert_int_equal(ended, 0);
}

// Returns the sum that the encoded function computes.
static int run_encoded(void *arg)
{
    const struct broodi_target *target = arg;
    brood_target first = NULL;
    brood_target second = NULL;
    CHECK(broodi_target_resolve_cached(target, &first) == BROOD_OK);
    CHECK(broodi_target_resolve_cached(target, &second) == BROOD_OK && first == second);
    CHECK(agrees(first) && agrees(run_encoded));
    return sum_of(first);
}

static void a_child_of_each_method_resolves_what_its_parent_encoded(void **state)
{
    (void)state;
    const struct broodi_target *target = encoded(adder_of(foreign_library_open(PLUGIN_FILE_1)));
    for (int32_t method = BROOD_START_SPAWN; method <= BROOD_START_FORK; method++)
        if (system_has(method))
            assert_process_ends(started_by(method, run_encoded, target, (size_t)target->size), 42);
}

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_function_is_encoded_and_resolved_once),
        cmocka_unit_test(a_truncated_encoding_is_not_whole),
        cmocka_unit_test(out_of_memory_is_reported_and_harmless),
        cmocka_unit_test(a_function_of_an_unloaded_module_is_invalid),
        cmocka_unit_test(another_module_at_the_address_is_noticed),
        cmocka_unit_test(an_unload_of_another_module_adds_nothing),
        cmocka_unit_test(the_module_of_a_resolved_function_stays),
        cmocka_unit_test(a_failed_resolution_is_not_cached),
        cmocka_unit_test(another_build_of_a_target_is_refused),
        cmocka_unit_test(several_threads_use_the_cache_while_modules_come_and_go),
        cmocka_unit_test(a_copy_made_meanwhile_can_use_the_cache),
        cmocka_unit_test(a_child_of_each_method_resolves_what_its_parent_encoded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
