// SPDX-License-Identifier: MIT
// The end of lists of users, and of the processes in them. users.c describes the entries.
#include "message/users.h"

#include "arena/allocator.h"
#include "arena/groups.h"
#include "arena/here.h"
#include "arena/process_slot.h"
#include "arena/self.h"
#include "base/invariant.h"
#include "base/step.h"
#include "message/user_entry.h"
#include "os/os_clock.h"
#include "sync/object.h"

// Entries of objects that have ended

void broodi_users_begin(struct broodi_user_list *list, uint64_t id)
{
    atomic_store_explicit(&list->checked, 0, memory_order_relaxed);
    atomic_store_explicit(&list->entered, 0, memory_order_relaxed);
    // Release: pairs with the acquire in broodi_user_first().
    atomic_store_explicit(&list->first, id & ~(uint64_t)BROODI_SLOT_MASK, memory_order_release);
}

void broodi_users_end(struct broodi_user_list *list, uint64_t id)
{
    struct broodi_user_slot *slot;
    uint64_t first = atomic_load_explicit(&list->first, memory_order_acquire);
    do
        if (first >> BROODI_SLOT_BITS != id >> BROODI_SLOT_BITS)
            return;
    while (!atomic_compare_exchange_weak_explicit(&list->first, &first, 0, memory_order_acq_rel,
                                                  memory_order_acquire));
    broodi_step(BROODI_STEP_USER_ENDED);
    broodi_fence_after_swap();
    uint32_t next = (uint32_t)first & BROODI_SLOT_MASK;
    while ((slot = broodi_user_next(id, &next)) != NULL)
        broodi_user_free(slot, id);
}

// Whether the entry belongs to no object that exists: its object has ended, or its worker was
// killed before it named the object.
static bool is_left(const struct broodi_user_slot *slot, uint64_t id)
{
    const uint64_t state = broodi_word_load(&slot->state);
    if (!broodi_slot_is_live(state))
        return false;
    if (id == 0)
        return broodi_user_phase_of(state) == BROODI_USER_MAKING && broodi_user_is_abandoned(state);
    const void *object = broodi_object_find((enum broodi_kind)broodi_handle_unpack(id).kind, id);
    return object && !broodi_handle_is_current(id, broodi_word_load(object));
}

void broodi_users_sweep(void)
{
    const uint32_t limit = broodi_slot_limit(BROODI_USER);
    for (uint32_t index = 0; (index = broodi_slot_next(BROODI_USER, index, limit)) < limit;
         index++) {
        struct broodi_user_slot *slot = broodi_slot(BROODI_USER, index);
        const uint64_t id = atomic_load_explicit(&slot->object, memory_order_acquire);
        if (is_left(slot, id))
            broodi_user_free(slot, id);
    }
}

// Processes that have died

enum { PAUSE_MS = 1000 }; // between two checks

int64_t broodi_users_pause(uint32_t vain)
{
    const int64_t first = BROOD_MILLISECONDS(1);
    return vain > 0 && vain <= 10 ? first << (vain - 1) : PAUSE_MS * first;
}

// A STARTING process whose parent has died never begins, or is killed soon. (One that does begin
// enters the list again when it first uses the object.)
static bool has_gone(broodi_owner process)
{
    if (broodi_process_state(process) != BROODI_OWNER_LIVES)
        return true;
    const struct broodi_process_slot *slot =
        broodi_slot(BROODI_PROCESS, broodi_owner_slot(process));
    const broodi_owner parent = atomic_load_explicit(&slot->parent, memory_order_relaxed);
    return broodi_process_phase_of(broodi_word_load(&slot->state)) == BROODI_PROCESS_STARTING &&
           parent && parent != broodi_user_self() &&
           broodi_process_state(parent) != BROODI_OWNER_LIVES;
}

// How a process that has ended went: it has stored its exit record, or was killed. Its burial takes
// it out of all lists before it loses its slot; so if the slot is not its own any more, the entry
// has changed already, or the process was killed before its burial could know of the entry.
static enum broodi_user_phase how_gone(broodi_owner process)
{
    const struct broodi_process_slot *slot =
        broodi_slot(BROODI_PROCESS, broodi_owner_slot(process));
    const uint32_t record = atomic_load_explicit(&slot->record, memory_order_acquire);
    const bool is_its = broodi_owner_at(BROODI_PROCESS, broodi_owner_slot(process)) == process;
    return is_its && record != BROODI_RECORD_NONE ? BROODI_USER_LEFT : BROODI_USER_LOST;
}

static bool check_user(struct broodi_user_slot *slot, uint64_t state)
{
    const broodi_owner process = atomic_load_explicit(&slot->process, memory_order_relaxed);
    const broodi_owner thread = atomic_load_explicit(&slot->thread, memory_order_relaxed);
    return process != broodi_user_self() && broodi_owner_state(thread) != BROODI_OWNER_LIVES &&
           has_gone(process) && broodi_user_depart(slot, state, how_gone(process));
}

// True if the entry's process, or its worker, was found dead.
static bool check(struct broodi_user_slot *slot)
{
    const uint64_t state = broodi_word_load(&slot->state);
    switch (broodi_user_phase_of(state)) {
    case BROODI_USER_USING:
        return check_user(slot, state);
    case BROODI_USER_MAKING:
        if (!broodi_user_is_abandoned(state))
            return false;
        atomic_store_explicit(&slot->gone_at, brood_os_clock(), memory_order_relaxed);
        return broodi_word_swap(&slot->state, state, broodi_user_low(BROODI_USER_LOST, 0));
    default:
        return false;
    }
}

static bool has_suspect(const struct broodi_user_list *list, uint64_t id)
{
    const struct broodi_user_slot *slot;
    uint32_t next = broodi_user_first(list, id);
    while ((slot = broodi_user_next(id, &next)) != NULL)
        if (broodi_user_phase_of(broodi_word_load(&slot->state)) == BROODI_USER_USING &&
            broodi_user_is_suspect(slot))
            return true;
    return false;
}

// Whether this caller is to check the list. It is checked once a millisecond at most.
static bool is_due(struct broodi_user_list *list, uint64_t id, bool now)
{
    const uint32_t clock = (uint32_t)(brood_os_clock() / BROOD_MILLISECONDS(1));
    const uint32_t time = clock ? clock : 1;
    uint32_t last = atomic_load_explicit(&list->checked, memory_order_relaxed);
    if (last != 0 && !now && time - last < PAUSE_MS && (time == last || !has_suspect(list, id)))
        return false;
    return atomic_compare_exchange_strong_explicit(&list->checked, &last, time,
                                                   memory_order_relaxed, memory_order_relaxed) ||
           now;
}

bool broodi_users_check(struct broodi_user_list *list, uint64_t id, bool now)
{
    struct broodi_user_slot *slot;
    bool found = false;
    uint32_t next = broodi_user_first(list, id);
    if (next == 0 || !is_due(list, id, now))
        return false;
    while ((slot = broodi_user_next(id, &next)) != NULL)
        found |= check(slot);
    return found;
}

// Processes that end, or are buried

static const broodi_user_gone *gone_of;

void broodi_users_prepare(const broodi_user_gone gone[BROODI_HANDLE_KINDS])
{
    gone_of = gone;
}

// Ends the use of an entry by this process, and tells the object.
static void end_use(struct broodi_user_slot *slot, uint64_t state, enum broodi_user_phase phase)
{
    const uint64_t id = atomic_load_explicit(&slot->object, memory_order_relaxed);
    const uint32_t number = atomic_load_explicit(&slot->list, memory_order_relaxed);
    const uint32_t kind = broodi_handle_unpack(id).kind;
    if (broodi_user_depart(slot, state, phase) && kind < BROODI_HANDLE_KINDS && gone_of[kind])
        gone_of[kind](id, number);
}

static void end_uses(broodi_owner process, enum broodi_user_phase phase)
{
    const uint32_t limit = broodi_slot_limit(BROODI_USER);
    for (uint32_t index = 0; (index = broodi_slot_next(BROODI_USER, index, limit)) < limit;
         index++) {
        struct broodi_user_slot *slot = broodi_slot(BROODI_USER, index);
        const uint64_t state = broodi_word_load(&slot->state);
        if (broodi_slot_is_live(state) && broodi_user_phase_of(state) == BROODI_USER_USING &&
            atomic_load_explicit(&slot->process, memory_order_relaxed) == process)
            end_use(slot, state, phase);
    }
}

static bool has_uses(broodi_owner process)
{
    const struct broodi_process_slot *slot =
        broodi_slot(BROODI_PROCESS, broodi_owner_slot(process));
    return atomic_load_explicit(&slot->uses, memory_order_acquire) != 0;
}

void broodi_users_show_thread(void)
{
    const uint32_t process = broodi_here_process();
    const broodi_owner self = process == BROODI_NONE ? 0 : broodi_user_self();
    if (self && has_uses(self))
        (void)broodi_owner_self();
}

void broodi_users_leave_all(void)
{
    const uint32_t process = broodi_here_process();
    const broodi_owner self = process == BROODI_NONE ? 0 : broodi_user_self();
    if (self && has_uses(self))
        end_uses(self, BROODI_USER_LEFT);
}

void broodi_users_bury(broodi_owner process)
{
    if (has_uses(process))
        end_uses(process, how_gone(process));
}
