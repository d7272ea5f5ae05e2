// SPDX-License-Identifier: MIT
// Groups of slots, for scans of a whole table: after a peak the table stays large, and a scan must
// not cost more than the slots that are in use.
//
// The slots of a table are divided into groups. Each group has a word {changes 31, ANY 1}, and a
// scan skips the groups without ANY. Invariant: a group with a taken slot has ANY, except while its
// taker is between the compare-and-swap that takes the slot and the return of broodi_groups_add().
// Until then no scan needs to find the slot. If the taker is killed there, the next count of the
// table sets ANY.
//
// The taker sets ANY and counts a change, after it has taken the slot. A scan that finds no taken
// slot in a group clears ANY by compare-and-swap from the word that it loaded before it checked the
// slots. So a slot that was taken before the load is found; and when one is taken later, the taker
// changes the word, so that either the swap fails or ANY is set again after it.
#ifndef GROUPS_H
#define GROUPS_H

#include "base/handle.h"

#include <stdint.h>

// Before a slot is taken: sets ANY if it is not set, so that the slot is found if its taker is
// killed before the second call. After it is taken: sets ANY and counts a change.
void broodi_groups_expect(enum broodi_kind kind, uint32_t index);
void broodi_groups_add(enum broodi_kind kind, uint32_t index);

// The low bits of a slot's index that number it within its group. Set before the arena is used,
// constant afterwards.
extern uint32_t broodi_group_masks[BROODI_KINDS];
void broodi_groups_prepare(void);

// The first slot of the first group, from the group that begins at `index` on, that has ANY and may
// have a taken slot; at least `limit` when there is none below `limit`.
uint32_t broodi_groups_next(enum broodi_kind kind, uint32_t index, uint32_t limit);

// For scans: the first slot from `index` on whose group may have a taken slot; at least `limit`
// when there is none below `limit`.
static inline uint32_t broodi_slot_next(enum broodi_kind kind, uint32_t index, uint32_t limit)
{
    return index & broodi_group_masks[kind] ? index : broodi_groups_next(kind, index, limit);
}

#endif
