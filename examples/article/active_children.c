// SPDX-License-Identifier: MIT
// Starts five children that sleep, and lists those that are still running.

#include <brood/brood.h>
#include <inttypes.h>
#include <stdio.h>

struct job {
    char name[16];
    int seconds;
};

static void check(brood_status status)
{
    if (status != BROOD_OK) {
        fprintf(stderr, "%s\n", brood_last_error());
        exit(EXIT_FAILURE);
    }
}

static int run_proc(void *arg)
{
    const struct job *job = arg;
    brood_sleep(BROOD_SECONDS(job->seconds));
    printf("Run child process %s (%" PRId64 ")...\n", job->name, brood_self_pid());
    return 0;
}

static void print_active_children(void)
{
    const size_t capacity = brood_active_children(NULL, 0);
    brood_process **children = calloc(capacity + 1, sizeof *children);
    if (children == NULL) {
        fputs("out of memory\n", stderr);
        exit(EXIT_FAILURE);
    }
    // Some may have ended since they were counted. There cannot be more, since only this thread
    // starts children.
    const size_t count = brood_active_children(children, capacity);
    for (size_t i = 0; i < count; i++) {
        printf("Child process name:%s id:%" PRId64 "\n", brood_process_name(children[i]),
               brood_process_pid(children[i]));
        brood_process_drop(children[i]);
    }
    free(children);
}

int main(void)
{
    brood_init();

    printf("Parent process %" PRId64 ".\n", brood_self_pid());
    for (int i = 0; i < 5; i++) {
        struct job job = { .seconds = i };
        snprintf(job.name, sizeof job.name, "test%d", i);
        puts("Child Process will start.");
        check(brood_process_start(NULL, run_proc, &job, sizeof job, NULL));
    }
    printf("CPU number: %u\n", brood_cpu_count());
    print_active_children();
    fflush(stdout); // now, not after the children, which are joined when main returns
    return 0;
}
