// SPDX-License-Identifier: MIT
// Starts a function in a process with an argument, and joins the process.

#include <brood/brood.h>
#include <inttypes.h>
#include <stdio.h>

static void check(brood_status status)
{
    if (status != BROOD_OK) {
        fprintf(stderr, "%s\n", brood_last_error());
        exit(EXIT_FAILURE);
    }
}

static int run_proc(void *arg)
{
    const char *name = arg;
    printf("Run child process %s (%" PRId64 ")...\n", name, brood_self_pid());
    return 0;
}

int main(void)
{
    brood_init();

    printf("Parent process %" PRId64 ".\n", brood_self_pid());
    puts("Child Process will start.");
    brood_process *child;
    check(brood_process_start(&child, run_proc, "test", sizeof "test", NULL));
    // Without the join the last line would be printed before the child ends.
    check(brood_process_join(child, BROOD_FOREVER, NULL));
    puts("Child Process end.");
    brood_process_drop(child);
    return 0;
}
