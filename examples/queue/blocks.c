// SPDX-License-Identifier: MIT
// Two workers add up numbers in blocks of shared memory. The queue moves only the handles of the
// blocks: no number is copied, and a worker frees each block that it has added up.

#include <brood/brood.h>
#include <stdint.h>
#include <stdio.h>

enum { BLOCKS = 6, NUMBERS = 100000, WORKERS = 2 };

// A message: a block, and how many numbers it contains.
struct work {
    brood_block numbers;
    size_t count;
};

// The argument of a worker.
struct job {
    brood_queue blocks;
    brood_queue sums;
};

static void check(brood_status status)
{
    if (status != BROOD_OK) {
        fprintf(stderr, "%s\n", brood_last_error());
        exit(EXIT_FAILURE);
    }
}

static int add_up(void *arg)
{
    const struct job *job = arg;
    struct work work;
    brood_status status;
    while ((status = brood_queue_get(job->blocks, &work, sizeof work, NULL, BROOD_FOREVER)) ==
           BROOD_OK) {
        const uint32_t *numbers = brood_block_data(work.numbers); // their address in this process
        uint64_t sum = 0;
        for (size_t i = 0; i < work.count; i++)
            sum += numbers[i];
        check(brood_block_destroy(work.numbers));
        check(brood_queue_put(job->sums, &sum, sizeof sum, BROOD_FOREVER));
    }
    return status == BROOD_CLOSED ? 0 : 1;
}

static void put_block(brood_queue queue, uint32_t first)
{
    struct work work = { .count = NUMBERS };
    check(brood_block_create(&work.numbers, NUMBERS * sizeof(uint32_t)));
    uint32_t *numbers = brood_block_data(work.numbers);
    for (uint32_t i = 0; i < NUMBERS; i++)
        numbers[i] = first + i;
    check(brood_queue_put(queue, &work, sizeof work, BROOD_FOREVER)); // the worker's from here on
}

int main(void)
{
    brood_init();

    struct job job;
    check(brood_queue_create(&job.blocks, 2, sizeof(struct work))); // at most two blocks wait
    check(brood_queue_create(&job.sums, BLOCKS, sizeof(uint64_t)));
    for (int i = 0; i < WORKERS; i++)
        check(brood_process_start(NULL, add_up, &job, sizeof job, NULL));
    for (uint32_t i = 0; i < BLOCKS; i++)
        put_block(job.blocks, i * NUMBERS);
    check(brood_queue_close(job.blocks));

    uint64_t sum = 0;
    for (int i = 0; i < BLOCKS; i++) {
        uint64_t part;
        check(brood_queue_get(job.sums, &part, sizeof part, NULL, BROOD_SECONDS(50)));
        sum += part;
    }
    printf("%d blocks, the sum is %llu\n", BLOCKS, (unsigned long long)sum);
    return 0;
}
