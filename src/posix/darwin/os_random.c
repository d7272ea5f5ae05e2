// SPDX-License-Identifier: MIT
#include "os/os_random.h"

#include "posix/posix.h"

#include "os/os_error.h"

#include <sys/random.h>

brood_status brood_os_random(void *buffer, size_t size)
{
    enum { MOST = 256 }; // of one call
    unsigned char *next = buffer;
    while (size > 0) {
        const size_t part = size < MOST ? size : MOST;
        if (broodi_posix_fault(EIO) || getentropy(next, part) != 0)
            return brood_os_error("getentropy", errno);
        next += part;
        size -= part;
    }
    return BROOD_OK;
}
