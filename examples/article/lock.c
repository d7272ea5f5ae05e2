// SPDX-License-Identifier: MIT
// Four processes print one word each; a lock keeps the lines whole.

#include <brood/brood.h>
#include <stdio.h>

// The argument of a child. Its bytes are copied, and the lock is a value like any other.
struct job {
    char item[16];
    brood_lock lock;
};

static void check(brood_status status)
{
    if (status != BROOD_OK) {
        fprintf(stderr, "%s\n", brood_last_error());
        exit(EXIT_FAILURE);
    }
}

static int printer(void *arg)
{
    const struct job *job = arg;
    check(brood_lock_acquire(job->lock, BROOD_FOREVER));
    puts(job->item);
    fflush(stdout); // the line is out before the next holder prints
    check(brood_lock_release(job->lock));
    return 0; // the exit code of the child
}

int main(void)
{
    brood_init(); // a child runs its target in here, and never returns

    static const char *const items[] = { "chinese", "english", "spanish", "japanese" };
    struct job job = { 0 };
    check(brood_lock_create(&job.lock));
    for (size_t i = 0; i < sizeof items / sizeof items[0]; i++) {
        snprintf(job.item, sizeof job.item, "%s", items[i]);
        check(brood_process_start(NULL, printer, &job, sizeof job, NULL));
    }
    return 0; // children that were not joined are joined here
}
