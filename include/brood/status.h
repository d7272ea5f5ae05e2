// SPDX-License-Identifier: MIT
/**
 * @file
 * @brief What a call of brood answers.
 *
 * Every call that can fail returns a #brood_status: one code for each cause that a caller can act
 * on. `BROOD_OK` is zero. The sentence that goes with the last failure of a thread, with the
 * operation and the code of the operating system, comes from brood_last_error().
 *
 * Every call of brood that succeeds leaves `errno` as it was; one that fails may change it, and
 * does not report by it.
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
 * Values are pinned, lie within 0..63, and never change their meaning.
 */
#define BROOD_STATUS_LIST(X)                                                     \
    X(OK, 0, "done")                                                             \
    X(TIMEOUT, 1, "the deadline passed")                                         \
    X(OWNER_DIED, 2, "acquired; the holder before ended without releasing")      \
    X(CLOSED, 3, "closed, and nothing is left in it")                            \
    X(BROKEN, 4, "broken")                                                       \
    X(CANCELLED, 5, "cancelled")                                                 \
    X(WORKER_DIED, 6, "the worker that ran the task ended")                      \
    X(PEER_DIED, 7, "everybody at the other end has ended")                      \
    X(INVALID, 8, "a bad argument")                                              \
    X(STALE, 9, "the object was destroyed")                                      \
    X(NOT_OWNER, 10, "held by somebody else, or by nobody")                      \
    X(WRONG_STATE, 11, "not at this moment of its life, or not in this process") \
    X(BUSY, 12, "still running, or in use")                                      \
    X(TOO_SMALL, 13, "the buffer is too small")                                  \
    X(TOO_LARGE, 14, "larger than the limit")                                    \
    X(OVERFLOW, 15, "the count would pass its maximum")                          \
    X(DEADLOCK, 16, "would wait for itself")                                     \
    X(NO_MEMORY, 17, "out of memory")                                            \
    X(NO_RESOURCES, 18, "out of descriptors, processes, threads or slots")       \
    X(TASK_FAILED, 19, "a task returned a value other than zero")                \
    X(NOT_INITIALIZED, 20, "brood_init has not run in this process")             \
    X(UNSUPPORTED, 21, "not available on this system")                           \
    X(DENIED, 22, "the operating system refused permission")                     \
    X(NOT_FOUND, 23, "nothing has that name")                                    \
    X(MISMATCH, 24, "the two processes do not run the same image")               \
    X(SYSTEM, 25, "the operating system failed in an unexpected way")

/** @brief What a call answers; see #BROOD_STATUS_LIST for the meaning of each value. */
typedef enum brood_status {
#define BROOD_STATUS_ENUMERATOR(name, value, text) BROOD_##name = (value),
    BROOD_STATUS_LIST(BROOD_STATUS_ENUMERATOR)
#undef BROOD_STATUS_ENUMERATOR
} brood_status;

/**
 * @brief Gives the name of a status, such as "BROOD_TIMEOUT".
 *
 * Never NULL: a value that is no status gives "BROOD_?". The string is static.
 * Safe in any thread, after a fork and in a signal handler.
 */
BROOD_API const char *brood_status_name(brood_status status);

/** @brief Gives the short text of a status, such as "the deadline passed"; otherwise as
 * brood_status_name(). */
BROOD_API const char *brood_status_text(brood_status status);

/**
 * @brief Tells whether an acquire has given the lock: `BROOD_OK` or `BROOD_OWNER_DIED`.
 *
 * In both cases the caller holds the lock and must release it.
 */
BROOD_API bool brood_status_acquired(brood_status status);

/**
 * @brief Gives the sentence about the last failed call of this thread.
 *
 * It names the operation, the cause and the operating system's own code where there is one:
 * "brood_process_start: out of descriptors, processes, threads or slots: vfork (11)". The empty
 * string if no call of this thread has failed yet; a call that succeeds does not change it.
 *
 * The string belongs to the thread and stays as it is until the thread calls this function again.
 * Safe in any thread; not in a signal handler.
 */
BROOD_API const char *brood_last_error(void);

BROOD_END_DECLS

#endif
