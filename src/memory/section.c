// SPDX-License-Identifier: MIT
#include "memory/section.h"

#include "arena/groups.h"
#include "base/fail.h"
#include "base/step.h"
#include "memory/gap.h"
#include "os/os_memory.h"

// Returns how many bytes are promised to large blocks that are MAKING, and not yet committed. A
// block whose worker has ended counts no more. Relaxed, for `committed`: a value that is too old
// counts bytes twice that were just committed, and the request is repeated.
static uint64_t promised(void)
{
    uint64_t bytes = 0;
    const uint32_t limit = broodi_slot_limit(BROODI_BLOCK);
    for (uint32_t index = 0; (index = broodi_slot_next(BROODI_BLOCK, index, limit)) < limit;
         index++) {
        const struct broodi_block_slot *block = broodi_block_at(index);
        const uint64_t state = broodi_word_load(&block->state);
        if (!broodi_slot_is_live(state) || broodi_memory_phase_of(state) != BROODI_MEMORY_MAKING ||
            !broodi_memory_is_section(state))
            continue;
        const uint64_t length = broodi_section_length_of(block);
        const uint64_t committed = atomic_load_explicit(&block->committed, memory_order_relaxed);
        if (committed < length && broodi_memory_has_worker(broodi_memory_at(BROODI_BLOCK, index)))
            bytes += length - committed;
    }
    return bytes;
}

// Promises memory to a section. The caller holds the lock until the block is MAKING, so two blocks
// are never promised the same memory. Returns BROOD_BUSY if the memory would suffice but for the
// promises to other blocks: it may be free again when those blocks are committed, or fail.
static brood_status promise(uint64_t length)
{
    const uint64_t others = promised();
    const brood_status status = brood_os_memory_check(length + others);
    if (status == BROOD_OK || others == 0)
        return status;
    return brood_os_memory_check(length) == BROOD_OK ? BROOD_BUSY : status;
}

static brood_status allocate_range(uint64_t size, uint64_t *out_place)
{
    const uint64_t limit = brood_os_section_limit();
    const uint64_t length = broodi_section_length(size);
    if (length > SIZE_MAX)
        return broodi_fail(BROOD_NO_MEMORY, "%llu bytes do not fit the address space",
                           (unsigned long long)size);
    if (size > INT64_MAX - BROODI_HEAP_CHUNK || !broodi_gap_allocate(length, limit, out_place))
        return broodi_fail(BROOD_NO_MEMORY, "%llu bytes requested, the file size limit is %llu",
                           (unsigned long long)size, (unsigned long long)limit);
    return BROOD_OK;
}

brood_status broodi_section_allocate(uint64_t size, bool lazy, uint64_t *out_place)
{
    brood_status status = allocate_range(size, out_place);
    if (status != BROOD_OK || lazy)
        return status;
    status = promise(broodi_section_length(size));
    if (status != BROOD_OK)
        broodi_gap_add(*out_place, broodi_section_length(size));
    return status;
}

static void add_committed(void *user, uint64_t length)
{
    struct broodi_block_slot *block = user;
    atomic_fetch_add_explicit(&block->committed, length, memory_order_relaxed);
}

brood_status broodi_section_create(struct broodi_block_slot *block, bool lazy)
{
    brood_os_section section = broodi_section_of(block);
    section.keeper = atomic_load_explicit(&broodi_family.header->keeper, memory_order_relaxed);
    section.progress = add_committed;
    section.user = block;
    const brood_status status = brood_os_section_create(&broodi_family.arena, lazy, &section);
    atomic_store_explicit(&block->keeper, section.keeper, memory_order_release);
    atomic_store_explicit(&block->name, section.name, memory_order_release);
    return status;
}

// Clears the name first, so that only one thread ever destroys a section by name: the sweep that
// finishes for a worker that died in here cannot close another object that has the name by then.
void broodi_section_destroy(struct broodi_block_slot *block)
{
    brood_os_section section = broodi_section_of(block);
    section.name = atomic_exchange_explicit(&block->name, 0, memory_order_acq_rel);
    broodi_step(BROODI_STEP_BLOCK_UNNAMED);
    brood_os_section_destroy(&broodi_family.arena, &section);
}
