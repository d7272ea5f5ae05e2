// SPDX-License-Identifier: MIT
// Targets wherever a program can have them. This program is built in many ways (targets.cmake);
// the library of plugin.h is linked with it as a shared library, or is a part of it. Without an
// argument the program does what every build must do; with the name of a scenario, what places.c
// has prepared. It does not use CMocka, with which not every build can be linked.
#include "targets.h"

#include "foreign.h"
#include "library/plugin.h"
#include "place.h"
#include <brood/brood.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATIENCE BROOD_SECONDS(60)

enum { MARK = 21 };

// Ends a scenario or a target with a code made from the line unless the condition holds.
#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void)fprintf(stderr, "line %d: %s (%s)\n", __LINE__, #condition, brood_last_error()); \
            return __LINE__ % 200 + 1;                                                             \
        }                                                                                          \
    } while (0)

static const brood_process_options fresh = { .method = BROOD_START_SPAWN };

// Whether a child with this target ends with this code.
static bool child_returns(brood_target target, const void *arg, size_t size,
                          const brood_process_options *options, int code)
{
    brood_process *process = NULL;
    brood_exit ended = { .kind = BROOD_RUNNING };
    if (brood_process_start(&process, target, arg, size, options) != BROOD_OK)
        return false;
    const brood_status joined = brood_process_join(process, PATIENCE, &ended);
    brood_process_drop(process);
    if (joined == BROOD_OK && ended.kind == BROOD_EXITED && ended.code == code)
        return true;
    char text[128];
    (void)brood_exit_text(ended, text, sizeof text);
    (void)fprintf(stderr, "the child %s instead of code %d\n", text, code);
    return false;
}

static const struct plugin_sum sum = { 30, 12 };

static bool adds(brood_target add, const brood_process_options *options)
{
    return child_returns(add, &sum, sizeof sum, options, 42);
}

// What every build must do

static int add_one(void *arg)
{
    return *(const int *)arg + 1;
}

int targets_twice(void *arg);

int targets_twice(void *arg)
{
    return *(const int *)arg * 2;
}

static int use_functions_of_the_program(void)
{
    const int number = 20;
    REQUIRE(child_returns(add_one, &number, sizeof number, NULL, 21));
    REQUIRE(child_returns(targets_twice, &number, sizeof number, NULL, 40));
    REQUIRE(child_returns((brood_target)(void (*)(void))atoi, "42", sizeof "42", NULL, 42));
    return 0;
}

static int use_functions_of_the_linked_library(void)
{
    REQUIRE(adds(plugin_adder(), NULL));
    REQUIRE(adds(plugin_add, NULL));
    REQUIRE(child_returns(plugin_marked(), NULL, 0, NULL, MARK));
    return 0;
}

static plugin_function function_of(void *library, const char *getter)
{
    plugin_function (*get)(void) =
        (plugin_function(*)(void))foreign_library_function(library, getter);
    return get ? get() : NULL;
}

static int use_functions_of_an_opened_library(void)
{
    void *library = foreign_library_open(PLUGIN_FILE_1);
    if (!library) {
        puts("skipped: this program cannot open libraries");
        return 0;
    }
    REQUIRE(adds(function_of(library, "plugin_adder"), NULL));
    REQUIRE(child_returns(function_of(library, "plugin_marked"), NULL, 0, NULL, 0));
    return 0;
}

static int start_in_a_child(void *arg)
{
    (void)arg;
    return use_functions_of_the_linked_library();
}

static int use_functions_in_a_child(void)
{
    REQUIRE(child_returns(start_in_a_child, NULL, 0, NULL, 0));
    return 0;
}

static const int32_t methods[] = { BROOD_START_DEFAULT, BROOD_START_SPAWN, BROOD_START_FORKSERVER,
                                   BROOD_START_FORK };
enum { METHODS = sizeof methods / sizeof methods[0] };

static bool is_supported(int32_t method)
{
    const brood_process_options options = { .method = method };
    brood_process *process = NULL;
    const int number = 0;
    const brood_status status =
        brood_process_start(&process, add_one, &number, sizeof number, &options);
    if (status == BROOD_OK)
        (void)brood_process_join(process, PATIENCE, NULL);
    brood_process_drop(process);
    return status != BROOD_UNSUPPORTED;
}

static int refuse_code_of_no_module(void)
{
    const brood_target code = (brood_target)place_code();
    for (int i = 0; i < METHODS; i++) {
        const brood_process_options options = { .method = methods[i] };
        brood_process *process = NULL;
        const brood_status expected = is_supported(methods[i]) ? BROOD_INVALID : BROOD_UNSUPPORTED;
        REQUIRE(brood_process_start(&process, code, NULL, 0, &options) == expected);
        REQUIRE(process == NULL);
    }
    return 0;
}

static int do_everything(void)
{
    static int (*const parts[])(void) = {
        use_functions_of_the_program,       use_functions_of_the_linked_library,
        use_functions_of_an_opened_library, use_functions_in_a_child,
        refuse_code_of_no_module,
    };
    int failed = 0;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        const int code = parts[i]();
        failed = failed ? failed : code;
    }
    return failed;
}

// Scenarios

struct facts {
    char program[1024];
    char directory[1024];
};

static void copy(char *to, size_t room, const char *text)
{
    (void)snprintf(to, room, "%s", text ? text : "");
}

static bool is_text(const char *text, const char *expected)
{
    return text && strcmp(text, expected) == 0;
}

static int find_the_same(void *arg)
{
    const struct facts *facts = arg;
    REQUIRE(is_text(place_program(), facts->program));
    REQUIRE(is_text(place_directory(), facts->directory));
    REQUIRE(is_text(place_argument(1), "find_names"));
    REQUIRE(is_text(place_argument(3), TEXT_ARGUMENT));
    REQUIRE(is_text(place_variable(TEXT_NAME), TEXT_VALUE));
    return 0;
}

static int find_changes(void *arg)
{
    const struct facts *facts = arg;
    REQUIRE(is_text(place_directory(), facts->directory));
    REQUIRE(is_text(place_variable(TEXT_NAME), TEXT_OTHER_VALUE));
    REQUIRE(is_text(place_variable(TEXT_OTHER_NAME), TEXT_OTHER_VALUE));
    return 0;
}

// The program and a library are in a folder with that name, which is the working directory too.
static int find_names(void)
{
    static const char *const changes[] = { TEXT_NAME "=" TEXT_OTHER_VALUE,
                                           TEXT_OTHER_NAME "=" TEXT_OTHER_VALUE, NULL };
    struct facts facts;
    copy(facts.program, sizeof facts.program, place_program());
    copy(facts.directory, sizeof facts.directory, place_directory());
    REQUIRE(strstr(facts.program, TEXT_FOLDER));
    REQUIRE(strstr(facts.directory, TEXT_FOLDER));
    REQUIRE(find_the_same(&facts) == 0);
    REQUIRE(child_returns(find_the_same, &facts, sizeof facts, NULL, 0));
    const brood_process_options options = { .environment = changes, .directory = facts.directory };
    REQUIRE(child_returns(find_changes, &facts, sizeof facts, &options, 0));
    void *library = foreign_library_open(place_argument(2));
    REQUIRE(library);
    REQUIRE(adds(function_of(library, "plugin_adder"), NULL));
    REQUIRE(adds(plugin_adder(), NULL));
    return 0;
}

// Argument 2 is the path of another file of the linked library.
static int identify_copies_by_their_paths(void)
{
    void *library = foreign_library_open(place_argument(2));
    REQUIRE(library);
    for (int i = 0; i < METHODS; i++) {
        const brood_process_options options = { .method = methods[i] };
        if (!is_supported(methods[i]))
            continue;
        REQUIRE(child_returns(plugin_marked(), NULL, 0, &options, MARK));
        REQUIRE(child_returns(function_of(library, "plugin_marked"), NULL, 0, &options, 0));
    }
    return 0;
}

// Another build has replaced the library of the target.
static int expect_refusal(brood_target add, const brood_process_options *options)
{
    brood_process *process = NULL;
    REQUIRE(brood_process_start(&process, add, &sum, sizeof sum, options) == BROOD_MISMATCH);
    puts(brood_last_error());
    REQUIRE(process == NULL && brood_active_children(NULL, 0) == 0);
    return 0;
}

static int refuse_a_replaced_library(void)
{
    char from[1024];
    copy(from, sizeof from, place_argument(2));
    REQUIRE(adds(plugin_adder(), &fresh));
    foreign_file_replace(from, place_argument(3));
    REQUIRE(expect_refusal(plugin_adder(), &fresh) == 0);
    // The program itself is unchanged.
    const int number = 20;
    REQUIRE(child_returns(add_one, &number, sizeof number, &fresh, 21));
    return 0;
}

// The child is in another directory, where the library's relative name leads nowhere.
static int open_by_a_relative_name(void)
{
    const brood_process_options elsewhere = { .method = BROOD_START_SPAWN, .directory = "/" };
    char name[1024];
    copy(name, sizeof name, place_argument(2));
    void *library = foreign_library_open(name);
    REQUIRE(library);
    const brood_target add = function_of(library, "plugin_adder");
    REQUIRE(adds(add, &elsewhere));
    foreign_file_replace(place_argument(3), name);
    return expect_refusal(add, &elsewhere);
}

static int start_from_a_replaced_program(void)
{
    const int number = 20;
    char self[1024];
    copy(self, sizeof self, place_program());
    foreign_file_replace(place_argument(2), self);
    if (place_image_is_kept()) {
        REQUIRE(child_returns(add_one, &number, sizeof number, &fresh, 21));
        return 0;
    }
    brood_process *process = NULL;
    REQUIRE(brood_process_start(&process, add_one, &number, sizeof number, &fresh) ==
            BROOD_MISMATCH);
    puts(brood_last_error());
    REQUIRE(process == NULL);
    return 0;
}

static bool has_output(void)
{
    return place_has_stream(1) || place_has_stream(2);
}

static int print_without_streams(void *arg)
{
    const bool with_input = *(const int *)arg;
    REQUIRE(place_has_stream(0) == with_input && !has_output());
    for (int i = 0; i < 1000; i++) {
        printf("not read: %d\n", i);
        (void)fprintf(stderr, "not read either: %d\n", i);
    }
    (void)fflush(stdout);
    REQUIRE(!has_output());
    REQUIRE(brood_registry_set("printed", 1) == BROOD_OK);
    return 7;
}

static int print_a_word(void *arg)
{
    REQUIRE(place_has_stream(1) && place_has_stream(2) == *(const bool *)arg);
    (void)printf("word");
    (void)fflush(stdout);
    (void)fprintf(stderr, " error");
    return 7;
}

// On POSIX the pipe gets the numbers of standard streams.
static int capture_one(int32_t method, bool merge)
{
    intptr_t ends[2];
    char text[32];
    size_t used = 0;
    size_t length;
    place_pipe(ends);
    brood_process_options options = { .method = method, .output = BROOD_OUTPUT_RESOURCE };
    options.output_resource = (brood_resource){ BROOD_RESOURCE_DESCRIPTOR, ends[1] };
    options.error = merge ? BROOD_OUTPUT_MERGE : BROOD_OUTPUT_INHERIT;
    REQUIRE(child_returns(print_a_word, &merge, sizeof merge, &options, 7));
    place_close(ends[1]);
    while ((length = place_read(ends[0], text + used, sizeof text - 1 - used)) > 0)
        used += length;
    text[used] = 0;
    REQUIRE(strcmp(text, merge ? "word error" : "word") == 0);
    place_close(ends[0]);
    return 0;
}

static int live_without_streams(void)
{
    REQUIRE(!place_has_stream(0) && !has_output());
    for (int i = 0; i < 2 * METHODS; i++)
        REQUIRE(!is_supported(methods[i / 2]) || capture_one(methods[i / 2], i % 2) == 0);
    for (int i = 0; i < 2 * METHODS; i++) {
        const int with_input = i % 2;
        const brood_process_options options = { .method = methods[i / 2],
                                                .input = with_input ? BROOD_INPUT_NULL
                                                                    : BROOD_INPUT_INHERIT };
        uint64_t printed = 0;
        if (!is_supported(options.method))
            continue;
        REQUIRE(brood_registry_set("printed", 0) == BROOD_OK);
        REQUIRE(child_returns(print_without_streams, &with_input, sizeof with_input, &options, 7));
        REQUIRE(brood_registry_get("printed", &printed) == BROOD_OK && printed == 1);
        REQUIRE(!place_has_stream(0) && !has_output());
    }
    return 0;
}

static int live_with_raised_privileges(void)
{
    static const int32_t denied[] = { BROOD_START_DEFAULT, BROOD_START_SPAWN,
                                      BROOD_START_FORKSERVER };
    const int number = 20;
    puts("main runs");
    REQUIRE(!getenv("BROOD_BOOT"));
    for (int i = 0; i < 3; i++) {
        const brood_process_options options = { .method = denied[i] };
        brood_process *process = NULL;
        REQUIRE(brood_process_start(&process, add_one, &number, sizeof number, &options) ==
                BROOD_DENIED);
        REQUIRE(process == NULL);
    }
    const brood_process_options fork = { .method = BROOD_START_FORK };
    REQUIRE(child_returns(add_one, &number, sizeof number, &fork, 21));
    return 0;
}

static const struct {
    const char *name;
    int (*run)(void);
} scenarios[] = {
    { "find_names", find_names },
    { "identify_copies_by_their_paths", identify_copies_by_their_paths },
    { "refuse_a_replaced_library", refuse_a_replaced_library },
    { "open_by_a_relative_name", open_by_a_relative_name },
    { "start_from_a_replaced_program", start_from_a_replaced_program },
    { "live_without_streams", live_without_streams },
    { "live_with_raised_privileges", live_with_raised_privileges },
};

int main(void)
{
    // Marks the linked library, in each process that is not a copy.
    plugin_mark(MARK);
    brood_init();
    const char *scenario = place_argument(1);
    for (size_t i = 0; scenario && i < sizeof scenarios / sizeof scenarios[0]; i++)
        if (strcmp(scenario, scenarios[i].name) == 0)
            return scenarios[i].run();
    return do_everything();
}
