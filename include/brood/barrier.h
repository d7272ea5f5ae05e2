// SPDX-License-Identifier: MIT
/**
 * @file
 * @brief A place where a number of threads, of one process or many, wait for each other.
 *
 * A barrier is a plain value, as a brood_lock is, and works in every thread of every process of the
 * family. As soon as as many threads wait as it has parties it lets all of them go, and the next
 * round begins. It may be used any number of times.
 *
 * **Broken barriers.** A round that cannot come to its end holds up nobody: when a wait times out,
 * when somebody who waits, or who took part in the round before, is killed, and when
 * brood_barrier_abort() is called, the barrier is broken. Then everybody who waits, and everybody
 * who comes, gets `BROOD_BROKEN` until brood_barrier_reset(). A killed party is noticed within a
 * second or so after the operating system has ended it. A thread that returns, and a process that
 * ends in order, have left and are not missed, also if they hold a lock: others may take their
 * places. In order is by a return from `main` or the target, and by exit(), in a copy made with
 * fork() too; a process that leaves by _exit() counts as killed.
 *
 * **Destroying.** A round that was complete before a destroy stays complete: all of its
 * participants get `BROOD_OK`, also those that have not run since. So the participant with the last
 * index, for example, may destroy the barrier at once.
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

/** @brief The most parties that a barrier can have. */
#define BROOD_BARRIER_MAX UINT32_C(0xffff)

/**
 * @brief Makes a barrier.
 *
 * @param out      receives it.
 * @param parties  how many threads wait for each other: 1 to #BROOD_BARRIER_MAX.
 * @return `BROOD_INVALID` without `out` or for another number of parties; `BROOD_NO_MEMORY`,
 * `BROOD_NO_RESOURCES` when the family's shared memory or slots are used up;
 * `BROOD_NOT_INITIALIZED`.
 *
 * It lives until brood_barrier_destroy() or the end of the family, whoever made it.
 */
BROOD_API BROOD_NODISCARD brood_status brood_barrier_create(brood_barrier *out, uint32_t parties);

/**
 * @brief Waits until all parties do.
 *
 * @param barrier    the barrier.
 * @param timeout    how long to wait for the others; when it is over, the barrier is broken.
 * @param out_index  receives the caller's number in this round, 0 for the first to come; no two are
 * equal. May be NULL.
 * @retval BROOD_OK       all have come, whatever became of the barrier afterwards.
 * @retval BROOD_TIMEOUT  not all came in that time, and this call has broken the barrier.
 * @retval BROOD_BROKEN   it is broken, or was reset or broken while the caller waited.
 * @retval BROOD_STALE    it was destroyed, before the call or while the caller waited and its round
 * was neither complete nor broken.
 * @retval BROOD_INVALID  it is no barrier of this family.
 * @retval BROOD_NO_RESOURCES  the calling thread is new to brood, and there is no slot for it.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API BROOD_NODISCARD brood_status brood_barrier_wait(brood_barrier barrier,
                                                          brood_duration timeout,
                                                          uint32_t *out_index);

/**
 * @brief Resets the barrier to an empty round, in one step, and forgets the participants of earlier
 * rounds. Never blocks.
 *
 * Current waiters get `BROOD_BROKEN`. The new round is open at once: a waiter that was sent away
 * joins it when it calls brood_barrier_wait() again, and is not part of it before. With more
 * threads than parties, a newcomer may have to wait until a waiter that was sent away has returned.
 * @retval BROOD_STALE, BROOD_INVALID, BROOD_NOT_INITIALIZED  as for brood_barrier_wait().
 */
BROOD_API brood_status brood_barrier_reset(brood_barrier barrier);

/**
 * @brief Breaks the barrier. Never blocks.
 * @retval BROOD_STALE, BROOD_INVALID, BROOD_NOT_INITIALIZED  as for brood_barrier_wait().
 */
BROOD_API brood_status brood_barrier_abort(brood_barrier barrier);

/**
 * @brief Tells whether the barrier is broken.
 * @retval BROOD_INVALID  without `out`, or no barrier of this family.
 * @retval BROOD_STALE, BROOD_NOT_INITIALIZED  as for brood_barrier_wait().
 */
BROOD_API BROOD_NODISCARD brood_status brood_barrier_is_broken(brood_barrier barrier, bool *out);

/**
 * @brief Tells how many wait: 0 as soon as the last has come, and when it is broken.
 * @retval BROOD_INVALID  without `out`, or no barrier of this family.
 * @retval BROOD_STALE, BROOD_NOT_INITIALIZED  as for brood_barrier_wait().
 */
BROOD_API BROOD_NODISCARD brood_status brood_barrier_waiting(brood_barrier barrier, uint32_t *out);

/**
 * @brief Ends the barrier: every copy of it is stale from now on, and those who wait for a round
 * that is not complete get `BROOD_STALE`.
 * @retval BROOD_STALE, BROOD_INVALID, BROOD_NOT_INITIALIZED  as for brood_barrier_wait().
 */
BROOD_API brood_status brood_barrier_destroy(brood_barrier barrier);

BROOD_END_DECLS

#endif
