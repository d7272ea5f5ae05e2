// SPDX-License-Identifier: MIT
// What the files of the Windows port share.
#ifndef WIN32_H
#define WIN32_H

#include "fault.h"

#include <brood/status.h>
#include <stdbool.h>
#include <stdint.h>
#include <windows.h>

// Asks for a fault before a system call: true with ERROR_NOT_ENOUGH_MEMORY as the last error.
static inline bool broodi_win32_fault(void)
{
    if (!broodi_fault())
        return false;
    SetLastError(ERROR_NOT_ENOUGH_MEMORY);
    return true;
}

// UTF-8 to UTF-16, into memory from malloc. BROOD_NO_MEMORY; BROOD_INVALID when `text` is not
// UTF-8.
brood_status broodi_win32_wide(const char *text, wchar_t **out);

// UTF-16 to UTF-8, into memory from malloc. BROOD_NO_MEMORY.
brood_status broodi_win32_narrow(const wchar_t *text, char **out);

// The path of a module, into memory from malloc.
brood_status broodi_win32_module_path(HMODULE module, wchar_t **out);

// The handle behind a descriptor of the C library; NULL when there is none.
HANDLE broodi_win32_handle_of(int64_t descriptor);

// Nanoseconds as a timeout of the system: rounded up, and never INFINITE.
DWORD broodi_win32_milliseconds(int64_t duration);

// The same for the time that is left until brood_os_clock() reaches `deadline`.
DWORD broodi_win32_until(int64_t deadline);

// Says that this process is about to end: no thread-end function runs any more.
void broodi_win32_set_ending(void);

#endif
