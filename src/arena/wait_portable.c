// SPDX-License-Identifier: MIT
// Waiting with one doorbell for each thread, for systems whose own waits do not work between
// processes.
//
// The keys of all threads have a table of their own. A waiter publishes the key of the word there,
// loads the word again, and waits for its doorbell. A waker, which has changed the word, scans the
// table, claims the keys that it searches by compare-and-swap, and rings the doorbells. Both store
// before they load, in one total order (seq_cst): either the waiter sees the new word, or the waker
// sees the key.
//
//   0 --publish--> key --leave--> 0
//                  key --claim--> key|CLAIMED --the next publish--> key
//
// A wake is never lost. A wake that claims a waiter which is just leaving has still woken it,
// since that waiter loads the word again. If the claimed thread dies before that load, the burial
// of its slot wakes the key again. Therefore a claim stays in the table when its waiter leaves,
// until the next wait; if the thread dies in between, the burial wakes a thread without need.
//
// The key of a thread that died unclaimed stays in the table. A claim counts only if the slot
// belonged to the same living thread before and after it: then the claim came before the burial,
// which finds it.
#include "arena/groups.h"
#include "arena/thread_slot.h"
#include "arena/wait.h"

#include "arena/allocator.h"
#include "arena/family.h"
#include "arena/self.h"
#include "base/deadline.h"
#include "base/invariant.h"
#include "base/step.h"
#include "os/os_clock.h"
#include "os/os_life.h"
#include "os/os_thread.h"

#include <errno.h>

#define CLAIMED (UINT64_C(1) << 63)
#define PRIVATE (UINT64_C(1) << 62)

// Keys count in words of eight bytes. A word in the arena has the same key in every process. The
// key of a word in this process's memory contains the process: user addresses have 48 bits at
// most, 45 without the alignment, and a process slot has 16.
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

static _Atomic uint64_t *key_at(uint32_t index)
{
    return &((struct broodi_key *)broodi_slot(BROODI_KEY, index))->value;
}

static void await(struct broodi_thread_slot *own, uint32_t holder, int64_t timeout)
{
    if (holder == BROODI_NONE) {
        brood_os_bell_await(&own->life, NULL, NULL, timeout);
        return;
    }
    const broodi_owner owner = broodi_owner_at(BROODI_THREAD, holder);
    if (!owner) // it has ended
        return;
    const brood_os_life_id id = broodi_owner_life_id(owner);
    brood_os_bell_await(&own->life, &slot_at(holder)->life, &id, timeout);
}

// Whether the calling thread, which has this key in the table, may publish another: it waits for
// nothing. A claim of its last wait may have stayed.
static bool may_publish(uint64_t waiting)
{
    return waiting == 0 || (waiting & CLAIMED);
}

// For a thread that has no slot, so no doorbell, or no place for a key. The sleep is short, since
// nothing ends it early.
static void sleep_briefly(int64_t until, int64_t now)
{
    const int before = brood_os_thread_protect();
    brood_os_sleep_until(broodi_until(until, now, 1000000));
    brood_os_thread_unprotect(before);
}

// Rings the doorbell of the thread that has the slot now: if the slot was reused before the claim,
// that thread is the one that was claimed.
static void ring(uint32_t index)
{
    const broodi_owner owner = broodi_owner_at(BROODI_THREAD, index);
    const brood_os_life_id id = broodi_owner_life_id(owner);
    if (owner)
        brood_os_bell_ring(&slot_at(index)->life, &id);
}

// A thread that watches (watch.h) may wait for a lock between its marks and the wait for its
// doorbell. That wait may have heard a ring for the watcher, which thus hears it again.
static void ring_watcher(uint32_t self)
{
    if (self < broodi_slot_limit(BROODI_WATCH) &&
        atomic_load_explicit(&((struct broodi_watch *)broodi_slot(BROODI_WATCH, self))->mask,
                             memory_order_relaxed))
        ring(self);
}

static void wait_here(broodi_word *word, uint64_t expected, uint32_t holder, int64_t deadline)
{
    const int64_t now = brood_os_clock();
    const int64_t until = broodi_until(deadline, now, broodi_longest_wait());
    const uint32_t self = broodi_self_slot();
    if (until <= now)
        return;
    if (self == BROODI_NONE || broodi_slot_commit(BROODI_KEY, self) != BROOD_OK) {
        sleep_briefly(until, now);
        return;
    }
    _Atomic uint64_t *own = key_at(self);
    uint64_t key = key_of(word);
    broodi_assert(may_publish(atomic_load_explicit(own, memory_order_relaxed)));
    atomic_store_explicit(own, key, memory_order_seq_cst);
    broodi_step(BROODI_STEP_WAIT_PUBLISHED);
    if (atomic_load_explicit(&word->state, memory_order_seq_cst) == expected)
        await(slot_at(self), holder, until - now);
    ring_watcher(self);
    broodi_step(BROODI_STEP_WAIT_RUNG);
    (void)atomic_compare_exchange_strong_explicit(own, &key, 0, memory_order_acq_rel,
                                                  memory_order_relaxed);
}

void broodi_wait(broodi_word *word, uint64_t expected, uint32_t holder, int64_t deadline)
{
    const int error = errno;
    wait_here(word, expected, holder, deadline);
    errno = error;
}

static bool claim(uint32_t index, uint64_t key)
{
    uint64_t seen = key;
    return atomic_compare_exchange_strong_explicit(key_at(index), &seen, key | CLAIMED,
                                                   memory_order_seq_cst, memory_order_relaxed);
}

// Claims the thread if it waits for the key, and rings. True if the wake will be acted on, by the
// thread or at its burial.
static bool wake_thread(uint32_t index, uint64_t key)
{
    struct broodi_thread_slot *slot = slot_at(index);
    const uint64_t state = atomic_load_explicit(&slot->state.state, memory_order_acquire);
    if (!claim(index, key))
        return false;
    broodi_step(BROODI_STEP_WAKE_CLAIMED);
    ring(index);
    // Pairs with the fence of broodi_wait_bury.
    return broodi_thread_phase_of(state) == BROODI_THREAD_LIVE &&
           atomic_load_explicit(&slot->state.state, memory_order_seq_cst) == state;
}

// The end of the keys that are contiguous with the one at `index` and belong to the same group.
static uint32_t end_of_run(uint32_t index, uint32_t end)
{
    const uint32_t group = (index | broodi_group_masks[BROODI_THREAD]) + 1;
    const uint32_t run = index < BROODI_FIRST && group > BROODI_FIRST ? BROODI_FIRST : group;
    return run < end ? run : end;
}

// The first thread from `index` on that waits for the key; `end` if there is none before `end`.
static uint32_t find_waiter(uint64_t key, uint32_t index, uint32_t end)
{
    while ((index = broodi_slot_next(BROODI_THREAD, index, end)) < end) {
        const _Atomic uint64_t *at = key_at(index);
        for (const uint32_t run = end_of_run(index, end); index < run; index++, at++)
            if (atomic_load_explicit(at, memory_order_relaxed) == key)
                return index;
    }
    return end;
}

static _Atomic uint32_t last_woken; // the thread that this process woke last: a hint

// Claims up to `count` of these threads; returns how many of `count` are left.
static uint32_t wake_range(uint64_t key, uint32_t count, uint32_t index, uint32_t end)
{
    for (; count > 0 && (index = find_waiter(key, index, end)) < end; index++)
        if (wake_thread(index, key)) {
            count--;
            atomic_store_explicit(&last_woken, index, memory_order_relaxed);
        }
    return count;
}

// The end of the keys that a thread may have published.
static uint32_t end_of_keys(void)
{
    const uint32_t threads = broodi_slot_end(BROODI_THREAD);
    const uint32_t keys = broodi_slot_limit(BROODI_KEY);
    return threads < keys ? threads : keys;
}

// Starts after the thread that was woken last: otherwise two threads in low slots that take turns
// would starve those in higher slots.
static void wake_key(uint64_t key, uint32_t count)
{
    // Orders the caller's change of the word before the loads of the keys and of their number.
    atomic_thread_fence(memory_order_seq_cst);
    const uint32_t end = end_of_keys();
    const uint32_t first = atomic_load_explicit(&last_woken, memory_order_relaxed) + 1;
    count = wake_range(key, count, first, end);
    (void)wake_range(key, count, 0, first < end ? first : end);
}

void broodi_wake(broodi_word *word, uint32_t count)
{
    const int error = errno;
    wake_key(key_of(word), count);
    errno = error;
}

void broodi_wait_bury(uint32_t thread)
{
    atomic_thread_fence(memory_order_seq_cst); // DEAD is stored before the load of the claim
    if (thread >= broodi_slot_limit(BROODI_KEY))
        return;
    // Only a claim is removed: the slot may belong to another thread by now.
    _Atomic uint64_t *key = key_at(thread);
    uint64_t waiting = atomic_load_explicit(key, memory_order_acquire);
    if ((waiting & CLAIMED) && atomic_compare_exchange_strong_explicit(
                                   key, &waiting, 0, memory_order_acq_rel, memory_order_relaxed))
        wake_key(waiting & ~CLAIMED, 1);
}
