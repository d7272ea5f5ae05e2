// SPDX-License-Identifier: MIT
// The ways in which a child ends, and what happens then, in the order in which it happens.
#ifndef STEPS_H
#define STEPS_H

#include "meeting.h"
#include "methods.h"
#include "text_file.h"

#include <brood/process.h>

// Steps: numbers that the processes of a family append to one list.

static inline void begin_steps(void)
{
    brood_lock lock;
    assert_status(brood_lock_create(&lock), BROOD_OK);
    note("lock of steps", lock.id);
    note("steps", 0);
}

static inline void append_step(uint64_t step)
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

static inline void forget_steps(void)
{
    const brood_lock lock = { noted("lock of steps") };
    assert_status(brood_lock_destroy(lock), BROOD_OK);
}

static inline void assert_steps(const uint64_t *expected, size_t count)
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
static inline void append(void *arg)
{
    append_step((uint64_t)(uintptr_t)arg);
}

static inline brood_status append_at_exit(unsigned step)
{
    return brood_at_exit(append, (void *)(uintptr_t)step);
}

// How a child ends.
enum way { BY_RETURN, BY_EXIT, BY_SHUTDOWN, WAYS };

// The last statement of a target.
static inline int leave(int way, int code)
{
    if (way == BY_EXIT)
        exit(code);
    if (way == BY_SHUTDOWN)
        CHECK(brood_shutdown(MEETING_PATIENCE) == BROOD_OK);
    return code;
}

// A child that writes to a file, and how it ends.
struct printer {
    int way;
    struct place place;
};

static inline int note_a_start(void *arg)
{
    (void)arg;
    note("started in spite of the end", 1);
    return 0;
}

// Returns the line of a start that succeeded although the end has begun, or 0.
static inline int line_of_a_start(void)
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
    CHECK(brood_clock() - before < BROOD_SECONDS(10));
    return 0;
}

#endif
