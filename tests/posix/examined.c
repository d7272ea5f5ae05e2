// SPDX-License-Identifier: MIT
// A program that uses locks, a barrier and blocks, to be run under valgrind
// (tools/check-valgrind): `examined method...` starts a child by each method, and a thread.
#include <brood/brood.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOCKS = 200, LARGE = 3 << 20 };

struct objects {
    brood_lock locks[LOCKS];
    brood_barrier barrier;
    brood_block small;
    brood_block large;
};

static void must(brood_status status, const char *what)
{
    if (status == BROOD_OK)
        return;
    (void)fprintf(stderr, "%s: %s\n", what, brood_last_error());
    exit(1);
}

#define MUST(call) must((call), #call)

static int use(void *arg)
{
    const struct objects *objects = arg;
    for (int i = 0; i < LOCKS; i++) {
        MUST(brood_lock_acquire(objects->locks[i], BROOD_FOREVER));
        MUST(brood_lock_release(objects->locks[i]));
    }
    MUST(brood_barrier_wait(objects->barrier, BROOD_SECONDS(300), NULL));
    MUST(brood_lock_acquire(objects->locks[0], BROOD_FOREVER));
    memset(brood_block_data(objects->small), 1, 1000);
    memset(brood_block_data(objects->large), 1, LARGE);
    MUST(brood_lock_release(objects->locks[0]));
    return 7;
}

static int32_t method_of(const char *name)
{
    if (strcmp(name, "fork") == 0)
        return BROOD_START_FORK;
    return strcmp(name, "spawn") == 0 ? BROOD_START_SPAWN : BROOD_START_FORKSERVER;
}

static void use_with_child(struct objects *objects, const char *method)
{
    brood_process *child;
    brood_exit ended;
    const brood_process_options options = { .method = method_of(method) };
    MUST(brood_process_start(&child, use, objects, sizeof *objects, &options));
    (void)use(objects);
    MUST(brood_process_join(child, BROOD_FOREVER, &ended));
    brood_process_drop(child);
    if (ended.kind != BROOD_EXITED || ended.code != 7) {
        (void)fprintf(stderr, "%s: kind %d, code %d\n", method, (int)ended.kind, (int)ended.code);
        exit(1);
    }
}

static void use_with_thread(struct objects *objects)
{
    brood_thread *thread;
    MUST(brood_thread_start(&thread, use, objects, sizeof *objects, NULL));
    (void)use(objects);
    MUST(brood_thread_join(thread, BROOD_FOREVER, NULL));
    brood_thread_drop(thread);
}

int main(int argc, char **argv)
{
    brood_init();
    static struct objects objects;
    for (int i = 0; i < LOCKS; i++)
        MUST(brood_lock_create(&objects.locks[i]));
    MUST(brood_barrier_create(&objects.barrier, 2));
    MUST(brood_block_create(&objects.small, 1000));
    MUST(brood_block_create(&objects.large, LARGE));
    for (int i = 1; i < argc; i++)
        use_with_child(&objects, argv[i]);
    use_with_thread(&objects);
    MUST(brood_block_destroy(objects.large));
    return 0;
}
