// SPDX-License-Identifier: MIT
// The family's memory object (on Linux a file): which bytes of it belong to which part of the
// window, and where sections lie.
//
// An extent is a range that belongs to the window for the life of the family: a step of a table, or
// a group of the heap's chunks. It is claimed when it is first committed, at the end of what has
// been claimed so far. So the object is as long as what is in use, which matters where a limit
// counts its length (RLIMIT_FSIZE).
//
// Claiming is lock-free: `top` holds the end of the claimed part and the extent that was claimed
// last. Whoever wants to move it first records that extent, so a process that is killed between
// claiming and recording leaves nothing open.
#ifndef SPACE_H
#define SPACE_H

#include "handle.h"
#include "heap.h"

#include <stdbool.h>
#include <stdint.h>

enum { BROODI_TABLE_STEPS = 16 };

// In the header of the arena.
struct broodi_space {
    _Atomic uint64_t top;
    // By kind and step: where the step lies in the object; 0: not claimed.
    _Atomic uint64_t steps[BROODI_KINDS][BROODI_TABLE_STEPS];
};

// Begins with the first bytes of the object in use.
void broodi_space_prepare(uint64_t used);

// Where an extent lies in the object; claimed at the first call for it.
uint64_t broodi_space_of_step(enum broodi_kind kind, uint32_t step);
uint64_t broodi_space_of_group(uint32_t group);

// The end of what has been claimed.
uint64_t broodi_space_end(void);

// Claims so many bytes behind that, for a section, and tells where; false if they would end behind
// `limit`.
bool broodi_space_append(uint64_t length, uint64_t limit, uint64_t *out_at);

// The extents have numbers below broodi_space_count(). Where the extent with this number lies;
// false if there is none. After broodi_space_end() all are known that end before that.
uint32_t broodi_space_count(void);
bool broodi_space_extent(uint32_t number, uint64_t *out_from, uint64_t *out_to);

#endif
