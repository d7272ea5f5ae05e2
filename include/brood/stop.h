// SPDX-License-Identifier: MIT
/**
 * @file
 * @brief Requests to stop, on the side of the process or thread that is asked.
 *
 * A request interrupts no call but brood_stop_wait(): the process or thread polls
 * brood_stop_requested(), or waits for the request, and returns from its target. Both functions are
 * safe in any thread; neither is safe in a signal handler.
 */
#ifndef BROOD_STOP_H
#define BROOD_STOP_H

#include <brood/export.h>
#include <brood/status.h>
#include <brood/time.h>
#include <stdbool.h>

BROOD_BEGIN_DECLS

/**
 * @brief Returns whether this process was asked to stop, by brood_process_request_stop() or
 * brood_process_stop(), or this thread, by brood_thread_request_stop(). False before brood_init().
 * Never blocks.
 */
BROOD_API bool brood_stop_requested(void);

/**
 * @brief Waits until brood_stop_requested() is true: a sleep that a request to stop ends.
 *
 * @param timeout  how long to wait.
 * @retval BROOD_TIMEOUT          there was no request in that time.
 * @retval BROOD_NO_RESOURCES     the program forked this process itself, and the family has no
 *                                slot for it.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API brood_status brood_stop_wait(brood_duration timeout);

BROOD_END_DECLS

#endif
