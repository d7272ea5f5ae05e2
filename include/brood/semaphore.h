// SPDX-License-Identifier: MIT
/**
 * @file
 * @brief Semaphores: counters that threads of any process can wait for.
 *
 * A semaphore is a plain value, like a brood_lock, and works in every thread of every process of
 * the family. An acquired unit has no owner: any thread may release it, so that one thread can
 * pass something on to another. Units that a thread had acquired when it was killed are therefore
 * not released.
 *
 * An acquire without waiting and a release without waiters are one atomic operation and no system
 * call. Of these calls brood_semaphore_release() alone is safe in a signal handler.
 */
#ifndef BROOD_SEMAPHORE_H
#define BROOD_SEMAPHORE_H

#include <brood/export.h>
#include <brood/status.h>
#include <brood/time.h>
#include <stdint.h>

BROOD_BEGIN_DECLS

/** @brief A shared semaphore, by value. All zero is no semaphore. */
typedef struct brood_semaphore {
    uint64_t id; /**< The handle: equal handles are the same semaphore. */
} brood_semaphore;

/** @brief The largest value that a semaphore can have. */
#define BROOD_SEMAPHORE_MAX UINT32_C(0x7fffffff)

/**
 * @brief Creates a semaphore.
 *
 * It lives until brood_semaphore_destroy() or the end of the family, whichever process created it.
 *
 * @param out      receives the semaphore.
 * @param initial  its initial value.
 * @param maximum  the value that it never exceeds; 0: #BROOD_SEMAPHORE_MAX.
 * @retval BROOD_INVALID          `out` is NULL, `initial` is above the maximum, or `maximum` is
 *                                above #BROOD_SEMAPHORE_MAX.
 * @retval BROOD_NO_MEMORY        the family's shared memory is used up.
 * @retval BROOD_NO_RESOURCES     the family's slots are used up.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API BROOD_NODISCARD brood_status brood_semaphore_create(brood_semaphore *out,
                                                              uint32_t initial, uint32_t maximum);

/**
 * @brief Waits until the value is above zero, and subtracts one.
 *
 * @param semaphore  the semaphore.
 * @param timeout    how long to wait while the value is zero.
 * @retval BROOD_TIMEOUT          the value is still zero.
 * @retval BROOD_STALE            the semaphore was destroyed before the call, or while the caller
 *                                waited and no unit was left for it; see
 *                                brood_semaphore_destroy().
 * @retval BROOD_INVALID          `semaphore` is not a semaphore of this family.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API BROOD_NODISCARD brood_status brood_semaphore_acquire(brood_semaphore semaphore,
                                                               brood_duration timeout);

/**
 * @brief Adds `count` to the value, and wakes up to as many waiters. Never blocks.
 *
 * Safe in a signal handler: it preserves `errno`, and stores no message for brood_last_error().
 *
 * @param semaphore  the semaphore.
 * @param count      how many units to add; at least 1.
 * @retval BROOD_OVERFLOW         the value would exceed its maximum; it is unchanged.
 * @retval BROOD_STALE            the semaphore was destroyed.
 * @retval BROOD_INVALID          `count` is 0, or `semaphore` is not a semaphore of this family.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API brood_status brood_semaphore_release(brood_semaphore semaphore, uint32_t count);

/**
 * @brief Reports the value, which may have changed by the time the caller uses it.
 *
 * @param semaphore  the semaphore.
 * @param out        receives the value.
 * @retval BROOD_STALE            the semaphore was destroyed.
 * @retval BROOD_INVALID          `out` is NULL, or `semaphore` is not a semaphore of this family.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API BROOD_NODISCARD brood_status brood_semaphore_value(brood_semaphore semaphore,
                                                             uint32_t *out);

/**
 * @brief Destroys the semaphore: every copy of the handle is stale from now on.
 *
 * The waiters share the units that the semaphore had at that moment: as many waiters get
 * `BROOD_OK`, the others `BROOD_STALE`. So a release that is followed by a destroy still admits
 * waiters, unless another acquire has taken the units before.
 *
 * @param semaphore  the semaphore.
 * @retval BROOD_STALE            the semaphore was destroyed before.
 * @retval BROOD_INVALID          `semaphore` is not a semaphore of this family.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API brood_status brood_semaphore_destroy(brood_semaphore semaphore);

BROOD_END_DECLS

#endif
