// SPDX-License-Identifier: MIT
// The gaps that ended sections have left between other sections and extents (space.h). They are
// derived from the slots of the blocks; the heap's data (heap.h) remembers one gap, and what
// cannot be found. The caller of these functions holds the heap's lock.
#ifndef GAP_H
#define GAP_H

#include <stdbool.h>
#include <stdint.h>

// Allocates a range of the memory object for a section: a gap in the part that is in use, or else
// the range behind that part. False if it would end behind `limit`.
bool broodi_gap_allocate(uint64_t length, uint64_t limit, uint64_t *out_place);

// Remembers the range that was freed last, so that the next section can use it without a search.
void broodi_gap_add(uint64_t place, uint64_t length);

// Resets what is remembered of gaps.
void broodi_gaps_forget(void);

#endif
