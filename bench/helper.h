// SPDX-License-Identifier: MIT
// Peers that are libraries or another language. Each is a process of its own beside the benchmark,
// with as much memory touched, and measures itself when it is asked: so the program that is
// executed, and what is forked, stay small. One provider per system, in posix/ and win32/.
#ifndef BENCH_HELPER_H
#define BENCH_HELPER_H

#include "sample.h"

enum helper { HELPER_UV, HELPER_GLIB, HELPER_PYTHON, HELPERS };

// Starts one, or does nothing when it is not on this system.
void helper_open(enum helper helper, int megabytes);

// A sample of its task of that name, in nanoseconds; -1 when it has none, or is not here.
double helper_ask(enum helper helper, const char *task, const struct quota *quota);

// Ends it.
void helper_close(enum helper helper);

#endif
