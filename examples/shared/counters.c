// SPDX-License-Identifier: MIT
// Four processes throw dice, and count in one block of shared memory. What Python programs do with
// multiprocessing.Value and Array is done by C11 atomics here: they work between processes as they
// do between threads. Values that belong together are changed under a lock.

#include <brood/brood.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

enum { WORKERS = 4, THROWS = 6000, FACES = 6 };

// An atomic that takes a lock does so in one process only.
_Static_assert(ATOMIC_INT_LOCK_FREE == 2, "these atomics do not work between processes");

struct counters {
    atomic_int throws;       // as a Value
    atomic_int faces[FACES]; // as an Array
    // Changed together, under the lock: the longest run of one face, and which face that was.
    int run;
    int face;
};

// The argument of a worker.
struct job {
    brood_block counters;
    brood_lock lock;
    uint32_t seed;
};

static void check(brood_status status)
{
    if (status != BROOD_OK) {
        fprintf(stderr, "%s\n", brood_last_error());
        exit(EXIT_FAILURE);
    }
}

static int throw_die(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return (int)((*seed >> 16) % FACES);
}

// The lock is needed because two values change. If a process is killed while it holds the lock, the
// next one gets BROOD_OWNER_DIED, and would have to check them.
static void note_run(const struct job *job, struct counters *counters, int run, int face)
{
    check(brood_lock_acquire(job->lock, BROOD_FOREVER));
    if (run > counters->run || (run == counters->run && face < counters->face)) {
        counters->run = run;
        counters->face = face;
    }
    check(brood_lock_release(job->lock));
}

static int work(void *arg)
{
    struct job *job = arg;
    struct counters *counters = brood_block_data(job->counters); // its address in this process
    int run = 0;
    int last = -1;
    for (int i = 0; i < THROWS; i++) {
        const int face = throw_die(&job->seed);
        atomic_fetch_add_explicit(&counters->throws, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&counters->faces[face], 1, memory_order_relaxed);
        run = face == last ? run + 1 : 1;
        last = face;
        if (run > 3)
            note_run(job, counters, run, face);
    }
    return 0;
}

int main(void)
{
    brood_init();

    struct job job;
    brood_process *workers[WORKERS];
    check(brood_lock_create(&job.lock));
    check(brood_block_create(&job.counters, sizeof(struct counters))); // all zero
    for (int i = 0; i < WORKERS; i++) {
        job.seed = (uint32_t)i;
        check(brood_process_start(&workers[i], work, &job, sizeof job, NULL));
    }
    for (int i = 0; i < WORKERS; i++) {
        check(brood_process_join(workers[i], BROOD_FOREVER, NULL));
        brood_process_drop(workers[i]);
    }

    struct counters *counters = brood_block_data(job.counters);
    for (int i = 0; i < FACES; i++)
        printf("face %d: %d\n", i + 1, atomic_load(&counters->faces[i]));
    printf("%d throws, the longest run: %d times %d\n", atomic_load(&counters->throws),
           counters->run, counters->face + 1);
    check(brood_block_destroy(job.counters));
    check(brood_lock_destroy(job.lock));
    return 0;
}
