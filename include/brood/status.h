// SPDX-License-Identifier: MIT
/**
 * @file
 * @brief The statuses that calls return, and the message of the last failure.
 *
 * Every call that can fail returns a #brood_status: one code for each cause that a caller can act
 * on. `BROOD_OK` is zero. brood_last_error() returns a message about the last failure of a thread,
 * with the operation and the operating system's error code.
 *
 * A call of brood that succeeds leaves `errno` as it was; one that fails may change it, but never
 * reports its cause there.
 */
#ifndef BROOD_STATUS_H
#define BROOD_STATUS_H

#include <brood/export.h>
#include <stdbool.h>

BROOD_BEGIN_DECLS

/**
 * @brief The list of all statuses: X(name without prefix, value, text). A new status is one line
 * here.
 *
 * The values are fixed, lie within 0..63, and never change their meaning.
 */
#define BROOD_STATUS_LIST(X)                                                  \
    X(OK, 0, "done")                                                          \
    X(TIMEOUT, 1, "the deadline passed")                                      \
    X(OWNER_DIED, 2, "acquired; the previous holder ended without releasing") \
    X(CLOSED, 3, "closed and empty")                                          \
    X(BROKEN, 4, "broken")                                                    \
    X(CANCELLED, 5, "cancelled")                                              \
    X(WORKER_DIED, 6, "the worker that ran the task ended")                   \
    X(PEER_DIED, 7, "all participants at the other end have ended")           \
    X(INVALID, 8, "a bad argument")                                           \
    X(STALE, 9, "the object was destroyed")                                   \
    X(NOT_OWNER, 10, "not held by the caller")                                \
    X(WRONG_STATE, 11, "not possible in this state, or not in this process")  \
    X(BUSY, 12, "still running, or in use")                                   \
    X(TOO_SMALL, 13, "the buffer is too small")                               \
    X(TOO_LARGE, 14, "larger than the limit")                                 \
    X(OVERFLOW, 15, "the count would pass its maximum")                       \
    X(DEADLOCK, 16, "would wait for itself")                                  \
    X(NO_MEMORY, 17, "out of memory")                                         \
    X(NO_RESOURCES, 18, "out of descriptors, processes, threads or slots")    \
    X(TASK_FAILED, 19, "a task returned a value other than zero")             \
    X(NOT_INITIALIZED, 20, "brood_init has not run in this process")          \
    X(UNSUPPORTED, 21, "not available on this system")                        \
    X(DENIED, 22, "the operating system refused permission")                  \
    X(NOT_FOUND, 23, "nothing has that name")                                 \
    X(MISMATCH, 24, "the two processes do not run the same image")            \
    X(SYSTEM, 25, "the operating system failed in an unexpected way")

/** @brief What a call returns; see #BROOD_STATUS_LIST for the meaning of each value. */
typedef enum brood_status {
#define BROOD_STATUS_ENUMERATOR(name, value, text) BROOD_##name = (value),
    BROOD_STATUS_LIST(BROOD_STATUS_ENUMERATOR)
#undef BROOD_STATUS_ENUMERATOR
} brood_status;

/**
 * @brief Returns the name of a status, such as "BROOD_TIMEOUT".
 *
 * Never NULL: "BROOD_?" for a value that is not a status. The string is static. Safe in any
 * thread, after a fork and in a signal handler.
 */
BROOD_API const char *brood_status_name(brood_status status);

/**
 * @brief Returns the short text of a status, such as "the deadline passed".
 *
 * Never NULL, also for a value that is not a status. The string is static. Safe in any thread,
 * after a fork and in a signal handler.
 */
BROOD_API const char *brood_status_text(brood_status status);

/**
 * @brief Returns whether this status of an acquire means that the lock is held: `BROOD_OK` or
 * `BROOD_OWNER_DIED`.
 *
 * In both cases the caller holds the lock and must release it.
 */
BROOD_API bool brood_status_acquired(brood_status status);

/**
 * @brief Returns the message about the last failed call of this thread.
 *
 * It names the operation, the cause and the operating system's error code where there is one:
 * "brood_process_start: out of descriptors, processes, threads or slots: vfork (11)". It is the
 * empty string if no call of this thread has failed yet; a call that succeeds does not change it.
 *
 * The string belongs to the thread and does not change until the thread calls this function again.
 * Safe in any thread; not in a signal handler.
 */
BROOD_API const char *brood_last_error(void);

BROOD_END_DECLS

#endif
