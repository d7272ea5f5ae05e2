// SPDX-License-Identifier: MIT
#include "sync/object.h"

#include "arena/allocator.h"
#include "arena/blocking.h"
#include "base/fail.h"
#include "base/step.h"

brood_status broodi_object_not_found(const char *what)
{
    const brood_status status = broodi_ready();
    if (status != BROOD_OK)
        return status;
    if (broodi_family_is_short())
        return broodi_fail(BROOD_NO_MEMORY, "the table of the %s cannot be mapped", what);
    return broodi_fail(BROOD_INVALID, "no %s of this family", what);
}

uint64_t broodi_object_block(uint64_t id, void *slot)
{
    struct broodi_awaited_slot *awaited = slot;
    const uint64_t before = broodi_self_block(BROODI_WAITS_OBJECT, id);
    if (!atomic_load_explicit(&awaited->awaited, memory_order_relaxed))
        atomic_store_explicit(&awaited->awaited, 1, memory_order_relaxed);
    return before;
}

bool broodi_object_wait(uint64_t id, broodi_word *word, uint64_t state, uint32_t flag,
                        int64_t deadline)
{
    const uint32_t low = broodi_low(state) | flag;
    if (!broodi_word_swap(word, state, low))
        return false;
    broodi_step(BROODI_STEP_OBJECT_ANNOUNCED);
    broodi_block_on(BROODI_WAITS_OBJECT, id, word, broodi_state(broodi_generation(state), low),
                    BROODI_NONE, deadline);
    broodi_step(BROODI_STEP_OBJECT_WAITED);
    return true;
}

brood_status broodi_object_allocate(enum broodi_kind kind, uint32_t low, uint32_t *out_index)
{
    const brood_status status = broodi_slot_allocate(kind, low, out_index);
    if (status != BROOD_OK)
        return status;
    struct broodi_awaited_slot *slot = broodi_slot(kind, *out_index);
    atomic_store_explicit(&slot->awaited, 0, memory_order_relaxed);
    return BROOD_OK;
}

bool broodi_object_end(uint64_t id, broodi_word *word, uint64_t state, uint32_t kept)
{
    const struct broodi_handle handle = broodi_handle_unpack(id);
    if (!broodi_slot_free_keeping((enum broodi_kind)handle.kind, handle.slot, state, kept))
        return false;
    broodi_step(BROODI_STEP_OBJECT_ENDED);
    broodi_changed((enum broodi_kind)handle.kind, word, BROODI_ALL);
    return true;
}

brood_status broodi_object_destroy(enum broodi_kind kind, uint64_t id, const char *what)
{
    broodi_word *word = broodi_object_find(kind, id);
    if (!word)
        return broodi_object_not_found(what);
    for (;;) {
        const uint64_t state = broodi_word_load(word);
        if (!broodi_handle_is_current(id, state))
            return BROOD_STALE;
        if (broodi_object_end(id, word, state, broodi_low(state)))
            return BROOD_OK;
    }
}
