// SPDX-License-Identifier: MIT
// The family registry: names with 64-bit values. A setter holds a lock of the family; a reader
// takes no lock. The name of an entry does not change while its slot is taken, so a reader that
// loads the same state before and after has read a whole name. An entry is visible to readers from
// the store of WHOLE on, so a setter that dies leaves an entry that is either invisible or
// complete.
#include "memory/registry.h"

#include "arena/allocator.h"
#include "arena/family.h"
#include "arena/groups.h"
#include "arena/race.h"
#include "arena/self.h"
#include "base/fail.h"
#include "base/invariant.h"
#include "base/label.h"
#include "base/step.h"
#include "sync/lock.h"

#include <brood/registry.h>
#include <string.h>

enum { WHOLE = 1, WORDS = (BROOD_REGISTRY_NAME_MAX + 1) / sizeof(uint64_t) };

brood_status broodi_registry_prepare(void)
{
    return broodi_own_lock_make(&broodi_family.header->names);
}

// For assertions: whether the calling thread holds the lock.
static bool holds_names(void)
{
    return broodi_own_lock_is_held(broodi_family.header->names);
}

static struct broodi_name_slot *name_at(uint32_t index)
{
    return broodi_slot(BROODI_NAME, index);
}

// Loads each word with acquire: what the caller loads next is no older than the name.
static bool has_name(const struct broodi_name_slot *entry, const char *name, size_t length)
{
    for (size_t i = 0; i < WORDS; i++)
        if (atomic_load_explicit(&entry->name[i], memory_order_acquire) !=
            broodi_label_word(name, length, i))
            return false;
    return true;
}

// Searches the entries for the name; `out_state` receives the state of the one found.
static bool find(const char *name, size_t length, uint32_t *out_index, uint64_t *out_state)
{
    const uint32_t limit = broodi_slot_limit(BROODI_NAME);
    for (uint32_t index = 0; (index = broodi_slot_next(BROODI_NAME, index, limit)) < limit;
         index++) {
        struct broodi_name_slot *entry = name_at(index);
        const uint64_t state = atomic_load_explicit(&entry->state.state, memory_order_acquire);
        if (!broodi_slot_is_live(state) || broodi_low(state) != WHOLE)
            continue;
        if (!has_name(entry, name, length) ||
            atomic_load_explicit(&entry->state.state, memory_order_relaxed) != state)
            continue;
        *out_index = index;
        *out_state = state;
        return true;
    }
    return false;
}

static brood_status add(const char *name, size_t length, uint64_t id)
{
    broodi_assert(holds_names() && length <= BROOD_REGISTRY_NAME_MAX);
    uint32_t index;
    const brood_status status = broodi_slot_allocate(BROODI_NAME, 0, &index);
    if (status != BROOD_OK)
        return status;
    struct broodi_name_slot *entry = name_at(index);
    broodi_step(BROODI_STEP_NAME_TAKEN);
    const uint64_t state = atomic_load_explicit(&entry->state.state, memory_order_relaxed);
    // Release, as for the words of the name: a reader of any of them sees that the slot was taken.
    atomic_store_explicit(&entry->id, id, memory_order_release);
    broodi_label_write(entry->name, WORDS, name, length);
    broodi_step(BROODI_STEP_NAME_WRITTEN);
    atomic_store_explicit(&entry->state.state, broodi_state(broodi_generation(state), WHOLE),
                          memory_order_release);
    return BROOD_OK;
}

// The caller holds the lock, so an entry that is taken and not WHOLE is one of a setter that died.
static void free_unfinished(void)
{
    broodi_assert(holds_names());
    const uint32_t limit = broodi_slot_limit(BROODI_NAME);
    for (uint32_t index = 0; (index = broodi_slot_next(BROODI_NAME, index, limit)) < limit;
         index++) {
        const uint64_t state =
            atomic_load_explicit(&name_at(index)->state.state, memory_order_acquire);
        if (broodi_slot_is_live(state) && broodi_low(state) != WHOLE)
            (void)broodi_slot_free(BROODI_NAME, index, state);
    }
}

// The caller holds the lock, so no other thread changes an entry.
static brood_status put(const char *name, size_t length, uint64_t id)
{
    uint32_t index;
    uint64_t state;
    if (!find(name, length, &index, &state))
        return id ? add(name, length, id) : BROOD_OK;
    if (id)
        atomic_store_explicit(&name_at(index)->id, id, memory_order_release);
    else
        (void)broodi_slot_free(BROODI_NAME, index, state);
    return BROOD_OK;
}

static brood_status check(const char *name, size_t *out_length)
{
    const brood_status status = broodi_ready();
    if (status != BROOD_OK)
        return status;
    if (!name || !name[0])
        return broodi_fail(BROOD_INVALID, name ? "name is empty" : "name is NULL");
    *out_length = strlen(name);
    if (*out_length > BROOD_REGISTRY_NAME_MAX)
        return broodi_fail(BROOD_TOO_LARGE, "name is longer than %d bytes",
                           BROOD_REGISTRY_NAME_MAX);
    return BROOD_OK;
}

static brood_status set(const char *name, uint64_t id)
{
    size_t length = 0;
    brood_status status = check(name, &length);
    if (status != BROOD_OK)
        return status;
    status = broodi_own_lock_acquire(broodi_family.header->names);
    if (!brood_status_acquired(status))
        return status;
    if (status == BROOD_OWNER_DIED)
        free_unfinished();
    status = put(name, length, id);
    broodi_own_lock_release(broodi_family.header->names);
    return status;
}

brood_status brood_registry_set(const char *name, uint64_t id)
{
    broodi_race_release(broodi_family.header);
    return broodi_answer("brood_registry_set", set(name, id));
}

static brood_status get(const char *name, uint64_t *out_id)
{
    size_t length = 0;
    const brood_status status = check(name, &length);
    if (status != BROOD_OK)
        return status;
    if (!out_id)
        return broodi_fail(BROOD_INVALID, "out_id is NULL");
    uint32_t index;
    uint64_t state;
    while (find(name, length, &index, &state)) {
        const uint64_t id = atomic_load_explicit(&name_at(index)->id, memory_order_acquire);
        if (atomic_load_explicit(&name_at(index)->state.state, memory_order_acquire) != state)
            continue; // the entry was freed meanwhile: search again
        *out_id = id;
        broodi_race_acquire(broodi_family.header);
        return BROOD_OK;
    }
    return broodi_fail(BROOD_NOT_FOUND, "\"%s\"", name);
}

brood_status brood_registry_get(const char *name, uint64_t *out_id)
{
    return broodi_answer("brood_registry_get", get(name, out_id));
}

bool broodi_registry_name_of(uint64_t id, char *out)
{
    const uint32_t limit = broodi_slot_limit(BROODI_NAME);
    for (uint32_t index = 0; (index = broodi_slot_next(BROODI_NAME, index, limit)) < limit;
         index++) {
        const struct broodi_name_slot *entry = name_at(index);
        const uint64_t state = atomic_load_explicit(&entry->state.state, memory_order_acquire);
        if (!broodi_slot_is_live(state) || broodi_low(state) != WHOLE ||
            atomic_load_explicit(&entry->id, memory_order_acquire) != id)
            continue;
        broodi_label_read(entry->name, WORDS, out);
        if (atomic_load_explicit(&entry->state.state, memory_order_relaxed) == state)
            return true;
    }
    return false;
}
