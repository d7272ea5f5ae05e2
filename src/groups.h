// SPDX-License-Identifier: MIT
// Which slots of a table may be taken, for those who look at all of them: after a peak the table
// stays large, and a scan must not cost more than what is in use.
//
// The slots are divided into groups. Each group has a word {changes 31, any 1}. Whoever takes a
// slot sets `any` and counts a change, behind the compare-and-swap that takes the slot and before
// anybody has to find it. A scan skips groups without `any`. It takes `any` away from a group in
// which it finds no taken slot, by compare-and-swap from the word that it loaded before it looked:
// a slot that was taken before that load is seen, and one that was taken later has changed the word
// or sets `any` again.
#ifndef GROUPS_H
#define GROUPS_H

#include "atomic.h"
#include "handle.h"

#include <stdint.h>

enum { BROODI_GROUPS = 3137 }; // of all tables that are scanned: see groups.c

// In the header of the arena.
struct broodi_groups {
    _Atomic uint32_t words[BROODI_GROUPS];
};

// The slot is about to be taken: so that it is found if its taker is killed before it has said so.
// And: it has been taken.
void broodi_groups_expect(enum broodi_kind kind, uint32_t index);
void broodi_groups_add(enum broodi_kind kind, uint32_t index);

// The slots of a group are numbered by these low bits. Set before there is a family, constant
// afterwards.
extern uint32_t broodi_group_masks[BROODI_KINDS];
void broodi_groups_prepare(void);

// The first group from that of `index`, which is its first slot, on that may have a taken slot; at
// least `limit` when there is none below that.
uint32_t broodi_groups_next(enum broodi_kind kind, uint32_t index, uint32_t limit);

// For scans: the first slot from `index` on that may be taken; at least `limit` when there is none
// below that.
static inline uint32_t broodi_slot_next(enum broodi_kind kind, uint32_t index, uint32_t limit)
{
    return index & broodi_group_masks[kind] ? index : broodi_groups_next(kind, index, limit);
}

#endif
