// SPDX-License-Identifier: MIT
// Which file is executed to run this program again, even if the program was executed as an
// argument of the dynamic loader or by a tool such as valgrind, so that /proc/self/exe is another
// file.
#include "../meeting.h"

#include "../foreign.h"
#include "../place.h"

#include <elf.h>
#include <link.h>
#include <unistd.h>

// The program's side

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

// Starts a child by a method that executes the program.
static int started(const char *directory)
{
    const bool copies = brood_start_method_get() == BROOD_START_FORK;
    const brood_process_options options = { .directory = directory,
                                            .method =
                                                copies ? BROOD_START_SPAWN : BROOD_START_DEFAULT };
    brood_process *process;
    brood_exit ended;
    const brood_status status = brood_process_start(&process, nothing, NULL, 0, &options);
    if (status != BROOD_OK) {
        puts(brood_last_error());
        return 50 + (int)status;
    }
    const brood_status joined = brood_process_join(process, MEETING_PATIENCE, &ended);
    brood_process_drop(process);
    return joined == BROOD_OK ? brood_exit_number(ended) : 49;
}

static int start_from_anywhere(const char *unused)
{
    (void)unused;
    const int here = started(NULL);
    const int there = started("/");
    if (chdir("/") != 0)
        return 2;
    const int again = started(NULL);
    return here ? here : there ? there : again;
}

static int start_without_a_file(const char *path)
{
    foreign_file_remove(path);
    return started(NULL);
}

static int start_when_replaced(const char *path)
{
    foreign_file_replace("/proc/self/maps", path);
    return started(NULL);
}

static const struct {
    const char *name;
    int (*run)(const char *path);
} scenarios[] = {
    { "start_from_anywhere", start_from_anywhere },
    { "start_without_a_file", start_without_a_file },
    { "start_when_replaced", start_when_replaced },
};

// The tests

static struct {
    char folder[512];
    char program[600];
    char output[512];
} place;

static int make_place(void **state)
{
    (void)state;
    place_folder_make(place.folder, sizeof place.folder, "image");
    foreign_file_name(place.output, sizeof place.output, "printed");
    assert_true(snprintf(place.program, sizeof place.program, "%s/program", place.folder) < 600);
    place_program_copy(place_program(), place.program);
    return 0;
}

static int leave_place(void **state)
{
    (void)state;
    foreign_file_remove(place.program);
    foreign_file_remove(place.output);
    place_folder_remove(place.folder);
    return 0;
}

static int note_interpreter(struct dl_phdr_info *module, size_t size, void *out)
{
    (void)size;
    for (int i = 0; i < module->dlpi_phnum; i++)
        if (module->dlpi_phdr[i].p_type == PT_INTERP)
            *(const char **)out = (const char *)(module->dlpi_addr + module->dlpi_phdr[i].p_vaddr);
    return 1;
}

static const char *loader(void)
{
    const char *path = NULL;
    (void)dl_iterate_phdr(note_interpreter, &path);
    assert_non_null(path);
    return path;
}

static void expect(int code, const place_run *run)
{
    char printed[4096] = "";
    place_run printing = *run;
    printing.output = place.output;
    const int ended = place_program_run(&printing);
    FILE *file = fopen(place.output, "re");
    if (file) {
        printed[fread(printed, 1, sizeof printed - 1, file)] = 0;
        (void)fclose(file);
    }
    if (ended != code)
        fail_msg("%s ended with %d instead of %d and printed\n%s", run->arguments[1], ended, code,
                 printed);
}

static void expect_directly(int code, const char *scenario)
{
    expect(code,
           &(place_run){ .program = place.program, .arguments = { scenario, place.program } });
}

static void expect_by_loader(int code, const char *scenario)
{
    expect(code, &(place_run){ .program = loader(),
                               .arguments = { "./program", scenario, place.program },
                               .directory = place.folder });
}

static void a_program_run_by_the_loader_has_children(void **state)
{
    (void)state;
    expect_directly(0, "start_from_anywhere");
    expect_by_loader(0, "start_from_anywhere");
}

static void only_a_program_run_by_the_loader_needs_its_file(void **state)
{
    (void)state;
    expect_directly(0, "start_without_a_file");
    place_program_copy(place_program(), place.program);
    expect_by_loader(50 + BROOD_NOT_FOUND, "start_without_a_file");
}

static void a_replaced_file_is_not_executed(void **state)
{
    (void)state;
    expect_directly(0, "start_when_replaced");
    foreign_file_remove(place.program);
    place_program_copy(place_program(), place.program);
    expect_by_loader(50 + BROOD_NOT_FOUND, "start_when_replaced");
}

static void a_program_under_valgrind_has_children(void **state)
{
    (void)state;
    if (!VALGRIND[0]) {
        print_message("valgrind was not found by the configuration, or cannot run a program of "
                      "this kind\n");
        skip();
    }
    static const char *const modes[] = { "--trace-children=yes", "--trace-children=no" };
    for (int i = 0; i < 2; i++)
        expect(0, &(place_run){
                      .program = VALGRIND,
                      .arguments = { "-q", modes[i], place.program, "start_from_anywhere" } });
}

int main(int argc, char **argv)
{
    brood_init();
    for (size_t i = 0; argc > 1 && i < sizeof scenarios / sizeof scenarios[0]; i++)
        if (strcmp(argv[1], scenarios[i].name) == 0)
            return scenarios[i].run(argc > 2 ? argv[2] : "");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_program_run_by_the_loader_has_children, make_place,
                                        leave_place),
        cmocka_unit_test_setup_teardown(only_a_program_run_by_the_loader_needs_its_file, make_place,
                                        leave_place),
        cmocka_unit_test_setup_teardown(a_replaced_file_is_not_executed, make_place, leave_place),
        cmocka_unit_test_setup_teardown(a_program_under_valgrind_has_children, make_place,
                                        leave_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
