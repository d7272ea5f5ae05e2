// SPDX-License-Identifier: MIT
/**
 * @file
 * @brief Connections: messages between two ends, each of which any threads and processes may use.
 *
 * A connection has two ends. What is sent at one end is received at the other one, in order, as
 * messages of any size: a message is received as it was sent, and never joined with the next one.
 * An end is a plain value, like a brood_queue, and works in every thread of every process of the
 * family. Threads that use the same end share it: each message goes to one of them.
 *
 * A process is a *user* of an end from its first call for it on, or from its start on if its parent
 * passed the end in `connections` of its options; until it calls brood_connection_leave(), or ends.
 * When an end had users and has none any more, calls at the other end report that: with
 * #BROOD_CLOSED if the last user left or ended in order, and with #BROOD_PEER_DIED if it was
 * killed, or left by _exit(), _Exit(), quick_exit() or ExitProcess(). That is a condition and no
 * state: a process that comes to use the end later, such as a server that was started again, makes
 * the connection work again. A message to an end without a user is kept until one comes.
 * brood_connection_close() ends the use of an end for all and for good.
 *
 * A message of up to a mebibyte is in the shared memory of the family when brood_connection_send()
 * returns, whatever becomes of the sender. A larger one passes in parts, while it is received. The
 * messages that are on their way in one direction are bounded: a sender waits while they have more
 * than a mebibyte.
 *
 * When a process is killed in one of these calls, its message is received as a whole or not at all,
 * and no other thread waits for longer than a second because of it. A message that was on its way
 * to a process which is killed in brood_connection_receive() is received by the next user of the
 * end, unless it is larger than a mebibyte: that one message is lost. No call raises SIGPIPE.
 *
 * All of these calls are safe in any thread at any time; none is safe in a signal handler. A call
 * that waits is no cancellation point. A call that has no timeout may wait for threads that are
 * inside other calls for the connection, for a few seconds at most. The copy of a process by fork()
 * is another process: it is a user once it uses an end itself.
 */
#ifndef BROOD_CONNECTION_H
#define BROOD_CONNECTION_H

#include <brood/export.h>
#include <brood/status.h>
#include <brood/time.h>
#include <stddef.h>
#include <stdint.h>

BROOD_BEGIN_DECLS

/** @brief One end of a connection, by value. All zero is no end. */
typedef struct brood_connection {
    uint64_t id; /**< The handle: equal handles are the same end. */
} brood_connection;

/** @brief Which ends of a connection send. */
typedef enum brood_direction {
    BROOD_DUPLEX = 0, /**< Both ends send and receive. */
    BROOD_ONE_WAY = 1 /**< The first end receives, the second one sends. */
} brood_direction;

/** @brief A part of a message. */
typedef struct brood_part {
    const void *data; /**< Its first byte; may be NULL if `size` is 0. */
    size_t size;      /**< Its bytes. */
} brood_part;

/**
 * @brief Creates a connection. The caller is not a user of an end until it uses it.
 *
 * It lives until brood_connection_destroy(), until both ends are closed, or until the end of the
 * family, whichever process created it.
 *
 * @param a          receives the first end.
 * @param b          receives the second end.
 * @param direction  #BROOD_DUPLEX, or #BROOD_ONE_WAY: `a` receives and `b` sends.
 * @retval BROOD_INVALID          `a` or `b` is NULL, or there is no such direction.
 * @retval BROOD_NO_MEMORY        the family's shared memory is used up.
 * @retval BROOD_NO_RESOURCES     the family's slots are used up.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API BROOD_NODISCARD brood_status brood_connection_pair(brood_connection *a,
                                                             brood_connection *b,
                                                             brood_direction direction);

/**
 * @brief Sends a message, and waits while too much is on its way.
 *
 * With `timeout` #BROOD_NOW the call still waits, for a moment, for another sender that is copying
 * its message. A message of more than a mebibyte needs a receiver that receives it meanwhile.
 *
 * @param connection  the end that sends.
 * @param data        the message; may be NULL if `size` is 0.
 * @param size        its bytes.
 * @param timeout     how long to wait, in all.
 * @retval BROOD_TIMEOUT          the time is over. Nothing of the message will be received.
 * @retval BROOD_CLOSED           one of the ends was closed, or the other end had users, of which
 *                                the last one left or ended in order. As always when the call
 *                                fails, the message will not be received.
 * @retval BROOD_PEER_DIED        the other end had users, and the last one was killed.
 * @retval BROOD_WRONG_STATE      this end does not send.
 * @retval BROOD_NO_MEMORY        the family's shared memory is used up.
 * @retval BROOD_NO_RESOURCES     the family's slots are used up.
 * @retval BROOD_STALE            the connection was destroyed, before the call or during it.
 * @retval BROOD_INVALID          `connection` is no end of a connection of this family, or `data`
 *                                is NULL.
 * @retval BROOD_DEADLOCK         the call interrupts another one for the same connection in this
 *                                thread.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API BROOD_NODISCARD brood_status brood_connection_send(brood_connection connection,
                                                             const void *data, size_t size,
                                                             brood_duration timeout);

/**
 * @brief Sends one message that consists of several parts, one behind the other, as
 * brood_connection_send() does. Returns the same statuses.
 *
 * @param connection  the end that sends.
 * @param parts       the parts; may be NULL if `count` is 0.
 * @param count       how many parts there are. Without any the message has no bytes.
 * @param timeout     how long to wait, in all.
 * @retval BROOD_TOO_LARGE  the sum of the sizes is too large for a `size_t`.
 */
BROOD_API BROOD_NODISCARD brood_status brood_connection_send_parts(brood_connection connection,
                                                                   const brood_part *parts,
                                                                   size_t count,
                                                                   brood_duration timeout);

/**
 * @brief Receives the next message, and waits while there is none.
 *
 * What was sent before the other end was closed, or lost its last user, is received first. With
 * `timeout` #BROOD_NOW the call still waits, for a moment, for another receiver that is copying its
 * message.
 *
 * @param connection  the end that receives.
 * @param buffer      receives the message; may be NULL if `capacity` is 0. If the call fails its
 *                    contents are undefined.
 * @param capacity    the bytes of the buffer.
 * @param out_size    receives the size of the message, also with #BROOD_TOO_SMALL; or NULL.
 * @param timeout     how long to wait.
 * @retval BROOD_TIMEOUT          the time is over. If a part of a large message had come, nothing
 *                                of it is lost: the next call receives it. It copies that part, so
 *                                a large message is better received by few long calls than by many
 *                                with #BROOD_NOW. While there is no memory to keep the part, the
 *                                call goes on.
 * @retval BROOD_TOO_SMALL        the buffer is too small; the message stays the next one.
 * @retval BROOD_CLOSED           this end was closed; or there is no message, and the other end was
 *                                closed, or had users of which the last one left or ended in order.
 * @retval BROOD_PEER_DIED        there is no message, and the other end had users, of which the
 *                                last one was killed.
 * @retval BROOD_WRONG_STATE      this end does not receive.
 * @retval BROOD_STALE            the connection was destroyed, before the call or during it.
 * @retval BROOD_INVALID          `connection` is no end of a connection of this family, or `buffer`
 *                                is NULL.
 * @retval BROOD_NO_MEMORY        the message cannot be mapped into this process; it stays, unless a
 *                                part of a large one had come and there is no memory to keep it. Or
 *                                the family's shared memory is used up.
 * @retval BROOD_NO_RESOURCES     the family's slots are used up.
 * @retval BROOD_DEADLOCK         the call interrupts another one for the same connection in this
 *                                thread.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API BROOD_NODISCARD brood_status brood_connection_receive(brood_connection connection,
                                                                void *buffer, size_t capacity,
                                                                size_t *out_size,
                                                                brood_duration timeout);

/**
 * @brief Waits until brood_connection_receive() would not wait: until there is a message, or the
 * other end was closed or has lost its last user.
 *
 * @param connection  the end that receives.
 * @param timeout     how long to wait.
 * @retval BROOD_TIMEOUT          the time is over.
 * @retval BROOD_CLOSED           this end was closed.
 * @retval BROOD_WRONG_STATE      this end does not receive.
 * @retval BROOD_STALE            the connection was destroyed, before the call or during it.
 * @retval BROOD_INVALID          `connection` is no end of a connection of this family.
 * @retval BROOD_NO_MEMORY        the family's shared memory is used up.
 * @retval BROOD_NO_RESOURCES     the family's slots are used up.
 * @retval BROOD_DEADLOCK         the call interrupts another one for the same connection in this
 *                                thread.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API brood_status brood_connection_poll(brood_connection connection, brood_duration timeout);

/**
 * @brief Ends the use of this end by the calling process. Its next call for this end makes it a
 * user again. Does nothing if the process is not a user.
 *
 * A process that passes an end on to a child, and has used it itself, leaves it: otherwise the
 * other end does not notice the end of the child. And a process whose children wait for the end of
 * the connection leaves or closes its own end before it returns: at its end it is a user until it
 * has joined them.
 *
 * @param connection  the end.
 * @retval BROOD_STALE            the connection was destroyed.
 * @retval BROOD_INVALID          `connection` is no end of a connection of this family.
 * @retval BROOD_NO_MEMORY        the connection cannot be mapped into this process.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API brood_status brood_connection_leave(brood_connection connection);

/**
 * @brief Closes this end, for all processes and for good: calls for it fail with #BROOD_CLOSED from
 * now on, those at the other end when it has received what was sent. All waiters are woken.
 * Messages to this end that were not received are lost. Closing a closed end does nothing.
 *
 * When both ends are closed, the connection is destroyed.
 *
 * @param connection  the end.
 * @retval BROOD_STALE            the connection was destroyed.
 * @retval BROOD_INVALID          `connection` is no end of a connection of this family.
 * @retval BROOD_NO_MEMORY        the connection cannot be mapped into this process.
 * @retval BROOD_NO_RESOURCES     the calling thread is new to brood, and there is no slot for it.
 * @retval BROOD_DEADLOCK         the call interrupts another one for the same connection in this
 *                                thread.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API brood_status brood_connection_close(brood_connection connection);

/**
 * @brief Destroys the connection with its messages: every copy of both ends is stale from now on,
 * and all threads that wait for it return #BROOD_STALE.
 *
 * @param connection  either end.
 * @retval BROOD_STALE            the connection was destroyed before.
 * @retval BROOD_INVALID          `connection` is no end of a connection of this family.
 * @retval BROOD_NO_MEMORY        the connection cannot be mapped into this process.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API brood_status brood_connection_destroy(brood_connection connection);

BROOD_END_DECLS

#endif
