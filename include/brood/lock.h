// SPDX-License-Identifier: MIT
/**
 * @file
 * @brief Locks for threads and processes alike.
 *
 * A lock is a plain value: copy it into an argument, store it in shared memory, compare it. It
 * works in every thread of every process of the family, also in threads that brood did not start
 * and in children of a plain fork().
 *
 * **When a holder ends** without releasing (its process is killed, or its thread returns), exactly
 * one waiter gets the lock with `BROOD_OWNER_DIED`, within 100 ms after the operating system has
 * ended the holder. That waiter holds the lock; what the lock protects may be partly changed. The
 * lock is normal again as soon as that thread releases it.
 *
 * **Fairness.** A newcomer may acquire a lock before the waiters (barging), which keeps it fast.
 * Once a waiter has been woken, has lost the lock to a newcomer, and has waited for a millisecond,
 * the next release leaves the lock to the waiters. The scheme is that of the two-mode mutex of the
 * Go runtime, on top of a three-state futex lock (U. Drepper, "Futexes Are Tricky").
 *
 * An uncontended acquire or release is one atomic operation and no system call. None of these
 * calls is safe in a signal handler.
 */
#ifndef BROOD_LOCK_H
#define BROOD_LOCK_H

#include <brood/export.h>
#include <brood/status.h>
#include <brood/time.h>
#include <stdint.h>

BROOD_BEGIN_DECLS

/** @brief A shared lock, by value. All zero is no lock. */
typedef struct brood_lock {
    uint64_t id; /**< The handle: equal handles are the same lock. */
} brood_lock;

/**
 * @brief Creates a free lock that its holder cannot acquire again.
 *
 * It lives until brood_lock_destroy() or the end of the family, whichever process created it.
 *
 * @param out  receives the lock.
 * @retval BROOD_INVALID          `out` is NULL.
 * @retval BROOD_NO_MEMORY        the family's shared memory is used up.
 * @retval BROOD_NO_RESOURCES     the family's slots are used up.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API BROOD_NODISCARD brood_status brood_lock_create(brood_lock *out);

/**
 * @brief Creates a free lock that its holder may acquire again; it is free after as many releases.
 *
 * It lives as long as one by brood_lock_create().
 *
 * @param out  receives the lock.
 * @retval BROOD_INVALID          `out` is NULL.
 * @retval BROOD_NO_MEMORY        the family's shared memory is used up.
 * @retval BROOD_NO_RESOURCES     the family's slots are used up.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API BROOD_NODISCARD brood_status brood_lock_create_recursive(brood_lock *out);

/**
 * @brief Acquires the lock for the calling thread.
 *
 * @param lock     the lock.
 * @param timeout  how long to wait while another thread holds it.
 * @retval BROOD_OK               the caller holds the lock.
 * @retval BROOD_OWNER_DIED       the caller holds the lock; its previous holder ended without
 *                                releasing it.
 * @retval BROOD_TIMEOUT          another thread still holds the lock.
 * @retval BROOD_DEADLOCK         the caller already holds this lock, which is not recursive,
 *                                whatever the timeout.
 * @retval BROOD_STALE            the lock was destroyed, before the call or while the caller
 *                                waited.
 * @retval BROOD_INVALID          `lock` is not a lock of this family.
 * @retval BROOD_OVERFLOW         the caller has acquired this recursive lock 2^32 - 1 times.
 * @retval BROOD_NO_RESOURCES     the calling thread is new to brood, and there is no slot for it.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API BROOD_NODISCARD brood_status brood_lock_acquire(brood_lock lock, brood_duration timeout);

/**
 * @brief Releases the lock, or one level of a recursive one. Never blocks.
 *
 * @param lock  the lock.
 * @retval BROOD_NOT_OWNER        the calling thread does not hold the lock.
 * @retval BROOD_STALE            the lock was destroyed.
 * @retval BROOD_INVALID          `lock` is not a lock of this family.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API brood_status brood_lock_release(brood_lock lock);

/**
 * @brief Destroys a free lock: every copy of the handle is stale from now on, and its waiters get
 * `BROOD_STALE`.
 *
 * A release passes the lock to no particular waiter: the lock is free until the acquire of a
 * waiter returns. So a waiter that a release has woken, and that has not acquired the lock before
 * a destroy, gets `BROOD_STALE`, and so does one that has released the lock in
 * brood_condition_wait(). A lock whose holder has ended without releasing counts as free here.
 *
 * @param lock  the lock.
 * @retval BROOD_BUSY             a thread holds the lock, perhaps the caller; nothing has changed.
 * @retval BROOD_STALE            the lock was destroyed before.
 * @retval BROOD_INVALID          `lock` is not a lock of this family.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API brood_status brood_lock_destroy(brood_lock lock);

BROOD_END_DECLS

#endif
