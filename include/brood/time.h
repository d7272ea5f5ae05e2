// SPDX-License-Identifier: MIT
/**
 * @file
 * @brief Durations and the monotonic clock.
 *
 * Every call that blocks takes a #brood_duration, measured on the clock of brood_clock(): setting
 * the wall clock changes no timeout.
 */
#ifndef BROOD_TIME_H
#define BROOD_TIME_H

#include <brood/export.h>
#include <stdint.h>

BROOD_BEGIN_DECLS

/** @brief A length of time in nanoseconds. A timeout that is zero or negative never blocks. */
typedef int64_t brood_duration;

/** @brief The timeout of a call that tries once and never blocks. */
#define BROOD_NOW ((brood_duration)0)

/** @brief The timeout of a call without a deadline. */
#define BROOD_FOREVER ((brood_duration)INT64_MAX)

/** @brief `n` microseconds; `n` may be a fraction. */
#define BROOD_MICROSECONDS(n) ((brood_duration)((n)*1000LL))

/** @brief `n` milliseconds; `n` may be a fraction. */
#define BROOD_MILLISECONDS(n) ((brood_duration)((n)*1000000LL))

/** @brief `n` seconds; `n` may be a fraction: 0.5 is half a second. */
#define BROOD_SECONDS(n) ((brood_duration)((n)*1000000000LL))

/**
 * @brief Reads the monotonic clock, in nanoseconds since a moment that all processes of a machine
 * share.
 *
 * Never fails, never goes back. Safe in any thread, after a fork and in a signal handler.
 */
BROOD_API int64_t brood_clock(void);

/**
 * @brief Blocks the calling thread for at least `duration`; returns at once when that is not
 * positive.
 *
 * A signal handler that runs meanwhile does not shorten it. #BROOD_FOREVER never returns. A
 * cancellation point.
 */
BROOD_API void brood_sleep(brood_duration duration);

BROOD_END_DECLS

#endif
