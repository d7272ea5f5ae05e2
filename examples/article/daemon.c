// SPDX-License-Identifier: MIT
// A daemon child does not keep its parent running: this program ends at once and prints nothing.

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
    brood_sleep(BROOD_SECONDS(1));
    printf("Run child process %s (%" PRId64 ")...\n", name, brood_self_pid()); // never reached
    return 0;
}

int main(void)
{
    brood_init();

    brood_process_options options = BROOD_PROCESS_OPTIONS_INIT;
    options.daemon = BROOD_DAEMON_YES;
    check(brood_process_start(NULL, run_proc, "test", sizeof "test", &options));
    return 0; // the daemon is stopped here
}
