// SPDX-License-Identifier: MIT
// The processors. One provider per system, in posix/ and win32/.
#ifndef BENCH_CPU_H
#define BENCH_CPU_H

#include <stdbool.h>
#include <stdint.h>

// Nanoseconds of processor time that all threads of this process have used.
int64_t cpu_time(void);

// Restricts this process and its later children to one processor. Called first in main.
bool cpu_restrict(void);

#endif
