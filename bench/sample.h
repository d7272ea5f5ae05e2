// SPDX-License-Identifier: MIT
// One sample: the time of starts, each until its end has been seen.
#ifndef BENCH_SAMPLE_H
#define BENCH_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>

struct quota {
    int starts;     // the maximum, one after the other
    int64_t budget; // nanoseconds after which no further start begins
};

// Returns nanoseconds per start; negative if one fails. Makes one start first that is not counted:
// the row before may have left cold caches or write-protected pages, and which row that is differs.
double sample(bool (*start)(const void *), const void *what, const struct quota *quota);

#endif
