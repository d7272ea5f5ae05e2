// SPDX-License-Identifier: MIT
// The tasks of a library, for its runner program; the last has no name.
#ifndef BENCH_LIBRARY_H
#define BENCH_LIBRARY_H

#include <stdbool.h>

struct task {
    const char *name;
    bool (*run)(const void *image); // the program for tasks that execute one
};

extern const struct task library_tasks[];

#endif
