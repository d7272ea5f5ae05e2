// SPDX-License-Identifier: MIT
#include "os/os_random.h"

#include "posix/posix.h"

#include "os/os_error.h"

#include <sys/random.h>

brood_status brood_os_random(void *buffer, size_t size)
{
    unsigned char *next = buffer;
    while (size > 0) {
        const ssize_t got = broodi_posix_fault(EIO) ? -1 : getrandom(next, size, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return brood_os_error("getrandom", errno);
        next += got;
        size -= (size_t)got;
    }
    return BROOD_OK;
}
