// SPDX-License-Identifier: MIT
// What bench/sync compares: an object that threads or processes meet at, and one step with it.
// brood's own are in objects.c, those of the operating system in posix/ and win32/, one provider
// each. C++ reads this too.
#ifndef BENCH_VARIANT_H
#define BENCH_VARIANT_H

#include <stdbool.h>

// What a step is. Parties are counted from 0.
enum kind {
    KIND_LOCK,  // acquires, calls visit_touch(), releases
    KIND_EVENT, // waits until it is the caller's turn, then gives it to the other; party 0 is the
                // first
    KIND_SEMAPHORE, // the same
    KIND_CONDITION, // the same
    KIND_BARRIER,   // waits for all parties
    KIND_NOTHING,   // does nothing
    KIND_WORD, // waits for its turn by looking at a word all the time, then gives it to the other
    KINDS
};

// Where a party is.
struct visit {
    int party;
    int parties;
    volatile long *touched; // what a lock guards: it counts the steps of all
};

static inline void visit_touch(const struct visit *visit)
{
    *visit->touched = *visit->touched + 1;
}

// Bytes for an object, zero, aligned to a cache line, in memory that all parties share.
enum { VARIANT_ROOM = 256 };

struct variant {
    const char *name; // NULL: not here
    bool (*make)(void *object, int parties);
    void (*destroy)(void *object); // by who made it; may be NULL
    bool (*enter)(void *object);   // once in each process, before its steps; may be NULL
    bool (*step)(void *object, const struct visit *visit);
    // Of a lock whose holder's death is noticed; NULL otherwise. The first acquires it; `*out_died`
    // is whether the holder before had died.
    bool (*inherit)(void *object, bool *out_died);
    bool (*release)(void *object);
    bool within_process; // it is no matter between processes
    // Goals: the most that the first of brood's may take, in times this one, when nobody else is
    // there and with others; 0: there is none.
    double alone_at_most;
    double most;
};

// Of brood, and of the system: lists that end with NULL. The first of the system's is what all are
// compared with.
const struct variant *const *objects_of(enum kind kind);
const struct variant *const *variants_of(enum kind kind);

#endif
