// SPDX-License-Identifier: MIT
// The command line of a benchmark, and its exit after an error.
#ifndef BENCH_COMMAND_H
#define BENCH_COMMAND_H

#include <stdbool.h>

// Reads a whole number from 1 to a million that ends at `end` or with the text; sets `*after` to
// what follows it.
bool command_number(const char *text, char end, int *out, const char **after);

// Reports on stderr what has failed and why, and ends the program.
_Noreturn void command_fail(const char *what, const char *sentence);

#endif
