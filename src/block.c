// SPDX-License-Identifier: MIT
// Blocks.
//
// A block's slot records where its memory is; the map of the heap (heap.h) is derived from the
// slots. A block is a cell of the heap or, if it is larger than BROODI_HEAP_LARGEST, a section
// (os_memory.h). Its place is the offset of a cell in the window, or of a section in the memory
// object. The low word of the state is a phase, and a flag for sections:
//
//   NEW --place--> MAKING --ready--> WHOLE --destroy--> ENDING --> free
//
// A place is allocated and freed under the heap's lock, and only a holder of that lock sees NEW.
// Committing and destroying a section take long and are done without the lock. A block that is
// MAKING or ENDING names its worker, the thread that creates or destroys it, in its slot: if the
// worker has died, a sweep frees the block. A worker that cannot acquire the lock in time, because
// the holder is stopped, abandons the block, with the same result. The heir of a holder that died
// frees each NEW block and rebuilds the map of the heap.
//
// The process that creates a section maps it at once, any other process at its first call of
// brood_block_data for it. Each process keeps a list of its mappings.
#include "block.h"

#include "deadline.h"
#include "fail.h"
#include "fault.h"
#include "heap.h"
#include "lock.h"
#include "object.h"
#include "os/os_clock.h"
#include "os/os_guard.h"
#include "step.h"

#include <brood/block.h>
#include <stdlib.h>
#include <string.h>

enum { NEW, MAKING, WHOLE, ENDING };

#define PHASE UINT32_C(3)
#define SECTION UINT32_C(4)

static struct broodi_heap *heap(void)
{
    return &broodi_family.header->heap;
}

static struct broodi_block_slot *block_at(uint32_t index)
{
    return broodi_slot(BROODI_BLOCK, index);
}

static uint32_t phase_of(uint64_t state)
{
    return broodi_low(state) & PHASE;
}

static bool is_unfinished(uint64_t state)
{
    return phase_of(state) == MAKING || phase_of(state) == ENDING;
}

static bool is_section(uint64_t state)
{
    return broodi_low(state) & SECTION;
}

static uint64_t place_of(const struct broodi_block_slot *block)
{
    return atomic_load_explicit(&block->place, memory_order_acquire);
}

static uint64_t size_of(const struct broodi_block_slot *block)
{
    return atomic_load_explicit(&block->size, memory_order_acquire);
}

static uint64_t section_length(uint64_t size)
{
    return (size + BROODI_HEAP_CHUNK - 1) / BROODI_HEAP_CHUNK * BROODI_HEAP_CHUNK;
}

static brood_os_section section_of(const struct broodi_block_slot *block)
{
    return (brood_os_section){
        .at = place_of(block),
        .length = section_length(size_of(block)),
        .name = atomic_load_explicit(&block->name, memory_order_acquire),
        .keeper = atomic_load_explicit(&block->keeper, memory_order_acquire),
    };
}

// Clears the name first, so that only one thread ever destroys a section by name: the sweep that
// finishes for a worker that died in here cannot close another object that has the name by then.
static void end_section(struct broodi_block_slot *block)
{
    brood_os_section section = section_of(block);
    section.name = atomic_exchange_explicit(&block->name, 0, memory_order_acq_rel);
    broodi_step(BROODI_STEP_BLOCK_UNNAMED);
    brood_os_section_destroy(&broodi_family.arena, &section);
}

// The lock

static void free_slot(uint32_t index)
{
    (void)broodi_slot_give(BROODI_BLOCK, index, broodi_word_look(&block_at(index)->state));
}

// Remembers the range that was freed last, so that the next section can use it without a search.
// Resets `hopeless`, since a search that failed before may now find this range.
static void add_gap(uint64_t place, uint64_t length)
{
    heap()->gap = place;
    heap()->gap_length = length;
    heap()->hopeless = 0;
}

static void forget_gaps(void)
{
    heap()->gap_length = 0;
    heap()->hopeless = 0;
}

static void free_section(uint32_t index)
{
    add_gap(place_of(block_at(index)), section_length(size_of(block_at(index))));
    free_slot(index);
}

static void rebuild_map(void)
{
    const uint32_t limit = broodi_slot_limit(BROODI_BLOCK);
    broodi_heap_forget();
    broodi_step(BROODI_STEP_HEAP_FORGOTTEN);
    forget_gaps(); // the dead holder may have stored only a part of its change
    for (uint32_t index = 0; (index = broodi_slot_next(BROODI_BLOCK, index, limit)) < limit;
         index++) {
        const struct broodi_block_slot *block = block_at(index);
        const uint64_t state = broodi_word_look(&block->state);
        if (!broodi_slot_is_live(state))
            continue;
        if (phase_of(state) == NEW)
            free_slot(index);
        else if (!is_section(state))
            broodi_heap_mark(place_of(block), (size_t)size_of(block));
    }
    broodi_heap_trim();
}

static brood_status lock_heap(void)
{
    const brood_status status = broodi_own_lock_acquire(heap()->lock);
    if (status != BROOD_OWNER_DIED)
        return status;
    rebuild_map();
    return BROOD_OK;
}

static void unlock_heap(void)
{
    broodi_own_lock_release(heap()->lock);
}

brood_status broodi_blocks_prepare(void)
{
    return broodi_own_lock_make(&heap()->lock);
}

static void set_worker(struct broodi_block_slot *block)
{
    const uint32_t self = broodi_self_slot(); // it has a slot, since it has held the lock
    atomic_store_explicit(&block->worker, self, memory_order_relaxed);
    atomic_store_explicit(&block->worker_generation, broodi_life_id(self).generation,
                          memory_order_relaxed);
}

// Leaves an unfinished block to the next sweep.
static void abandon(struct broodi_block_slot *block)
{
    atomic_store_explicit(&block->worker, BROODI_NONE, memory_order_release);
}

static bool has_worker(const struct broodi_block_slot *block)
{
    const uint32_t worker = atomic_load_explicit(&block->worker, memory_order_acquire);
    const uint32_t generation =
        atomic_load_explicit(&block->worker_generation, memory_order_relaxed);
    return worker != BROODI_NONE &&
           broodi_thread_fate(worker, generation, UINT32_MAX) == BROODI_FATE_LIVES;
}

// Loads the phase again after the worker was found ended: it may have finished just before.
static bool is_abandoned(const struct broodi_block_slot *block)
{
    return is_unfinished(broodi_word_look(&block->state)) && !has_worker(block) &&
           is_unfinished(broodi_word_look(&block->state));
}

// Frees the slot before the cell: a reader of the place that finds the state unchanged afterwards
// has read the place of a cell that was still this block's.
static void free_cell(uint32_t index)
{
    const uint64_t place = place_of(block_at(index));
    const size_t size = (size_t)size_of(block_at(index));
    free_slot(index);
    broodi_step(BROODI_STEP_BLOCK_FREED);
    broodi_heap_give(place, size);
}

static void free_abandoned(uint32_t index, uint64_t state)
{
    if (!is_section(state)) {
        free_cell(index);
        return;
    }
    end_section(block_at(index));
    free_section(index);
}

// Checks `count` slots behind `*index`, around the end of the table, and frees the abandoned
// blocks; returns whether there were any.
static bool sweep_some(uint32_t *index, uint32_t count)
{
    bool any = false;
    const uint32_t limit = broodi_slot_limit(BROODI_BLOCK);
    for (uint32_t n = 0; n < count && n < limit; n++) {
        *index = *index + 1 < limit ? *index + 1 : 0;
        const uint64_t state = broodi_word_look(&block_at(*index)->state);
        if (!broodi_slot_is_live(state) || !is_abandoned(block_at(*index)))
            continue;
        free_abandoned(*index, state);
        any = true;
    }
    return any;
}

bool broodi_blocks_sweep(void)
{
    uint32_t index = 0;
    return sweep_some(&index, UINT32_MAX);
}

// Making

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
    const uint64_t state = broodi_word_look(&block_at(index)->state);
    return broodi_slot_is_live(state) && is_section(state);
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
            const uint64_t from = place_of(block_at(index));
            ranges[count++] =
                (struct range){ from, from + section_length(size_of(block_at(index))) };
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
    for (size_t i = 0; i < count && ranges[i].from < at + length; i++)
        at = ranges[i].to > at ? ranges[i].to : at;
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

// Allocates a gap in the part of the object that is in use, or else the range behind that part.
static bool allocate_range(uint64_t length, uint64_t limit, uint64_t *out_place)
{
    return use_gap(length, limit, out_place) || search_gap(length, limit, out_place) ||
           broodi_space_append(length, limit, out_place);
}

static brood_status allocate_section(uint64_t size, uint64_t *out_place)
{
    const uint64_t limit = brood_os_section_limit();
    const uint64_t length = section_length(size);
    if (length > SIZE_MAX)
        return broodi_fail(BROOD_NO_MEMORY, "%llu bytes do not fit the address space",
                           (unsigned long long)size);
    if (size > INT64_MAX - BROODI_HEAP_CHUNK || !allocate_range(length, limit, out_place))
        return broodi_fail(BROOD_NO_MEMORY, "%llu bytes requested, the file size limit is %llu",
                           (unsigned long long)size, (unsigned long long)limit);
    return BROOD_OK;
}

// Returns how many bytes are promised to large blocks that are MAKING, and not yet committed. A
// block whose worker has ended counts no more.
static uint64_t promised(void)
{
    uint64_t bytes = 0;
    const uint32_t limit = broodi_slot_limit(BROODI_BLOCK);
    for (uint32_t index = 0; (index = broodi_slot_next(BROODI_BLOCK, index, limit)) < limit;
         index++) {
        const struct broodi_block_slot *block = block_at(index);
        const uint64_t state = broodi_word_look(&block->state);
        if (!broodi_slot_is_live(state) || phase_of(state) != MAKING || !is_section(state))
            continue;
        const uint64_t length = section_length(size_of(block));
        const uint64_t committed = atomic_load_explicit(&block->committed, memory_order_relaxed);
        bytes += committed < length && has_worker(block) ? length - committed : 0;
    }
    return bytes;
}

// Promises memory to a large block. The caller holds the lock, so two blocks are never promised the
// same memory. Returns BROOD_BUSY if the memory would suffice but for the promises to other blocks:
// it may be free again when those blocks are committed, or fail.
static brood_status promise(uint64_t length)
{
    const uint64_t others = promised();
    const brood_status status = brood_os_memory_check(length + others);
    if (status == BROOD_OK || others == 0)
        return status;
    return brood_os_memory_check(length) == BROOD_OK ? BROOD_BUSY : status;
}

static brood_status allocate_large(uint64_t size, bool lazy, uint64_t *out_place)
{
    brood_status status = allocate_section(size, out_place);
    if (status != BROOD_OK || lazy)
        return status;
    status = promise(section_length(size));
    if (status != BROOD_OK)
        add_gap(*out_place, section_length(size));
    return status;
}

// Allocates a slot and a place. The caller holds the lock.
static brood_status reserve(uint64_t size, bool lazy, uint32_t *out_index, bool *out_zero)
{
    const bool large = size > BROODI_HEAP_LARGEST;
    uint64_t place = 0;
    brood_status status = broodi_slot_take(BROODI_BLOCK, NEW, out_index);
    if (status != BROOD_OK)
        return status;
    struct broodi_block_slot *block = block_at(*out_index);
    broodi_step(BROODI_STEP_BLOCK_TAKEN);
    status = large ? allocate_large(size, lazy, &place)
                   : broodi_heap_take((size_t)size, &place, out_zero);
    if (status != BROOD_OK) {
        free_slot(*out_index);
        return status;
    }
    broodi_step(BROODI_STEP_BLOCK_PLACED);
    set_worker(block);
    atomic_store_explicit(&block->name, 0, memory_order_release);
    atomic_store_explicit(&block->place, place, memory_order_release);
    atomic_store_explicit(&block->size, size, memory_order_release);
    atomic_store_explicit(&block->committed, lazy ? section_length(size) : 0, memory_order_relaxed);
    broodi_step(BROODI_STEP_BLOCK_WRITTEN);
    (void)broodi_word_swap(&block->state, broodi_word_look(&block->state),
                           MAKING | (large ? SECTION : 0));
    return BROOD_OK;
}

// Each request for a large block also sweeps a part of the table for abandoned blocks.
static brood_status reserve_now(uint64_t size, bool lazy, uint32_t *out_index, bool *out_zero)
{
    enum { AT_ONCE = 1024 };
    brood_status status = lock_heap();
    if (status != BROOD_OK)
        return status;
    if (size > BROODI_HEAP_LARGEST)
        (void)sweep_some(&heap()->swept, AT_ONCE);
    status = reserve(size, lazy, out_index, out_zero);
    unlock_heap();
    return status;
}

static brood_status reserve_with_retry(uint64_t size, bool lazy, uint32_t *out_index,
                                       bool *out_zero)
{
    brood_status status = reserve_now(size, lazy, out_index, out_zero);
    if (status != BROOD_BUSY)
        return status;
    // Wait until other workers have committed what is promised to them; but only as long as for the
    // lock, since one of them may be stopped.
    const int64_t deadline = broodi_deadline(broodi_own_lock_patience);
    while (status == BROOD_BUSY && brood_os_clock() < deadline) {
        brood_os_sleep_until(brood_os_clock() + BROOD_MILLISECONDS(1));
        status = reserve_now(size, lazy, out_index, out_zero);
    }
    return status == BROOD_BUSY
               ? broodi_fail(BROOD_NO_MEMORY,
                             "%llu bytes requested while other blocks are being committed",
                             (unsigned long long)size)
               : status;
}

static void add_committed(void *user, uint64_t length)
{
    struct broodi_block_slot *block = user;
    atomic_fetch_add_explicit(&block->committed, length, memory_order_relaxed);
}

static brood_status make_ready(struct broodi_block_slot *block, bool zero, bool lazy)
{
    if (!is_section(broodi_word_look(&block->state))) {
        const brood_status status = broodi_heap_access(place_of(block), (size_t)size_of(block));
        if (status != BROOD_OK)
            return status;
        if (!zero)
            memset(broodi_family.arena.base + place_of(block), 0, (size_t)size_of(block));
        return BROOD_OK;
    }
    brood_os_section section = section_of(block);
    section.keeper = atomic_load_explicit(&broodi_family.header->keeper, memory_order_relaxed);
    section.progress = add_committed;
    section.user = block;
    const brood_status status = brood_os_section_create(&broodi_family.arena, lazy, &section);
    atomic_store_explicit(&block->keeper, section.keeper, memory_order_release);
    atomic_store_explicit(&block->name, section.name, memory_order_release);
    return status;
}

// Frees a block whose creation has failed, or whose section this thread has destroyed. If the
// thread cannot acquire the lock, for example because it has left the family, a later sweep frees
// the block.
static void discard(uint32_t index)
{
    if (lock_heap() != BROOD_OK) {
        abandon(block_at(index));
        return;
    }
    if (is_section(broodi_word_look(&block_at(index)->state)))
        free_section(index);
    else
        free_cell(index);
    unlock_heap();
}

// The sections that this process has mapped: in hash lists by slot. The guard guards them

struct mapping {
    uint64_t id;
    void *address;
    uint64_t length;
    struct mapping *next;
};

enum { LISTS = 64 };

static struct mapping *mapped[LISTS];

static struct mapping **list_of(uint64_t id)
{
    return &mapped[broodi_handle_unpack(id).slot % LISTS];
}

// The caller holds the guard.
static struct mapping *find_mapping(uint64_t id)
{
    struct mapping *mapping = *list_of(id);
    while (mapping && mapping->id != id)
        mapping = mapping->next;
    return mapping;
}

static bool is_whole_in(uint64_t state, uint64_t id)
{
    return broodi_handle_is_current(id, state) && phase_of(state) == WHOLE;
}

static bool is_whole(uint64_t id)
{
    const struct broodi_block_slot *block = broodi_object_find(BROODI_BLOCK, id);
    return block && is_whole_in(broodi_word_look(&block->state), id);
}

// Moves the mappings whose blocks are no longer WHOLE from `list` to `out`. The caller holds the
// guard.
static void unlink_ended(struct mapping **list, struct mapping **out)
{
    while (*list) {
        struct mapping *mapping = *list;
        if (is_whole(mapping->id)) {
            list = &mapping->next;
            continue;
        }
        *list = mapping->next;
        mapping->next = *out;
        *out = mapping;
    }
}

static void unmap_all(struct mapping *mapping)
{
    while (mapping) {
        struct mapping *next = mapping->next;
        brood_os_section_unmap(mapping->address, mapping->length);
        free(mapping);
        mapping = next;
    }
}

// Adds a mapping, unless another thread has added one for the same section meanwhile; returns the
// address of the one that is in the list. Unmaps the sections of ended blocks.
static void *add_mapping(struct mapping *fresh)
{
    struct mapping *ended = NULL;
    brood_os_guard_lock();
    struct mapping *known = find_mapping(fresh->id);
    for (size_t i = 0; i < LISTS; i++)
        unlink_ended(&mapped[i], &ended);
    struct mapping **list = list_of(fresh->id);
    struct mapping *mapping = known ? known : fresh;
    void *address = mapping->address;
    fresh->next = known ? ended : *list;
    if (known)
        ended = fresh;
    else
        *list = fresh;
    brood_os_guard_unlock();
    unmap_all(ended);
    return address;
}

// Checks again after mapping: if the block has ended meanwhile, `section` and what was mapped by it
// may belong to another block.
static brood_status map_whole(uint64_t id, const brood_os_section *section, void **out)
{
    const brood_status status = brood_os_section_map(&broodi_family.arena, section, out);
    if (is_whole(id))
        return status;
    if (status == BROOD_OK)
        brood_os_section_unmap(*out, section->length);
    return BROOD_STALE;
}

static brood_status map(uint64_t id, const struct broodi_block_slot *block, void **out)
{
    const brood_os_section section = section_of(block);
    if (!is_whole(id))
        return BROOD_STALE;
    struct mapping *fresh = broodi_alloc(sizeof *fresh);
    if (!fresh)
        return BROOD_NO_MEMORY;
    *fresh = (struct mapping){ .id = id, .length = section.length };
    const brood_status status = map_whole(id, &section, &fresh->address);
    if (status != BROOD_OK)
        free(fresh);
    else
        *out = add_mapping(fresh);
    return status;
}

static brood_status find_section(uint64_t id, const struct broodi_block_slot *block, void **out)
{
    brood_os_guard_lock();
    const struct mapping *mapping = find_mapping(id);
    void *address = mapping ? mapping->address : NULL;
    brood_os_guard_unlock();
    if (!address)
        return map(id, block, out);
    *out = address;
    return BROOD_OK;
}

static void forget_mapping(uint64_t id)
{
    struct mapping *ended = NULL;
    brood_os_guard_lock();
    unlink_ended(list_of(id), &ended);
    brood_os_guard_unlock();
    unmap_all(ended);
}

// Using and destroying

static brood_status find_data(brood_block block, void **out)
{
    const struct broodi_block_slot *slot = broodi_object_find(BROODI_BLOCK, block.id);
    if (!slot)
        return broodi_object_missing("block");
    const uint64_t state = broodi_word_look(&slot->state);
    if (!is_whole_in(state, block.id))
        return BROOD_STALE;
    if (is_section(state))
        return find_section(block.id, slot, out);
    const uint64_t place = place_of(slot);
    const uint64_t size = size_of(slot);
    if (!is_whole(block.id)) // otherwise both may be those of a later block
        return BROOD_STALE;
    *out = broodi_family.arena.base + place;
    return broodi_heap_access(place, (size_t)size);
}

void *brood_block_data(brood_block block)
{
    void *data = NULL;
    return broodi_answer("brood_block_data", find_data(block, &data)) == BROOD_OK ? data : NULL;
}

size_t brood_block_size(brood_block block)
{
    const struct broodi_block_slot *slot = broodi_object_find(BROODI_BLOCK, block.id);
    const uint64_t size = slot ? size_of(slot) : 0;
    if (slot && is_whole(block.id))
        return (size_t)size;
    (void)broodi_answer("brood_block_size", slot ? BROOD_STALE : broodi_object_missing("block"));
    return 0;
}

// Makes the handle stale for a small block, which is freed at once; a large one becomes ENDING. The
// caller holds the lock.
static brood_status begin_ending(brood_block block, struct broodi_block_slot *slot)
{
    const uint64_t state = broodi_word_look(&slot->state);
    if (!is_whole_in(state, block.id))
        return BROOD_STALE;
    if (!is_section(state)) {
        free_cell(broodi_handle_unpack(block.id).slot);
        return BROOD_OK;
    }
    set_worker(slot);
    (void)broodi_word_swap(&slot->state, state, ENDING | SECTION);
    return BROOD_OK;
}

// Destroys the section of a large block that is ENDING, then frees its slot and place.
static void end_large(brood_block block, struct broodi_block_slot *slot)
{
    broodi_step(BROODI_STEP_BLOCK_ENDING);
    forget_mapping(block.id);
    end_section(slot);
    broodi_step(BROODI_STEP_BLOCK_EMPTIED);
    discard(broodi_handle_unpack(block.id).slot);
}

static brood_status destroy(brood_block block)
{
    struct broodi_block_slot *slot = broodi_object_find(BROODI_BLOCK, block.id);
    if (!slot)
        return broodi_object_missing("block");
    if (!is_whole(block.id))
        return BROOD_STALE;
    brood_status status = lock_heap();
    if (status != BROOD_OK)
        return status;
    const bool large = is_section(broodi_word_look(&slot->state));
    status = begin_ending(block, slot);
    unlock_heap();
    if (status == BROOD_OK && large)
        end_large(block, slot);
    return status;
}

brood_status brood_block_destroy(brood_block block)
{
    return broodi_answer("brood_block_destroy", destroy(block));
}

// Creating

// Maps a new section in the process that created it, so that a block that does not fit its address
// space is refused here. If that fails, the block is ended without the lock, because no other
// thread has its handle yet.
static brood_status map_at_once(brood_block created, struct broodi_block_slot *block)
{
    void *address = NULL;
    const brood_status status = map(created.id, block, &address);
    if (status == BROOD_OK)
        return status;
    set_worker(block);
    if (broodi_word_swap(&block->state, broodi_word_look(&block->state), ENDING | SECTION))
        end_large(created, block);
    return status;
}

static brood_status finish(brood_block *out, uint32_t index)
{
    struct broodi_block_slot *block = block_at(index);
    const uint64_t state = broodi_word_look(&block->state);
    (void)broodi_word_swap(&block->state, state, WHOLE | (broodi_low(state) & SECTION));
    broodi_step(BROODI_STEP_BLOCK_WHOLE);
    const brood_block created = { broodi_handle_of(BROODI_BLOCK, index) };
    const brood_status status = is_section(state) ? map_at_once(created, block) : BROOD_OK;
    if (status == BROOD_OK)
        *out = created;
    return status;
}

static brood_status make(brood_block *out, size_t size, bool lazy)
{
    uint32_t index = 0;
    bool zero = false;
    brood_status status = reserve_with_retry(size, lazy, &index, &zero);
    if (status != BROOD_OK)
        return status;
    broodi_step(BROODI_STEP_BLOCK_MAKING);
    status = make_ready(block_at(index), zero, lazy);
    broodi_step(BROODI_STEP_BLOCK_READY);
    if (status == BROOD_OK)
        return finish(out, index);
    discard(index);
    return status;
}

// Frees all abandoned blocks; returns whether there were any, so that a retry may find memory.
static bool sweep_locked(void)
{
    if (lock_heap() != BROOD_OK)
        return false;
    const bool any = broodi_blocks_sweep();
    unlock_heap();
    return any;
}

static brood_status create(brood_block *out, size_t size, bool lazy)
{
    brood_status status = broodi_ready();
    if (status != BROOD_OK)
        return status;
    if (!out || size == 0)
        return broodi_fail(BROOD_INVALID, out ? "size is 0" : "out is NULL");
    status = make(out, size, lazy);
    return status == BROOD_NO_MEMORY && sweep_locked() ? make(out, size, lazy) : status;
}

brood_status brood_block_create(brood_block *out, size_t size)
{
    return broodi_answer("brood_block_create", create(out, size, false));
}

brood_status brood_block_create_lazy(brood_block *out, size_t size)
{
    return broodi_answer("brood_block_create_lazy", create(out, size, true));
}
