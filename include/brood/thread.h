// SPDX-License-Identifier: MIT
/**
 * @file
 * @brief Functions in threads.
 *
 * A #brood_thread is a counted reference that belongs to the process that started the thread. In a
 * copy of that process, made by fork() or `BROOD_START_FORK`, calls with it return
 * `BROOD_WRONG_STATE`. In any other process it is an invalid pointer, and its use is undefined.
 *
 * Windows fibers have no identity of their own: locks and locals belong to the thread of the fiber
 * that acquires or sets them, and stay its own when another fiber deletes that fiber. A thread of
 * the program's own that first uses brood in a fiber should end in that fiber, or in one that has
 * deleted it; if it ends in any other, its locals are not destroyed, and its locks count as held
 * by a dead thread. A thread that has stopped being a fiber, and then deletes the fiber in which
 * it first used brood, counts as ended.
 */
#ifndef BROOD_THREAD_H
#define BROOD_THREAD_H

#include <brood/export.h>
#include <brood/process.h>
#include <brood/status.h>
#include <brood/time.h>
#include <stddef.h>
#include <stdint.h>

BROOD_BEGIN_DECLS

/** @brief A reference to a thread that brood started. */
typedef struct brood_thread brood_thread;

/** @brief How to start a thread. All zero means the defaults. */
typedef struct brood_thread_options {
    /** NULL: "Thread-1", counted in each process. Copied. */
    const char *name;
    /**
     * A #brood_daemon_mode; `BROOD_DAEMON_INHERIT` takes that of the calling thread if brood
     * started it, and is `BROOD_DAEMON_NO` otherwise. The end of the process does not wait for a
     * daemon.
     */
    int32_t daemon;
    /**
     * Bytes, rounded up; 0: the system's default, on POSIX 1 MiB at least. The calls of this
     * library need 12 KiB at most.
     */
    size_t stack_size;
    /** Zero. */
    uint64_t reserved[4];
} brood_thread_options;

// clang-format off
/** @brief The defaults. */
#define BROOD_THREAD_OPTIONS_INIT { 0, 0, 0, { 0, 0, 0, 0 } }
// clang-format on

/**
 * @brief Runs `target` in a new thread; returns when the thread exists.
 *
 * @param out      receives a reference, to be released with brood_thread_drop(). NULL: the caller
 *                 needs no reference, and the thread is joined at the end of the process like any
 *                 other.
 * @param target   the function; what it returns is the thread's code.
 * @param arg      `size` bytes that are copied; the copy is aligned for any type and lives as long
 *                 as the thread. With `size` 0 the pointer itself is passed on.
 * @param size     bytes at `arg`.
 * @param options  NULL for the defaults.
 * @retval BROOD_INVALID          a bad argument.
 * @retval BROOD_NO_MEMORY        out of memory.
 * @retval BROOD_NO_RESOURCES     the system or the family has no room for another thread.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 * @retval BROOD_WRONG_STATE      the end of the process has begun, and the caller is not a thread
 *                                that it has still to join; see brood_shutdown().
 */
BROOD_API BROOD_NODISCARD brood_status brood_thread_start(brood_thread **out, brood_target target,
                                                          const void *arg, size_t size,
                                                          const brood_thread_options *options);

/**
 * @brief Waits until the thread has ended. Any thread may join, any number of times. Not a
 * cancellation point.
 *
 * @param thread    the thread.
 * @param timeout   how long to wait.
 * @param out_code  receives what the target returned; may be NULL.
 * @retval BROOD_TIMEOUT      the target has not returned in that time.
 * @retval BROOD_DEADLOCK     the caller is this thread, or both threads have called exit().
 * @retval BROOD_INVALID      `thread` is NULL.
 * @retval BROOD_WRONG_STATE  the thread belongs to another process.
 */
BROOD_API brood_status brood_thread_join(brood_thread *thread, brood_duration timeout,
                                         int *out_code);

/**
 * @brief Returns whether the target has not returned yet; false for NULL and in another process.
 */
BROOD_API bool brood_thread_is_alive(brood_thread *thread);

/**
 * @brief Asks the thread to stop: brood_stop_requested() becomes true in it, and brood_stop_wait()
 * returns. The thread may ignore the request.
 *
 * @param thread  the thread.
 * @retval BROOD_OK           the request was made, or the thread has ended.
 * @retval BROOD_INVALID      `thread` is NULL.
 * @retval BROOD_WRONG_STATE  the thread belongs to another process.
 */
BROOD_API brood_status brood_thread_request_stop(brood_thread *thread);

/** @brief Returns the number of the thread, never reused within a family; 0 for NULL. */
BROOD_API uint64_t brood_thread_id(const brood_thread *thread);

/** @brief Returns the name of the thread, valid as long as the reference; "" for NULL. */
BROOD_API const char *brood_thread_name(const brood_thread *thread);

/**
 * @brief Releases the reference, which does not end the thread. NULL is allowed.
 *
 * As with free(), no other thread may be using the reference: a call that waits with it, such as a
 * join, must have returned.
 */
BROOD_API void brood_thread_drop(brood_thread *thread);

/**
 * @brief Returns the number of the calling thread, never reused within a family, also for threads
 * that brood did not start; 0 before brood_init(), or when out of memory.
 */
BROOD_API uint64_t brood_self_thread_id(void);

BROOD_END_DECLS

#endif
