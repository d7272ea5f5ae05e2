// SPDX-License-Identifier: MIT
// Thread-local variables. The process has a table of the locals that exist, each thread an array of
// values. A local's id is {generation, index + 1}. A value has the generation of the local that it
// was set for, so a later local at the same index never returns a value of an earlier one.
//
// The table grows in parts, each twice as long as the one before. A part never moves, so a lookup
// needs no lock.
#include "thread/locals.h"

#include "base/atomic.h"
#include "base/fail.h"
#include "base/fault.h"
#include "base/invariant.h"
#include "os/os_guard.h"
#include "os/os_thread.h"

#include <stdlib.h>
#include <string.h>

enum {
    FIRST_PART = 16, // entries
    PARTS = 24,
    ROUNDS = 4, // at most, of destructors at the end of a thread
};

struct entry {
    _Atomic uint32_t generation; // 0: free
    void (*destructor)(void *);  // written before the generation
};

struct broodi_local_value {
    uint32_t generation;
    void *value;
};

static _Atomic uintptr_t parts[PARTS]; // addresses; 0: not allocated
static uint32_t used;                  // entries below this have been used; guarded by the guard
static uint32_t generation;            // of the last local; guarded by the guard

// Returns the entry at `index`; NULL if its part is not allocated.
static struct entry *entry_at(uint32_t index)
{
    uint32_t size = FIRST_PART;
    for (unsigned part = 0; part < PARTS; part++, size *= 2) {
        if (index < size) {
            struct entry *entries =
                (struct entry *)atomic_load_explicit(&parts[part], memory_order_acquire);
            return entries ? &entries[index] : NULL;
        }
        index -= size;
    }
    return NULL;
}

static uint32_t index_of(brood_local local)
{
    return (uint32_t)local.id - 1;
}

static uint32_t generation_of(brood_local local)
{
    return (uint32_t)(local.id >> 32);
}

static bool is_alive(const struct entry *entry, uint32_t expected)
{
    return entry && expected &&
           atomic_load_explicit(&entry->generation, memory_order_acquire) == expected;
}

// Returns a free entry, in a new part if there is none; NULL when out of memory. The caller holds
// the guard.
static struct entry *find_free(uint32_t *out_index)
{
    broodi_assert(brood_os_guard_is_held());
    for (uint32_t index = 0; index < used; index++) {
        struct entry *entry = entry_at(index);
        *out_index = index;
        if (atomic_load_explicit(&entry->generation, memory_order_relaxed) == 0)
            return entry;
    }
    *out_index = used;
    uint32_t first = 0;
    uint32_t size = FIRST_PART;
    for (unsigned part = 0; part < PARTS; part++, first += size, size *= 2) {
        if (used >= first + size)
            continue;
        if (atomic_load_explicit(&parts[part], memory_order_relaxed) == 0) {
            struct entry *entries = broodi_alloc(size * sizeof *entries);
            if (!entries)
                return NULL;
            memset(entries, 0, size * sizeof *entries);
            // Release: pairs with the acquire in entry_at(), which returns cleared entries.
            atomic_store_explicit(&parts[part], (uintptr_t)entries, memory_order_release);
        }
        return entry_at(used++);
    }
    return NULL;
}

static brood_status create(brood_local *out, void (*destructor)(void *))
{
    const brood_status status = broodi_ready();
    if (status != BROOD_OK)
        return status;
    if (!out)
        return broodi_fail(BROOD_INVALID, "out is NULL");
    uint32_t index = 0;
    brood_os_guard_lock();
    struct entry *entry = find_free(&index);
    if (entry) {
        generation = generation == UINT32_MAX ? 1 : generation + 1;
        entry->destructor = destructor;
        atomic_store_explicit(&entry->generation, generation, memory_order_release);
        out->id = (uint64_t)generation << 32 | (index + 1);
    }
    brood_os_guard_unlock();
    return entry ? BROOD_OK : broodi_fail(BROOD_NO_MEMORY, "the table of locals");
}

brood_status brood_local_create(brood_local *out, void (*destructor)(void *))
{
    return broodi_answer("brood_local_create", create(out, destructor));
}

void *brood_local_get(brood_local local)
{
    const struct broodi_self *self = broodi_here.initialized ? brood_os_self_get() : NULL;
    const uint32_t index = index_of(local);
    if (!self || index >= self->local_count ||
        self->locals[index].generation != generation_of(local))
        return NULL;
    return is_alive(entry_at(index), generation_of(local)) ? self->locals[index].value : NULL;
}

// Enlarges the thread's array so that it has a value at `index`.
static brood_status grow(struct broodi_self *self, uint32_t index)
{
    if (index < self->local_count)
        return BROOD_OK;
    const uint32_t count = index + FIRST_PART;
    struct broodi_local_value *values = broodi_alloc(count * sizeof *values);
    if (!values)
        return broodi_fail(BROOD_NO_MEMORY, "the values of this thread");
    memset(values, 0, count * sizeof *values);
    if (self->local_count > 0)
        memcpy(values, self->locals, self->local_count * sizeof *values);
    free(self->locals);
    self->locals = values;
    self->local_count = count;
    return BROOD_OK;
}

static brood_status set(brood_local local, void *value)
{
    brood_status status = broodi_ready();
    if (status != BROOD_OK)
        return status;
    const struct entry *entry = local.id ? entry_at(index_of(local)) : NULL;
    if (!entry || generation_of(local) == 0)
        return broodi_fail(BROOD_INVALID, "not a local");
    if (!is_alive(entry, generation_of(local)))
        return BROOD_STALE;
    struct broodi_self *self = broodi_self();
    if (!self)
        return broodi_fail(BROOD_NO_MEMORY, "the data of a thread new to brood");
    status = grow(self, index_of(local));
    if (status == BROOD_OK)
        self->locals[index_of(local)] = (struct broodi_local_value){ generation_of(local), value };
    return status;
}

brood_status brood_local_set(brood_local local, void *value)
{
    return broodi_answer("brood_local_set", set(local, value));
}

void brood_local_destroy(brood_local local)
{
    struct entry *entry = local.id ? entry_at(index_of(local)) : NULL;
    brood_os_guard_lock();
    if (is_alive(entry, generation_of(local)))
        atomic_store_explicit(&entry->generation, 0, memory_order_relaxed);
    brood_os_guard_unlock();
}

// Clears the value at `index` and calls the destructor with it; returns whether there was one.
static bool end_value(struct broodi_self *self, uint32_t index)
{
    const struct broodi_local_value was = self->locals[index];
    struct entry *entry = entry_at(index);
    void (*destructor)(void *) = NULL;
    self->locals[index].value = NULL;
    if (!was.value)
        return false;
    brood_os_guard_lock();
    if (is_alive(entry, was.generation))
        destructor = entry->destructor;
    brood_os_guard_unlock();
    if (!destructor)
        return false;
    broodi_assert(!brood_os_guard_is_held());
    destructor(was.value);
    return true;
}

void broodi_locals_end(struct broodi_self *self)
{
    bool again = true;
    for (int round = 0; round < ROUNDS && again; round++) {
        again = false;
        for (uint32_t index = 0; index < self->local_count; index++)
            again |= end_value(self, index);
    }
    free(self->locals);
    self->locals = NULL;
    self->local_count = 0;
}
