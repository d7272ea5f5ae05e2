// SPDX-License-Identifier: MIT
// A correct program for checkers of data races, which see the program and not the inside of the
// library: what one thread writes before it lets another go on, by any object, the other reads
// afterwards. It is built with the thread sanitizer and linked to an ordinary build of the
// library.
#include <brood/brood.h>
#include <stdio.h>
#include <stdlib.h>

enum { TURNS = 1000 };

static struct {
    brood_lock lock;
    brood_semaphore semaphore;
    brood_event event;
    brood_condition condition;
    brood_barrier barrier;
} shared;

static brood_once_flag once = BROOD_ONCE_INIT;

// Written by one thread and read by the other, each ordered by what it is named for.
static int by_lock;
static int by_semaphore;
static int by_event;
static int by_condition;
static int by_barrier[2];
static int by_once;
static int by_registry;
static int by_stop;
static int by_join;

static void require(brood_status status)
{
    if (status == BROOD_OK)
        return;
    (void)fprintf(stderr, "%s\n", brood_last_error());
    exit(1);
}

static void run_once(void)
{
    by_once++;
}

static void count(void)
{
    for (int i = 0; i < TURNS; i++) {
        require(brood_lock_acquire(shared.lock, BROOD_FOREVER));
        by_lock++;
        require(brood_lock_release(shared.lock));
    }
}

// Memory that one thread frees and the other allocates.
static void use_blocks(void)
{
    for (int i = 0; i < TURNS / 10; i++) {
        brood_block block = { 0 };
        require(brood_block_create(&block, 64));
        int *number = brood_block_data(block);
        (*number)++;
        require(brood_block_destroy(block));
    }
}

static int wait_at_barrier(int own)
{
    by_barrier[own] = 1;
    require(brood_barrier_wait(shared.barrier, BROOD_FOREVER, NULL));
    use_blocks();
    brood_once(&once, run_once);
    return by_barrier[1 - own] + by_once;
}

static int work(void *arg)
{
    int *own = arg; // a copy of the caller's
    own[0]++;
    count();
    by_semaphore = 1;
    require(brood_semaphore_release(shared.semaphore, 1));
    by_event = 1;
    require(brood_event_set(shared.event));
    require(brood_lock_acquire(shared.lock, BROOD_FOREVER));
    by_condition = 1;
    require(brood_condition_notify_all(shared.condition));
    require(brood_lock_release(shared.lock));
    by_join = wait_at_barrier(1);
    by_registry = 1;
    require(brood_registry_set("registry", 1));
    require(brood_stop_wait(BROOD_FOREVER));
    by_join += by_stop + own[0];
    return 0;
}

static void await_registry(void)
{
    uint64_t value = 0;
    while (brood_registry_get("registry", &value) != BROOD_OK)
        brood_sleep(BROOD_MILLISECONDS(1));
}

// How many of the values have been seen: 10 if all.
static int read_all(brood_thread *thread)
{
    int seen = 0;
    count();
    require(brood_semaphore_acquire(shared.semaphore, BROOD_FOREVER));
    seen += by_semaphore;
    require(brood_event_wait(shared.event, BROOD_FOREVER));
    seen += by_event;
    require(brood_lock_acquire(shared.lock, BROOD_FOREVER));
    while (!by_condition)
        require(brood_condition_wait(shared.condition, shared.lock, BROOD_FOREVER));
    seen += by_condition;
    require(brood_lock_release(shared.lock));
    seen += wait_at_barrier(0);
    await_registry();
    seen += by_registry;
    by_stop = 1;
    require(brood_thread_request_stop(thread));
    require(brood_thread_join(thread, BROOD_FOREVER, NULL));
    return seen + by_join;
}

int main(void)
{
    brood_init();
    brood_thread *thread = NULL;
    const int arg[2] = { 0, 0 };
    require(brood_lock_create(&shared.lock));
    require(brood_semaphore_create(&shared.semaphore, 0, 0));
    require(brood_event_create(&shared.event));
    require(brood_condition_create(&shared.condition));
    require(brood_barrier_create(&shared.barrier, 2));
    require(brood_thread_start(&thread, work, arg, sizeof arg, NULL));
    const int seen = read_all(thread);
    brood_thread_drop(thread);
    (void)printf("%d of 10, %d of %d\n", seen, by_lock, 2 * TURNS);
    return seen == 10 && by_lock == 2 * TURNS ? 0 : 1;
}
