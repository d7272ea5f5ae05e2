// SPDX-License-Identifier: MIT
/**
 * @file
 * @brief The number of processors.
 */
#ifndef BROOD_CPU_H
#define BROOD_CPU_H

#include <brood/export.h>

BROOD_BEGIN_DECLS

/** @brief Counts the logical processors that are online; at least 1. Safe in any thread. */
BROOD_API unsigned brood_cpu_count(void);

/**
 * @brief Counts the processors that this process may use; at least 1, at most brood_cpu_count().
 *
 * Respects the affinity of the calling thread (Linux) or of the process (Windows) and, on Linux,
 * the processor quota of the control group, rounded up. Safe in any thread.
 */
BROOD_API unsigned brood_cpu_usable(void);

BROOD_END_DECLS

#endif
