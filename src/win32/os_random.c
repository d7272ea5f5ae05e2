// SPDX-License-Identifier: MIT
#include "os/os_random.h"

#include "base/fault.h"
#include "os/os_error.h"

#include <windows.h>

// RtlGenRandom under the name that its library exports.
BOOLEAN NTAPI SystemFunction036(PVOID buffer, ULONG size);

enum { CHUNK = 1 << 20 };

brood_status brood_os_random(void *buffer, size_t size)
{
    unsigned char *at = buffer;
    while (size > 0) {
        const size_t length = size < CHUNK ? size : CHUNK;
        if (broodi_fault() || !SystemFunction036(at, (ULONG)length))
            return brood_os_error("RtlGenRandom", ERROR_GEN_FAILURE);
        at += length;
        size -= length;
    }
    return BROOD_OK;
}
