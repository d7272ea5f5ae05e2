// SPDX-License-Identifier: MIT
/**
 * @file
 * @brief Queues: messages from many producers to many consumers, in any process.
 *
 * A queue is a plain value, like a brood_lock, and works in every thread of every process of the
 * family. A message is a sequence of bytes, of any size up to the one that the queue was created
 * for; also of none. Messages leave a queue in the order in which their producers entered it.
 *
 * A put is complete when it returns: the message is in the shared memory of the family, whatever
 * becomes of the producer, and no thread of the library moves it. A get removes a message for good:
 * a consumer that is killed after brood_queue_get() has returned takes it along; one that is killed
 * in the call leaves it in the queue, where the next consumer finds it.
 *
 * Three ways to pass messages:
 * - brood_queue_put() and brood_queue_get() copy one message; brood_queue_put_many() and
 *   brood_queue_get_many() several of them at once, which costs much less for each;
 * - brood_queue_reserve() and brood_queue_commit() let a producer write a message in place;
 *   brood_queue_take() and brood_queue_release() let a consumer read it in place. A message that
 *   was taken, and not released before its consumer dies, is delivered again. So whoever processes
 *   messages between take and release processes each of them at least once;
 * - a message may also name a brood_block, which is then not copied at all.
 *
 * A queue of brood_queue_create_joinable() also counts which messages are done:
 * brood_queue_task_done(), brood_queue_join().
 *
 * When a process is killed in one of these calls, its message is in the queue as a whole or not at
 * all, and no other thread waits for longer than a second because of it. A queue needs memory only
 * for the messages that are in it.
 *
 * All of these calls are safe in any thread at any time; none is safe in a signal handler. A call
 * that waits is no cancellation point. A call that has no timeout may wait for a thread that is
 * inside another call for the queue, for a second at most.
 */
#ifndef BROOD_QUEUE_H
#define BROOD_QUEUE_H

#include <brood/export.h>
#include <brood/status.h>
#include <brood/time.h>
#include <stddef.h>
#include <stdint.h>

BROOD_BEGIN_DECLS

/** @brief A shared queue, by value. All zero is no queue. */
typedef struct brood_queue {
    uint64_t id; /**< The handle: equal handles are the same queue. */
} brood_queue;

/** @brief The largest capacity of a queue, in messages. */
#define BROOD_QUEUE_CAPACITY_MAX UINT32_C(0x7fffffff)

/**
 * @brief Creates an empty queue.
 *
 * It lives until brood_queue_destroy() or the end of the family, whichever process created it.
 *
 * @param out           receives the queue.
 * @param capacity      how many messages may be in the queue: 1 to #BROOD_QUEUE_CAPACITY_MAX. A
 *                      bound and no reservation: memory is allocated as the queue fills.
 * @param message_size  the bytes of the largest message; 0: all messages are empty, and the queue
 *                      counts them.
 * @retval BROOD_INVALID          `out` is NULL, or `capacity` is 0 or too large.
 * @retval BROOD_TOO_LARGE        no message of that size fits the family's shared memory.
 * @retval BROOD_NO_MEMORY        the family's shared memory is used up.
 * @retval BROOD_NO_RESOURCES     the family's slots are used up.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API BROOD_NODISCARD brood_status brood_queue_create(brood_queue *out, size_t capacity,
                                                          size_t message_size);

/**
 * @brief Creates an empty queue that also knows which messages are done: see brood_queue_join().
 *
 * Each get of such a queue counts the messages for the calling process, which calls
 * brood_queue_task_done() once for each of them. Returns the same statuses as brood_queue_create().
 *
 * @param out           receives the queue.
 * @param capacity      as for brood_queue_create().
 * @param message_size  as for brood_queue_create().
 */
BROOD_API BROOD_NODISCARD brood_status brood_queue_create_joinable(brood_queue *out,
                                                                   size_t capacity,
                                                                   size_t message_size);

/**
 * @brief Puts a copy of a message into the queue, and waits while the queue is full.
 *
 * With `timeout` #BROOD_NOW the call still waits, for a moment, for another producer that is
 * copying its message.
 *
 * @param queue    the queue.
 * @param data     the message; may be NULL if `size` is 0.
 * @param size     its bytes.
 * @param timeout  how long to wait while the queue is full.
 * @retval BROOD_TIMEOUT          the queue is still full, or a producer is stopped (SIGSTOP, a
 *                                debugger) inside a put.
 * @retval BROOD_CLOSED           the queue was closed.
 * @retval BROOD_TOO_LARGE        `size` is above the queue's message size.
 * @retval BROOD_NO_MEMORY        the family's shared memory is used up. Nothing was put.
 * @retval BROOD_NO_RESOURCES     the family's slots are used up. Nothing was put.
 * @retval BROOD_STALE            the queue was destroyed, before the call or during it.
 * @retval BROOD_INVALID          `queue` is not a queue of this family, or `data` is NULL.
 * @retval BROOD_DEADLOCK         the call interrupts another one for the same queue in this thread.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API BROOD_NODISCARD brood_status brood_queue_put(brood_queue queue, const void *data,
                                                       size_t size, brood_duration timeout);

/**
 * @brief Moves the first message into a buffer, and waits while the queue is empty.
 *
 * With `timeout` #BROOD_NOW the call still waits, for a moment, for another consumer that is moving
 * its message.
 *
 * In a closed queue a message of more than 8 KiB that another consumer is copying comes back if
 * that consumer is killed: then the next call gets it, although earlier ones returned
 * #BROOD_CLOSED.
 *
 * @param queue     the queue.
 * @param buffer    receives the message; may be NULL if `capacity` is 0.
 * @param capacity  the bytes of the buffer.
 * @param out_size  receives the size of the message, also with #BROOD_TOO_SMALL; or NULL.
 * @param timeout   how long to wait while the queue is empty.
 * @retval BROOD_TIMEOUT          the queue is still empty, or a consumer is stopped inside a get.
 * @retval BROOD_CLOSED           the queue was closed, and all of its messages are gone.
 * @retval BROOD_TOO_SMALL        the buffer is too small; the message stays in the queue, as the
 *                                first one unless one of a dead consumer comes before it.
 * @retval BROOD_STALE            the queue was destroyed, before the call or during it.
 * @retval BROOD_INVALID          `queue` is not a queue of this family, or `buffer` is NULL.
 * @retval BROOD_NO_MEMORY        the message cannot be mapped into this process, or the family's
 *                                shared memory is used up; the message stays.
 * @retval BROOD_NO_RESOURCES     the calling thread is new to brood, or its process to a joinable
 *                                queue, and there is no slot for it.
 * @retval BROOD_DEADLOCK         the call interrupts another one for the same queue in this thread.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API BROOD_NODISCARD brood_status brood_queue_get(brood_queue queue, void *buffer,
                                                       size_t capacity, size_t *out_size,
                                                       brood_duration timeout);

/**
 * @brief Puts several messages of one size, in order, as brood_queue_put() does for one. Returns
 * the same statuses as brood_queue_put().
 *
 * @param queue      the queue.
 * @param data       the messages, one behind the other; may be NULL if `size` is 0.
 * @param size       the bytes of each message.
 * @param count      the number of messages.
 * @param out_count  receives how many were put: if the call fails, the first `*out_count` of them
 *                   are in the queue, and no others. Or NULL.
 * @param timeout    how long to wait, in all, while the queue is full.
 */
BROOD_API BROOD_NODISCARD brood_status brood_queue_put_many(brood_queue queue, const void *data,
                                                            size_t size, size_t count,
                                                            size_t *out_count,
                                                            brood_duration timeout);

/**
 * @brief Waits until the queue is not empty, and moves up to `most` messages that are in it.
 * Returns the same statuses as brood_queue_get().
 *
 * A call may move fewer messages than there are: one of more than 8 KiB is moved alone, and a call
 * moves at most 64 KiB of the others.
 *
 * @param queue      the queue.
 * @param buffer     receives the messages: number i at `buffer + i * stride`.
 * @param stride     the bytes for each message.
 * @param most       how many messages to move at most; at least 1.
 * @param sizes      receives the size of each message; or NULL.
 * @param out_count  receives how many messages were moved; 0 if the call fails.
 * @param timeout    how long to wait while the queue is empty.
 * @retval BROOD_TOO_SMALL  the first message is larger than `stride`; it stays the first one. A
 *                          later message that is larger ends the call with #BROOD_OK before it.
 */
BROOD_API BROOD_NODISCARD brood_status brood_queue_get_many(brood_queue queue, void *buffer,
                                                            size_t stride, size_t most,
                                                            size_t *sizes, size_t *out_count,
                                                            brood_duration timeout);

/** @brief A message in place: see brood_queue_reserve() and brood_queue_take(). */
typedef struct brood_message {
    void *data;           /**< Its first byte, in this process; aligned to 64 bytes. */
    size_t size;          /**< Its bytes. */
    uint64_t internal[2]; /**< The library's. */
} brood_message;

/**
 * @brief Reserves memory for a message, which the caller then writes in place, and waits while the
 * queue is full.
 *
 * Returns the same statuses as brood_queue_put(); #BROOD_INVALID if `out` is NULL.
 *
 * The reservation belongs to the calling thread, and no other thread can commit or abort it. It
 * counts against the capacity until brood_queue_commit() or brood_queue_abort(), or until the
 * calling thread ends.
 *
 * @param queue    the queue.
 * @param size     the bytes of the message.
 * @param out      receives the memory, whose contents are undefined.
 * @param timeout  how long to wait while the queue is full.
 */
BROOD_API BROOD_NODISCARD brood_status brood_queue_reserve(brood_queue queue, size_t size,
                                                           brood_message *out,
                                                           brood_duration timeout);

/**
 * @brief Puts the reserved message into the queue.
 *
 * @param queue    the queue.
 * @param message  what brood_queue_reserve() has filled in. After the call it is zero with
 *                 #BROOD_OK, #BROOD_CLOSED and #BROOD_STALE, otherwise unchanged.
 * @param size     the bytes of the message, at most those that were reserved.
 * @retval BROOD_CLOSED           the queue was closed; the reservation is gone.
 * @retval BROOD_STALE            the queue was destroyed; the reservation is gone.
 * @retval BROOD_TIMEOUT          a producer is stopped inside a put. Nothing has changed.
 * @retval BROOD_NO_MEMORY        the family's shared memory is used up. Nothing has changed.
 * @retval BROOD_INVALID          `message` is no reservation of the calling thread for this queue,
 *                                or was changed, or `size` is too large.
 * @retval BROOD_NO_RESOURCES     the calling thread is new to brood, and there is no slot for it.
 * @retval BROOD_DEADLOCK         the call interrupts another one for the same queue in this thread.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API brood_status brood_queue_commit(brood_queue queue, brood_message *message, size_t size);

/**
 * @brief Gives up the reservation, and sets `*message` to zero. With zero, with a message that was
 * taken, or with a reservation of another thread, the call does nothing.
 *
 * If a producer is stopped inside a put, the call returns after a second, and the next producer
 * that finds the queue full frees the memory.
 *
 * @param queue    the queue.
 * @param message  what brood_queue_reserve() has filled in; or NULL, which is ignored.
 */
BROOD_API void brood_queue_abort(brood_queue queue, brood_message *message);

/**
 * @brief Takes the first message for use in place, and waits while the queue is empty.
 *
 * A message of more than 8 KiB, or one that was reserved, is not copied. Any other one is copied
 * into memory of its own, which it needs while it is taken: if there is none, it stays in the
 * queue.
 *
 * Returns the same statuses as brood_queue_get(), but for #BROOD_TOO_SMALL; #BROOD_INVALID if `out`
 * is NULL.
 *
 * The message is out of the queue, and belongs to the calling thread until that thread calls
 * brood_queue_release(). If the thread ends before that, another consumer gets the message: one
 * that finds the queue empty, or, about a second later, any. So it may be delivered after later
 * ones, and, in a closed queue, after other consumers got #BROOD_CLOSED.
 *
 * @param queue    the queue.
 * @param out      receives the message, which the caller may also change.
 * @param timeout  how long to wait while the queue is empty.
 */
BROOD_API BROOD_NODISCARD brood_status brood_queue_take(brood_queue queue, brood_message *out,
                                                        brood_duration timeout);

/**
 * @brief Ends the use of a message that was taken, and sets `*message` to zero. It is not delivered
 * again. With zero, with a reservation, or with a message that another thread has taken, the call
 * does nothing.
 *
 * @param queue    the queue.
 * @param message  what brood_queue_take() has filled in; or NULL, which is ignored.
 */
BROOD_API void brood_queue_release(brood_queue queue, brood_message *message);

/**
 * @brief Reports how many messages are in the queue, which may have changed by the time the caller
 * uses the number: 0 is empty, the capacity is full.
 *
 * Reserved and taken messages are not counted.
 *
 * @param queue  the queue.
 * @param out    receives the number.
 * @retval BROOD_STALE            the queue was destroyed.
 * @retval BROOD_INVALID          `queue` is not a queue of this family, or `out` is NULL.
 * @retval BROOD_NO_MEMORY        the queue cannot be mapped into this process.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API brood_status brood_queue_count(brood_queue queue, size_t *out);

/**
 * @brief Closes the queue: puts fail with #BROOD_CLOSED from now on, and gets when the last message
 * is gone. All waiters are woken. Closing a closed queue does nothing.
 *
 * @param queue  the queue.
 * @retval BROOD_TIMEOUT          a producer is stopped inside a put.
 * @retval BROOD_NO_MEMORY        the queue cannot be mapped into this process.
 * @retval BROOD_STALE            the queue was destroyed.
 * @retval BROOD_INVALID          `queue` is not a queue of this family.
 * @retval BROOD_NO_RESOURCES     the calling thread is new to brood, and there is no slot for it.
 * @retval BROOD_DEADLOCK         the call interrupts another one for the same queue in this thread.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API brood_status brood_queue_close(brood_queue queue);

/**
 * @brief Throws away the messages that are in the queue, and those that dead threads had taken; in
 * a joinable queue they count as done. Returns the same statuses as brood_queue_close().
 *
 * @param queue      the queue.
 * @param out_count  receives how many were thrown away, also with #BROOD_NO_MEMORY from a message
 *                   that cannot be mapped: then it and those behind it stay. Or NULL.
 * @retval BROOD_TIMEOUT  a consumer is stopped inside a get.
 */
BROOD_API brood_status brood_queue_clear(brood_queue queue, size_t *out_count);

/**
 * @brief Calls a message done that a thread of this process has got or taken, whichever it is.
 *
 * @param queue  a joinable queue.
 * @retval BROOD_INVALID          this process has called as many messages done as it got, or
 *                                `queue` is not a queue of this family.
 * @retval BROOD_WRONG_STATE      the queue is not joinable.
 * @retval BROOD_STALE            the queue was destroyed.
 * @retval BROOD_NO_MEMORY        the queue cannot be mapped into this process.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API brood_status brood_queue_task_done(brood_queue queue);

/**
 * @brief Waits until the queue is empty and each message that was got is done.
 *
 * If a process ends, in whatever way, before it has called its messages done, these count as done
 * from then on, and one call of brood_queue_join() returns #BROOD_PEER_DIED: one that waits, or the
 * next. A call after that waits for the rest. A message that a dead thread had taken, and not
 * released, is not lost: it is delivered again, and is not done before that. Messages that
 * brood_queue_clear() throws away are done.
 *
 * @param queue    a joinable queue.
 * @param timeout  how long to wait.
 * @retval BROOD_TIMEOUT          messages are still not done.
 * @retval BROOD_PEER_DIED        messages were lost with a process that has ended.
 * @retval BROOD_WRONG_STATE      the queue is not joinable.
 * @retval BROOD_STALE            the queue was destroyed, before the call or during it.
 * @retval BROOD_INVALID          `queue` is not a queue of this family.
 * @retval BROOD_NO_MEMORY        the queue cannot be mapped into this process.
 * @retval BROOD_NO_RESOURCES     the calling thread is new to brood, and there is no slot for it.
 * @retval BROOD_DEADLOCK         the call interrupts another one for the same queue in this thread.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API BROOD_NODISCARD brood_status brood_queue_join(brood_queue queue, brood_duration timeout);

/**
 * @brief Destroys the queue with its messages: every copy of the handle is stale from now on, and
 * all threads that wait for the queue return #BROOD_STALE. Messages in place must not be used any
 * more.
 *
 * @param queue  the queue.
 * @retval BROOD_TIMEOUT          a thread is stopped inside a call for the queue. The queue is
 *                                unchanged.
 * @retval BROOD_NO_MEMORY        the queue cannot be mapped into this process; it is unchanged.
 * @retval BROOD_STALE            the queue was destroyed before.
 * @retval BROOD_INVALID          `queue` is not a queue of this family.
 * @retval BROOD_NO_RESOURCES     the calling thread is new to brood, and there is no slot for it.
 * @retval BROOD_DEADLOCK         the call interrupts another one for the same queue in this thread.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API brood_status brood_queue_destroy(brood_queue queue);

BROOD_END_DECLS

#endif
