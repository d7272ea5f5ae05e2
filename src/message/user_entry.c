// SPDX-License-Identifier: MIT
// What all files of the lists of users do with an entry; users.c describes them.
#include "message/user_entry.h"

#include "arena/allocator.h"
#include "arena/process_slot.h"
#include "arena/self.h"
#include "arena/thread_slot.h"
#include "base/step.h"
#include "message/users.h"
#include "os/os_clock.h"

// This process

static _Atomic broodi_owner self_known; // 0: not known

void broodi_users_forget(void)
{
    atomic_store_explicit(&self_known, 0, memory_order_relaxed);
}

static broodi_owner find_self(void)
{
    const uint32_t process = broodi_self_process();
    const broodi_owner self = process == BROODI_NONE ? 0 : broodi_owner_at(BROODI_PROCESS, process);
    atomic_store_explicit(&self_known, self, memory_order_relaxed);
    return self;
}

broodi_owner broodi_user_self(void)
{
    const broodi_owner self = atomic_load_explicit(&self_known, memory_order_relaxed);
    return self ? self : find_self();
}

// Threads of an entry's process

// The first thread that the process had; 0 if it had none, or that slot is not its own any more.
static broodi_owner first_thread(broodi_owner process)
{
    const uint32_t index = broodi_owner_slot(process);
    if (!process || broodi_owner_at(BROODI_PROCESS, index) != process)
        return 0;
    const struct broodi_process_slot *slot = broodi_slot(BROODI_PROCESS, index);
    const broodi_owner first = broodi_owner_at(
        BROODI_THREAD, atomic_load_explicit(&slot->first_thread, memory_order_acquire));
    if (!first)
        return 0;
    const struct broodi_thread_slot *thread = broodi_slot(BROODI_THREAD, broodi_owner_slot(first));
    const uint64_t state = broodi_word_load(&thread->state);
    const bool is_its =
        broodi_owner_has_slot(first, state) && broodi_thread_process_of(state) == index;
    return is_its && broodi_owner_at(BROODI_PROCESS, index) == process ? first : 0;
}

static broodi_owner thread_in(const struct broodi_user_slot *slot, enum broodi_owner_state state)
{
    const broodi_owner entered = atomic_load_explicit(&slot->thread, memory_order_relaxed);
    if (broodi_owner_state(entered) == state)
        return entered;
    const broodi_owner first =
        first_thread(atomic_load_explicit(&slot->process, memory_order_relaxed));
    return broodi_owner_state(first) == state ? first : 0;
}

broodi_owner broodi_user_living_thread(const struct broodi_user_slot *slot)
{
    return thread_in(slot, BROODI_OWNER_LIVES);
}

bool broodi_user_is_suspect(const struct broodi_user_slot *slot)
{
    return thread_in(slot, BROODI_OWNER_DEAD) != 0;
}

// The end of a use, and of an entry

bool broodi_user_depart(struct broodi_user_slot *slot, uint64_t state, enum broodi_user_phase phase)
{
    const uint64_t count = broodi_word_load(&slot->count);
    if (broodi_user_is_using(state, count))
        broodi_user_next_use(slot, count, true);
    broodi_step(BROODI_STEP_USER_LEAVING);
    atomic_store_explicit(&slot->gone_at, brood_os_clock(), memory_order_relaxed);
    return broodi_word_swap(&slot->state, state, broodi_user_low(phase, 0));
}

bool broodi_user_is_abandoned(uint64_t state)
{
    const broodi_owner worker =
        broodi_owner_complete(BROODI_PROCESS, broodi_user_name(state), BROODI_USER_NAME_BITS);
    return worker != broodi_user_self() && broodi_process_state(worker) != BROODI_OWNER_LIVES;
}

// Makes the entry MAKING, with this process as the worker; false if it is not to be freed by this
// one. From then on no other process changes it.
static bool begin_free(struct broodi_user_slot *slot, uint64_t id, uint64_t *state)
{
    const broodi_owner self = broodi_user_self();
    *state = broodi_word_load(&slot->state);
    if (!self || !broodi_slot_is_live(*state) ||
        atomic_load_explicit(&slot->object, memory_order_acquire) != id ||
        (broodi_user_phase_of(*state) == BROODI_USER_MAKING && !broodi_user_is_abandoned(*state)))
        return false;
    const uint32_t low =
        broodi_user_low(BROODI_USER_MAKING, broodi_owner_shorten(self, BROODI_USER_NAME_BITS));
    if (!broodi_word_swap(&slot->state, *state, low))
        return false;
    *state = broodi_state(broodi_generation(*state), low);
    return true;
}

void broodi_user_free(struct broodi_user_slot *slot, uint64_t id)
{
    uint64_t state;
    if (!begin_free(slot, id, &state))
        return;
    broodi_user_next_use(slot, broodi_word_load(&slot->count), false);
    atomic_store_explicit(&slot->object, 0, memory_order_release);
    broodi_step(BROODI_STEP_USER_FREED);
    (void)broodi_slot_free(BROODI_USER, broodi_slot_index(BROODI_USER, slot), state);
}
