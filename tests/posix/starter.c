// SPDX-License-Identifier: MIT
// A copy that is made while the starter thread of this process is being created: the copy has no
// such thread, and creates its own.
#include "../meeting.h"

#include "../methods.h"
#include "base/atomic.h"

#include <pthread.h>

// The linker redirects calls of these two functions of the C library to the ones below. The first
// of these calls in the creation of a starter is delayed.
int __real_pthread_atfork(void (*)(void), void (*)(void), void (*)(void));
int __wrap_pthread_atfork(void (*)(void), void (*)(void), void (*)(void));
int __real_pthread_create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
int __wrap_pthread_create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

static atomic_bool stops;
static atomic_bool stopped;

static void stop_once(void)
{
    if (!atomic_exchange(&stops, false))
        return;
    atomic_store(&stopped, true);
    brood_sleep(BROOD_MILLISECONDS(200)); // time in which the copy is made
}

int __wrap_pthread_atfork(void (*before)(void), void (*in_parent)(void), void (*in_child)(void))
{
    stop_once();
    return __real_pthread_atfork(before, in_parent, in_child);
}

int __wrap_pthread_create(pthread_t *out, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *arg)
{
    stop_once();
    return __real_pthread_create(out, attributes, run, arg);
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

// The first start of its process by a thread other than the main one.
static int start_one(void *arg)
{
    static const brood_process_options executed = { .method = BROOD_START_SPAWN };
    brood_process *process;
    atomic_store(&stops, *(bool *)arg);
    CHECK(brood_process_start(&process, nothing, NULL, 0, &executed) == BROOD_OK);
    CHECK(brood_process_join(process, MEETING_PATIENCE, NULL) == BROOD_OK);
    brood_process_drop(process);
    return 0;
}

static int start_one_in_a_thread(void *arg)
{
    const bool stop = false;
    brood_thread *thread;
    int code = -1;
    (void)arg;
    CHECK(brood_thread_start(&thread, start_one, &stop, sizeof stop, NULL) == BROOD_OK);
    CHECK(brood_thread_join(thread, MEETING_PATIENCE, &code) == BROOD_OK);
    brood_thread_drop(thread);
    return code;
}

static void a_copy_made_while_the_starter_is_created_creates_its_own(void **state)
{
    (void)state;
    const bool stop = true;
    skip_unless_copies_are_safe_beside_threads();
    brood_thread *thread = started_thread(start_one, &stop, sizeof stop);
    while (!atomic_load(&stopped))
        brood_sleep(BROOD_MILLISECONDS(1));
    assert_int_equal(platform_guest(start_one_in_a_thread, NULL), 0);
    assert_thread_ends(thread, 0);
    assert_int_equal(platform_guest(start_one_in_a_thread, NULL), 0); // and with a starter
}

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_copy_made_while_the_starter_is_created_creates_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
