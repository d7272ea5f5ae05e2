// SPDX-License-Identifier: MIT
// What a library has to offer to the helper that is made of it: its tasks, ended by one without a
// name.
#ifndef BENCH_LIBRARY_H
#define BENCH_LIBRARY_H

#include <stdbool.h>

struct task {
    const char *name;
    bool (*run)(const void *image); // the program to execute, if it is to be one
};

extern const struct task library_tasks[];

#endif
