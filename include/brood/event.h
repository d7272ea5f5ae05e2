// SPDX-License-Identifier: MIT
/**
 * @file
 * @brief A flag that can be waited for, by threads and processes alike.
 *
 * An event is a plain value, as a brood_lock is: it works in every thread of every process of the
 * family. It is set or clear. To set it releases everybody who waits at that moment, also when it
 * is cleared at once.
 *
 * To set an event is final for those who wait: they get `BROOD_OK`, also when it is cleared or
 * destroyed before they run.
 *
 * A look, a wait for an event that is set, and a change that nobody waits for are a few atomic
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
 * @brief Makes an event that is clear.
 * @return `BROOD_INVALID` without `out`; `BROOD_NO_MEMORY`, `BROOD_NO_RESOURCES` when the family's
 * shared memory or slots are used up; `BROOD_NOT_INITIALIZED`.
 *
 * It lives until brood_event_destroy() or the end of the family, whoever made it.
 */
BROOD_API BROOD_NODISCARD brood_status brood_event_create(brood_event *out);

/**
 * @brief Sets the event, and releases everybody who waits for it. Never blocks.
 *
 * Safe in a signal handler: it keeps `errno`, and notes no sentence for brood_last_error().
 * @retval BROOD_STALE    it was destroyed.
 * @retval BROOD_INVALID  it is no event of this family.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API brood_status brood_event_set(brood_event event);

/**
 * @brief Clears the event. Never blocks. Safe in a signal handler, as brood_event_set() is.
 * @retval BROOD_STALE, BROOD_INVALID, BROOD_NOT_INITIALIZED  as for brood_event_set().
 */
BROOD_API brood_status brood_event_clear(brood_event event);

/**
 * @brief Tells whether the event is set.
 * @retval BROOD_INVALID  without `out`, or no event of this family.
 * @retval BROOD_STALE, BROOD_NOT_INITIALIZED  as for brood_event_set().
 */
BROOD_API BROOD_NODISCARD brood_status brood_event_is_set(brood_event event, bool *out);

/**
 * @brief Waits until the event is set, or has been set since the call began.
 *
 * @param event    the event.
 * @param timeout  how long to wait.
 * @retval BROOD_TIMEOUT  it was not set in that time.
 * @retval BROOD_STALE    it was destroyed, before the call or while the caller waited and it had
 * not been set.
 * @retval BROOD_INVALID, BROOD_NOT_INITIALIZED  as for brood_event_set().
 */
BROOD_API BROOD_NODISCARD brood_status brood_event_wait(brood_event event, brood_duration timeout);

/**
 * @brief Ends the event: every copy of it is stale from now on, and those who wait get
 * `BROOD_STALE` unless it was set while they did.
 * @retval BROOD_STALE, BROOD_INVALID, BROOD_NOT_INITIALIZED  as for brood_event_set().
 */
BROOD_API brood_status brood_event_destroy(brood_event event);

BROOD_END_DECLS

#endif
