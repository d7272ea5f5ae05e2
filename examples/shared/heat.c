// SPDX-License-Identifier: MIT
// Four processes compute how heat spreads over a plate. The plate is in shared memory; after every
// step the processes wait for each other at a barrier.

#include <brood/brood.h>
#include <stdio.h>

enum { SIDE = 33, STEPS = 1500, WORKERS = 4 };

typedef double plate[SIDE][SIDE];

// The argument of a worker. A block and a barrier are values like any other.
struct job {
    brood_block plates; // two of them: a step reads one and writes the other
    brood_barrier barrier;
    int worker;
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
    plate *plates = brood_block_data(job->plates); // their address in this process
    for (int step = 0; step < STEPS; step++) {
        plate *from = &plates[step % 2];
        plate *to = &plates[(step + 1) % 2];
        for (int row = 1 + job->worker; row < SIDE - 1; row += WORKERS)
            for (int column = 1; column < SIDE - 1; column++)
                (*to)[row][column] = ((*from)[row - 1][column] + (*from)[row + 1][column] +
                                      (*from)[row][column - 1] + (*from)[row][column + 1]) /
                                     4;
        check(brood_barrier_wait(job->barrier, BROOD_SECONDS(60), NULL));
    }
    return 0;
}

int main(void)
{
    brood_init();

    struct job job = { 0 };
    brood_process *workers[WORKERS];
    check(brood_block_create(&job.plates, 2 * sizeof(plate))); // all zero
    check(brood_barrier_create(&job.barrier, WORKERS));
    plate *plates = brood_block_data(job.plates);
    for (int column = 0; column < SIDE; column++)
        plates[0][0][column] = plates[1][0][column] = 100; // one side is hot

    for (job.worker = 0; job.worker < WORKERS; job.worker++)
        check(brood_process_start(&workers[job.worker], work, &job, sizeof job, NULL));
    for (int i = 0; i < WORKERS; i++) {
        check(brood_process_join(workers[i], BROOD_FOREVER, NULL));
        brood_process_drop(workers[i]);
    }
    printf("in the middle: %.1f degrees\n", plates[STEPS % 2][SIDE / 2][SIDE / 2]);
    check(brood_barrier_destroy(job.barrier));
    check(brood_block_destroy(job.plates));
    return 0;
}
