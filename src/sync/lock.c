// SPDX-License-Identifier: MIT
// Acquiring and releasing locks. lock_slot.c creates and destroys them.
//
// The low word of a lock's state is its holder (lock_word.h), 0 when the lock is free, and three
// flags:
//
//   WAITERS   Threads wait, or may wait: the release wakes one.
//   STARVING  A waiter found the lock held again after a wait, a millisecond or more after its call
//             began. The release leaves this flag on the free lock; then only threads that have
//             waited may take it. A newcomer waits for up to a millisecond first, and then has
//             waited too: so the state ends even if all starving waiters are gone.
//   SETTLED   A thread waits for up to a second: the release wakes all.
//
// A waiter waits for a change of the word and for the end of the holder that it has seen. When
// the lock passes from one holder to the next, the threads that are still asleep watch the wrong
// holder. So a wait is short (50 ms) until the waiter has seen the same holder for that long, and
// the release by a holder that was watched longer wakes all waiters to load the word again. Thus
// the death of a holder is noticed within 50 ms, and an idle family wakes once a second.
//
// Inheriting from a dead holder involves only the word and the holder's thread slot: a thread that
// finds the holder dead replaces the holder in the word by itself, with one compare-and-swap. One
// thread succeeds, and its call returns BROOD_OWNER_DIED.
//
// Each thread counts in `held` the locks that it may hold. It increments the count before it
// takes a lock and decrements it after the release: so no lock names a thread that died with a
// count of zero.
#include "sync/lock.h"

#include "arena/allocator.h"
#include "arena/blocking.h"
#include "arena/race.h"
#include "arena/self.h"
#include "arena/spin.h"
#include "base/compiler.h"
#include "base/deadline.h"
#include "base/fail.h"
#include "base/invariant.h"
#include "base/step.h"
#include "os/os_clock.h"
#include "sync/lock_word.h"
#include "sync/object.h"

#define WAITERS (UINT32_C(1) << 31)
#define SETTLED (UINT32_C(1) << 30)
#define STARVING (UINT32_C(1) << 29)

enum {
    STARVES_AFTER = 1000000, // ns
    SHORT_WAIT = 50000000,
    LONG_WAIT = 1000000000,
    // ns between the loads before the first wait, while a holder on another processor may release
    // the lock.
    FIRST_LOAD = 768,
    LAST_LOAD = 3072,
};

// A call of acquire that did not succeed at once.
struct attempt {
    struct broodi_lock_slot *lock;
    uint64_t id;
    uint32_t self; // the calling thread as a holder
    int64_t deadline;
    int64_t since; // when the call began
    bool waited;
    uint32_t watched;      // the holder at the last wait
    int64_t watched_since; // when this call first waited for that holder
};

static struct broodi_thread_slot *thread_of(uint32_t self)
{
    return broodi_slot(BROODI_THREAD, broodi_owner_slot(self));
}

// The calling thread as a holder; 0 if it has no slot and none can be taken.
static uint32_t find_self(void)
{
    const broodi_owner self = broodi_owner_self();
    broodi_assert(!self || self == broodi_owner_at(BROODI_THREAD, broodi_owner_slot(self)));
    return broodi_holder_of(self);
}

static void count_held(uint32_t self, uint32_t change)
{
    struct broodi_thread_slot *slot = thread_of(self);
    const uint32_t held = atomic_load_explicit(&slot->held, memory_order_relaxed);
    broodi_assert(change == 1 || held > 0);
    atomic_store_explicit(&slot->held, held + change, memory_order_relaxed);
}

// Replaces the low word if the state is still `state`. acq_rel: pairs with the swap by the
// previous holder, whose writes the caller then sees.
static bool swap(struct broodi_lock_slot *lock, uint64_t state, uint32_t low)
{
    return broodi_word_swap(&lock->state, state, low);
}

// How many times the holder has taken the lock. Loaded and stored by the holder only. Atomic for
// race checkers, which see one process only: an heir in another process may have released the
// lock since a holder in this process died, and a checker in this process does not see that.
static uint32_t depth_of(const struct broodi_lock_slot *lock)
{
    return atomic_load_explicit(&lock->depth, memory_order_relaxed);
}

static void set_depth(struct broodi_lock_slot *lock, uint32_t depth)
{
    atomic_store_explicit(&lock->depth, depth, memory_order_relaxed);
}

static struct broodi_lock_slot *find(brood_lock lock)
{
    return broodi_object_find(BROODI_LOCK, lock.id);
}

// Acquiring

static brood_status add_level(struct broodi_lock_slot *lock)
{
    if (!lock->recursive)
        return broodi_fail(BROOD_DEADLOCK, "this thread already holds the lock");
    if (depth_of(lock) == UINT32_MAX)
        return BROOD_OVERFLOW;
    set_depth(lock, depth_of(lock) + 1);
    return BROOD_OK;
}

// Polls for a short time, in case the holder is about to release; not if threads sleep already,
// since the release wakes one of them.
static void spin(const struct attempt *attempt)
{
    struct broodi_spin spin = broodi_spin_begin(FIRST_LOAD, LAST_LOAD);
    uint32_t low;
    do
        low = broodi_low(atomic_load_explicit(&attempt->lock->state.state, memory_order_relaxed));
    while ((low & BROODI_HOLDER) && !(low & WAITERS) && broodi_spin_wait(&spin));
    broodi_spin_end(&spin, !(low & BROODI_HOLDER));
}

// A newcomer may take a free lock with STARVING only if its time is over, since it will not try
// again.
static bool may_take(const struct attempt *attempt, uint32_t low, bool expired)
{
    return !(low & BROODI_HOLDER) && (!(low & STARVING) || attempt->waited || expired);
}

// Queries the liveness of the holder only after a wait for that holder has returned, or when the
// time is over: the first wait for a dead holder returns at once, so no query is needed before
// it.
static bool holder_is_over(const struct attempt *attempt, uint32_t low, bool expired)
{
    const uint32_t holder = low & BROODI_HOLDER;
    return holder && (expired || attempt->watched == holder) && broodi_holder_is_over(holder);
}

static bool take(const struct attempt *attempt, uint64_t state)
{
    const uint32_t waiters =
        (attempt->waited ? WAITERS : 0) | (broodi_low(state) & (WAITERS | SETTLED));
    if (!swap(attempt->lock, state, attempt->self | waiters))
        return false;
    broodi_step(BROODI_STEP_LOCK_TAKEN_LATE);
    set_depth(attempt->lock, 1);
    return true;
}

// Sets the flags for this waiter in the word, then waits.
static void wait_once(struct attempt *attempt, uint64_t state, int64_t now)
{
    const uint32_t holder = broodi_low(state) & BROODI_HOLDER;
    if (attempt->watched != holder || attempt->watched_since == 0) {
        attempt->watched = holder;
        attempt->watched_since = now;
    }
    const bool settled = holder && now - attempt->watched_since >= SHORT_WAIT;
    const bool starving = holder && attempt->waited && now - attempt->since >= STARVES_AFTER;
    const uint32_t low =
        broodi_low(state) | WAITERS | (settled ? SETTLED : 0) | (starving ? STARVING : 0);
    if (low != broodi_low(state) && !swap(attempt->lock, state, low))
        return;
    broodi_step(BROODI_STEP_LOCK_ANNOUNCED);
    const int64_t span = !holder ? STARVES_AFTER : settled ? LONG_WAIT : SHORT_WAIT;
    broodi_block_on(broodi_waits_until(BROODI_WAITS_OBJECT, attempt->deadline), attempt->id,
                    &attempt->lock->state, broodi_state(broodi_generation(state), low),
                    holder ? broodi_owner_slot(holder) : BROODI_NONE,
                    broodi_until(attempt->deadline, now, span));
    broodi_step(BROODI_STEP_LOCK_WAITED);
    attempt->waited = true;
}

// A release clears WAITERS and wakes one waiter, possibly this caller, which may then be the only
// one that knows of the others. If it leaves without the lock it sets the flag again, so that the
// holder wakes another waiter.
static bool leave(const struct attempt *attempt, uint64_t state)
{
    const uint32_t low = broodi_low(state);
    return !attempt->waited || !(low & BROODI_HOLDER) || (low & WAITERS) ||
           swap(attempt->lock, state, low | WAITERS);
}

static brood_status persist(struct attempt *attempt)
{
    if (attempt->deadline > 0)
        spin(attempt);
    for (;;) {
        const uint64_t state = broodi_word_load(&attempt->lock->state);
        const uint32_t low = broodi_low(state);
        if (!broodi_handle_is_current(attempt->id, state))
            return BROOD_STALE;
        const int64_t now = brood_os_clock();
        const bool expired = now >= attempt->deadline;
        if (may_take(attempt, low, expired)) {
            if (take(attempt, state))
                return BROOD_OK;
        } else if (holder_is_over(attempt, low, expired)) {
            if (take(attempt, state))
                return BROOD_OWNER_DIED;
        } else if (expired) {
            if (leave(attempt, state)) {
                broodi_step(BROODI_STEP_LOCK_LEFT);
                return BROOD_TIMEOUT;
            }
        } else {
            wait_once(attempt, state, now);
        }
    }
}

static brood_status acquire_contended(uint64_t id, struct broodi_lock_slot *slot, uint32_t self,
                                      brood_duration timeout)
{
    const uint64_t state = atomic_load_explicit(&slot->state.state, memory_order_relaxed);
    if (broodi_handle_is_current(id, state) && (broodi_low(state) & BROODI_HOLDER) == self)
        return add_level(slot);
    struct attempt attempt = {
        .lock = slot,
        .id = id,
        .self = self,
        .deadline = broodi_deadline(timeout),
        .since = brood_os_clock(),
    };
    const brood_status status = persist(&attempt);
    if (attempt.waited)
        broodi_block_end(BROODI_WAITS_OBJECT, id);
    return status;
}

// Takes the lock if it is free and nobody waits for it.
static inline bool take_free(uint64_t id, struct broodi_lock_slot *slot, uint32_t self)
{
    const uint64_t state = atomic_load_explicit(&slot->state.state, memory_order_relaxed);
    if (broodi_low(state) != 0 || !broodi_handle_is_current(id, state) || !swap(slot, state, self))
        return false;
    broodi_step(BROODI_STEP_LOCK_TAKEN);
    set_depth(slot, 1);
    broodi_race_acquire(slot);
    return true;
}

// Acquires a lock that was not free, or whose word has changed meanwhile. Apart, so that the way of
// a free lock needs few registers.
static BROODI_NOINLINE brood_status acquire_later(uint64_t id, struct broodi_lock_slot *slot,
                                                  uint32_t self, brood_duration timeout)
{
    const brood_status status = acquire_contended(id, slot, self, timeout);
    if (!brood_status_acquired(status) || depth_of(slot) > 1)
        count_held(self, UINT32_MAX);
    else
        broodi_race_acquire(slot);
    return status;
}

static inline brood_status acquire_slot(uint64_t id, struct broodi_lock_slot *slot,
                                        brood_duration timeout)
{
    const uint32_t self = find_self();
    if (!self)
        return BROOD_NO_RESOURCES;
    count_held(self, 1);
    broodi_step(BROODI_STEP_LOCK_COUNTED);
    return take_free(id, slot, self) ? BROOD_OK : acquire_later(id, slot, self, timeout);
}

static brood_status acquire(brood_lock lock, brood_duration timeout)
{
    struct broodi_lock_slot *slot = find(lock);
    return slot ? acquire_slot(lock.id, slot, timeout) : broodi_object_not_found(BROODI_LOCK);
}

brood_status brood_lock_acquire(brood_lock lock, brood_duration timeout)
{
    const brood_status status = acquire(lock, timeout);
    return status == BROOD_OK ? status : broodi_answer("brood_lock_acquire", status);
}

// Releasing

// How many waiters the release that finds this low word wakes.
static uint32_t to_wake(uint32_t low)
{
    if (!(low & WAITERS))
        return 0;
    return (low & SETTLED) ? BROODI_ALL : 1;
}

static inline void release_last(struct broodi_lock_slot *lock, uint64_t state)
{
    broodi_race_release(lock);
    while (!swap(lock, state, broodi_low(state) & STARVING))
        state = atomic_load_explicit(&lock->state.state, memory_order_relaxed);
    broodi_step(BROODI_STEP_LOCK_FREED);
    broodi_changed(BROODI_LOCK, &lock->state, to_wake(broodi_low(state)));
}

// Finds the slot of the lock, which the calling thread must hold.
static brood_status find_held(brood_lock lock, struct broodi_lock_slot **out)
{
    struct broodi_lock_slot *slot = find(lock);
    if (!slot)
        return broodi_object_not_found(BROODI_LOCK);
    const uint32_t self = find_self();
    const uint64_t state = atomic_load_explicit(&slot->state.state, memory_order_relaxed);
    if (!broodi_handle_is_current(lock.id, state))
        return BROOD_STALE;
    if (!self || (broodi_low(state) & BROODI_HOLDER) != self)
        return broodi_fail(BROOD_NOT_OWNER, "this thread does not hold the lock");
    *out = slot;
    return BROOD_OK;
}

static inline void release_held(struct broodi_lock_slot *slot)
{
    const uint64_t state = atomic_load_explicit(&slot->state.state, memory_order_relaxed);
    broodi_assert((broodi_low(state) & BROODI_HOLDER) == find_self());
    release_last(slot, state);
    broodi_step(BROODI_STEP_LOCK_RELEASED);
    count_held(broodi_low(state) & BROODI_HOLDER, UINT32_MAX);
}

static brood_status release(brood_lock lock)
{
    struct broodi_lock_slot *slot;
    const brood_status status = find_held(lock, &slot);
    if (status != BROOD_OK)
        return status;
    const uint32_t depth = depth_of(slot);
    broodi_assert(depth > 0);
    if (depth > 1)
        set_depth(slot, depth - 1);
    else
        release_held(slot);
    return BROOD_OK;
}

brood_status brood_lock_release(brood_lock lock)
{
    const brood_status status = release(lock);
    return status == BROOD_OK ? status : broodi_answer("brood_lock_release", status);
}

// The library's own locks. Their handles are in the header of the arena, so their slots exist.

brood_duration broodi_own_lock_patience = BROOD_SECONDS(5);

brood_status broodi_own_lock_acquire(uint64_t id)
{
    const brood_status status =
        acquire_slot(id, broodi_handle_slot(BROODI_OWN_LOCK, id), broodi_own_lock_patience);
    broodi_assert(status != BROOD_DEADLOCK && status != BROOD_STALE);
    return status == BROOD_TIMEOUT
               ? broodi_fail(
                     status,
                     "the library's lock is held by a thread that is stopped or does not run")
               : status;
}

brood_status broodi_own_lock_try(uint64_t id)
{
    return acquire_slot(id, broodi_handle_slot(BROODI_OWN_LOCK, id), BROOD_NOW);
}

bool broodi_own_lock_is_held(uint64_t id)
{
    const struct broodi_lock_slot *slot = broodi_handle_slot(BROODI_OWN_LOCK, id);
    const uint32_t self = find_self();
    return self && (broodi_low(broodi_word_load(&slot->state)) & BROODI_HOLDER) == self;
}

void broodi_own_lock_release(uint64_t id)
{
    release_held(broodi_handle_slot(BROODI_OWN_LOCK, id));
}

brood_status broodi_queue_lock_acquire(uint32_t queue, uint32_t side, brood_duration timeout)
{
    const uint32_t index = broodi_queue_lock(queue, side);
    return acquire_slot(broodi_handle_of(BROODI_QUEUE_LOCK, index),
                        broodi_slot(BROODI_QUEUE_LOCK, index), timeout);
}

bool broodi_queue_lock_take(uint32_t queue, uint32_t side)
{
    const uint32_t self = find_self();
    const uint32_t index = broodi_queue_lock(queue, side);
    if (!self)
        return false;
    count_held(self, 1);
    broodi_step(BROODI_STEP_LOCK_COUNTED);
    if (take_free(broodi_handle_of(BROODI_QUEUE_LOCK, index), broodi_slot(BROODI_QUEUE_LOCK, index),
                  self))
        return true;
    count_held(self, UINT32_MAX);
    return false;
}

void broodi_queue_lock_release(uint32_t queue, uint32_t side)
{
    release_held(broodi_slot(BROODI_QUEUE_LOCK, broodi_queue_lock(queue, side)));
}

// For condition.c

brood_status broodi_lock_is_held(brood_lock lock)
{
    struct broodi_lock_slot *slot;
    return find_held(lock, &slot);
}

uint32_t broodi_lock_release_all(brood_lock lock)
{
    struct broodi_lock_slot *slot = find(lock);
    const uint32_t depth = depth_of(slot);
    broodi_assert(depth > 0);
    atomic_store_explicit(&slot->given_up, 1, memory_order_relaxed);
    release_held(slot);
    return depth;
}

brood_status broodi_lock_reacquire(brood_lock lock, uint32_t depth)
{
    broodi_assert(depth > 0);
    const brood_status status = acquire(lock, BROOD_FOREVER);
    if (brood_status_acquired(status))
        set_depth(find(lock), depth);
    return status;
}
