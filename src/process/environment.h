// SPDX-License-Identifier: MIT
#ifndef ENVIRONMENT_H
#define ENVIRONMENT_H

#include <brood/status.h>

// Fails with BROOD_INVALID if an entry of the list of changes has no name; NULL is an empty list.
brood_status broodi_environment_check(const char *const *changes);

// Returns the environment of this process with the changes applied: "NAME=value" sets, "NAME"
// removes. The list ends with NULL; the caller frees it together with `*storage`, both by free().
// Returns NULL when out of memory. The list does not point into `changes`: a forked child keeps the
// list, but not the stack of the thread that called the start, where `changes` may be.
const char **broodi_environment_merge(const char *const *changes, char ***storage);

#endif
