// SPDX-License-Identifier: MIT
#include "arena/allocator.h"

#include "arena/family.h"
#include "arena/groups.h"
#include "arena/kinds.h"
#include "arena/owner.h"
#include "arena/slots.h"
#include "arena/space.h"
#include "base/invariant.h"
#include "base/step.h"

static broodi_word *word_of(enum broodi_kind kind, uint32_t index)
{
    return broodi_slot(kind, index); // every slot begins with its state
}

// A slot whose state word is 0 has never been taken. Its first generation, if handles name slots of
// the kind, is a random odd number that depends on the family, the kind and the slot: so a handle
// of another family that has the same tag by chance is hardly ever current here. For other kinds it
// is 1.
//
// A handle has the 22 low bits of the generation. A free slot is spent in lap n when it has been
// taken 2^21 * (n + 1) times: its next handle would equal the first one that it had. A spent slot
// is not taken until the table has its full size and no free slot may be taken. Then the next lap
// begins, in which each slot may be taken as often again. Slots of kinds without handles are never
// spent.

static uint32_t first_generation(enum broodi_kind kind, uint32_t index)
{
    if (kind >= BROODI_HANDLE_KINDS)
        return 1;
    uint64_t mixed = broodi_family.header->family[1] ^ ((uint64_t)kind << 32 | index);
    mixed = (mixed ^ mixed >> 32) * UINT64_C(0xd6e8feb86659fd93);
    mixed = (mixed ^ mixed >> 32) * UINT64_C(0xd6e8feb86659fd93);
    return (uint32_t)(mixed >> 32) | 1;
}

// The generation that a free slot with this state has once it is taken.
static uint32_t next_generation(enum broodi_kind kind, uint32_t index, uint64_t state)
{
    return state ? broodi_generation(state) + 1 : first_generation(kind, index);
}

static bool is_spent(enum broodi_kind kind, uint32_t index, uint64_t state)
{
    if (kind >= BROODI_HANDLE_KINDS || broodi_slot_is_live(state))
        return false;
    const uint32_t age = next_generation(kind, index, state) - first_generation(kind, index);
    return age >> BROODI_GENERATION_BITS >
           atomic_load_explicit(&broodi_family.header->tables[kind].laps, memory_order_relaxed);
}

static bool waits_for(uint32_t thread, uint64_t what)
{
    const struct broodi_thread_slot *slot = broodi_slot(BROODI_THREAD, thread);
    return atomic_load_explicit(&slot->waits, memory_order_acquire) == what &&
           broodi_owner_state(broodi_owner_at(BROODI_THREAD, thread)) == BROODI_OWNER_LIVES;
}

// Whether waiters read in the free slot how their waits ended. Decided by the kind and not by the
// kept word, since 0 may be an answer, too: that of a barrier after a complete round, and that of
// an event whose count has wrapped around.
static bool leaves_answer(enum broodi_kind kind)
{
    return kind == BROODI_SEMAPHORE || kind == BROODI_EVENT || kind == BROODI_CONDITION ||
           kind == BROODI_BARRIER;
}

// Whether a living thread waited for the last object in this free slot, and has not read yet how
// its wait ended. `state` is the slot's state, loaded with acquire. False for kinds without struct
// broodi_awaited_slot.
//
// Relaxed: the waiter sets `awaited` before it swaps the object's state, and the caller has loaded
// a later state with acquire. The acquire in waits_for() pairs with the release by which the waiter
// erases the handle, so what the waiter has read in the slot is not overwritten before.
static bool is_awaited(enum broodi_kind kind, uint32_t index, uint64_t state)
{
    broodi_assert(!broodi_slot_is_live(state));
    if (!leaves_answer(kind))
        return false;
    const struct broodi_awaited_slot *slot = broodi_slot(kind, index);
    if (!atomic_load_explicit(&slot->awaited, memory_order_relaxed))
        return false;
    const uint64_t id =
        broodi_handle_pack((struct broodi_handle){ .tag = broodi_family.tag,
                                                   .kind = (uint32_t)kind,
                                                   .generation = broodi_generation(state) - 1,
                                                   .slot = index });
    const uint64_t what = broodi_waits_for(BROODI_WAITS_OBJECT, id);
    const uint32_t end = broodi_slot_end(BROODI_THREAD);
    for (uint32_t thread = 0; (thread = broodi_slot_next(BROODI_THREAD, thread, end)) < end;
         thread++)
        if (waits_for(thread, what))
            return true;
    return false;
}

static bool may_take(enum broodi_kind kind, uint32_t index, uint64_t state)
{
    return !broodi_slot_is_live(state) && !is_spent(kind, index, state) &&
           !is_awaited(kind, index, state);
}

// Raises the end of the slots that were ever taken, if this one lies behind it.
static void include(enum broodi_kind kind, uint32_t index)
{
    _Atomic uint32_t *end = &broodi_family.header->tables[kind].end;
    uint32_t known = atomic_load_explicit(end, memory_order_relaxed);
    while (known <= index &&
           !atomic_compare_exchange_weak_explicit(end, &known, index + 1, memory_order_acq_rel,
                                                  memory_order_relaxed))
        continue;
}

// The state is loaded with acquire: every thread that waited for the slot's last object has stored
// that in its thread slot before it swapped a state that precedes this one. So is_awaited() finds
// it.
static bool take_at(enum broodi_kind kind, uint32_t index, uint32_t low)
{
    broodi_word *word = word_of(kind, index);
    uint64_t state = broodi_word_load(word);
    const uint32_t next = next_generation(kind, index, state);
    if (!may_take(kind, index, state))
        return false;
    broodi_assert(broodi_slot_is_live(broodi_state(next, low)));
    include(kind, index);
    broodi_groups_expect(kind, index);
    return atomic_compare_exchange_strong_explicit(&word->state, &state, broodi_state(next, low),
                                                   memory_order_acq_rel, memory_order_relaxed);
}

static void count_taken(enum broodi_kind kind, uint32_t index)
{
    broodi_groups_add(kind, index);
    atomic_fetch_add_explicit(&broodi_family.header->tables[kind].live, 1, memory_order_relaxed);
}

// Searches from the cursor once around the table. A caller that is killed after it has taken a slot
// may leave a count that is too low, and the slot's group without ANY: recount() corrects both.
static bool search(enum broodi_kind kind, uint32_t low, uint32_t *out_index)
{
    struct broodi_table_state *table = &broodi_family.header->tables[kind];
    const uint32_t limit = broodi_slot_limit(kind);
    const uint32_t first =
        limit ? atomic_load_explicit(&table->cursor, memory_order_relaxed) % limit : 0;
    for (uint32_t n = 0; n < limit; n++) {
        const uint32_t index = (first + n) % limit;
        if (!take_at(kind, index, low))
            continue;
        broodi_step(BROODI_STEP_SLOT_TAKEN);
        count_taken(kind, index);
        atomic_store_explicit(&table->cursor, index + 1, memory_order_relaxed);
        *out_index = index;
        return true;
    }
    return false;
}

static uint64_t state_at(enum broodi_kind kind, uint32_t index)
{
    return atomic_load_explicit(&word_of(kind, index)->state, memory_order_relaxed);
}

// Whether at least this fraction of the table is taken or spent; false for a table of full size.
static bool is_filled(enum broodi_kind kind, uint32_t numerator, uint32_t denominator)
{
    const uint32_t limit = broodi_slot_limit(kind);
    const struct broodi_table_state *table = &broodi_family.header->tables[kind];
    // Signed: a wrong count may be below zero.
    const int32_t live = (int32_t)atomic_load_explicit(&table->live, memory_order_relaxed);
    return live > 0 && limit < broodi_family.views[kind].capacity &&
           (uint64_t)live * denominator >= (uint64_t)limit * numerator;
}

// Counts the slots that are taken or spent, and sets ANY in the groups of those that are taken. The
// count becomes wrong by one when a process is killed between the change of a slot and that of the
// count; it may also miss what other threads take and free during this function.
static void recount(enum broodi_kind kind)
{
    uint32_t live = 0;
    const uint32_t limit = broodi_slot_limit(kind);
    for (uint32_t index = 0; index < limit; index++) {
        const uint64_t state = state_at(kind, index);
        live += broodi_slot_is_live(state) || is_spent(kind, index, state);
        if (broodi_slot_is_live(state))
            broodi_groups_expect(kind, index);
    }
    atomic_store_explicit(&broodi_family.header->tables[kind].live, live, memory_order_relaxed);
}

static void sweep(enum broodi_kind kind)
{
    broodi_kind_sweep(kind);
    recount(kind);
}

// Called when three quarters of the table are in use, since searches would become long. First frees
// the slots of the dead. If half of the table is still in use, it grows, because otherwise a sweep
// would soon be necessary again.
static void make_room(enum broodi_kind kind)
{
    sweep(kind);
    if (is_filled(kind, 1, 2))
        (void)broodi_table_grow(kind); // a failure does not matter while there are free slots
}

// Begins the next lap of a table of full size in which a search has found no slot that may be
// taken; true also when another thread has begun that lap. False when no slot is spent: then a lap
// would not help.
static bool begin_lap(enum broodi_kind kind)
{
    struct broodi_table_state *table = &broodi_family.header->tables[kind];
    const uint32_t limit = broodi_slot_limit(kind);
    uint32_t lap = atomic_load_explicit(&table->laps, memory_order_relaxed);
    for (uint32_t index = 0; limit == broodi_family.views[kind].capacity && index < limit;
         index++) {
        if (!is_spent(kind, index, state_at(kind, index)))
            continue;
        (void)atomic_compare_exchange_strong_explicit(&table->laps, &lap, lap + 1,
                                                      memory_order_relaxed, memory_order_relaxed);
        recount(kind);
        return true;
    }
    return false;
}

brood_status broodi_slot_allocate(enum broodi_kind kind, uint32_t low, uint32_t *out_index)
{
    if (is_filled(kind, 3, 4))
        make_room(kind);
    for (;;) {
        if (search(kind, low, out_index))
            return BROOD_OK;
        const brood_status grown = broodi_table_grow(kind);
        if (grown == BROOD_OK)
            continue;
        sweep(kind);
        if (search(kind, low, out_index))
            return BROOD_OK;
        if (!begin_lap(kind))
            return grown;
    }
}

brood_status broodi_slot_commit(enum broodi_kind kind, uint32_t index)
{
    brood_status status = BROOD_OK;
    while (status == BROOD_OK && index >= broodi_slot_limit(kind))
        status = broodi_table_grow(kind);
    return status;
}

brood_status broodi_slot_allocate_at(enum broodi_kind kind, uint32_t index)
{
    const brood_status status = broodi_slot_commit(kind, index);
    if (status == BROOD_OK && !broodi_slot_is_live(state_at(kind, index)) &&
        take_at(kind, index, 0))
        count_taken(kind, index);
    return status;
}

bool broodi_slot_free_keeping(enum broodi_kind kind, uint32_t index, uint64_t state, uint32_t kept)
{
    broodi_assert(broodi_slot_is_live(state));
    const uint64_t freed = broodi_state(broodi_generation(state) + 1, kept);
    if (!atomic_compare_exchange_strong_explicit(&word_of(kind, index)->state, &state, freed,
                                                 memory_order_acq_rel, memory_order_relaxed))
        return false;
    broodi_step(BROODI_STEP_SLOT_FREED);
    if (!is_spent(kind, index, freed))
        atomic_fetch_sub_explicit(&broodi_family.header->tables[kind].live, 1,
                                  memory_order_relaxed);
    return true;
}

bool broodi_slot_free(enum broodi_kind kind, uint32_t index, uint64_t state)
{
    return broodi_slot_free_keeping(kind, index, state, 0);
}

uint64_t broodi_handle_of(enum broodi_kind kind, uint32_t index)
{
    return broodi_handle_then(
        kind, index, atomic_load_explicit(&word_of(kind, index)->state, memory_order_relaxed));
}

uint64_t broodi_handle_then(enum broodi_kind kind, uint32_t index, uint64_t state)
{
    return broodi_handle_pack((struct broodi_handle){ .tag = broodi_family.tag,
                                                      .kind = (uint32_t)kind,
                                                      .generation = broodi_generation(state),
                                                      .slot = index });
}
