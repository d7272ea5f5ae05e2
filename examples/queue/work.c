// SPDX-License-Identifier: MIT
// Three workers take tasks from a queue, and are killed again and again while they work. Each task
// is done all the same: what a worker has taken and not released goes back to the queue when the
// worker dies. So a task may be done twice, and the parent counts each result once.

#include <brood/brood.h>
#include <stdbool.h>
#include <stdio.h>

enum { TASKS = 40, WORKERS = 3, KILLED = 6 };

struct task {
    int number;
};

struct result {
    int number; // of the task
    int square;
};

// The argument of a worker. A queue is a value like any other.
struct job {
    brood_queue tasks;
    brood_queue results;
};

static void check(brood_status status)
{
    if (status != BROOD_OK) {
        fprintf(stderr, "%s\n", brood_last_error());
        exit(EXIT_FAILURE);
    }
}

static int work(void *arg)
{
    const struct job *job = arg;
    brood_message message;
    brood_status status = BROOD_OK;
    while (status == BROOD_OK &&
           (status = brood_queue_take(job->tasks, &message, BROOD_FOREVER)) == BROOD_OK) {
        const struct task *task = message.data;
        brood_sleep(BROOD_MILLISECONDS(5)); // the work takes a while
        const struct result result = { task->number, task->number * task->number };
        status = brood_queue_put(job->results, &result, sizeof result, BROOD_FOREVER);
        brood_queue_release(job->tasks, &message); // done: the task is not delivered again
    }
    return status == BROOD_CLOSED ? 0 : 1;
}

static void start(brood_process **worker, const struct job *job)
{
    check(brood_process_start(worker, work, job, sizeof *job, NULL));
}

static void replace(brood_process **worker, const struct job *job)
{
    check(brood_process_kill(*worker));
    check(brood_process_join(*worker, BROOD_FOREVER, NULL));
    brood_process_drop(*worker);
    start(worker, job);
}

// Waits for a result of each task; kills a worker after every few of them.
static int collect(brood_process **workers, const struct job *job, int *killed)
{
    bool done[TASKS] = { false };
    int sum = 0;
    for (int left = TASKS; left > 0;) {
        struct result result;
        check(brood_queue_get(job->results, &result, sizeof result, NULL, BROOD_SECONDS(50)));
        if (done[result.number])
            continue; // its worker was killed between the result and the release
        done[result.number] = true;
        sum += result.square;
        if (--left % 6 == 0 && *killed < KILLED) {
            replace(&workers[rand() % WORKERS], job);
            ++*killed;
        }
    }
    return sum;
}

int main(void)
{
    brood_init();

    struct job job;
    brood_process *workers[WORKERS];
    int killed = 0;
    check(brood_queue_create(&job.tasks, TASKS, sizeof(struct task)));
    check(brood_queue_create(&job.results, WORKERS, sizeof(struct result)));
    for (int i = 0; i < WORKERS; i++)
        start(&workers[i], &job);
    for (int i = 0; i < TASKS; i++) {
        const struct task task = { i };
        check(brood_queue_put(job.tasks, &task, sizeof task, BROOD_FOREVER));
    }

    const int sum = collect(workers, &job, &killed);
    printf("%d tasks done, %d workers killed, sum of the squares: %d\n", TASKS, killed, sum);
    check(brood_queue_close(job.tasks)); // all results are there: the workers end
    check(brood_queue_close(job.results));
    for (int i = 0; i < WORKERS; i++)
        brood_process_drop(workers[i]);
    return 0;
}
