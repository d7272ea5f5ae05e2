// SPDX-License-Identifier: MIT
/**
 * @file
 * @brief Events: flags that threads of any process can wait for.
 *
 * An event is a plain value, like a brood_lock, and works in every thread of every process of the
 * family. It is set or clear. Setting it releases all threads that wait at that moment: they get
 * `BROOD_OK`, even if the event is cleared or destroyed before they run.
 *
 * Testing the event, waiting while it is set, and changing it with no waiters take a few atomic
 * operations and no system call.
 */
#ifndef BROOD_EVENT_H
#define BROOD_EVENT_H

#include <brood/export.h>
#include <brood/status.h>
#include <brood/time.h>
#include <stdbool.h>
#include <stdint.h>

BROOD_BEGIN_DECLS

/** @brief A shared event, by value. All zero is no event. */
typedef struct brood_event {
    uint64_t id; /**< The handle: equal handles are the same event. */
} brood_event;

/**
 * @brief Creates an event that is clear.
 *
 * It lives until brood_event_destroy() or the end of the family, whichever process created it.
 *
 * @param out  receives the event.
 * @retval BROOD_INVALID          `out` is NULL.
 * @retval BROOD_NO_MEMORY        the family's shared memory is used up.
 * @retval BROOD_NO_RESOURCES     the family's slots are used up.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API BROOD_NODISCARD brood_status brood_event_create(brood_event *out);

/**
 * @brief Sets the event, and releases all its waiters. Never blocks.
 *
 * Safe in a signal handler: it preserves `errno`, and stores no message for brood_last_error().
 *
 * @param event  the event.
 * @retval BROOD_STALE            the event was destroyed.
 * @retval BROOD_INVALID          `event` is not an event of this family.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API brood_status brood_event_set(brood_event event);

/**
 * @brief Clears the event. Never blocks. Safe in a signal handler, like brood_event_set().
 *
 * @param event  the event.
 * @retval BROOD_STALE            the event was destroyed.
 * @retval BROOD_INVALID          `event` is not an event of this family.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API brood_status brood_event_clear(brood_event event);

/**
 * @brief Reports whether the event is set.
 *
 * @param event  the event.
 * @param out    receives the answer.
 * @retval BROOD_STALE            the event was destroyed.
 * @retval BROOD_INVALID          `out` is NULL, or `event` is not an event of this family.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API BROOD_NODISCARD brood_status brood_event_is_set(brood_event event, bool *out);

/**
 * @brief Waits until the event is set, or has been set since the wait began.
 *
 * @param event    the event.
 * @param timeout  how long to wait.
 * @retval BROOD_TIMEOUT          the event was not set in that time.
 * @retval BROOD_STALE            the event was destroyed before the call, or while the caller
 *                                waited and before it was set.
 * @retval BROOD_INVALID          `event` is not an event of this family.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API BROOD_NODISCARD brood_status brood_event_wait(brood_event event, brood_duration timeout);

/**
 * @brief Destroys the event: every copy of the handle is stale from now on, and its waiters get
 * `BROOD_STALE` unless it was set while they waited.
 *
 * @param event  the event.
 * @retval BROOD_STALE            the event was destroyed before.
 * @retval BROOD_INVALID          `event` is not an event of this family.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API brood_status brood_event_destroy(brood_event event);

BROOD_END_DECLS

#endif
