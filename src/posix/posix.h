// SPDX-License-Identifier: MIT
// What the files of the POSIX port share.
#ifndef POSIX_H
#define POSIX_H

#include "base/fault.h"

#include <errno.h>
#include <stdbool.h>

// Called before a system call, to inject a fault: true with `code` in errno.
static inline bool broodi_posix_fault(int code)
{
    if (!broodi_fault())
        return false;
    errno = code;
    return true;
}

#endif
