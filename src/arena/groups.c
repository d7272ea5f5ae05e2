// SPDX-License-Identifier: MIT
#include "arena/groups.h"

#include "arena/family.h"
#include "base/invariant.h"

#define ANY UINT32_C(1)
#define ONE_CHANGE UINT32_C(2)

// The first group word of a kind, and the number of its groups; 0: the table has no groups.
static const struct {
    uint32_t at;
    uint32_t count;
} groups_of[BROODI_KINDS] = {
    [BROODI_THREAD] = { 0, 1024 },       [BROODI_PROCESS] = { 1024, 512 },
    [BROODI_LOCK] = { 1536, 512 },       [BROODI_BLOCK] = { 2048, 512 },
    [BROODI_PARTY] = { 2560, 512 },      [BROODI_NAME] = { 3072, 64 },
    [BROODI_OWN_LOCK] = { 3136, 1 },     [BROODI_PIECE] = { 3137, 512 },
    [BROODI_QUEUE_LOCK] = { 3649, 512 }, [BROODI_USER] = { 4161, 512 },
};

uint32_t broodi_group_masks[BROODI_KINDS];

void broodi_groups_prepare(void)
{
    for (int kind = 1; kind < BROODI_KINDS; kind++) {
        uint32_t mask = 0;
        while (groups_of[kind].count &&
               broodi_family.views[kind].capacity > groups_of[kind].count * (mask + 1))
            mask = 2 * mask + 1;
        broodi_group_masks[kind] = mask;
    }
}

static bool is_scanned(enum broodi_kind kind)
{
    return groups_of[kind].count > 0;
}

static _Atomic uint32_t *word_of(enum broodi_kind kind, uint32_t index)
{
    const uint32_t group = index / (broodi_group_masks[kind] + 1);
    broodi_assert(group < groups_of[kind].count);
    return &broodi_family.header->groups.words[groups_of[kind].at + group];
}

void broodi_groups_expect(enum broodi_kind kind, uint32_t index)
{
    if (is_scanned(kind) &&
        !(atomic_load_explicit(word_of(kind, index), memory_order_relaxed) & ANY))
        broodi_groups_add(kind, index);
}

// Sequentially consistent: a waker changes a state word, then scans the groups of threads behind a
// seq_cst fence. It must find every thread that had published its wait and then loaded the old
// state (wait_portable.c), so it must not load a word of a group from before this swap.
void broodi_groups_add(enum broodi_kind kind, uint32_t index)
{
    if (!is_scanned(kind))
        return;
    _Atomic uint32_t *word = word_of(kind, index);
    uint32_t seen = atomic_load_explicit(word, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(word, &seen, (seen + ONE_CHANGE) | ANY,
                                                  memory_order_seq_cst, memory_order_relaxed))
        continue;
}

static bool is_taken(enum broodi_kind kind, uint32_t index)
{
    const broodi_word *word = broodi_slot(kind, index);
    return broodi_slot_is_live(atomic_load_explicit(&word->state, memory_order_acquire));
}

// Whether the group that begins at `first` may have a taken slot; clears ANY if it has none. The
// end of the table is loaded after the word, whose load is an acquire: a slot's taker has raised
// the end above the slot, or seen that it is, before it changed the word, so this function loads
// one above the slot, too.
static bool has_any(enum broodi_kind kind, uint32_t first)
{
    broodi_assert((first & broodi_group_masks[kind]) == 0);
    _Atomic uint32_t *word = word_of(kind, first);
    uint32_t seen = atomic_load_explicit(word, memory_order_acquire);
    if (!(seen & ANY))
        return false;
    const uint32_t end = broodi_slot_end(kind);
    const uint32_t last = first | broodi_group_masks[kind];
    for (uint32_t index = first; index <= last && index < end; index++)
        if (is_taken(kind, index))
            return true;
    return !atomic_compare_exchange_strong_explicit(word, &seen, (seen + ONE_CHANGE) & ~ANY,
                                                    memory_order_seq_cst, memory_order_relaxed);
}

uint32_t broodi_groups_next(enum broodi_kind kind, uint32_t index, uint32_t limit)
{
    while (is_scanned(kind) && index < limit && !has_any(kind, index))
        index += broodi_group_masks[kind] + 1;
    return index;
}
