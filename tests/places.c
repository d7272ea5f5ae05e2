// SPDX-License-Identifier: MIT
// Whole programs in other places than where they were built, and under unusual circumstances.
// They are built from targets.c.
#include "meeting.h"

#include "foreign.h"
#include "place.h"
#include "targets.h"

// A folder with a program and the library that it is linked with, and what the program prints, in
// a file beside the folder.
struct place {
    char folder[512];
    char program[600];
    char library[600];
    char beside[600]; // brood, where programs search for it beside themselves
    char output[512];
    char printed[4096];
};

static void join_path(char buffer[600], const char *folder, const char *name)
{
    assert_true(snprintf(buffer, 600, "%s/%s", folder, name) < 600);
}

static int make_place(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    assert_non_null(place);
    place_folder_make(place->folder, sizeof place->folder, TEXT_FOLDER);
    foreign_file_name(place->output, sizeof place->output, "printed");
    join_path(place->program, place->folder, place_name_of(LINKED_PROGRAM));
    join_path(place->library, place->folder, place_name_of(LINKED_LIBRARY));
    join_path(place->beside, place->folder, place_name_of(BESIDE));
    place_program_copy(LINKED_PROGRAM, place->program);
    place_program_copy(LINKED_LIBRARY, place->library);
    if (BESIDE[0])
        place_program_copy(BESIDE, place->beside);
    *state = place;
    return 0;
}

static int leave_place(void **state)
{
    struct place *place = *state;
    foreign_file_remove(place->program);
    foreign_file_remove(place->library);
    if (BESIDE[0])
        foreign_file_remove(place->beside);
    place_folder_remove(place->folder);
    foreign_file_remove(place->output);
    free(place);
    return 0;
}

static void read_printed(struct place *place)
{
    FILE *file = fopen(place->output, "r");
    assert_non_null(file);
    place->printed[fread(place->printed, 1, sizeof place->printed - 1, file)] = 0;
    (void)fclose(file);
}

static void assert_runs(struct place *place, const place_run *run)
{
    place_run printing = *run;
    printing.output = place->output;
    const int code = place_program_run(&printing);
    read_printed(place);
    if (code != 0)
        fail_msg("%s %s ended with %d and printed\n%s", run->program, run->arguments[0], code,
                 place->printed);
}

static void names_may_be_in_any_script(void **state)
{
    struct place *place = *state;
    char plugin[600];
    join_path(plugin, place->folder, TEXT_ARGUMENT); // a library needs no extension
    place_program_copy(PLUGIN_FILE_1, plugin);
    assert_runs(place, &(place_run){ .program = place->program,
                                     .arguments = { "find_names", plugin, TEXT_ARGUMENT },
                                     .variables = { TEXT_NAME "=" TEXT_VALUE },
                                     .directory = place->folder });
    foreign_file_remove(plugin);
}

static void a_library_that_is_loaded_twice_is_identified_by_its_path(void **state)
{
    struct place *place = *state;
    char twin[600];
    join_path(twin, place->folder, "twin.dll");
    place_program_copy(LINKED_LIBRARY, twin);
    assert_runs(place, &(place_run){ .program = place->program,
                                     .arguments = { "identify_copies_by_their_paths", twin } });
    foreign_file_remove(twin);
}

// The message names the file and two different builds.
static void assert_names_both(const char *printed, const char *name)
{
    char parent[160];
    char child[160];
    const char *at = strstr(printed, "the parent has build ");
    assert_non_null(at);
    assert_int_equal(
        sscanf(at, "the parent has build %159[^,], the child has build %159s", parent, child), 2);
    assert_string_not_equal(parent, child);
    if (!strstr(at, name))
        fail_msg("%s does not name %s", printed, name);
}

static void a_linked_library_that_was_replaced_is_refused(void **state)
{
    struct place *place = *state;
    assert_runs(place, &(place_run){ .program = place->program,
                                     .arguments = { "refuse_a_replaced_library", OTHER_LIBRARY,
                                                    place->library } });
    assert_names_both(place->printed, place_name_of(LINKED_LIBRARY));
}

static void a_library_opened_by_a_relative_name_is_found_from_elsewhere(void **state)
{
    struct place *place = *state;
    char path[600];
    join_path(path, place->folder, "relative.dll");
    place_program_copy(PLUGIN_FILE_1, path);
    assert_runs(place, &(place_run){ .program = place->program,
                                     .arguments = { "open_by_a_relative_name", "./relative.dll",
                                                    PLUGIN_FILE_2 },
                                     .directory = place->folder });
    assert_names_both(place->printed, "relative.dll");
    foreign_file_remove(path);
}

static void a_replaced_program_is_found_or_refused(void **state)
{
    struct place *place = *state;
    assert_runs(place,
                &(place_run){ .program = place->program,
                              .arguments = { "start_from_a_replaced_program", OTHER_PROGRAM } });
    if (!place_image_is_kept())
        assert_names_both(place->printed, "the program");
}

static void assert_runs_without_streams(const char *program)
{
    const int code = place_program_run(
        &(place_run){ .program = program, .arguments = { "live_without_streams" } });
    if (code != 0)
        fail_msg("%s ended with %d", program, code);
}

static void a_program_without_streams_has_children(void **state)
{
    (void)state;
    assert_runs_without_streams(STREAMLESS_PROGRAM);
    if (WINDOW_PROGRAM[0])
        assert_runs_without_streams(WINDOW_PROGRAM);
}

static void a_set_uid_program_believes_no_announcement(void **state)
{
    struct place *place = *state;
    if (PRIVILEGED_PROGRAM[0]) {
        foreign_file_remove(place->program);
        place_program_copy(PRIVILEGED_PROGRAM, place->program);
    }
    const char *obstacle = place_privileges_raise(place->program);
    if (!obstacle && !PRIVILEGED_PROGRAM[0])
        obstacle = "a set-uid program must need no shared library, and there is no such program in "
                   "this build";
    if (obstacle) {
        print_message("%s\n", obstacle);
        skip();
    }
    assert_runs(place, &(place_run){ .program = place->program,
                                     .arguments = { "live_with_raised_privileges" },
                                     .variables = { "BROOD_BOOT=3:4:1" },
                                     .as_another = true });
    assert_non_null(strstr(place->printed, "main runs"));
}

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(names_may_be_in_any_script, make_place, leave_place),
        cmocka_unit_test_setup_teardown(a_library_that_is_loaded_twice_is_identified_by_its_path,
                                        make_place, leave_place),
        cmocka_unit_test_setup_teardown(a_linked_library_that_was_replaced_is_refused, make_place,
                                        leave_place),
        cmocka_unit_test_setup_teardown(a_library_opened_by_a_relative_name_is_found_from_elsewhere,
                                        make_place, leave_place),
        cmocka_unit_test_setup_teardown(a_replaced_program_is_found_or_refused, make_place,
                                        leave_place),
        cmocka_unit_test(a_program_without_streams_has_children),
        cmocka_unit_test_setup_teardown(a_set_uid_program_believes_no_announcement, make_place,
                                        leave_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
