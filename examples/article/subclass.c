// SPDX-License-Identifier: MIT
// A process as a struct with a run function: the C form of a class derived from a process class.

#include <brood/brood.h>
#include <stdio.h>

struct my_process {
    int i;
};

static void check(brood_status status)
{
    if (status != BROOD_OK) {
        fprintf(stderr, "%s\n", brood_last_error());
        exit(EXIT_FAILURE);
    }
}

// Runs in the child, on the child's own copy of the struct.
static int my_process_run(void *copy)
{
    const struct my_process *self = copy;
    printf("%d\n", self->i);
    return 0;
}

static brood_status my_process_start(const struct my_process *self)
{
    return brood_process_start(NULL, my_process_run, self, sizeof *self, NULL);
}

int main(void)
{
    brood_init();

    for (int i = 0; i < 10; i++) {
        const struct my_process process = { i };
        check(my_process_start(&process));
    }
    return 0;
}
