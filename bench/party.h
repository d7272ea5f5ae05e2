// SPDX-License-Identifier: MIT
// Parties: threads or processes that make steps with the same variant at the same time.
#ifndef BENCH_PARTY_H
#define BENCH_PARTY_H

#include "variant.h"

#include <stdint.h>

struct party_plan {
    enum kind kind;
    int at;         // index of the variant in the lists of its kind, brood's list first
    int parties;    // including the calling thread
    bool processes; // the others are processes; otherwise threads
    int between;    // number of increments of a variable of its own after each step
    int steps;      // of each party; party_fit sets it
};

// The variant at that index, and whether it is brood's; NULL after the last.
const struct variant *party_variant(enum kind kind, int at, bool *out_ours);

// Allocates the memory that the parties share. Called once, first.
bool party_prepare(void);

// Determines the number of steps that take about `span`. False if a step fails.
bool party_fit(struct party_plan *plan, int64_t span);

// Nanoseconds from the first party's start, with all present, to the last party's end; negative
// if a party failed, or a lock did not exclude others.
int64_t party_run(const struct party_plan *plan);

// Nanoseconds from the kill of a process that holds the lock until the calling thread, which
// waits for it, has acquired it.
int64_t party_bereave(const struct party_plan *plan);

#endif
