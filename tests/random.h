// SPDX-License-Identifier: MIT
// Pseudo-random numbers that repeat with the same seed (Marsaglia's xorshift), and the
// environment variables of tests that can run long.
#ifndef RANDOM_H
#define RANDOM_H

#include "meeting.h"

// Returns the next number; `state` starts as the seed, which must not be 0.
static inline uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

// Chooses and prints a seed; BROOD_SOAK_SEED=<number> repeats a run.
static inline uint64_t soak_seed(void)
{
    const char *given = getenv("BROOD_SOAK_SEED");
    const unsigned long long seed =
        given ? strtoull(given, NULL, 10)
              : (unsigned long long)brood_clock() ^ (unsigned long long)brood_self_pid();
    print_message("BROOD_SOAK_SEED=%llu\n", seed);
    return seed | 1;
}

// The number of rounds of a soak test: `few` by default, `whole` with BROOD_SOAK=1, N with
// another BROOD_SOAK=N.
static inline int soak_amount(int few, int whole)
{
    const char *soak = getenv("BROOD_SOAK");
    const int wanted = soak ? (int)strtol(soak, NULL, 10) : 0;
    return wanted == 1 ? whole : wanted > 0 ? wanted : few;
}

#endif
