// SPDX-License-Identifier: MIT
// Peers that are libraries or another language. Each is a process of its own, with as much memory
// touched as the benchmark, and measures itself on request, so that the program that is executed
// and forked stays small. One provider per system, in posix/ and win32/.
#ifndef BENCH_HELPER_H
#define BENCH_HELPER_H

#include "sample.h"

enum helper { HELPER_UV, HELPER_GLIB, HELPER_PYTHON, HELPERS };

// Starts a helper; does nothing if it is not available on this system.
void helper_open(enum helper helper, int megabytes);

// Requests a sample of the helper's task of that name, in nanoseconds; -1 if it has no such task,
// or is not available.
double helper_ask(enum helper helper, const char *task, const struct quota *quota);

// Ends a helper.
void helper_close(enum helper helper);

#endif
