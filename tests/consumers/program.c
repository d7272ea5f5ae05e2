// SPDX-License-Identifier: MIT
// A program outside brood's tree: runs a function in a process, which counts under a lock.
#include <brood/brood.h>
#include <stdio.h>

struct job {
    brood_lock lock;
    brood_block counter;
};

static int count(void *arg)
{
    const struct job *job = (const struct job *)arg;
    int *counter = (int *)brood_block_data(job->counter);
    if (!counter || brood_lock_acquire(job->lock, BROOD_FOREVER) != BROOD_OK)
        return 1;
    *counter += 1;
    return brood_lock_release(job->lock) == BROOD_OK ? 7 : 2;
}

int main(void)
{
    brood_init();
    struct job job;
    brood_process *process = NULL;
    brood_exit report = { 0 };
    if (brood_lock_create(&job.lock) != BROOD_OK ||
        brood_block_create(&job.counter, sizeof(int)) != BROOD_OK ||
        brood_process_start(&process, count, &job, sizeof job, NULL) != BROOD_OK ||
        brood_process_join(process, BROOD_SECONDS(60), &report) != BROOD_OK) {
        fprintf(stderr, "%s\n", brood_last_error());
        return 1;
    }
    printf("C, brood %s: %d, %d\n", brood_version(), (int)report.code,
           *(const int *)brood_block_data(job.counter));
    brood_process_drop(process);
    return 0;
}
