// SPDX-License-Identifier: MIT
/**
 * @file
 * @brief A lock for threads and processes alike.
 *
 * A lock is a plain value: copy it into an argument, keep it in shared memory, compare it. It works
 * in every thread of every process of the family, also in threads that brood did not start and in
 * children of a plain fork().
 *
 * **When a holder ends** without releasing (its process is killed, or its thread returns), exactly
 * one waiter gets the lock with `BROOD_OWNER_DIED`, within 100 ms after the operating system has
 * ended the holder. It holds the lock; what the lock protects may be half changed. The lock is
 * normal again as soon as that thread releases it.
 *
 * **Fairness.** A lock may be taken by a newcomer before those who wait (barging), which keeps it
 * fast; once a waiter has waited for a millisecond the next release passes newcomers by. The scheme
 * is that of the two-mode mutex of the Go runtime, laid over a three-state futex lock (U. Drepper,
 * "Futexes Are Tricky").
 *
 * An uncontended acquire or release is one atomic operation and no system call. None of these calls
 * is safe in a signal handler.
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
 * @brief Makes a free lock that its holder cannot take again.
 * @return `BROOD_INVALID` without `out`; `BROOD_NO_MEMORY`, `BROOD_NO_RESOURCES` when the family's
 * shared memory or slots are used up; `BROOD_NOT_INITIALIZED`.
 *
 * The lock lives until brood_lock_destroy() or the end of the family, whoever made it.
 */
BROOD_API BROOD_NODISCARD brood_status brood_lock_create(brood_lock *out);

/**
 * @brief Makes a free lock that its holder may take again; it is free after as many releases.
 * @return as brood_lock_create().
 */
BROOD_API BROOD_NODISCARD brood_status brood_lock_create_recursive(brood_lock *out);

/**
 * @brief Takes the lock for the calling thread.
 *
 * @param lock     the lock.
 * @param timeout  how long to wait while somebody else holds it.
 * @retval BROOD_OK          the caller holds it.
 * @retval BROOD_OWNER_DIED  the caller holds it; the holder before ended without releasing.
 * @retval BROOD_TIMEOUT     somebody else still holds it.
 * @retval BROOD_DEADLOCK    the caller holds this plain lock already, whatever the timeout.
 * @retval BROOD_STALE       it was destroyed, also while the caller waited.
 * @retval BROOD_INVALID     it is no lock of this family.
 * @retval BROOD_OVERFLOW    a recursive lock taken 2^32 - 1 times.
 * @retval BROOD_NO_RESOURCES  the calling thread is new to brood, and there is no slot for it.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API BROOD_NODISCARD brood_status brood_lock_acquire(brood_lock lock, brood_duration timeout);

/**
 * @brief Gives the lock back, or one level of a recursive one. Never blocks.
 * @retval BROOD_NOT_OWNER  the calling thread does not hold it.
 * @retval BROOD_STALE, BROOD_INVALID, BROOD_NOT_INITIALIZED  as for brood_lock_acquire().
 */
BROOD_API brood_status brood_lock_release(brood_lock lock);

/**
 * @brief Ends a free lock: every copy of the value is stale from now on, and who waits gets
 * `BROOD_STALE`.
 *
 * A release hands the lock to nobody: it makes it free, and a waiter has it when its acquire
 * returns. A waiter that a release has woken, and that has not taken the lock before a destroy,
 * gets `BROOD_STALE`. So does one that has given the lock up in brood_condition_wait().
 * @retval BROOD_BUSY  somebody holds it, the caller included; nothing changed.
 * @retval BROOD_STALE, BROOD_INVALID, BROOD_NOT_INITIALIZED  as for brood_lock_acquire().
 *
 * A lock whose holder has ended without releasing is free in this sense.
 */
BROOD_API brood_status brood_lock_destroy(brood_lock lock);

BROOD_END_DECLS

#endif
