// SPDX-License-Identifier: MIT
#include "memory/heap_lock.h"

#include "arena/allocator.h"
#include "arena/chunk.h"
#include "arena/groups.h"
#include "arena/heap.h"
#include "arena/race.h"
#include "base/step.h"
#include "memory/gap.h"
#include "memory/memory_slot.h"
#include "os/os_clock.h"
#include "sync/lock.h"

static struct broodi_heap *heap(void)
{
    return &broodi_family.header->heap;
}

brood_status broodi_heap_prepare(void)
{
    return broodi_own_lock_make(&heap()->lock);
}

// Frees the NEW slots of a kind and marks the cells of the others.
static void rebuild(enum broodi_kind kind, enum broodi_heap_user user)
{
    const uint32_t limit = broodi_slot_limit(kind);
    for (uint32_t index = 0; (index = broodi_slot_next(kind, index, limit)) < limit; index++) {
        const struct broodi_memory_slot *slot = broodi_memory_at(kind, index);
        const uint64_t state = broodi_word_load(&slot->state);
        if (!broodi_slot_is_live(state))
            continue;
        if (broodi_memory_phase_of(state) == BROODI_MEMORY_NEW)
            (void)broodi_slot_free(kind, index, state);
        else if (!broodi_memory_is_section(state))
            broodi_heap_mark(user, broodi_memory_place_of(slot),
                             (size_t)broodi_memory_size_of(slot));
    }
}

// Rebuilds the map of the heap from the slots. An heir that is killed in here leaves the lock to
// another heir, which begins again.
static void rebuild_map(void)
{
    broodi_heap_forget();
    broodi_step(BROODI_STEP_HEAP_FORGOTTEN);
    broodi_gaps_forget(); // the dead holder may have stored only a part of its change
    rebuild(BROODI_BLOCK, BROODI_HEAP_BLOCKS);
    rebuild(BROODI_PIECE, BROODI_HEAP_PIECES);
    (void)broodi_chunks_trim();
}

// The status of an acquisition, after the repair that it may ask for.
static brood_status repaired(brood_status status)
{
    if (status != BROOD_OWNER_DIED)
        return status;
    rebuild_map();
    return BROOD_OK;
}

brood_status broodi_heap_lock(void)
{
    const brood_status status = repaired(broodi_own_lock_acquire(heap()->lock));
    broodi_heap_take_over();
    return status;
}

void broodi_heap_take_over(void)
{
    broodi_race_acquire(heap());
}

void broodi_heap_hand_over(void)
{
    broodi_race_release(heap());
}

void broodi_heap_unlock(void)
{
    broodi_heap_hand_over();
    broodi_own_lock_release(heap()->lock);
}

bool broodi_heap_is_locked(void)
{
    return broodi_own_lock_is_held(heap()->lock);
}

void broodi_heap_rest(void)
{
    const int64_t due = atomic_load_explicit(&heap()->trim_at, memory_order_relaxed);
    if (!due || brood_os_clock() < due || repaired(broodi_own_lock_try(heap()->lock)) != BROOD_OK)
        return;
    broodi_chunks_trim_if_due();
    broodi_heap_unlock();
}
