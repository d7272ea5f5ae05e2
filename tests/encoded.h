// SPDX-License-Identifier: MIT
// An encoded target of no module: for tests that only pass it on.
#ifndef ENCODED_H
#define ENCODED_H

#include "process/target.h"

#include <stdlib.h>
#include <string.h>

// Allocated by malloc.
static inline struct broodi_target *encoded_by_hand(const char *path)
{
    const size_t path_size = strlen(path) + 1;
    struct broodi_target *target = malloc(sizeof *target + path_size);
    if (!target)
        abort();
    target->size = sizeof *target + path_size;
    target->offset = 0x1234;
    memset(target->identity, 0xa5, sizeof target->identity);
    memcpy(target->path, path, path_size);
    return target;
}

#endif
