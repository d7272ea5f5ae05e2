// SPDX-License-Identifier: MIT
// Children of the tests: how they are started, what they run, and how they end.
#ifndef CHILDREN_H
#define CHILDREN_H

#include "meeting.h"
#include "methods.h"

#include <brood/process.h>

// Targets

static inline int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static inline int code_of_argument(void *arg)
{
    return *(int *)arg;
}

// Lives until the test notes "leave".
static inline int stay(void *arg)
{
    (void)arg;
    CHECK(await_note("leave", 1));
    return 0;
}

static inline int stay_for_ever(void *arg)
{
    (void)arg;
    note("stays", (uint64_t)brood_self_pid());
    (void)await_note("never", 1);
    return 0;
}

// Starts

static inline brood_process *started_with(brood_target target, const void *arg, size_t size,
                                          const brood_process_options *options)
{
    brood_process *process = NULL;
    assert_status(brood_process_start(&process, target, arg, size, options), BROOD_OK);
    assert_non_null(process);
    return process;
}

static inline brood_process *started_by(int32_t method, brood_target target, const void *arg,
                                        size_t size)
{
    const brood_process_options options = { .method = method };
    brood_process *process = NULL;
    assert_status(brood_process_start(&process, target, arg, size, &options), BROOD_OK);
    return process;
}

static inline brood_process *started_stayer(void)
{
    note("leave", 0);
    return started_process(stay, NULL, 0);
}

// Ends

// Joins the child and drops it.
static inline brood_exit end_of(brood_process *process)
{
    brood_exit ended = { .kind = BROOD_RUNNING };
    assert_status(brood_process_join(process, MEETING_PATIENCE, &ended), BROOD_OK);
    brood_process_drop(process);
    return ended;
}

static inline void assert_end(brood_exit ended, brood_exit_kind kind, brood_crash crash, int number)
{
    char text[128];
    (void)brood_exit_text(ended, text, sizeof text);
    if (ended.kind != (int32_t)kind || ended.crash != (int32_t)crash ||
        brood_exit_number(ended) != number)
        fail_msg("kind %d, crash %d, number %d (%s) instead of %d, %d, %d", (int)ended.kind,
                 (int)ended.crash, brood_exit_number(ended), text, (int)kind, (int)crash, number);
    for (size_t i = 0; i < sizeof ended.reserved / sizeof ended.reserved[0]; i++)
        assert_true(ended.reserved[i] == 0);
}

static inline void end_stayer(brood_process *process)
{
    note("leave", 1);
    assert_process_ends(process, 0);
}

// Expects the target to return 0 under each method of the system.
static inline void expect_success_under_each_method(brood_target target)
{
    for (int32_t method = BROOD_START_SPAWN; method <= BROOD_START_FORK; method++)
        if (system_has(method))
            assert_process_ends(started_by(method, target, NULL, 0), 0);
}

// For targets: the exit code of a child that is started and joined, or -1 if there is none.
static inline int code_of_child(int32_t method, brood_target target, const void *arg, size_t size)
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

#endif
