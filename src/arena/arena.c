// SPDX-License-Identifier: MIT
#include "arena/arena.h"

#include "arena/family.h"
#include "arena/groups.h"
#include "arena/kinds.h"
#include "arena/race.h"
#include "arena/space.h"
#include "base/fail.h"
#include "base/invariant.h"
#include "os/os_random.h"

#include <string.h>

enum { CHUNK = BROODI_HEAP_CHUNK };

#define ROUND_UP(size) (((size_t)(size) + CHUNK - 1) / CHUNK * CHUNK)

enum {
    LEAST_HEAP = 1 << 24,
    WIDE = 1 << 30,
};

struct broodi_family broodi_family;

// The layout

static uint32_t capacity_of(int kind, size_t window)
{
    return window < WIDE ? broodi_kinds[kind].narrow : broodi_kinds[kind].capacity;
}

// The size of a table behind its first slots.
static size_t rest_size(int kind, uint32_t capacity)
{
    return ROUND_UP((capacity - BROODI_FIRST) * broodi_kinds[kind].stride);
}

static size_t end_of_tables(size_t window)
{
    size_t at = BROODI_BOOT;
    for (int kind = 1; kind < BROODI_KINDS; kind++)
        at += rest_size(kind, capacity_of(kind, window));
    return at;
}

static void attach(const brood_os_arena *arena, size_t window)
{
    size_t at = BROODI_BOOT;
    for (int kind = 1; kind < BROODI_KINDS; kind++) {
        struct broodi_view *view = &broodi_family.views[kind];
        view->first = arena->base + broodi_kinds[kind].first;
        view->rest = arena->base + at - BROODI_FIRST * broodi_kinds[kind].stride;
        view->stride = broodi_kinds[kind].stride;
        view->capacity = capacity_of(kind, window);
        view->size = rest_size(kind, view->capacity);
        atomic_store_explicit(&view->limit, BROODI_FIRST, memory_order_relaxed);
        at += view->size;
    }
    broodi_family.arena = *arena;
    broodi_family.header = (struct broodi_header *)(void *)arena->base;
    broodi_family.heap_at = at;
    broodi_assert(at % CHUNK == 0 && at + LEAST_HEAP <= window);
    const uint32_t tag = (uint32_t)broodi_family.header->family[0] & BROODI_TAG_MASK;
    broodi_family.tag = tag ? tag : 1;
    broodi_groups_prepare();
    broodi_race_ignore(arena->base, BROODI_BOOT);
    broodi_race_ignore(&broodi_family, sizeof broodi_family);
}

static brood_status access_boot(const brood_os_arena *arena)
{
    const brood_os_range boot = { .length = BROODI_BOOT };
    return brood_os_arena_access(arena, &boot)
               ? BROOD_OK
               : broodi_fail(BROOD_NO_MEMORY, "the header of the shared memory cannot be mapped");
}

brood_status broodi_family_create(void)
{
    brood_os_arena arena;
    uint64_t family[2];
    const brood_os_range boot = { .length = BROODI_BOOT };
    brood_status status = brood_os_random(family, sizeof family);
    if (status == BROOD_OK)
        status = brood_os_arena_create(&arena, end_of_tables(0) + LEAST_HEAP);
    if (status == BROOD_OK)
        status = brood_os_arena_commit(&arena, &boot);
    if (status == BROOD_OK)
        status = access_boot(&arena);
    if (status != BROOD_OK)
        return status;
    struct broodi_header *header = (struct broodi_header *)(void *)arena.base;
    header->magic = BROODI_ARENA_MAGIC;
    header->layout = BROODI_ARENA_LAYOUT;
    header->kinds = BROODI_KINDS;
    memcpy(header->family, family, sizeof family);
    header->window = arena.size;
    attach(&arena, arena.size);
    broodi_space_prepare(BROODI_BOOT);
    // Relaxed: no other process has the arena yet.
    for (int kind = 1; kind < BROODI_KINDS; kind++)
        atomic_store_explicit(&header->tables[kind].limit, BROODI_FIRST, memory_order_relaxed);
    return BROOD_OK;
}

brood_status broodi_family_open(intptr_t object, uint64_t window, const uint64_t family[2])
{
    brood_os_arena arena;
    if (window > SIZE_MAX || window < end_of_tables((size_t)window) + LEAST_HEAP)
        return broodi_fail(BROOD_INVALID, "invalid size of the shared memory: %llu bytes",
                           (unsigned long long)window);
    brood_status status = brood_os_arena_open(&arena, object, (size_t)window,
                                              end_of_tables((size_t)window) + LEAST_HEAP);
    if (status == BROOD_OK)
        status = access_boot(&arena);
    if (status != BROOD_OK)
        return status;
    const struct broodi_header *header = (const struct broodi_header *)(void *)arena.base;
    if (header->magic != BROODI_ARENA_MAGIC || header->layout != BROODI_ARENA_LAYOUT ||
        header->kinds != BROODI_KINDS || header->window != window ||
        memcmp(header->family, family, sizeof header->family) != 0)
        return broodi_fail(BROOD_MISMATCH, "the shared memory belongs to another family");
    attach(&arena, (size_t)window);
    return BROOD_OK;
}
