// SPDX-License-Identifier: MIT
/**
 * @file
 * @brief Thread-local values.
 */
#ifndef BROOD_LOCAL_H
#define BROOD_LOCAL_H

#include <brood/export.h>
#include <brood/status.h>
#include <stdint.h>

BROOD_BEGIN_DECLS

/** @brief A key for one value in each thread. It belongs to the process that created it. */
typedef struct brood_local {
    uint64_t id; /**< Private. */
} brood_local;

/**
 * @brief Creates a local whose value is NULL in every thread.
 *
 * The number of locals is not limited. Safe in any thread.
 *
 * @param out         receives the local.
 * @param destructor  called in each thread that ends with a value other than NULL, with that
 *                    value; the local's value is already NULL then. May be NULL. It may set locals
 *                    again: up to four rounds are run. It is also called at the end of threads
 *                    that brood did not start, but neither at the end of the process nor for
 *                    values that are left at brood_local_destroy().
 * @retval BROOD_INVALID          `out` is NULL.
 * @retval BROOD_NO_MEMORY        out of memory.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API BROOD_NODISCARD brood_status brood_local_create(brood_local *out,
                                                          void (*destructor)(void *value));

/**
 * @brief Returns this thread's value; NULL if none was set or the local was destroyed. Safe in any
 * thread.
 */
BROOD_API void *brood_local_get(brood_local local);

/**
 * @brief Sets this thread's value. Safe in any thread.
 *
 * @param local  the local.
 * @param value  the value; with NULL no destructor is called.
 * @retval BROOD_STALE            the local was destroyed.
 * @retval BROOD_INVALID          `local` never was a local.
 * @retval BROOD_NO_MEMORY        out of memory.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API BROOD_NODISCARD brood_status brood_local_set(brood_local local, void *value);

/**
 * @brief Destroys a local: every copy of it is stale from now on.
 *
 * The caller frees the values that are still set. Does nothing for a local that was destroyed
 * before.
 */
BROOD_API void brood_local_destroy(brood_local local);

BROOD_END_DECLS

#endif
