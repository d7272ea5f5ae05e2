// SPDX-License-Identifier: MIT
#include "../meeting.h"

#include "../foreign.h"
#include "../library/plugin.h"
#include "../methods.h"
#include "base/atomic.h"
#include "base/fail.h"
#include "os/os_module.h"

#include <string.h>

typedef void (*code)(void);

static int own_function(void *arg)
{
    return *(int *)arg;
}

// Identifies the function, and finds the same function from the identification.
static brood_os_module assert_round_trip(code function)
{
    brood_os_module module;
    code found = NULL;
    assert_status(brood_os_module_find(function, &module), BROOD_OK);
    assert_non_null(module.path);
    assert_status(brood_os_module_resolve(&module, &found), BROOD_OK);
    assert_true(found == function);
    return module;
}

static void the_program_has_the_empty_path(void **state)
{
    (void)state;
    brood_os_module module = assert_round_trip((code)own_function);
    assert_string_equal(module.path, "");
    free(module.path);
    module = assert_round_trip((code)brood_clock);
    free(module.path);
}

static void two_functions_of_a_module_differ_in_their_offsets(void **state)
{
    (void)state;
    brood_os_module one = assert_round_trip((code)own_function);
    brood_os_module two =
        assert_round_trip((code)two_functions_of_a_module_differ_in_their_offsets);
    assert_string_equal(one.path, two.path);
    assert_true(one.offset != two.offset);
    free(one.path);
    free(two.path);
}

static void a_function_of_the_c_library_is_found(void **state)
{
    (void)state;
    free(assert_round_trip((code)qsort).path);
}

static bool ends_with(const char *text, const char *end)
{
    const size_t length = strlen(text);
    return length >= strlen(end) && strcmp(text + length - strlen(end), end) == 0;
}

static brood_os_module module_in(const char *file)
{
    void *library = foreign_library_open(file);
    assert_non_null(library);
    plugin_function (*get)(void) =
        (plugin_function(*)(void))foreign_library_function(library, "plugin_adder");
    assert_non_null(get);
    return assert_round_trip((code)get());
}

static brood_os_module module_of_plugin(void)
{
    return module_in(PLUGIN_FILE_1);
}

static void a_library_has_its_absolute_path(void **state)
{
    (void)state;
    static const char file[] = PLUGIN_FILE_1;
    const char *name = strrchr(file, '/');
    brood_os_module module = module_of_plugin();
    assert_true(module.path[0] == '/' || module.path[1] == ':');
    assert_true(ends_with(module.path, name ? name + 1 : file));
    free(module.path);
}

static void an_address_outside_code_is_invalid(void **state)
{
    (void)state;
    static int data = 1;
    static const int constant = 2;
    int *heap = malloc(sizeof *heap);
    assert_non_null(heap);
    const uintptr_t places[] = { 0,
                                 1,
                                 (uintptr_t)&data,
                                 (uintptr_t)&constant,
                                 (uintptr_t)heap,
                                 (uintptr_t)&heap,
                                 UINTPTR_MAX,
                                 UINTPTR_MAX / 2 };
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        brood_os_module module = { .path = NULL };
        assert_status(brood_os_module_find((code)places[i], &module), BROOD_INVALID);
        assert_null(module.path);
    }
    free(heap);
}

static void assert_refused(const brood_os_module *module, brood_status expected)
{
    code found = NULL;
    assert_status(broodi_answer("resolve", brood_os_module_resolve(module, &found)), expected);
    assert_null(found);
}

static void another_build_is_a_mismatch(void **state)
{
    (void)state;
    brood_os_module modules[] = { assert_round_trip((code)own_function), module_of_plugin() };
    for (size_t i = 0; i < sizeof modules / sizeof modules[0]; i++) {
        brood_os_module *module = &modules[i];
        unsigned changed = 0;
        for (size_t at = 0; at < BROOD_OS_MODULE_IDENTITY; at++) {
            module->identity[at] ^= 0x40;
            assert_refused(module, BROOD_MISMATCH);
            module->identity[at] ^= 0x40;
            changed++;
        }
        assert_int_equal(changed, BROOD_OS_MODULE_IDENTITY);
        assert_non_null(strstr(brood_last_error(), module->path[0] ? module->path : "the program"));
        code found = NULL;
        assert_status(brood_os_module_resolve(module, &found), BROOD_OK);
    }
    free(modules[0].path);
    free(modules[1].path);
}

static void an_offset_outside_code_is_a_mismatch(void **state)
{
    (void)state;
    static int data;
    brood_os_module modules[] = { assert_round_trip((code)own_function), module_of_plugin() };
    for (size_t i = 0; i < sizeof modules / sizeof modules[0]; i++) {
        brood_os_module *module = &modules[i];
        const uint64_t offset = module->offset;
        const uint64_t distance = (uint64_t)((uintptr_t)&data - (uintptr_t)own_function);
        const uint64_t evil[] = { 0,          UINT64_MAX,        UINT64_MAX / 2,
                                  UINT32_MAX, UINT64_C(1) << 47, offset + (1 << 30) };
        for (size_t j = 0; j < sizeof evil / sizeof evil[0]; j++) {
            module->offset = evil[j];
            assert_refused(module, BROOD_MISMATCH);
        }
        if (i == 0) {
            module->offset = offset + distance;
            assert_refused(module, BROOD_MISMATCH);
        }
    }
    free(modules[0].path);
    free(modules[1].path);
}

static void a_missing_or_damaged_file_is_not_found(void **state)
{
    (void)state;
    char text[600];
    brood_os_module module = module_of_plugin();
    free(module.path);
    foreign_file_name(text, sizeof text, "nowhere.dll");
    module.path = text;
    assert_refused(&module, BROOD_NOT_FOUND);
    assert_non_null(strstr(brood_last_error(), "nowhere.dll"));
    // A file that exists but is no library.
    foreign_file_name(text, sizeof text, "noise.dll");
    FILE *noise = fopen(text, "wb");
    assert_non_null(noise);
    assert_true(fputs("this is not a library\n", noise) >= 0);
    assert_int_equal(fclose(noise), 0);
    assert_refused(&module, BROOD_NOT_FOUND);
    foreign_file_remove(text);
}

struct builds {
    char parents[160];
    char childs[160];
};

static struct builds refused_builds(const brood_os_module *module)
{
    struct builds builds;
    assert_refused(module, BROOD_MISMATCH);
    const char *at = strstr(brood_last_error(), "the parent has build ");
    assert_non_null(at);
    assert_int_equal(sscanf(at, "the parent has build %159[^,], the child has build %159s",
                            builds.parents, builds.childs),
                     2);
    assert_non_null(strstr(at, module->path));
    return builds;
}

static void another_library_is_a_mismatch_of_two_builds(void **state)
{
    (void)state;
    brood_os_module one = module_in(PLUGIN_FILE_1);
    brood_os_module two = module_in(PLUGIN_FILE_2);
    char *path = one.path;
    one.path = two.path;
    two.path = path;
    const struct builds first = refused_builds(&one);
    const struct builds second = refused_builds(&two);
    assert_string_not_equal(first.parents, first.childs);
    assert_string_equal(first.parents, second.childs);
    assert_string_equal(second.parents, first.childs);
    free(one.path);
    free(two.path);
}

// A process may be copied while a thread searches

static atomic_bool enough;

static int search_all_the_time(void *arg)
{
    (void)arg;
    while (!atomic_load(&enough)) {
        brood_os_module module;
        CHECK(brood_os_module_find((code)own_function, &module) == BROOD_OK);
        free(module.path);
    }
    return 0;
}

static int search_once(void *arg)
{
    brood_os_module module;
    (void)arg;
    return brood_os_module_find((code)own_function, &module) == BROOD_OK ? 0 : 1;
}

static void a_copy_made_during_a_search_can_search(void **state)
{
    (void)state;
    enum { COPIES = 200 };
    skip_unless_copies_are_safe_beside_threads();
    atomic_store(&enough, false);
    brood_thread *thread = started_thread(search_all_the_time, NULL, 0);
    int ended = 0;
    for (int i = 0; i < COPIES && ended == 0; i++)
        ended = platform_guest(search_once, NULL);
    atomic_store(&enough, true);
    assert_thread_ends(thread, 0);
    assert_int_equal(ended, 0);
}

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_program_has_the_empty_path),
        cmocka_unit_test(two_functions_of_a_module_differ_in_their_offsets),
        cmocka_unit_test(a_function_of_the_c_library_is_found),
        cmocka_unit_test(a_library_has_its_absolute_path),
        cmocka_unit_test(an_address_outside_code_is_invalid),
        cmocka_unit_test(another_build_is_a_mismatch),
        cmocka_unit_test(an_offset_outside_code_is_a_mismatch),
        cmocka_unit_test(a_missing_or_damaged_file_is_not_found),
        cmocka_unit_test(another_library_is_a_mismatch_of_two_builds),
        cmocka_unit_test(a_copy_made_during_a_search_can_search),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
