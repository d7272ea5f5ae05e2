// SPDX-License-Identifier: MIT
// A function in a thread.

#include <brood/brood.h>
#include <stdio.h>

static void check(brood_status status)
{
    if (status != BROOD_OK) {
        fprintf(stderr, "%s\n", brood_last_error());
        exit(EXIT_FAILURE);
    }
}

static int run_thread(void *arg)
{
    const char *name = arg;
    puts(name);
    return 0;
}

int main(void)
{
    brood_init();

    check(brood_thread_start(NULL, run_thread, "Test", sizeof "Test", NULL));
    return 0; // threads that were not joined are joined here
}
