// SPDX-License-Identifier: MIT
// What bench/sync compares: an object that threads or processes, the parties, share, and one step
// with it. brood's variants are in objects.c, those of the operating system in posix/ and win32/,
// one provider each. C++ code includes this header, too.
#ifndef BENCH_VARIANT_H
#define BENCH_VARIANT_H

#include <stdbool.h>

// The step of each kind. Parties are counted from 0.
enum kind {
    KIND_LOCK,      // acquires, calls visit_touch(), releases
    KIND_EVENT,     // waits for the caller's turn, then passes it on; party 0 begins
    KIND_SEMAPHORE, // the same
    KIND_CONDITION, // the same
    KIND_BARRIER,   // waits for all parties
    KIND_NOTHING,   // does nothing
    KIND_WORD,      // waits for its turn by polling a word, then passes it on
    KIND_ANY_FEW,   // waits for any of 2 things, then makes one of the other party's ready
    KIND_ANY_SOME,  // the same with 64
    KIND_ANY_MANY,  // the same with 1000
    KINDS
};

// The party of a step.
struct visit {
    int party;
    int parties;
    volatile long *touched; // guarded by a lock: counts the steps of all parties
};

static inline void visit_touch(const struct visit *visit)
{
    *visit->touched = *visit->touched + 1;
}

// Bytes for an object, zero, aligned to a cache line, in memory that all parties share.
enum { VARIANT_ROOM = 256 };

struct variant {
    const char *name; // NULL: not available
    bool (*make)(void *object, int parties);
    void (*destroy)(void *object); // by the party that made it; may be NULL
    bool (*enter)(void *object);   // once in each process, before its steps; may be NULL
    bool (*step)(void *object, const struct visit *visit);
    // For a lock that reports the death of its holder; otherwise NULL. `inherit` acquires it and
    // sets `*out_died` if the previous holder had died.
    bool (*inherit)(void *object, bool *out_died);
    bool (*release)(void *object);
    bool within_process; // not usable between processes
    // Goals: the maximum for brood's first variant, as a multiple of this one, without contention
    // and with it; 0: no goal.
    double alone_at_most;
    double most;
};

// Variants of brood and of the system: lists that end with NULL. The others are compared with the
// system's first.
const struct variant *const *objects_of(enum kind kind);
const struct variant *const *variants_of(enum kind kind);

#endif
