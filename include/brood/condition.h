// SPDX-License-Identifier: MIT
/**
 * @file
 * @brief Waiting, with a lock given up meanwhile, until somebody says that something has changed.
 *
 * A condition is a plain value, as a brood_lock is, and works in every thread of every process of
 * the family, with either form of lock.
 *
 * A notify chooses among those who wait at that moment, the longest first. Who has been chosen has
 * consumed it, also if he is killed before he goes on; who has timed out or died before consumes
 * nothing. Nobody waits for anybody's acknowledgement: a notify never blocks, and a dead waiter
 * holds up nobody.
 *
 * Notifies, and the beginnings and ends of waits, take effect in one order. So a thread that
 * returns from its wait finds that all whom the same notify has chosen do not wait any more: what
 * it notifies next goes to others, and all of them may go on to another lock. A destroy after a
 * notify takes nothing back: those who were chosen get `BROOD_OK`.
 *
 * A wait may be followed by another's change before the lock is held again: look at what was waited
 * for, in a loop, or let brood_condition_wait_for() do it. None of these calls is safe in a signal
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
 * @brief Makes a condition that nobody waits for. Each wait names the lock.
 * @return `BROOD_INVALID` without `out`; `BROOD_NO_MEMORY`, `BROOD_NO_RESOURCES` when the family's
 * shared memory or slots are used up; `BROOD_NOT_INITIALIZED`.
 *
 * It lives until brood_condition_destroy() or the end of the family, whoever made it.
 */
BROOD_API BROOD_NODISCARD brood_status brood_condition_create(brood_condition *out);

/**
 * @brief Gives the lock up, waits to be notified, and takes the lock back, however long that takes.
 *
 * A recursive lock is given up with all its levels, and has as many afterwards. A lock that was
 * given up is free, so it can be destroyed: that ends the wait at once, and does not concern those
 * who wait for the condition with another lock.
 *
 * @param condition  the condition.
 * @param lock       held by the calling thread; all who wait for the condition at a time do so with
 * the same one.
 * @param timeout    how long to wait for a notify.
 * @retval BROOD_OK          notified; the lock is held.
 * @retval BROOD_TIMEOUT     not notified in that time; the lock is held.
 * @retval BROOD_OWNER_DIED  the lock is held, and its holder before ended without releasing it;
 * notified or not.
 * @retval BROOD_STALE       the condition was destroyed before the wait was notified, or the lock
 * was destroyed, before or meanwhile. The lock is not held.
 * @retval BROOD_NOT_OWNER   the calling thread does not hold the lock.
 * @retval BROOD_INVALID     no condition or no lock of this family, or others wait with another
 * lock. The lock is held as before.
 * @retval BROOD_NO_MEMORY, BROOD_NO_RESOURCES  there is no place for a waiter. The lock is held as
 * before.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API BROOD_NODISCARD brood_status brood_condition_wait(brood_condition condition,
                                                            brood_lock lock,
                                                            brood_duration timeout);

/**
 * @brief Waits until a predicate is true.
 *
 * @param condition  the condition, which is notified when the predicate may have become true.
 * @param lock       held by the calling thread.
 * @param predicate  called in this thread with the lock held: before the first wait, and after
 * each.
 * @param arg        passed to it.
 * @param timeout    how long to wait in all.
 * @retval BROOD_OK       the predicate is true; the lock is held.
 * @retval BROOD_TIMEOUT  it is false, also at the end of that time; the lock is held.
 * @retval BROOD_OWNER_DIED  as for brood_condition_wait(); the predicate was not asked any more.
 * @retval BROOD_STALE, BROOD_NOT_OWNER, BROOD_INVALID, BROOD_NO_MEMORY, BROOD_NO_RESOURCES,
 * BROOD_NOT_INITIALIZED  as for brood_condition_wait(); `BROOD_INVALID` also without a predicate.
 */
BROOD_API BROOD_NODISCARD brood_status brood_condition_wait_for(brood_condition condition,
                                                                brood_lock lock,
                                                                bool (*predicate)(void *),
                                                                void *arg, brood_duration timeout);

/**
 * @brief Wakes up to `count` of those who wait, those first who have waited longest. Never blocks;
 * the lock need not be held.
 * @retval BROOD_STALE    it was destroyed.
 * @retval BROOD_INVALID  it is no condition of this family.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API brood_status brood_condition_notify(brood_condition condition, uint32_t count);

/** @brief Wakes all who wait. @return as brood_condition_notify(). */
BROOD_API brood_status brood_condition_notify_all(brood_condition condition);

/**
 * @brief Ends the condition: every copy of it is stale from now on, and those who wait and were not
 * notified get `BROOD_STALE`.
 * @retval BROOD_STALE, BROOD_INVALID, BROOD_NOT_INITIALIZED  as for brood_condition_notify().
 */
BROOD_API brood_status brood_condition_destroy(brood_condition condition);

BROOD_END_DECLS

#endif
