// SPDX-License-Identifier: MIT
// Common to all benchmarks: measures rows in turn, so that they can be compared, and prints
// them.
//
// A round measures every row once; odd rounds in reverse order, so that a machine that gets
// slower or faster meanwhile affects all rows. A row shows the quartiles of its rounds, and the
// ratio of its median to that of the row it is compared with. Only ratios are comparable between
// machines.
#ifndef BENCH_TABLE_H
#define BENCH_TABLE_H

#include "sample.h"

#include <stdbool.h>

struct row {
    const char *name; // NULL: not on this system
    int base;         // the row it is compared with
    // Returns nanoseconds per start or step; negative on failure. NULL: not available.
    double (*sample)(const void *what, const struct quota *quota);
    const void *what;
    bool ours; // must not fail
    // Returns the nanoseconds of processor time per start or step of the last sample. NULL: not
    // shown.
    double (*effort)(const void *what);
    const char *missing; // why it is not available; or NULL
    // Returns why the last sample failed, a text that stays. NULL: not known.
    const char *(*error)(void);
    const char *note; // shown behind the figures; or NULL
    double *samples;  // one per round, sorted after the last round; NULL: not available
    double *efforts;  // the same
};

struct table {
    struct row *rows;
    int count;
    int rounds;
    struct quota quota; // of one sample
};

// Measures all rows. The first sample of each row is discarded; if it fails, a row of ours ends
// the program, and any other counts as not available. A later failure of any row ends the
// program.
void table_measure(const struct table *table);

// Prints the table under a caption, with times in units of `nanoseconds` nanoseconds.
void table_print(const struct table *table, const char *caption, const char *unit,
                 double nanoseconds);

// The row with the lowest median of those that are not ours; -1 if none is available.
int table_best(const struct table *table);

// The median of a row; negative if it is not available.
double table_median(const struct table *table, int row);
double table_median_effort(const struct table *table, int row);

// Prints whether the median of row `ours` is at most `most` times that of row `theirs`, if both
// are available.
void table_print_goal(const struct table *table, int ours, int theirs, double most);

// The same for a limit in nanoseconds.
void table_print_limit(const struct table *table, int ours, int64_t most);

void table_free(const struct table *table);

#endif
