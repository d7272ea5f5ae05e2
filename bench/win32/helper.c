// SPDX-License-Identifier: MIT
// Windows has no helpers.
#include "../helper.h"

void helper_open(enum helper helper, int megabytes)
{
    (void)helper;
    (void)megabytes;
}

double helper_ask(enum helper helper, const char *task, const struct quota *quota)
{
    (void)helper;
    (void)task;
    (void)quota;
    return -1;
}

void helper_close(enum helper helper)
{
    (void)helper;
}
