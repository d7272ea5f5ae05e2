// SPDX-License-Identifier: MIT
// What both benchmarks do: measure rows that are to be compared in turn, and print them.
//
// A round measures every row once; odd rounds go through the rows backwards, so that a machine that
// gets slower or faster meanwhile does so to all of them. A row shows quartiles of its rounds, and
// its median over that of the row it is compared with. Only such ratios are worth anything.
#ifndef BENCH_TABLE_H
#define BENCH_TABLE_H

#include "sample.h"

#include <stdbool.h>

struct row {
    const char *name; // NULL: there is no such thing on this system
    int base;         // the row it is compared with
    // Nanoseconds for one; negative when it fails. NULL: not here.
    double (*sample)(const void *what, const struct quota *quota);
    const void *what;
    bool ours;       // must not fail
    double *samples; // one of each round, sorted after the last; NULL: not here
};

struct table {
    struct row *rows;
    int count;
    int rounds;
    struct quota quota; // of one sample
};

// The first sample of each row is not kept, and tells whether it is here. A row of ours that fails
// ends the program, and so does any that fails later.
void table_measure(const struct table *table);

// The caption is what the table shows. Times are printed in units of so many nanoseconds.
void table_print(const struct table *table, const char *caption, const char *unit,
                 double nanoseconds);

// Prints whether the median of ours is at most so many times the median of theirs, if both are
// here.
void table_print_goal(const struct table *table, int ours, int theirs, double most);

// The same of a number of nanoseconds.
void table_print_limit(const struct table *table, int ours, int64_t most);

void table_free(const struct table *table);

#endif
