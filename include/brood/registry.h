// SPDX-License-Identifier: MIT
/**
 * @file
 * @brief Values under names, for the whole family.
 *
 * Both functions are safe in any thread; neither is safe in a signal handler.
 */
#ifndef BROOD_REGISTRY_H
#define BROOD_REGISTRY_H

#include <brood/export.h>
#include <brood/status.h>
#include <stdint.h>

BROOD_BEGIN_DECLS

/** @brief The largest number of bytes in a name of the registry. */
#define BROOD_REGISTRY_NAME_MAX 255

/**
 * @brief Stores a value under a name, for every process of the family; replaces the value that is
 * stored there.
 *
 * A `static` variable is zero in a child with a fresh image; such a child looks up here what it
 * cannot find there.
 *
 * @param name  1 to #BROOD_REGISTRY_NAME_MAX bytes.
 * @param id    the `id` of a shared object, or any number of the program's own; 0 removes the
 *              name.
 * @retval BROOD_INVALID          `name` is NULL or empty.
 * @retval BROOD_TOO_LARGE        `name` is longer than #BROOD_REGISTRY_NAME_MAX bytes.
 * @retval BROOD_NO_RESOURCES     the registry is full, or the calling thread is new to brood and
 *                                there is no slot for it.
 * @retval BROOD_NO_MEMORY        the family's shared memory is used up.
 * @retval BROOD_TIMEOUT          another process was stopped (SIGSTOP, a debugger) inside this
 *                                call, and has not continued for 5 seconds. Nothing has changed.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API BROOD_NODISCARD brood_status brood_registry_set(const char *name, uint64_t id);

/**
 * @brief Finds the value that is stored under a name.
 *
 * @param name    1 to #BROOD_REGISTRY_NAME_MAX bytes.
 * @param out_id  receives the value.
 * @retval BROOD_NOT_FOUND        no value is stored under that name.
 * @retval BROOD_INVALID          `name` is NULL or empty, or `out_id` is NULL.
 * @retval BROOD_TOO_LARGE        `name` is longer than #BROOD_REGISTRY_NAME_MAX bytes.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API BROOD_NODISCARD brood_status brood_registry_get(const char *name, uint64_t *out_id);

BROOD_END_DECLS

#endif
