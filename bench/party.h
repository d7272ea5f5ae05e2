// SPDX-License-Identifier: MIT
// Threads or processes that make steps with one variant at the same time.
#ifndef BENCH_PARTY_H
#define BENCH_PARTY_H

#include "variant.h"

#include <stdint.h>

enum { MOST_PARTIES = 4 };

struct party_plan {
    enum kind kind;
    int at;         // the variant, in the lists of its kind one after the other, brood's first
    int parties;    // the calling thread is one
    bool processes; // the others are processes; otherwise threads
    int between;    // so many increments of a variable of its own a party makes after each step
    int steps;      // of each party; party_fit sets it
};

// The variant at that place, and whether it is brood's; NULL behind the last.
const struct variant *party_variant(enum kind kind, int at, bool *out_ours);

// Makes the memory where they meet. Once, before all else.
bool party_prepare(void);

// Finds out how many steps take about so long. False when they fail.
bool party_fit(struct party_plan *plan, int64_t span);

// Nanoseconds from when the first began, with all there, until the last was through; negative when
// somebody failed, or a lock did.
int64_t party_run(const struct party_plan *plan);

// Nanoseconds from the kill of a process that holds the lock until the calling thread, which waits
// for it, has it.
int64_t party_bereave(const struct party_plan *plan);

#endif
