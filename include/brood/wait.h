// SPDX-License-Identifier: MIT
/**
 * @file
 * @brief Waiting for any of several things.
 *
 * A brood_waitable names one thing that a thread can wait for: that a queue has a message, that a
 * thread has ended, that an event is set, and so on. brood_wait_any() takes any number of them, of
 * any mix, and returns when at least one is ready.
 *
 * A thing is *ready* when the call that waits for it would return at once, with whatever status. So
 * a closed queue is ready, and so is an object that was destroyed: the caller learns of it from the
 * call that follows. Waiting takes nothing: a message stays in the queue, a unit in the semaphore,
 * and another thread may take it before the caller does. So the call that follows is made with
 * #BROOD_NOW, or with a short timeout.
 *
 * When a process is killed, whatever it was doing, no thread waits here for longer than a second
 * because of it.
 */
#ifndef BROOD_WAIT_H
#define BROOD_WAIT_H

#include <brood/event.h>
#include <brood/export.h>
#include <brood/queue.h>
#include <brood/semaphore.h>
#include <brood/status.h>
#include <brood/thread.h>
#include <brood/time.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

BROOD_BEGIN_DECLS

/**
 * @brief One thing to wait for, by value. All zero is none. It is made by one of the functions
 * below, and stays valid as long as what it names; it holds no reference and needs no destruction.
 */
typedef struct brood_waitable {
    int32_t kind;     /**< What it names. */
    int32_t reserved; /**< Zero. */
    uint64_t id;      /**< The handle of a shared object. */
    void *reference;  /**< The object of this process. */
} brood_waitable;

/** @name Waitables
 * These functions check nothing; the call that waits does. Safe everywhere. */
/** @{ */

/** @brief A thread of this process; ready once it has ended. */
BROOD_API brood_waitable brood_waitable_thread(brood_thread *thread);

/** @brief A queue; ready while a brood_queue_get() would not wait. */
BROOD_API brood_waitable brood_waitable_queue(brood_queue queue);

/** @brief A queue; ready while a brood_queue_put() would not wait. */
BROOD_API brood_waitable brood_waitable_queue_room(brood_queue queue);

/**
 * @brief An event; ready while it is set. An event that was set since the wait began is ready too,
 * even if it was cleared at once.
 */
BROOD_API brood_waitable brood_waitable_event(brood_event event);

/** @brief A semaphore; ready while it has a unit. */
BROOD_API brood_waitable brood_waitable_semaphore(brood_semaphore semaphore);

/** @brief The request to the calling thread or process to stop: brood_stop_requested(). */
BROOD_API brood_waitable brood_waitable_stop(void);

/** @} */

/**
 * @brief Waits until at least one of several things is ready.
 *
 * The call is no cancellation point, and not for signal handlers. brood_dump() shows it.
 *
 * @param waitables  the things, of any number and mix; the same one may occur more than once.
 * @param count      their number. 0 with a timeout: the call sleeps, and then times out.
 * @param timeout    how long to wait; #BROOD_NOW only checks.
 * @param ready      receives, for each of them, whether it is ready: all `count` are written,
 *                   whatever the result. May be NULL.
 * @retval BROOD_TIMEOUT          none was ready in that time.
 * @retval BROOD_INVALID          a waitable names no object of this family, or nothing; `waitables`
 *                                is NULL; or `count` is 0, and `timeout` is #BROOD_NOW or
 *                                #BROOD_FOREVER.
 * @retval BROOD_WRONG_STATE      a waitable names a thread of another process, from which this one
 *                                was forked.
 * @retval BROOD_NO_MEMORY        out of memory.
 * @retval BROOD_NO_RESOURCES     the calling thread is new to brood, and there is no slot for it.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API BROOD_NODISCARD brood_status brood_wait_any(const brood_waitable *waitables, size_t count,
                                                      brood_duration timeout, bool *ready);

BROOD_END_DECLS

#endif
