// SPDX-License-Identifier: MIT
// Shared by the files of the Windows port.
#ifndef WIN32_H
#define WIN32_H

#include "base/fault.h"

#include <brood/status.h>
#include <stdbool.h>
#include <stdint.h>
#include <windows.h>

// Whether to inject a fault instead of a system call; if so, sets ERROR_NOT_ENOUGH_MEMORY as the
// last error.
static inline bool broodi_win32_fault(void)
{
    if (!broodi_fault())
        return false;
    SetLastError(ERROR_NOT_ENOUGH_MEMORY);
    return true;
}

// Converts UTF-8 to UTF-16, allocated with malloc. Fails with BROOD_NO_MEMORY; with BROOD_INVALID
// if `text` is not UTF-8.
brood_status broodi_win32_wide(const char *text, wchar_t **out);

// Converts UTF-16 to UTF-8, allocated with malloc. Fails with BROOD_NO_MEMORY.
brood_status broodi_win32_narrow(const wchar_t *text, char **out);

// The path of a module, allocated with malloc.
brood_status broodi_win32_module_path(HMODULE module, wchar_t **out);

// Makes the name of a shared object, "Local\brood-<family>-<number>-<kind>", from the random number
// of the family, so that no other program can know it.
enum { WIN32_NAME = 80 };
void broodi_win32_name(wchar_t name[WIN32_NAME], const uint64_t family[2], uint64_t number,
                       wchar_t kind);

// Whether an object that has just been created under a name is new; called after
// SetLastError(ERROR_SUCCESS) and the creation. One of this name that existed before is a foreign
// one.
static inline bool broodi_win32_is_new(HANDLE object)
{
    return object && GetLastError() != ERROR_ALREADY_EXISTS;
}

// The handle behind a C library descriptor; NULL if there is none.
HANDLE broodi_win32_handle_of(int64_t descriptor);

// Converts nanoseconds to a timeout of the system: rounded up, never INFINITE.
DWORD broodi_win32_milliseconds(int64_t duration);

// The same for the time that is left until brood_os_clock() reaches `deadline`.
DWORD broodi_win32_until(int64_t deadline);

// Marks this process as about to end: no thread-end callback runs any more.
void broodi_win32_set_ending(void);

#endif
