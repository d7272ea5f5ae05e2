// SPDX-License-Identifier: MIT
#include "memory/gap.h"

#include "arena/groups.h"
#include "arena/space.h"
#include "base/fault.h"
#include "base/invariant.h"
#include "memory/block_slot.h"
#include "sync/lock.h"

#include <stdlib.h>

static struct broodi_heap *heap(void)
{
    return &broodi_family.header->heap;
}

// Resets `hopeless`, since a search that failed before may now find this range.
void broodi_gap_add(uint64_t place, uint64_t length)
{
    broodi_assert(broodi_own_lock_is_held(heap()->lock));
    broodi_assert(place % BROODI_HEAP_CHUNK == 0 && length % BROODI_HEAP_CHUNK == 0);
    heap()->gap = place;
    heap()->gap_length = length;
    heap()->hopeless = 0;
}

void broodi_gaps_forget(void)
{
    heap()->gap_length = 0;
    heap()->hopeless = 0;
}

struct range {
    uint64_t from;
    uint64_t to;
};

static int compare(const void *a, const void *b)
{
    const struct range *one = a;
    const struct range *other = b;
    return (one->from > other->from) - (one->from < other->from);
}

static bool is_live_section(uint32_t index)
{
    const uint64_t state = broodi_word_load(&broodi_block_at(index)->state);
    return broodi_slot_is_live(state) && broodi_memory_is_section(state);
}

static size_t add_extents(struct range *ranges)
{
    size_t count = 0;
    for (uint32_t number = 0; number < broodi_space_count(); number++)
        count += broodi_space_extent(number, &ranges[count].from, &ranges[count].to);
    return count;
}

static size_t count_sections(void)
{
    size_t count = 0;
    const uint32_t limit = broodi_slot_limit(BROODI_BLOCK);
    for (uint32_t index = 0; (index = broodi_slot_next(BROODI_BLOCK, index, limit)) < limit;
         index++)
        count += is_live_section(index);
    return count;
}

// Adds at most `most`. The caller holds the lock, so no section is created in the meantime.
static size_t add_sections(struct range *ranges, size_t most)
{
    size_t count = 0;
    const uint32_t limit = broodi_slot_limit(BROODI_BLOCK);
    for (uint32_t index = 0; (index = broodi_slot_next(BROODI_BLOCK, index, limit)) < limit;
         index++)
        if (count < most && is_live_section(index)) {
            const uint64_t from = broodi_block_place_of(broodi_block_at(index));
            ranges[count++] =
                (struct range){ from, from + broodi_section_length_of(broodi_block_at(index)) };
        }
    return count;
}

// Returns all extents and sections, sorted by place; NULL when out of memory.
static struct range *sort_ranges(size_t *out_count)
{
    const size_t sections = count_sections();
    struct range *ranges = broodi_alloc((sections + broodi_space_count() + 1) * sizeof *ranges);
    if (!ranges)
        return NULL;
    *out_count = add_extents(ranges);
    *out_count += add_sections(ranges + *out_count, sections);
    qsort(ranges, *out_count, sizeof *ranges, compare);
    return ranges;
}

// Finds the first gap of `length` bytes between the sorted ranges that ends at `end` or before.
static bool find_gap(const struct range *ranges, size_t count, uint64_t length, uint64_t end,
                     uint64_t *out_place)
{
    uint64_t at = 0;
    for (size_t i = 0; i < count && ranges[i].from < at + length; i++) {
        broodi_assert(i == 0 || ranges[i - 1].to <= ranges[i].from); // none overlaps another
        at = ranges[i].to > at ? ranges[i].to : at;
    }
    *out_place = at;
    return length <= end && at <= end - length;
}

static bool use_gap(uint64_t length, uint64_t limit, uint64_t *out_place)
{
    if (length > heap()->gap_length || length > limit || heap()->gap > limit - length)
        return false;
    *out_place = heap()->gap;
    heap()->gap += length;
    heap()->gap_length -= length;
    return true;
}

static bool search_gap(uint64_t length, uint64_t limit, uint64_t *out_place)
{
    const uint64_t end = broodi_space_end();
    if (heap()->hopeless && length >= heap()->hopeless)
        return false;
    size_t count = 0;
    struct range *ranges = sort_ranges(&count);
    if (!ranges) // nothing was searched, so a later search may find a gap
        return false;
    heap()->gap_length = 0; // the search may find the remembered gap
    const bool found = find_gap(ranges, count, length, end < limit ? end : limit, out_place);
    free(ranges);
    if (!found && end <= limit) // the search covered the whole object
        heap()->hopeless = length;
    return found;
}

bool broodi_gap_allocate(uint64_t length, uint64_t limit, uint64_t *out_place)
{
    broodi_assert(broodi_own_lock_is_held(heap()->lock));
    broodi_assert(length > 0 && length % BROODI_HEAP_CHUNK == 0);
    return use_gap(length, limit, out_place) || search_gap(length, limit, out_place) ||
           broodi_space_append(length, limit, out_place);
}
