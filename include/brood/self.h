// SPDX-License-Identifier: MIT
/**
 * @file
 * @brief This process and its parent.
 *
 * All calls are safe in any thread; none is safe in a signal handler. What the parent passed to
 * this process is returned by brood_self_resource().
 */
#ifndef BROOD_SELF_H
#define BROOD_SELF_H

#include <brood/export.h>
#include <brood/status.h>
#include <brood/time.h>
#include <stdbool.h>
#include <stdint.h>

BROOD_BEGIN_DECLS

/** @brief A process number of the operating system. */
typedef int64_t brood_pid;

/** @brief Returns the number of this process. */
BROOD_API brood_pid brood_self_pid(void);

/**
 * @brief Returns the name of this process: "MainProcess", or the name that it was started with.
 * Valid as long as the process.
 */
BROOD_API const char *brood_self_name(void);

/**
 * @brief Returns the number of the parent, also after its death; 0 in the main process.
 *
 * It is the number that the parent has in its own PID namespace: in a child in another namespace
 * (Linux) it names no process, but brood_parent_is_alive() and brood_parent_wait() still work.
 */
BROOD_API brood_pid brood_parent_pid(void);

/** @brief Returns whether the parent is running; false in the main process. */
BROOD_API bool brood_parent_is_alive(void);

/**
 * @brief Waits until the parent has ended. A cancellation point while it waits.
 *
 * @param timeout  how long to wait.
 * @retval BROOD_TIMEOUT          the parent still runs.
 * @retval BROOD_WRONG_STATE      this is the main process.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API brood_status brood_parent_wait(brood_duration timeout);

BROOD_END_DECLS

#endif
