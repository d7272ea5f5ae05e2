// SPDX-License-Identifier: MIT
// The runner program of a library, run by runner.c: start_library MEGABYTES IMAGE
#include "library.h"

#include "../peers.h"
#include "../sample.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double answer(const char *name, const char *image, const struct quota *quota)
{
    const struct task *task = library_tasks;
    while (task->name && strcmp(task->name, name) != 0)
        task++;
    return task->name ? sample(task->run, image, quota) : -1;
}

int main(int argc, char **argv)
{
    char name[32];
    long long budget;
    struct quota quota;
    if (argc != 3 || !peer_touch(atoi(argv[1])))
        return EXIT_FAILURE;
    while (scanf("%31s %d %lld", name, &quota.starts, &budget) == 3) {
        quota.budget = budget;
        printf("%.3f\n", answer(name, argv[2], &quota));
        (void)fflush(stdout);
    }
    return EXIT_SUCCESS;
}
