// SPDX-License-Identifier: MIT
#include "memory/mapping.h"

#include "base/fault.h"
#include "base/invariant.h"
#include "os/os_guard.h"
#include "os/os_memory.h"

#include <stdlib.h>

// In hash lists by slot.
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
    broodi_assert(brood_os_guard_is_held());
    struct mapping *mapping = *list_of(id);
    while (mapping && mapping->id != id)
        mapping = mapping->next;
    return mapping;
}

// Moves the mappings whose blocks are no longer WHOLE from `list` to `out`. The caller holds the
// guard.
static void unlink_ended(struct mapping **list, struct mapping **out)
{
    broodi_assert(brood_os_guard_is_held());
    while (*list) {
        struct mapping *mapping = *list;
        if (broodi_block_is_whole(mapping->id)) {
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
    broodi_assert(!brood_os_guard_is_held()); // an unmapping takes long
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
    if (broodi_block_is_whole(id))
        return status;
    if (status == BROOD_OK)
        brood_os_section_unmap(*out, section->length);
    return BROOD_STALE;
}

brood_status broodi_mapping_add(uint64_t id, const struct broodi_block_slot *block, void **out)
{
    const brood_os_section section = broodi_section_of(block);
    if (!broodi_block_is_whole(id))
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

brood_status broodi_mapping_find(uint64_t id, const struct broodi_block_slot *block, void **out)
{
    brood_os_guard_lock();
    const struct mapping *mapping = find_mapping(id);
    void *address = mapping ? mapping->address : NULL;
    brood_os_guard_unlock();
    if (!address)
        return broodi_mapping_add(id, block, out);
    *out = address;
    return BROOD_OK;
}

void broodi_mapping_forget(uint64_t id)
{
    struct mapping *ended = NULL;
    brood_os_guard_lock();
    unlink_ended(list_of(id), &ended);
    brood_os_guard_unlock();
    unmap_all(ended);
}
