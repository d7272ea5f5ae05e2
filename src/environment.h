// SPDX-License-Identifier: MIT
#ifndef ENVIRONMENT_H
#define ENVIRONMENT_H

#include <brood/status.h>

// Whether every entry of a list of changes has a name; NULL is a fine list.
brood_status broodi_environment_check(const char *const *changes);

// The environment of this process with the changes laid over it: "NAME=value" sets, "NAME" removes.
// A list that ends with NULL, to be freed at once with `storage` by free(); NULL when out of
// memory. Nothing of `changes` is borrowed: a forked child keeps the list, and not the stack of the
// thread that started it.
const char **broodi_environment_merge(const char *const *changes, char ***storage);

#endif
