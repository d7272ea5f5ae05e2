// SPDX-License-Identifier: MIT
#include "arena/owner.h"

#include "arena/family.h"
#include "arena/thread_slot.h"

// Every slot begins with its state.
static uint64_t state_at(enum broodi_kind kind, uint32_t slot)
{
    return slot < broodi_slot_limit(kind) ? broodi_word_load(broodi_slot(kind, slot)) : 0;
}

broodi_owner broodi_owner_at(enum broodi_kind kind, uint32_t slot)
{
    const uint64_t state = state_at(kind, slot);
    return broodi_slot_is_live(state) ? broodi_owner_of(slot, state) : 0;
}

broodi_owner broodi_owner_complete(enum broodi_kind kind, uint64_t name, unsigned bits)
{
    const broodi_owner owner = broodi_owner_at(kind, broodi_owner_slot(name));
    return broodi_owner_shorten(owner, bits) == name ? owner : 0;
}

brood_os_life_id broodi_owner_life_id(broodi_owner thread)
{
    const struct broodi_header *header = broodi_family.header;
    return (brood_os_life_id){ .family = { header->family[0], header->family[1] },
                               .slot = broodi_owner_slot(thread),
                               .generation = broodi_owner_generation(thread) };
}

// Whether the thread, whose slot was LIVE, has ended.
static bool has_ended(broodi_owner thread)
{
    struct broodi_thread_slot *slot = broodi_slot(BROODI_THREAD, broodi_owner_slot(thread));
    const brood_os_life_id id = broodi_owner_life_id(thread);
    return brood_os_life_is_over(&slot->life, &id);
}

enum broodi_owner_state broodi_owner_state(broodi_owner thread)
{
    const uint32_t slot = broodi_owner_slot(thread);
    uint64_t state = state_at(BROODI_THREAD, slot);
    while (broodi_owner_has_slot(thread, state) &&
           broodi_thread_phase_of(state) == BROODI_THREAD_LIVE) {
        if (!has_ended(thread))
            return BROODI_OWNER_LIVES;
        (void)broodi_thread_mark_dead(slot, state);
        state = state_at(BROODI_THREAD, slot);
    }
    return broodi_owner_has_slot(thread, state) &&
                   broodi_thread_phase_of(state) == BROODI_THREAD_DEAD
               ? BROODI_OWNER_DEAD
               : BROODI_OWNER_GONE;
}
