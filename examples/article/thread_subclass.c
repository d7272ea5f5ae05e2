// SPDX-License-Identifier: MIT
// A thread as a struct with a run function, like the process in subclass.c.

#include <brood/brood.h>
#include <stdio.h>

struct my_thread {
    int i;
};

static void check(brood_status status)
{
    if (status != BROOD_OK) {
        fprintf(stderr, "%s\n", brood_last_error());
        exit(EXIT_FAILURE);
    }
}

// Runs in the thread, on the thread's own copy of the struct.
static int my_thread_run(void *copy)
{
    const struct my_thread *self = copy;
    printf("%d\n", self->i);
    return 0;
}

static brood_status my_thread_start(const struct my_thread *self)
{
    return brood_thread_start(NULL, my_thread_run, self, sizeof *self, NULL);
}

int main(void)
{
    brood_init();

    for (int i = 0; i < 10; i++) {
        const struct my_thread thread = { i };
        check(my_thread_start(&thread));
    }
    return 0;
}
