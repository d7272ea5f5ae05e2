// SPDX-License-Identifier: MIT
// Peers that are libraries or another language. Each is a process of its own, with as much memory
// touched as the benchmark, and measures itself on request, so that the program that is executed
// and forked stays small. One provider per system, in posix/ and win32/.
#ifndef BENCH_RUNNER_H
#define BENCH_RUNNER_H

#include "sample.h"

enum runner { RUNNER_UV, RUNNER_GLIB, RUNNER_PYTHON, RUNNERS };

// Starts a runner; does nothing if it is not available on this system.
void runner_open(enum runner runner, int megabytes);

// Requests a sample of the runner's task of that name, in nanoseconds; -1 if it has no such task,
// or is not available.
double runner_ask(enum runner runner, const char *task, const struct quota *quota);

// Ends a runner.
void runner_close(enum runner runner);

#endif
