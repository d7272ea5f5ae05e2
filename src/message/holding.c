// SPDX-License-Identifier: MIT
#include "message/holding.h"

#include "base/step.h"
#include "message/chain.h"
#include "message/item.h"
#include "message/user_entry.h"

// There is one list of users, and this is its number.
enum { CONSUMERS_LIST = 0 };

void broodi_holding_prepare(struct broodi_queue_slot *queue, uint64_t id, bool joinable)
{
    atomic_store_explicit(&queue->joinable, joinable, memory_order_relaxed);
    broodi_chain_store(&queue->holding, 0);
    atomic_store_explicit(&queue->lost, 0, memory_order_release);
    if (!joinable)
        return;
    broodi_assert(atomic_load_explicit(&queue->largest, memory_order_relaxed) <=
                  BROODI_LENGTH_MASK);
    broodi_users_begin(&queue->consumers, id);
}

void broodi_holding_free(struct broodi_queue_slot *queue, uint64_t id)
{
    if (broodi_queue_is_joinable(queue))
        broodi_users_end(&queue->consumers, id);
}

brood_status broodi_holding_enter(struct broodi_queue_slot *queue, uint64_t id,
                                  struct broodi_user *out)
{
    *out = (struct broodi_user){ .slot = NULL };
    return broodi_queue_is_joinable(queue)
               ? broodi_user_enter(&queue->consumers, id, CONSUMERS_LIST, out)
               : BROOD_OK;
}

// Counting

// The note: which use of which entry, {its number 32, index of the entry plus one 32}.
static uint64_t note_of(const struct broodi_user *user)
{
    return broodi_state(user->use, broodi_slot_index(BROODI_USER, user->slot) + 1);
}

void broodi_holding_begin(struct broodi_queue_slot *queue, const struct broodi_user *user)
{
    if (!user->slot)
        return;
    broodi_chain_store(&queue->holding_at, broodi_chain_load(&queue->tail));
    broodi_chain_store(&queue->holding, note_of(user));
    broodi_step(BROODI_STEP_QUEUE_HOLDING);
}

// The entry may be out of the list: the process ends in order while this thread still gets.
static void add_held(struct broodi_queue_slot *queue, const struct broodi_user *user,
                     uint32_t number)
{
    if (!broodi_user_add(user, number))
        atomic_store_explicit(&queue->lost, 1, memory_order_release);
}

void broodi_holding_end(struct broodi_queue_slot *queue, const struct broodi_user *user,
                        uint32_t number)
{
    if (!user->slot)
        return;
    add_held(queue, user, number);
    broodi_step(BROODI_STEP_QUEUE_HELD);
    broodi_chain_store(&queue->holding, 0);
}

// Whether the messages of the note are counted as lost: in the entry, which keeps its count when
// its process has gone. While the note is there nobody takes counts off.
static bool is_counted(struct broodi_user_slot *slot, uint32_t use)
{
    uint64_t count = broodi_word_load(&slot->count);
    if (broodi_generation(count) == use && broodi_low(count) == 0)
        return broodi_user_count_swap(slot, &count, count + 1);
    return broodi_low(count) > 0 &&
           (broodi_generation(count) == use || broodi_generation(count) == use + 1);
}

void broodi_holding_repair(struct broodi_queue_slot *queue)
{
    const uint64_t note = broodi_queue_is_joinable(queue) ? broodi_chain_load(&queue->holding) : 0;
    if (note == 0)
        return;
    if (broodi_chain_load(&queue->tail) != broodi_chain_load(&queue->holding_at) &&
        !is_counted(broodi_slot(BROODI_USER, broodi_low(note) - 1), broodi_generation(note)))
        atomic_store_explicit(&queue->lost, 1, memory_order_release);
    broodi_chain_store(&queue->holding, 0);
}

// Messages that were taken

// A short owner: the process that has the piece.
static uint64_t holder_of(uint64_t piece)
{
    return broodi_chain_load(&broodi_reference_slot(piece)->length) >> BROODI_HOLDER_AT;
}

static uint64_t name_of(const struct broodi_user_slot *slot)
{
    return broodi_owner_shorten(atomic_load_explicit(&slot->process, memory_order_relaxed),
                                64 - BROODI_HOLDER_AT);
}

static bool lower(struct broodi_user_slot *slot)
{
    uint64_t count = broodi_word_load(&slot->count);
    while (broodi_low(count) > 0)
        if (broodi_user_count_swap(slot, &count, count - 1))
            return true;
    return false;
}

void broodi_holding_pass(struct broodi_queue_slot *queue, uint64_t id, uint64_t piece)
{
    struct broodi_user_slot *slot;
    if (!broodi_queue_is_joinable(queue))
        return;
    uint32_t next = broodi_user_first(&queue->consumers, id);
    while ((slot = broodi_user_next(id, &next)) != NULL)
        if (name_of(slot) == holder_of(piece) && lower(slot))
            return;
}

void broodi_holding_take(struct broodi_queue_slot *queue, const struct broodi_user *user,
                         uint64_t piece)
{
    if (!user->slot)
        return;
    _Atomic uint64_t *length = &broodi_reference_slot(piece)->length;
    const uint64_t size = broodi_chain_load(length) & BROODI_LENGTH_MASK;
    broodi_chain_store(length, name_of(user->slot) << BROODI_HOLDER_AT | size);
    broodi_step(BROODI_STEP_QUEUE_HELD);
    add_held(queue, user, 1);
}

// Joining

static bool is_orphan(uint64_t piece)
{
    return broodi_piece_is_orphan(broodi_reference_slot(piece));
}

// How many messages dead threads of this process have left, which are to be delivered again.
static uint32_t left_by(const struct broodi_queue_slot *queue, uint64_t name)
{
    uint32_t left = 0;
    for (uint64_t piece = broodi_chain_load(&queue->taken); piece != 0;
         piece = broodi_chain_load(&broodi_reference_slot(piece)->next))
        left += holder_of(piece) == name && is_orphan(piece);
    return left;
}

static bool has_left(const struct broodi_queue_slot *queue)
{
    for (uint64_t piece = broodi_chain_load(&queue->taken); piece != 0;
         piece = broodi_chain_load(&broodi_reference_slot(piece)->next))
        if (is_orphan(piece))
            return true;
    return false;
}

// Whether a process that has gone has lost messages; with `settle` they are taken off.
static bool has_lost(const struct broodi_queue_slot *queue, struct broodi_user_slot *slot,
                     bool settle)
{
    const enum broodi_user_phase phase = broodi_user_phase_of(broodi_word_load(&slot->state));
    uint64_t seen = broodi_word_load(&slot->count);
    if ((phase != BROODI_USER_LEFT && phase != BROODI_USER_LOST) || broodi_low(seen) == 0)
        return false;
    const uint32_t left = left_by(queue, name_of(slot));
    if (broodi_low(seen) <= left)
        return false;
    return !settle ||
           broodi_user_count_swap(slot, &seen, broodi_state(broodi_generation(seen), left));
}

static bool any_has_lost(struct broodi_queue_slot *queue, uint64_t id, bool settle)
{
    struct broodi_user_slot *slot;
    bool any = atomic_load_explicit(&queue->lost, memory_order_acquire) != 0;
    uint32_t next = broodi_user_first(&queue->consumers, id);
    while ((slot = broodi_user_next(id, &next)) != NULL)
        any |= has_lost(queue, slot, settle);
    if (settle)
        atomic_store_explicit(&queue->lost, 0, memory_order_release);
    return any;
}

brood_status broodi_holding_state(struct broodi_queue_slot *queue, uint64_t id, bool settle)
{
    if (any_has_lost(queue, id, settle))
        return BROOD_PEER_DIED;
    return broodi_holding_is_done(queue, id) && !has_left(queue) ? BROOD_OK : BROOD_NOT_FOUND;
}

// The chain is loaded first: if it is empty, the counts that are loaded afterwards include all
// messages that it had before, except one whose consumer has the lock and has not counted it yet.
// That one's process calls it done later, and looks again.
bool broodi_holding_is_done(const struct broodi_queue_slot *queue, uint64_t id)
{
    return broodi_chain_count(queue) == 0 && broodi_users_look(&queue->consumers, id).held == 0;
}
