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

#include <brood/connection.h>
#include <brood/event.h>
#include <brood/export.h>
#include <brood/process.h>
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

/**
 * @brief A child of this process; ready once it has ended, under every start method. When its end
 * is seen before its exit status is there, any call, also with #BROOD_NOW, waits some milliseconds.
 */
BROOD_API brood_waitable brood_waitable_process(brood_process *process);

/** @brief A thread of this process; ready once it has ended. */
BROOD_API brood_waitable brood_waitable_thread(brood_thread *thread);

/** @brief A queue; ready while a brood_queue_get() would not wait. */
BROOD_API brood_waitable brood_waitable_queue(brood_queue queue);

/** @brief A queue; ready while a brood_queue_put() would not wait. */
BROOD_API brood_waitable brood_waitable_queue_room(brood_queue queue);

/**
 * @brief An end of a connection; ready while a brood_connection_receive() would not wait. As by
 * every call for the end, the process becomes a user of it: by each brood_wait_any(), and by
 * brood_poller_add(). The other calls of a poller do not make it a user again, if it has left.
 */
BROOD_API brood_waitable brood_waitable_connection(brood_connection connection);

/** @brief The same; ready while a brood_connection_send() of a small message would not wait. */
BROOD_API brood_waitable brood_waitable_connection_room(brood_connection connection);

/**
 * @brief An event; ready while it is set. An event that was set since the wait began is ready too,
 * even if it was cleared at once.
 */
BROOD_API brood_waitable brood_waitable_event(brood_event event);

/** @brief A semaphore; ready while it has a unit. */
BROOD_API brood_waitable brood_waitable_semaphore(brood_semaphore semaphore);

/** @brief The request to the calling thread or process to stop: brood_stop_requested(). */
BROOD_API brood_waitable brood_waitable_stop(void);

/** @brief The parent of this process; ready once it has ended. */
BROOD_API brood_waitable brood_waitable_parent(void);

/**
 * @brief An object of the system: a descriptor, which is ready while it is readable, at its end or
 * in error; on Windows a HANDLE, which is ready while it is signalled.
 *
 * It stays open while it is waited for. On Windows a wait has the side effects that the system's
 * own has: an auto-reset event is reset when it is found to be signalled, and that signal is
 * reported once; an object that a poller has no place to report at once may be reported although it
 * is not signalled any more. A mutex is not to be waited for: a thread of the system's pool may
 * come to own it. There, a callback of the program's in a wait thread (WT_EXECUTEINWAITTHREAD) must
 * not call functions of pollers, nor brood_wait_any() for such objects, which wait for threads of
 * that pool.
 */
BROOD_API brood_waitable brood_waitable_native(intptr_t native);

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
 * @retval BROOD_INVALID          a waitable names no object of this family, no open descriptor or
 *                                HANDLE, or nothing; `waitables` is NULL; or `count` is 0, and
 *                                `timeout` is #BROOD_NOW or #BROOD_FOREVER.
 * @retval BROOD_WRONG_STATE      a waitable names a thread or child of another process, from which
 *                                this one was forked; the parent, and there is none; or the
 *                                direction of a connection that its end does not have.
 * @retval BROOD_DENIED           the system does not let this process wait for a HANDLE.
 * @retval BROOD_NO_MEMORY        out of memory.
 * @retval BROOD_NO_RESOURCES     out of descriptors; or the calling thread is new to brood, and
 *                                there is no slot for it; or the process cannot become a user of an
 *                                end.
 * @retval BROOD_SYSTEM           the program has closed a descriptor of the library.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API BROOD_NODISCARD brood_status brood_wait_any(const brood_waitable *waitables, size_t count,
                                                      brood_duration timeout, bool *ready);

/**
 * @brief A set of things to wait for that stays, and that another loop can wait for.
 *
 * A poller belongs to the process that created it, and is used by one thread at a time. In the copy
 * of a process by fork() it can only be destroyed. Its calls are not for signal handlers, and
 * return #BROOD_NOT_INITIALIZED before brood_init().
 */
typedef struct brood_poller brood_poller;

/** @brief One thing of a poller that is ready. */
typedef struct brood_ready {
    brood_waitable waitable; /**< The thing. */
    void *user;              /**< What was passed to brood_poller_add(). */
} brood_ready;

/**
 * @brief Creates an empty poller.
 *
 * @param out  receives the poller.
 * @retval BROOD_INVALID          `out` is NULL.
 * @retval BROOD_NO_MEMORY        out of memory.
 * @retval BROOD_NO_RESOURCES     out of descriptors, or the family's slots are used up.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API BROOD_NODISCARD brood_status brood_poller_create(brood_poller **out);

/**
 * @brief Adds a thing to the set.
 *
 * The set holds a reference to a child or thread. A native object stays open until it is removed.
 * An event counts as set if it was set since it was added, or since it was last reported.
 *
 * @param poller    the poller.
 * @param waitable  the thing; it is not in the set yet.
 * @param user      is returned with it.
 * @retval BROOD_INVALID          as for brood_wait_any(); or the thing is in the set; or `poller`
 *                                is NULL.
 * @retval BROOD_WRONG_STATE      as for brood_wait_any(); or the poller is another process's.
 * @retval BROOD_BUSY             another thread uses the poller.
 * @retval BROOD_DENIED           the system does not let this process wait for a HANDLE.
 * @retval BROOD_NO_MEMORY        out of memory.
 * @retval BROOD_NO_RESOURCES     out of what the system needs to wait for the thing.
 */
BROOD_API BROOD_NODISCARD brood_status brood_poller_add(brood_poller *poller,
                                                        brood_waitable waitable, void *user);

/**
 * @brief Removes a thing from the set, which is not reported any more.
 *
 * @param poller    the poller.
 * @param waitable  the thing.
 * @retval BROOD_NOT_FOUND    the thing is not in the set.
 * @retval BROOD_INVALID      `poller` is NULL.
 * @retval BROOD_WRONG_STATE  the poller is another process's.
 * @retval BROOD_BUSY         another thread uses the poller.
 */
BROOD_API brood_status brood_poller_remove(brood_poller *poller, brood_waitable waitable);

/**
 * @brief Waits until at least one thing of the set is ready, as brood_wait_any() does.
 *
 * A thing is reported by each call while it is ready. If more are ready than `capacity`, all of
 * them have their turn in the calls that follow. The call is no cancellation point.
 *
 * @param poller     the poller.
 * @param out        receives things that are ready.
 * @param capacity   their number, at most; not 0.
 * @param out_count  receives how many they are; 0 if the call fails. May be NULL.
 * @param timeout    how long to wait; #BROOD_NOW only checks.
 * @retval BROOD_TIMEOUT       none was ready in that time.
 * @retval BROOD_INVALID       `poller` or `out` is NULL, or `capacity` is 0.
 * @retval BROOD_WRONG_STATE   the poller is another process's.
 * @retval BROOD_BUSY          another thread uses the poller.
 * @retval BROOD_SYSTEM        the program has closed the poller's descriptor.
 */
BROOD_API BROOD_NODISCARD brood_status brood_poller_wait(brood_poller *poller, brood_ready *out,
                                                         size_t capacity, size_t *out_count,
                                                         brood_duration timeout);

/**
 * @brief Returns one descriptor or HANDLE for the whole set, for another loop: epoll, libuv's
 * uv_poll_t, GLib's g_unix_fd_add(), MsgWaitForMultipleObjects.
 *
 * While something of the set is ready it is readable (signalled); also twice a second, and at any
 * time without a reason. Then the loop calls brood_poller_wait() with #BROOD_NOW, until it returns
 * #BROOD_TIMEOUT or until the next turn of the loop: it stays ready as long as the last call has
 * reported something. It must not be read, changed or closed, and ends with the poller.
 *
 * @param poller  the poller.
 * @param out     receives it.
 * @retval BROOD_INVALID       `poller` or `out` is NULL.
 * @retval BROOD_WRONG_STATE   the poller is another process's.
 * @retval BROOD_BUSY          another thread uses the poller.
 * @retval BROOD_NO_MEMORY     out of memory.
 * @retval BROOD_NO_RESOURCES  out of descriptors.
 */
BROOD_API BROOD_NODISCARD brood_status brood_poller_native(brood_poller *poller, intptr_t *out);

/**
 * @brief Destroys a poller, which no thread uses. NULL is ignored.
 *
 * @param poller  the poller.
 */
BROOD_API void brood_poller_destroy(brood_poller *poller);

BROOD_END_DECLS

#endif
