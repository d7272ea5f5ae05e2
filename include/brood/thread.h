// SPDX-License-Identifier: MIT
/**
 * @file
 * @brief Functions in threads.
 *
 * A #brood_thread is a counted reference that belongs to the process that started the thread. In a
 * copy of that process, made by fork() or `BROOD_START_FORK`, calls with it answer
 * `BROOD_WRONG_STATE`. In any other process it is a pointer to nothing, and its use is undefined.
 *
 * Fibers of Windows are nothing of their own: what one acquires or sets is its thread's, and stays
 * so when another fiber deletes it. A thread of the program's own that first uses brood in a fiber
 * is to end in that one, or in one that has deleted it: in any other its locals are not destroyed,
 * and its locks are found left behind. A thread that deletes that fiber when it is none itself any
 * more counts as ended.
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
    const char *name; /**< NULL: "Thread-1", counted in each process. Copied. */
    /** A #brood_daemon_mode; inherited from the starting thread if that is one of brood's. The end
     * of the process does not wait for a daemon. */
    int32_t daemon;
    /** Bytes, rounded up; 0: the system's default, on POSIX 1 MiB at least. The calls of this
     * library need 12 KiB at most. */
    size_t stack_size;
    uint64_t reserved[4]; /**< Zero. */
} brood_thread_options;

/** @brief The defaults. */
#define BROOD_THREAD_OPTIONS_INIT \
    {                             \
        0, 0, 0,                  \
        {                         \
            0, 0, 0, 0            \
        }                         \
    }

/**
 * @brief Runs `target` in a new thread; returns when the thread exists.
 *
 * @param out      receives a reference, to be given back with brood_thread_drop(); NULL: no
 * reference is wanted, and the thread is joined at the end of the process like any other.
 * @param target   the function; what it returns is the thread's code.
 * @param arg      `size` bytes that are copied; the copy is aligned for any type and lives as long
 * as the thread. With `size` 0 the pointer itself is passed on.
 * @param size     bytes at `arg`.
 * @param options  NULL for the defaults.
 * @return `BROOD_INVALID` for a bad argument; `BROOD_NO_MEMORY`; `BROOD_NO_RESOURCES` when the
 * system or the family has no room for another thread; `BROOD_NOT_INITIALIZED`; `BROOD_WRONG_STATE`
 * once the end of the process has begun.
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
 * @return `BROOD_TIMEOUT`; `BROOD_DEADLOCK` for the thread itself, and when both threads have
 * called exit(); `BROOD_INVALID` for NULL; `BROOD_WRONG_STATE` in another process.
 */
BROOD_API brood_status brood_thread_join(brood_thread *thread, brood_duration timeout,
                                         int *out_code);

/** @brief Tells whether the target has not returned yet; false for NULL and in another process. */
BROOD_API bool brood_thread_is_alive(brood_thread *thread);

/**
 * @brief Asks the thread to stop: brood_stop_requested() turns true in it, and brood_stop_wait()
 * returns. It need not obey.
 * @return `BROOD_INVALID` for NULL; `BROOD_WRONG_STATE` in another process. `BROOD_OK` also when it
 * has ended.
 */
BROOD_API brood_status brood_thread_request_stop(brood_thread *thread);

/** @brief Gives the number of the thread, never reused within a family; 0 for NULL. */
BROOD_API uint64_t brood_thread_id(const brood_thread *thread);

/** @brief Gives the name of the thread, valid as long as the reference; "" for NULL. */
BROOD_API const char *brood_thread_name(const brood_thread *thread);

/**
 * @brief Gives the reference back, which does not end the thread. NULL is fine.
 *
 * As with free(), no other thread may be using the reference: a call that waits by it, such as a
 * join, must have returned.
 */
BROOD_API void brood_thread_drop(brood_thread *thread);

/**
 * @brief Gives the number of the calling thread, never reused within a family, also for threads
 * that brood did not start; 0 before brood_init(), or when out of memory.
 */
BROOD_API uint64_t brood_self_thread_id(void);

BROOD_END_DECLS

#endif
