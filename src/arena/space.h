// SPDX-License-Identifier: MIT
// The family's memory object (on Linux a file): which of its bytes belong to which part of the
// window, and where sections lie.
//
// An extent is a range of the object that belongs to the window for the life of the family: a step
// of a table, or a group of the heap's chunks. It is claimed when it is first committed, at the end
// of what has been claimed so far. So the object is as long as what is in use, which matters where
// a limit counts its length (RLIMIT_FSIZE).
//
// Claiming is lock-free. `top` is one word: the end of the claimed part, and the number of the
// extent that was claimed last. Every thread records the position of that extent before it moves
// `top` again, and a record is stored once. Invariants:
//
// 1. Every claimed extent is recorded, except possibly the one that `top` names, and its position
// follows from `top`. So a process that is killed between claiming and recording leaves nothing to
// repair: any other thread records the extent.
//
// 2. `top` grows with every change, so a compare-and-swap of `top` succeeds only if no range was
// claimed since it was loaded.
//
// 3. The slots below the limit of a table (header.h) lie in steps that are recorded and committed.
//
// A process makes the committed steps of a table accessible when it first needs one of their slots.
#ifndef SPACE_H
#define SPACE_H

#include "base/handle.h"

#include <brood/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Marks the first `used` bytes of the object as claimed.
void broodi_space_prepare(uint64_t used);

// The position of an extent in the object; the first call for an extent claims it.
uint64_t broodi_space_of_step(enum broodi_kind kind, uint32_t step);
uint64_t broodi_space_of_group(uint32_t group);

// The end of the claimed part.
uint64_t broodi_space_end(void);

// Claims `length` bytes at the end, for a section, and returns their position; false if they would
// end behind `limit`.
bool broodi_space_append(uint64_t length, uint64_t limit, uint64_t *out_at);

// The extents have numbers below broodi_space_count(), which is called with the heap's lock held.
// broodi_space_extent() returns the range of the extent with this number; false if it is not
// recorded. Every extent that ends at or before what broodi_space_end() has returned is recorded.
uint32_t broodi_space_count(void);
bool broodi_space_extent(uint32_t number, uint64_t *out_from, uint64_t *out_to);

// How many bytes of the table are committed behind the first slots.
size_t broodi_table_size(enum broodi_kind kind);

// The size in bytes of a step of the table; 0 behind the last.
size_t broodi_table_step_size(enum broodi_kind kind, uint32_t step);

// Commits the next step of the table and makes it accessible in this process. The limit is raised
// last: a process that is killed before that, or fails, leaves a step that the next call commits
// again, at the same position. Fails with BROOD_NO_MEMORY, BROOD_NO_RESOURCES.
brood_status broodi_table_grow(enum broodi_kind kind);

#endif
