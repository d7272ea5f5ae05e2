// SPDX-License-Identifier: MIT
/**
 * @file
 * @brief Condition variables: release a lock, wait for a notification, reacquire the lock.
 *
 * A condition is a plain value, like a brood_lock, and works in every thread of every process of
 * the family, with either form of lock.
 *
 * A notify selects among the threads that wait at that moment, those first that have waited
 * longest. A selected waiter has consumed the notification, even if it is killed before it
 * resumes; a waiter that timed out or died before consumes none. A notify waits for no
 * acknowledgement: it never blocks, and a dead waiter delays no other thread.
 *
 * Notifications, and the beginnings and ends of waits, take effect in one total order. So when a
 * thread returns from its wait, no other thread that the same notify selected is waiting any more:
 * its next notify goes to other threads, and all selected threads may use another lock from then
 * on. A destroy after a notify revokes nothing: the selected waiters get `BROOD_OK`.
 *
 * Another thread may change the state before the lock is reacquired: check the predicate again in
 * a loop, or let brood_condition_wait_for() do so. None of these calls is safe in a signal
 * handler.
 */
#ifndef BROOD_CONDITION_H
#define BROOD_CONDITION_H

#include <brood/export.h>
#include <brood/lock.h>
#include <brood/status.h>
#include <brood/time.h>
#include <stdbool.h>
#include <stdint.h>

BROOD_BEGIN_DECLS

/** @brief A shared condition, by value. All zero is no condition. */
typedef struct brood_condition {
    uint64_t id; /**< The handle: equal handles are the same condition. */
} brood_condition;

/**
 * @brief Creates a condition without waiters. Each wait names the lock.
 *
 * It lives until brood_condition_destroy() or the end of the family, whichever process created it.
 *
 * @param out  receives the condition.
 * @retval BROOD_INVALID          `out` is NULL.
 * @retval BROOD_NO_MEMORY        the family's shared memory is used up.
 * @retval BROOD_NO_RESOURCES     the family's slots are used up.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API BROOD_NODISCARD brood_status brood_condition_create(brood_condition *out);

/**
 * @brief Releases the lock, waits for a notification, and reacquires the lock, however long that
 * takes.
 *
 * A recursive lock is released with all its levels, and has as many afterwards. A released lock is
 * free, so it can be destroyed: that ends the wait at once, and does not affect threads that wait
 * for the condition with another lock.
 *
 * @param condition  the condition.
 * @param lock       held by the calling thread; all threads that wait for the condition at the
 *                   same time do so with the same lock.
 * @param timeout    how long to wait for a notification.
 * @retval BROOD_OK               notified; the lock is held.
 * @retval BROOD_TIMEOUT          not notified in that time; the lock is held.
 * @retval BROOD_OWNER_DIED       notified or not, the lock is held, and its previous holder ended
 *                                without releasing it.
 * @retval BROOD_STALE            the condition was destroyed before the waiter was notified, or
 *                                the lock was destroyed, before or during the wait. The lock is
 *                                not held.
 * @retval BROOD_NOT_OWNER        the calling thread does not hold the lock.
 * @retval BROOD_INVALID          `condition` or `lock` is not of this family, or other threads
 *                                wait with another lock. The lock is held as before.
 * @retval BROOD_NO_MEMORY        no memory for another waiter. The lock is held as before.
 * @retval BROOD_NO_RESOURCES     no slot for another waiter. The lock is held as before.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API BROOD_NODISCARD brood_status brood_condition_wait(brood_condition condition,
                                                            brood_lock lock,
                                                            brood_duration timeout);

/**
 * @brief Waits until a predicate is true.
 *
 * Every other status means what it does for brood_condition_wait().
 *
 * @param condition  the condition, which is notified when the predicate may have become true.
 * @param lock       held by the calling thread.
 * @param predicate  called in this thread with the lock held: before the first wait, and after
 *                   each.
 * @param arg        passed to it.
 * @param timeout    how long to wait in all.
 * @retval BROOD_OK          the predicate is true; the lock is held.
 * @retval BROOD_TIMEOUT     the predicate is false, also at the end of that time; the lock is
 *                           held.
 * @retval BROOD_OWNER_DIED  the lock is held, and its previous holder ended without releasing it;
 *                           the predicate was not called again.
 * @retval BROOD_INVALID     `predicate` is NULL, `condition` or `lock` is not of this family, or
 *                           other threads wait with another lock.
 */
BROOD_API BROOD_NODISCARD brood_status brood_condition_wait_for(brood_condition condition,
                                                                brood_lock lock,
                                                                bool (*predicate)(void *arg),
                                                                void *arg, brood_duration timeout);

/**
 * @brief Wakes up to `count` waiters, those first that have waited longest. Never blocks; the lock
 * need not be held.
 *
 * @param condition  the condition.
 * @param count      how many to wake at most; 0 wakes none.
 * @retval BROOD_STALE            the condition was destroyed.
 * @retval BROOD_INVALID          `condition` is not a condition of this family.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API brood_status brood_condition_notify(brood_condition condition, uint32_t count);

/**
 * @brief Wakes all waiters. Never blocks; the lock need not be held.
 *
 * @param condition  the condition.
 * @retval BROOD_STALE            the condition was destroyed.
 * @retval BROOD_INVALID          `condition` is not a condition of this family.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API brood_status brood_condition_notify_all(brood_condition condition);

/**
 * @brief Destroys the condition: every copy of the handle is stale from now on, and the waiters
 * that were not notified get `BROOD_STALE`.
 *
 * @param condition  the condition.
 * @retval BROOD_STALE            the condition was destroyed before.
 * @retval BROOD_INVALID          `condition` is not a condition of this family.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API brood_status brood_condition_destroy(brood_condition condition);

BROOD_END_DECLS

#endif
