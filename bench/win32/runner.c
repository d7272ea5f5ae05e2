// SPDX-License-Identifier: MIT
// Windows has no runners.
#include "../runner.h"

void runner_open(enum runner runner, int megabytes)
{
    (void)runner;
    (void)megabytes;
}

double runner_ask(enum runner runner, const char *task, const struct quota *quota)
{
    (void)runner;
    (void)task;
    (void)quota;
    return -1;
}

void runner_close(enum runner runner)
{
    (void)runner;
}
