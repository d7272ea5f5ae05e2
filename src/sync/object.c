// SPDX-License-Identifier: MIT
#include "sync/object.h"

#include "arena/allocator.h"
#include "arena/blocking.h"
#include "arena/kinds.h"
#include "base/invariant.h"
#include "base/step.h"

brood_status broodi_object_not_found(enum broodi_kind kind)
{
    const char *name = broodi_kinds[kind].name;
    const brood_status status = broodi_ready();
    if (status != BROOD_OK)
        return status;
    if (broodi_family_is_short())
        return broodi_fail(BROOD_NO_MEMORY, "the table of the %s cannot be mapped", name);
    return broodi_fail(BROOD_INVALID, "no %s of this family", name);
}

uint64_t broodi_object_wait_begin(uint64_t id, void *slot)
{
    struct broodi_awaited_slot *awaited = slot;
    const uint64_t before = broodi_self_block(BROODI_WAITS_OBJECT, id);
    if (!atomic_load_explicit(&awaited->awaited, memory_order_relaxed))
        atomic_store_explicit(&awaited->awaited, 1, memory_order_relaxed);
    return before;
}

void broodi_object_wait_end(uint64_t id, uint64_t before)
{
    broodi_self_unblock(before);
    broodi_block_end(BROODI_WAITS_OBJECT, id);
}

bool broodi_object_wait(const struct broodi_object *object, uint32_t flag, int64_t deadline)
{
    const uint32_t low = broodi_low(object->state) | flag;
    if (!broodi_object_swap(object, low))
        return false;
    broodi_step(BROODI_STEP_OBJECT_ANNOUNCED);
    broodi_block_on(BROODI_WAITS_OBJECT, object->id, object->slot,
                    broodi_state(broodi_generation(object->state), low), BROODI_NONE, deadline);
    broodi_step(BROODI_STEP_OBJECT_WAITED);
    return true;
}

brood_status broodi_object_check_out(const void *out)
{
    const brood_status status = broodi_ready();
    return status == BROOD_OK && !out ? broodi_fail(BROOD_INVALID, "out is NULL") : status;
}

brood_status broodi_object_create(enum broodi_kind kind, uint32_t low, uint64_t *out_id)
{
    uint32_t index;
    const brood_status status = broodi_slot_allocate(kind, low, &index);
    if (status != BROOD_OK)
        return status;
    struct broodi_awaited_slot *slot = broodi_slot(kind, index);
    atomic_store_explicit(&slot->awaited, 0, memory_order_relaxed);
    *out_id = broodi_handle_of(kind, index);
    return BROOD_OK;
}

bool broodi_object_end(const struct broodi_object *object, uint32_t kept)
{
    const struct broodi_handle handle = broodi_handle_unpack(object->id);
    broodi_assert(broodi_handle_is_current(object->id, object->state));
    const enum broodi_kind kind = (enum broodi_kind)handle.kind;
    if (!broodi_slot_free_keeping(kind, handle.slot, object->state, kept))
        return false;
    broodi_step(BROODI_STEP_OBJECT_ENDED);
    broodi_changed(kind, object->slot, BROODI_ALL);
    return true;
}

brood_status broodi_object_destroy(enum broodi_kind kind, uint64_t id)
{
    struct broodi_object object;
    brood_status status = broodi_object_open(kind, id, &object);
    while (status == BROOD_OK && !broodi_object_end(&object, broodi_low(object.state)))
        status = broodi_object_load(&object);
    return status;
}
