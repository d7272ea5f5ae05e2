// SPDX-License-Identifier: MIT
/**
 * @file
 * @brief A value for each thread.
 */
#ifndef BROOD_LOCAL_H
#define BROOD_LOCAL_H

#include <brood/export.h>
#include <brood/status.h>
#include <stdint.h>

BROOD_BEGIN_DECLS

/** @brief A name for one value in each thread. It belongs to the process that made it. */
typedef struct brood_local {
    uint64_t id; /**< Private. */
} brood_local;

/**
 * @brief Makes a local whose value is NULL in every thread.
 *
 * @param out         receives the local.
 * @param destructor  called at the end of each thread whose value is not NULL, in that thread, with
 * the value, which is NULL already when it runs; may be NULL. It may set locals again: up to four
 * rounds are run. It is called at the end of threads that brood did not start too, but neither at
 * the end of the process nor for values left at brood_local_destroy().
 * @return `BROOD_INVALID` without `out`; `BROOD_NO_MEMORY`; `BROOD_NOT_INITIALIZED`.
 *
 * Any number of locals. Safe in any thread.
 */
BROOD_API BROOD_NODISCARD brood_status brood_local_create(brood_local *out,
                                                          void (*destructor)(void *));

/** @brief Gives this thread's value; NULL if none was set or the local was destroyed. Safe in any
 * thread. */
BROOD_API void *brood_local_get(brood_local local);

/**
 * @brief Sets this thread's value.
 * @return `BROOD_STALE` after destroy; `BROOD_INVALID` for what never was a local;
 * `BROOD_NO_MEMORY`.
 */
BROOD_API BROOD_NODISCARD brood_status brood_local_set(brood_local local, void *value);

/**
 * @brief Ends a local: every copy of it is stale from now on.
 *
 * The values still set are the caller's to free. Does nothing for a local that has ended already.
 */
BROOD_API void brood_local_destroy(brood_local local);

BROOD_END_DECLS

#endif
