// SPDX-License-Identifier: MIT
// Parties: threads or processes that start together, and where they meet.
#ifndef BENCH_CREW_H
#define BENCH_CREW_H

#include <brood/process.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../src/base/atomic.h"

// Upper bound for the wait for the end of a party.
#define CREW_PATIENCE BROOD_SECONDS(60)

enum { CREW_MOST = 8 };

// In memory that all parties share; zero at first.
struct gathering {
    _Atomic int arrived;
    _Atomic bool failed;
    int64_t begin[CREW_MOST];
    int64_t end[CREW_MOST];
};

bool gathering_has_failed(const struct gathering *gathering);
void gathering_fail(struct gathering *gathering);

// Arrives, and waits until `arrivals` arrivals were made in all. False if a party has failed.
bool gathering_meet(struct gathering *gathering, int arrivals);

// Nanoseconds from the first begin to the last end of these parties.
int64_t gathering_time(const struct gathering *gathering, int parties);

struct crew {
    struct gathering *gathering;
    int parties;                     // including the calling thread
    brood_target as_thread;          // what a party does, and what it does as a process
    brood_target as_process;         // its result is 0 if all went well
    bool processes;                  // the other parties are processes; otherwise threads
    const brood_resource *resources; // passed to each process
    size_t resource_count;
    void *part; // the argument of a party, which begins with its number, an int
    size_t part_size;
};

// Runs all parties, of which the calling thread is number 0. False if one of them fails.
bool crew_run(const struct crew *crew);

// Starts one party as a process.
brood_status crew_start(brood_process **out, const struct crew *crew, brood_target target);

// Joins and drops it. False if its result was not 0.
bool crew_join_process(brood_process *process);
bool crew_join_thread(brood_thread *thread);

#endif
