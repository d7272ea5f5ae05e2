// SPDX-License-Identifier: MIT
// Port contract: unpredictable bytes.
#ifndef OS_RANDOM_H
#define OS_RANDOM_H

#include <brood/status.h>
#include <stddef.h>

// Fills `buffer` from the system's random generator. Fails with BROOD_SYSTEM.
brood_status brood_os_random(void *buffer, size_t size);

#endif
