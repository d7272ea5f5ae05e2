// SPDX-License-Identifier: MIT
/**
 * @file
 * @brief Barriers: a number of threads, of one process or many, wait for each other.
 *
 * A barrier is a plain value, like a brood_lock, and works in every thread of every process of the
 * family. When `parties` threads are waiting, all of them are released and the next round begins.
 * A barrier can be used for any number of rounds.
 *
 * **Broken barriers.** If a round can no longer complete, the barrier is broken instead of
 * blocking its waiters: when a wait times out, when a thread that waits, or that took part in the
 * round before, is killed, and when brood_barrier_abort() is called. From then on every waiter,
 * and every later caller of brood_barrier_wait(), gets `BROOD_BROKEN` until brood_barrier_reset().
 * A killed participant is noticed within about a second after the operating system has ended it. A
 * thread that returns, and a process that ends in order, leave without breaking the barrier, even
 * if they hold a lock; other threads may take part in their place. A process ends in order when it
 * returns from `main` or from the target and when it calls exit(), also in a copy made with
 * fork(); a process that leaves by _exit() counts as killed.
 *
 * **Destroying.** A round that was complete before a destroy stays complete: all of its
 * participants get `BROOD_OK`, including those that have not run since. So the participant with
 * the last index, for example, may destroy the barrier at once.
 *
 * None of these calls is safe in a signal handler.
 */
#ifndef BROOD_BARRIER_H
#define BROOD_BARRIER_H

#include <brood/export.h>
#include <brood/status.h>
#include <brood/time.h>
#include <stdbool.h>
#include <stdint.h>

BROOD_BEGIN_DECLS

/** @brief A shared barrier, by value. All zero is no barrier. */
typedef struct brood_barrier {
    uint64_t id; /**< The handle: equal handles are the same barrier. */
} brood_barrier;

/** @brief The largest number of parties that a barrier can have. */
#define BROOD_BARRIER_MAX UINT32_C(0xffff)

/**
 * @brief Creates a barrier.
 *
 * It lives until brood_barrier_destroy() or the end of the family, whichever process created it.
 *
 * @param out      receives the barrier.
 * @param parties  how many threads wait for each other: 1 to #BROOD_BARRIER_MAX.
 * @retval BROOD_INVALID          `out` is NULL, or `parties` is out of range.
 * @retval BROOD_NO_MEMORY        the family's shared memory is used up.
 * @retval BROOD_NO_RESOURCES     the family's slots are used up.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API BROOD_NODISCARD brood_status brood_barrier_create(brood_barrier *out, uint32_t parties);

/**
 * @brief Waits until as many threads are waiting as the barrier has parties.
 *
 * @param barrier    the barrier.
 * @param timeout    how long to wait for the others; when it has passed, the barrier is broken.
 * @param out_index  receives the caller's index in this round: 0 for the first participant that
 *                   arrives, and no two are equal. May be NULL.
 * @retval BROOD_OK               all participants have arrived, whatever happens to the barrier
 *                                afterwards.
 * @retval BROOD_TIMEOUT          not all participants arrived in that time, and this call has
 *                                broken the barrier.
 * @retval BROOD_BROKEN           the barrier is broken, or was reset or broken while the caller
 *                                waited.
 * @retval BROOD_STALE            the barrier was destroyed before the call, or while the caller
 *                                waited and its round was neither complete nor broken.
 * @retval BROOD_INVALID          `barrier` is not a barrier of this family.
 * @retval BROOD_NO_RESOURCES     the calling thread is new to brood, and there is no slot for it.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API BROOD_NODISCARD brood_status brood_barrier_wait(brood_barrier barrier,
                                                          brood_duration timeout,
                                                          uint32_t *out_index);

/**
 * @brief Resets the barrier to an empty round, in one step, and forgets the participants of
 * earlier rounds. Never blocks.
 *
 * Current waiters get `BROOD_BROKEN`. The new round is open at once; a waiter that got
 * `BROOD_BROKEN` joins it only by another call of brood_barrier_wait(). With more threads than
 * parties, a newcomer may have to wait until such a waiter has returned.
 *
 * @param barrier  the barrier.
 * @retval BROOD_STALE            the barrier was destroyed.
 * @retval BROOD_INVALID          `barrier` is not a barrier of this family.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API brood_status brood_barrier_reset(brood_barrier barrier);

/**
 * @brief Breaks the barrier. Never blocks.
 *
 * @param barrier  the barrier.
 * @retval BROOD_STALE            the barrier was destroyed.
 * @retval BROOD_INVALID          `barrier` is not a barrier of this family.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API brood_status brood_barrier_abort(brood_barrier barrier);

/**
 * @brief Reports whether the barrier is broken.
 *
 * @param barrier  the barrier.
 * @param out      receives the answer.
 * @retval BROOD_STALE            the barrier was destroyed.
 * @retval BROOD_INVALID          `out` is NULL, or `barrier` is not a barrier of this family.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API BROOD_NODISCARD brood_status brood_barrier_is_broken(brood_barrier barrier, bool *out);

/**
 * @brief Reports how many threads are waiting.
 *
 * @param barrier  the barrier.
 * @param out      receives the number: 0 once the last participant has arrived, and while the
 *                 barrier is broken.
 * @retval BROOD_STALE            the barrier was destroyed.
 * @retval BROOD_INVALID          `out` is NULL, or `barrier` is not a barrier of this family.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API BROOD_NODISCARD brood_status brood_barrier_waiting(brood_barrier barrier, uint32_t *out);

/**
 * @brief Destroys the barrier: every copy of the handle is stale from now on, and the waiters of a
 * round that is not complete get `BROOD_STALE`.
 *
 * @param barrier  the barrier.
 * @retval BROOD_STALE            the barrier was destroyed before.
 * @retval BROOD_INVALID          `barrier` is not a barrier of this family.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API brood_status brood_barrier_destroy(brood_barrier barrier);

BROOD_END_DECLS

#endif
