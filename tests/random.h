// SPDX-License-Identifier: MIT
// Numbers that look random and come again with the same seed (Marsaglia's xorshift), and what the
// environment says to tests that run for long.
#ifndef RANDOM_H
#define RANDOM_H

#include "meeting.h"

// The next number; `state` is the seed at first, and not 0.
static inline uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

// A seed, which is printed: BROOD_SOAK_SEED=<number> repeats a run.
static inline uint64_t soak_seed(void)
{
    const char *given = getenv("BROOD_SOAK_SEED");
    const unsigned long long seed =
        given ? strtoull(given, NULL, 10)
              : (unsigned long long)brood_clock() ^ (unsigned long long)brood_self_pid();
    print_message("BROOD_SOAK_SEED=%llu\n", seed);
    return seed | 1;
}

// How much of a soak is wanted: a few by itself, `whole` with BROOD_SOAK=1, as many as it says with
// another number.
static inline int soak_amount(int few, int whole)
{
    const char *soak = getenv("BROOD_SOAK");
    const int wanted = soak ? (int)strtol(soak, NULL, 10) : 0;
    return wanted == 1 ? whole : wanted > 0 ? wanted : few;
}

#endif
