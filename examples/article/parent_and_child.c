// SPDX-License-Identifier: MIT
// A process and the child that it forks; on a system without fork, a fresh image does the same
// work.

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

static int kid(void *unused)
{
    (void)unused;
    printf("I am child process %" PRId64 " and my parent is %" PRId64 "\n", brood_self_pid(),
           brood_parent_pid());
    return 0;
}

int main(void)
{
    brood_init();

    // Printed once, also into a pipe: brood flushes stdout before it forks.
    printf("Process %" PRId64 " start\n", brood_self_pid());

    brood_process_options options = BROOD_PROCESS_OPTIONS_INIT;
    options.method = BROOD_START_FORK;
    brood_process *child;
    brood_status status = brood_process_start(&child, kid, NULL, 0, &options);
    if (status == BROOD_UNSUPPORTED) // Windows has no fork
        status = brood_process_start(&child, kid, NULL, 0, NULL);
    check(status);

    printf("I am parent process %" PRId64 " and my kid is %" PRId64 "\n", brood_self_pid(),
           brood_process_pid(child));
    brood_process_drop(child);
    return 0;
}
