// SPDX-License-Identifier: MIT
// How the threads and processes of a test communicate: by numbers under names in the family's
// registry, and by the exit code of a child. A child never asserts: CHECK returns the line of its
// failed expectation.
#ifndef MEETING_H
#define MEETING_H

// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <brood/brood.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Upper bound for every wait of the tests: a longer wait is a failure. Programs are about ten times
// slower with the thread sanitizer and in an emulator.
#if defined(__SANITIZE_THREAD__) || defined(BROOD_EMULATED)
#define MEETING_PATIENCE BROOD_SECONDS(240)
#else
#define MEETING_PATIENCE BROOD_SECONDS(60)
#endif

// In a target: returns this line as the exit code if the condition is false.
#define CHECK(condition)     \
    do {                     \
        if (!(condition))    \
            return __LINE__; \
    } while (0)

// In a test: checks a status of brood, and prints the library's message if it differs.
#define assert_status(call, expected) meeting_expect((call), (expected), #call, __FILE__, __LINE__)

static inline void meeting_expect(brood_status status, brood_status expected, const char *call,
                                  const char *file, int line)
{
    if (status == expected)
        return;
    print_error("%s: %s instead of %s (%s)\n", call, brood_status_name(status),
                brood_status_name(expected), brood_last_error());
    _fail(file, line);
}

static inline void assert_last_error_names(const char *operation)
{
    if (!strstr(brood_last_error(), operation))
        fail_msg("\"%s\" does not name %s", brood_last_error(), operation);
}

// The number under this name; 0 if there is none.
static inline uint64_t noted(const char *name)
{
    uint64_t value = 0;
    return brood_registry_get(name, &value) == BROOD_OK ? value : 0;
}

static inline void note(const char *name, uint64_t value)
{
    if (brood_registry_set(name, value) == BROOD_OK)
        return;
    (void)fprintf(stderr, "note %s: %s\n", name, brood_last_error());
    abort();
}

// The same for names that end in a number.
static inline void note_of(const char *what, unsigned number, uint64_t value)
{
    char name[32];
    (void)snprintf(name, sizeof name, "%s %u", what, number);
    note(name, value);
}

static inline uint64_t noted_of(const char *what, unsigned number)
{
    char name[32];
    (void)snprintf(name, sizeof name, "%s %u", what, number);
    return noted(name);
}

// Waits until the number is at least `least`; false after MEETING_PATIENCE.
static inline bool await_note(const char *name, uint64_t least)
{
    const int64_t deadline = brood_clock() + MEETING_PATIENCE;
    while (noted(name) < least) {
        if (brood_clock() > deadline)
            return false;
        brood_sleep(BROOD_MILLISECONDS(1));
    }
    return true;
}

static inline brood_process *started_process(brood_target target, const void *arg, size_t size)
{
    brood_process *process = NULL;
    assert_status(brood_process_start(&process, target, arg, size, NULL), BROOD_OK);
    assert_non_null(process);
    return process;
}

static inline brood_thread *started_thread(brood_target target, const void *arg, size_t size)
{
    brood_thread *thread = NULL;
    assert_status(brood_thread_start(&thread, target, arg, size, NULL), BROOD_OK);
    assert_non_null(thread);
    return thread;
}

// Joins the child, which must end by itself with `code`, and drops it.
static inline void assert_process_ends(brood_process *process, int code)
{
    brood_exit ended = { .kind = BROOD_RUNNING };
    assert_status(brood_process_join(process, MEETING_PATIENCE, &ended), BROOD_OK);
    if (ended.kind != BROOD_EXITED || ended.code != code) {
        char text[128];
        (void)brood_exit_text(ended, text, sizeof text);
        fail_msg("%s %s instead of code %d", brood_process_name(process), text, code);
    }
    brood_process_drop(process);
}

static inline void assert_thread_ends(brood_thread *thread, int code)
{
    int ended = -1;
    assert_status(brood_thread_join(thread, MEETING_PATIENCE, &ended), BROOD_OK);
    assert_int_equal(ended, code);
    brood_thread_drop(thread);
}

// Kills the child, waits for its end, and drops it.
static inline void kill_process(brood_process *process)
{
    assert_status(brood_process_kill(process), BROOD_OK);
    assert_status(brood_process_join(process, MEETING_PATIENCE, NULL), BROOD_OK);
    brood_process_drop(process);
}

#endif
