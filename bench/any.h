// SPDX-License-Identifier: MIT
// Waiting for any of many: each party has `count` things, one of which the other party makes
// ready. Common to the variants of brood and of the systems.
#ifndef BENCH_ANY_H
#define BENCH_ANY_H

#include "variant.h"

enum { ANY_FEW = 2, ANY_SOME = 64, ANY_MANY = 1000 };

// How many things a party of this kind has; 0: another kind.
static inline int any_count(enum kind kind)
{
    switch (kind) {
    case KIND_ANY_FEW:
        return ANY_FEW;
    case KIND_ANY_SOME:
        return ANY_SOME;
    case KIND_ANY_MANY:
        return ANY_MANY;
    default:
        return 0;
    }
}

// Which of them is the next one: each after some others.
static inline int any_next(int count)
{
    static _Thread_local unsigned turn;
    turn += 7;
    return (int)(turn % (unsigned)count);
}

// The variants of this kind, ends with NULL: brood's, and the system's.
const struct variant *const *any_of_brood(enum kind kind);
const struct variant *const *any_of_system(enum kind kind);

#endif
