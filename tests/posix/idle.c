// SPDX-License-Identifier: MIT
// A family that waits costs next to nothing: a waiting thread wakes up once a second.
#include "../meeting.h"

#include <dirent.h>

enum { THREADS = 200, SPAN = 3 }; // seconds

static int wait_for_message(void *arg)
{
    const brood_queue queue = *(brood_queue *)arg;
    char byte;
    return (int)brood_queue_get(queue, &byte, 1, NULL, BROOD_FOREVER);
}

// How often this thread of this process has gone to sleep.
static long sleeps_of(const char *task)
{
    char path[64];
    char line[128];
    long sleeps = 0;
    (void)snprintf(path, sizeof path, "/proc/self/task/%.16s/status", task);
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file))
        (void)sscanf(line, "voluntary_ctxt_switches: %ld", &sleeps);
    if (file)
        (void)fclose(file);
    return sleeps;
}

static long sleeps_of_all(void)
{
    long sleeps = 0;
    DIR *tasks = opendir("/proc/self/task");
    assert_non_null(tasks);
    for (const struct dirent *task; (task = readdir(tasks));)
        if (task->d_name[0] != '.')
            sleeps += sleeps_of(task->d_name);
    (void)closedir(tasks);
    return sleeps;
}

static void await_rest(void)
{
    const int64_t deadline = brood_clock() + MEETING_PATIENCE;
    while (sleeps_of_all() < THREADS) {
        assert_true(brood_clock() < deadline);
        brood_sleep(BROOD_MILLISECONDS(10));
    }
}

// Twice that many are allowed, since the machine may be busy.
static void waiting_threads_wake_up_once_a_second(void **state)
{
    (void)state;
    brood_queue queue;
    brood_thread *threads[THREADS];
    assert_status(brood_queue_create(&queue, 1, 1), BROOD_OK);
    for (int i = 0; i < THREADS; i++)
        threads[i] = started_thread(wait_for_message, &queue, sizeof queue);
    await_rest();
    const int64_t begin = brood_clock();
    const long before = sleeps_of_all();
    brood_sleep(BROOD_SECONDS(SPAN));
    const long sleeps = sleeps_of_all() - before;
    const double seconds = (double)(brood_clock() - begin) / (double)BROOD_SECONDS(1);
    assert_status(brood_queue_close(queue), BROOD_OK);
    for (int i = 0; i < THREADS; i++)
        assert_thread_ends(threads[i], BROOD_CLOSED);
    assert_status(brood_queue_destroy(queue), BROOD_OK);
    print_message("%.0f sleeps a second of %d threads\n", (double)sleeps / seconds, (int)THREADS);
    assert_true((double)sleeps < 2 * THREADS * seconds);
}

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waiting_threads_wake_up_once_a_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
