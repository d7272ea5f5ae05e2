// SPDX-License-Identifier: MIT
// The start methods that tests iterate over.
#ifndef METHODS_H
#define METHODS_H

#include "meeting.h"
#include "platform.h"

#include <brood/process.h>

enum { MOST_METHODS = 4 };

// Every method of this system, including the default.
static inline size_t methods_of_this_system(int32_t methods[MOST_METHODS])
{
    size_t count = 0;
    methods[count++] = BROOD_START_DEFAULT;
    methods[count++] = BROOD_START_SPAWN;
    if (platform_has_fork()) {
        methods[count++] = BROOD_START_FORKSERVER;
        methods[count++] = BROOD_START_FORK;
    }
    return count;
}

// A system without fork has no fork server either.
static inline bool system_has(int32_t method)
{
    return method == BROOD_START_SPAWN || platform_has_fork();
}

// The method; BROOD_START_SPAWN on a system without it.
static inline int32_t method_here(int32_t method)
{
    return platform_has_fork() ? method : BROOD_START_SPAWN;
}

static inline void skip_unless_copies_are_safe_beside_threads(void)
{
    if (platform_copy_is_safe_beside_threads())
        return;
    print_message("no fork on this system, or a sanitizer whose own locks do not survive it\n");
    skip();
}

// Whether a child of this method is a copy of its parent.
static inline bool is_copy(int32_t method)
{
    return method == BROOD_START_FORK ||
           (method == BROOD_START_DEFAULT && brood_start_method_get() == BROOD_START_FORK);
}

#endif
