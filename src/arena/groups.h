// SPDX-License-Identifier: MIT
// Groups of slots, for scans of a whole table: after a peak the table stays large, and a scan must
// not cost more than the slots that are in use.
//
// The slots of a table are divided into groups. Each group has a word {changes 31, ANY 1}, and a
// scan skips the groups without ANY. Invariant: a group with a taken slot has ANY, except while its
// taker is between the compare-and-swap that takes the slot and the return of broodi_groups_add().
// No scan needs to find the slot before that return: its taker has not used it. If the taker is
// killed there, ANY is usually set all the same, by broodi_groups_expect(); otherwise the next
// count of the table (allocator.c) sets it. The burial of a process finds the slot without ANY
// (burial.c).
//
// The taker sets ANY and counts a change, after it has taken the slot. A scan that finds no taken
// slot in a group clears ANY by compare-and-swap from the word that it loaded before it checked the
// slots. If the taker's change of the word precedes that load, the scan finds the slot taken. If it
// comes after the load, either the swap fails, or ANY is set again after the swap. The 31 bits of
// changes come round only if 2^31 of them happen between the load and the swap.
#ifndef GROUPS_H
#define GROUPS_H

#include "base/handle.h"

#include <stdint.h>

// Called before a slot is taken: sets ANY if it is not set. Then the slot is found even if its
// taker is killed before the second call, unless a scan has cleared ANY in between. And called
// after the slot is taken: sets ANY and counts a change.
void broodi_groups_expect(enum broodi_kind kind, uint32_t index);
void broodi_groups_add(enum broodi_kind kind, uint32_t index);

// The low bits of a slot's index that number it within its group. Set when the arena is created or
// opened, constant afterwards.
extern uint32_t broodi_group_masks[BROODI_KINDS];
void broodi_groups_prepare(void);

// The first slot of the first group, from the group that begins at `index` on, that may have a
// taken slot; at least `limit` when there is none below `limit`. Clears ANY of the groups that it
// finds without a taken slot. `index` itself for tables without groups.
uint32_t broodi_groups_next(enum broodi_kind kind, uint32_t index, uint32_t limit);

// For scans: the first slot from `index` on whose group may have a taken slot; at least `limit`
// when there is none below `limit`. A group is checked only at its first slot.
static inline uint32_t broodi_slot_next(enum broodi_kind kind, uint32_t index, uint32_t limit)
{
    return index & broodi_group_masks[kind] ? index : broodi_groups_next(kind, index, limit);
}

#endif
