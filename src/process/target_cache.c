// SPDX-License-Identifier: MIT
// Two hash tables of entries that are added and never removed: `encoded`, by function, and
// `resolved`, by target. Nothing is locked, so a fork at any moment copies tables that are whole.
//
// When an entry is valid:
// - An entry of `resolved` is always valid, because its module cannot be unloaded: the resolution
//   keeps a reference to it.
// - An entry of `encoded` holds no reference, which would keep the program from unloading a module
//   and loading a newer build of it. The entry is valid as long as no module has been unloaded
//   since the function was last searched for, and always if it is in the executable.
//
// An invalid entry becomes valid again if another search returns the same encoding. So the number
// of entries of a function does not grow with the number of unloads, but with the number of
// different encodings only: two builds of a module that were loaded at the same address.
#include "process/target_cache.h"

#include "arena/race.h"
#include "base/atomic.h"
#include "base/fail.h"
#include "base/fault.h"

#include <string.h>

struct entry {
    struct entry *next; // constant, like all but `unloads`, once the entry is in a table
    brood_target function;
    struct broodi_target *target;
    // Of an entry of `encoded`: brood_os_module_unloads() before the last search that returned
    // this encoding.
    _Atomic uint64_t unloads;
};

// A bucket is the first entry of its list, as a number: atomic.h has no pointers.
enum { BUCKET_BITS = 6, BUCKETS = 1 << BUCKET_BITS };
typedef _Atomic uintptr_t bucket;

static bucket encoded[BUCKETS];
static bucket resolved[BUCKETS];

static bucket *bucket_of(bucket table[BUCKETS], uint64_t key)
{
    return &table[key * UINT64_C(0x9e3779b97f4a7c15) >> (64 - BUCKET_BITS)];
}

static struct entry *first_in(bucket *list)
{
    struct entry *first = (struct entry *)atomic_load_explicit(list, memory_order_acquire);
    broodi_race_acquire(list);
    return first;
}

static void add(bucket *list, struct entry *entry)
{
    uintptr_t first = atomic_load_explicit(list, memory_order_relaxed);
    broodi_race_ignore(list, sizeof *list);
    broodi_race_ignore(&entry->unloads, sizeof entry->unloads);
    do {
        entry->next = (struct entry *)first;
        broodi_race_release(list);
    } while (!atomic_compare_exchange_weak_explicit(list, &first, (uintptr_t)entry,
                                                    memory_order_acq_rel, memory_order_relaxed));
}

// Takes over `target`. Frees it and returns NULL when out of memory.
static struct entry *new_entry(brood_target function, struct broodi_target *target,
                               uint64_t unloads)
{
    struct entry *entry = broodi_alloc(sizeof *entry);
    if (!entry) {
        free(target);
        return NULL;
    }
    entry->function = function;
    entry->target = target;
    atomic_init(&entry->unloads, unloads);
    return entry;
}

static bool is_same(const struct broodi_target *a, const struct broodi_target *b)
{
    return a->size == b->size && memcmp(a, b, (size_t)a->size) == 0;
}

// Encoding

// Invariant: an entry whose `unloads` is still brood_os_module_unloads() is right. The search that
// returned its encoding came after `unloads` was read, so the module that the function was in then
// has not been unloaded.
static bool is_valid(const struct entry *entry)
{
    const bool is_in_executable = !entry->target->path[0];
    return is_in_executable ||
           atomic_load_explicit(&entry->unloads, memory_order_acquire) == brood_os_module_unloads();
}

static const struct entry *find_valid(bucket *list, brood_target function)
{
    const struct entry *entry = first_in(list);
    while (entry && (entry->function != function || !is_valid(entry)))
        entry = entry->next;
    return entry;
}

static struct entry *find_same(bucket *list, brood_target function,
                               const struct broodi_target *target)
{
    struct entry *entry = first_in(list);
    while (entry && (entry->function != function || !is_same(entry->target, target)))
        entry = entry->next;
    return entry;
}

// Makes the entry of the function with this encoding valid, or adds it.
static brood_status encode(bucket *list, brood_target function, const struct broodi_target **out)
{
    const uint64_t unloads = brood_os_module_unloads(); // before the search: see is_valid
    struct broodi_target *target;
    const brood_status status = broodi_target_encode(function, &target);
    if (status != BROOD_OK)
        return status;
    struct entry *entry = find_same(list, function, target);
    if (entry) {
        free(target);
        atomic_store_explicit(&entry->unloads, unloads, memory_order_release);
    } else {
        entry = new_entry(function, target, unloads);
        if (!entry)
            return broodi_fail(BROOD_NO_MEMORY, "a cached target");
        add(list, entry);
    }
    *out = entry->target;
    return BROOD_OK;
}

brood_status broodi_target_encode_cached(brood_target function, const struct broodi_target **out)
{
    bucket *list = bucket_of(encoded, (uintptr_t)function);
    const struct entry *entry = find_valid(list, function);
    if (!entry)
        return encode(list, function, out);
    *out = entry->target;
    return BROOD_OK;
}

// Resolving

static const struct entry *find_target(bucket *list, const struct broodi_target *target)
{
    const struct entry *entry = first_in(list);
    while (entry && !is_same(entry->target, target))
        entry = entry->next;
    return entry;
}

// Without memory the target is not cached.
static void remember(bucket *list, const struct broodi_target *target, brood_target function)
{
    struct broodi_target *copy = broodi_alloc((size_t)target->size);
    if (!copy)
        return;
    memcpy(copy, target, (size_t)target->size);
    struct entry *entry = new_entry(function, copy, 0);
    if (entry)
        add(list, entry);
}

brood_status broodi_target_resolve_cached(const struct broodi_target *target, brood_target *out)
{
    bucket *list = bucket_of(resolved, target->offset);
    const struct entry *entry = find_target(list, target);
    if (entry) {
        *out = entry->function;
        return BROOD_OK;
    }
    const brood_status status = broodi_target_resolve(target, out);
    if (status == BROOD_OK)
        remember(list, target, *out);
    return status;
}
