// SPDX-License-Identifier: MIT
#include "sample.h"

#include <brood/brood.h>

double sample(bool (*start)(const void *), const void *what, const struct quota *quota)
{
    if (!start(what))
        return -1;
    const int64_t begin = brood_clock();
    int64_t now = begin;
    int count = 0;
    while (count < quota->starts && now - begin < quota->budget) {
        if (!start(what))
            return -1;
        count++;
        now = brood_clock();
    }
    return count > 0 ? (double)(now - begin) / count : -1;
}
