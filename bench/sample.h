// SPDX-License-Identifier: MIT
// One sample: how long a start takes, until its end has been seen.
#ifndef BENCH_SAMPLE_H
#define BENCH_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>

struct quota {
    int starts;     // at most so many on end
    int64_t budget; // nanoseconds, after which no other is begun
};

// Nanoseconds for one; negative when one fails.
double sample(bool (*start)(const void *), const void *what, const struct quota *quota);

#endif
