// SPDX-License-Identifier: MIT
// Port contract: errors of the operating system.
#ifndef OS_ERROR_H
#define OS_ERROR_H

#include <brood/status.h>
#include <stdint.h>

// Maps an error code of the operating system (errno, GetLastError) to the status that a caller
// can act on, by the one table of the port, and notes the sentence "what (code)" for
// brood_last_error(). Never returns BROOD_OK.
brood_status brood_os_error(const char *what, int64_t code);

#endif
