// SPDX-License-Identifier: MIT
// Waiting over one doorbell for each thread, for systems whose own ways do not cross processes.
//
// A waiter publishes the key of the word in its slot, looks at the word again, and awaits its bell.
// A waker, who has changed the word, looks through the slots, claims those with the key by
// compare-and-swap, and rings their bells. Both write before they read, in one total order
// (seq_cst): either the waiter sees the new word, or the waker sees the key.
//
//   0 --publish--> key --leave--> 0
//                  key --claim--> key|CLAIMED --the next publish--> key
//
// A wake is never lost: one that claims a waiter who is just leaving has still woken it, since that
// waiter looks at the word again; and if the claimed thread dies before it has looked, whoever
// buries its slot wakes the key again. Therefore a claim stays when its waiter leaves, until the
// next wait; of one who dies later, a wake too many is passed on.
//
// The key of one who died unclaimed stays in its slot. A claim counts only when the slot was a
// living thread's before and after it: then it came before the burial, which finds it.
#include "wait.h"

#include "deadline.h"
#include "family.h"
#include "os/os_clock.h"
#include "os/os_life.h"
#include "os/os_thread.h"
#include "self.h"
#include "step.h"

#include <errno.h>

#define CLAIMED (UINT64_C(1) << 63)
#define PRIVATE (UINT64_C(1) << 62)

// Words are eight bytes wide. One of the arena has the same key everywhere; one of this process's
// memory has the process in its key: user addresses take 48 bits at most, 45 without the alignment,
// and a process slot 16.
static uint64_t key_of(const broodi_word *word)
{
    const uintptr_t at = (uintptr_t)word;
    const uintptr_t base = (uintptr_t)broodi_family.arena.base;
    if (at - base < broodi_family.arena.size)
        return (at - base) / sizeof *word + 1;
    return PRIVATE | (uint64_t)(broodi_self_process() & 0xffff) << 45 |
           (at / sizeof *word & ((UINT64_C(1) << 45) - 1));
}

static struct broodi_thread_slot *slot_at(uint32_t index)
{
    return broodi_slot(BROODI_THREAD, index);
}

static void await(struct broodi_thread_slot *own, uint32_t holder, int64_t timeout)
{
    if (holder == BROODI_NONE) {
        brood_os_bell_await(&own->life, NULL, NULL, timeout);
        return;
    }
    const brood_os_life_id id = broodi_life_id(holder);
    brood_os_bell_await(&own->life, &slot_at(holder)->life, &id, timeout);
}

static void wait_here(broodi_word *word, uint64_t expected, uint32_t holder, int64_t deadline)
{
    const int64_t now = brood_os_clock();
    const int64_t until = broodi_until(deadline, now, 1000000000);
    const uint32_t self = broodi_self_slot();
    if (until <= now)
        return;
    if (self == BROODI_NONE) { // no slot, no bell: looks again soon
        const int before = brood_os_thread_protect();
        brood_os_sleep_until(broodi_until(until, now, 1000000));
        brood_os_thread_unprotect(before);
        return;
    }
    struct broodi_thread_slot *own = slot_at(self);
    uint64_t key = key_of(word);
    atomic_store_explicit(&own->waiting, key, memory_order_seq_cst);
    broodi_step(BROODI_STEP_WAIT_PUBLISHED);
    if (atomic_load_explicit(&word->state, memory_order_seq_cst) == expected)
        await(own, holder, until - now);
    broodi_step(BROODI_STEP_WAIT_RUNG);
    (void)atomic_compare_exchange_strong_explicit(&own->waiting, &key, 0, memory_order_acq_rel,
                                                  memory_order_relaxed);
}

void broodi_wait(broodi_word *word, uint64_t expected, uint32_t holder, int64_t deadline)
{
    const int error = errno;
    wait_here(word, expected, holder, deadline);
    errno = error;
}

static bool claim(struct broodi_thread_slot *slot, uint64_t key)
{
    uint64_t seen = key;
    return atomic_load_explicit(&slot->waiting, memory_order_seq_cst) == key &&
           atomic_compare_exchange_strong_explicit(&slot->waiting, &seen, key | CLAIMED,
                                                   memory_order_seq_cst, memory_order_relaxed);
}

// Claims the slot if its thread waits for the key, and rings. True when somebody will act on it:
// the thread, or who buries it.
static bool wake_slot(uint32_t index, uint64_t key)
{
    struct broodi_thread_slot *slot = slot_at(index);
    const uint64_t state = atomic_load_explicit(&slot->state.state, memory_order_acquire);
    if (!claim(slot, key))
        return false;
    broodi_step(BROODI_STEP_WAKE_CLAIMED);
    const brood_os_life_id id = broodi_life_id(index);
    brood_os_bell_ring(&slot->life, &id);
    // Pairs with the fence of broodi_wait_bury.
    return broodi_thread_phase_of(state) == BROODI_THREAD_LIVE &&
           atomic_load_explicit(&slot->state.state, memory_order_seq_cst) == state;
}

static _Atomic uint32_t last_woken; // slot, of this process: a hint

// Claims up to `count` of the threads in these slots; how many are left to be claimed.
static uint32_t wake_range(uint64_t key, uint32_t count, uint32_t index, uint32_t limit)
{
    for (; count > 0 && (index = broodi_slot_next(BROODI_THREAD, index, limit)) < limit; index++)
        if (wake_slot(index, key)) {
            count--;
            atomic_store_explicit(&last_woken, index, memory_order_relaxed);
        }
    return count;
}

// In turns, from behind the one that was woken last: otherwise those in high slots would starve
// beside two in lower ones.
static void wake_key(uint64_t key, uint32_t count)
{
    // The caller's change before the look at the slots, and at how many there are.
    atomic_thread_fence(memory_order_seq_cst);
    const uint32_t limit = broodi_slot_limit(BROODI_THREAD);
    const uint32_t first = atomic_load_explicit(&last_woken, memory_order_relaxed) + 1;
    count = wake_range(key, count, first, limit);
    (void)wake_range(key, count, 0, first < limit ? first : limit);
}

void broodi_wake(broodi_word *word, uint32_t count)
{
    const int error = errno;
    wake_key(key_of(word), count);
    errno = error;
}

void broodi_wait_bury(struct broodi_thread_slot *slot)
{
    atomic_thread_fence(memory_order_seq_cst); // the slot is DEAD before the look for a claim
    // Only a claim is taken out: the slot may be another thread's by now.
    uint64_t waiting = atomic_load_explicit(&slot->waiting, memory_order_acquire);
    if ((waiting & CLAIMED) &&
        atomic_compare_exchange_strong_explicit(&slot->waiting, &waiting, 0, memory_order_acq_rel,
                                                memory_order_relaxed))
        wake_key(waiting & ~CLAIMED, 1);
}
