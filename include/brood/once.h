// SPDX-License-Identifier: MIT
/**
 * @file
 * @brief Running a function once in a process.
 */
#ifndef BROOD_ONCE_H
#define BROOD_ONCE_H

#include <brood/export.h>
#include <stdint.h>

BROOD_BEGIN_DECLS

/** @brief A flag with static storage, set to #BROOD_ONCE_INIT; it belongs to one process. */
typedef struct brood_once_flag {
    uint64_t state; /**< Private; accessed as an atomic. */
} brood_once_flag;

// clang-format off
/** @brief The value of a flag whose function has not run. */
#define BROOD_ONCE_INIT { 0 }
// clang-format on

/**
 * @brief Runs `fn` unless another call with this flag has run it; returns when `fn` has returned,
 * whichever thread ran it.
 *
 * What `fn` wrote is visible to every caller after the return. Blocks while another thread runs
 * `fn`. A call from inside `fn` with the same flag waits for ever, and if `fn` ends its thread
 * instead of returning, all other callers do. May be called before brood_init(). Safe in any
 * thread. Not a cancellation point, nor is anything inside `fn`. A process that was forked while
 * another thread of its parent was inside `fn` runs `fn` again.
 */
BROOD_API void brood_once(brood_once_flag *flag, void (*fn)(void));

BROOD_END_DECLS

#endif
