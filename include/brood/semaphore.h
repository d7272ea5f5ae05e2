// SPDX-License-Identifier: MIT
/**
 * @file
 * @brief A counter that can be waited for, by threads and processes alike.
 *
 * A semaphore is a plain value, as a brood_lock is: it works in every thread of every process of
 * the family. Nobody owns what was acquired: any thread may release, which is how one thread hands
 * something on to another. What a thread had acquired when it was killed is therefore not given
 * back.
 *
 * An acquire of what is there and a release that nobody waits for are one atomic operation and no
 * system call. Of these calls brood_semaphore_release() alone is safe in a signal handler.
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
 * @brief Makes a semaphore.
 *
 * @param out      receives it.
 * @param initial  its value.
 * @param maximum  what its value may never pass; 0: #BROOD_SEMAPHORE_MAX.
 * @return `BROOD_INVALID` without `out`, for an `initial` above the maximum, for a maximum above
 * #BROOD_SEMAPHORE_MAX; `BROOD_NO_MEMORY`, `BROOD_NO_RESOURCES` when the family's shared memory or
 * slots are used up; `BROOD_NOT_INITIALIZED`.
 *
 * It lives until brood_semaphore_destroy() or the end of the family, whoever made it.
 */
BROOD_API BROOD_NODISCARD brood_status brood_semaphore_create(brood_semaphore *out,
                                                              uint32_t initial, uint32_t maximum);

/**
 * @brief Takes one off the value, once it is above zero.
 *
 * @param semaphore  the semaphore.
 * @param timeout    how long to wait while it is zero.
 * @retval BROOD_TIMEOUT  the value is still zero.
 * @retval BROOD_STALE    it was destroyed, before the call or while the caller waited and nothing
 * was left for it; see brood_semaphore_destroy().
 * @retval BROOD_INVALID  it is no semaphore of this family.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API BROOD_NODISCARD brood_status brood_semaphore_acquire(brood_semaphore semaphore,
                                                               brood_duration timeout);

/**
 * @brief Adds to the value, and lets as many in who wait. Never blocks.
 *
 * Safe in a signal handler: it keeps `errno`, and notes no sentence for brood_last_error().
 *
 * @param semaphore  the semaphore.
 * @param count      how much; at least 1.
 * @retval BROOD_OVERFLOW  the value would pass its maximum; it is as it was.
 * @retval BROOD_INVALID   a count of 0, or no semaphore of this family.
 * @retval BROOD_STALE, BROOD_NOT_INITIALIZED  as for brood_semaphore_acquire().
 */
BROOD_API brood_status brood_semaphore_release(brood_semaphore semaphore, uint32_t count);

/**
 * @brief Tells the value, which may be another one by the time the caller looks at it.
 * @retval BROOD_INVALID  without `out`, or no semaphore of this family.
 * @retval BROOD_STALE, BROOD_NOT_INITIALIZED  as for brood_semaphore_acquire().
 */
BROOD_API BROOD_NODISCARD brood_status brood_semaphore_value(brood_semaphore semaphore,
                                                             uint32_t *out);

/**
 * @brief Ends the semaphore: every copy of it is stale from now on.
 *
 * Those who wait share what its value was at that moment: as many get `BROOD_OK`, the others
 * `BROOD_STALE`. So a release that is followed by a destroy still lets waiters in, as far as no
 * other acquire has taken it before.
 * @retval BROOD_STALE, BROOD_INVALID, BROOD_NOT_INITIALIZED  as for brood_semaphore_acquire().
 */
BROOD_API brood_status brood_semaphore_destroy(brood_semaphore semaphore);

BROOD_END_DECLS

#endif
