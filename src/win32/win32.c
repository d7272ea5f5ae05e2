// SPDX-License-Identifier: MIT
#include "win32.h"

#include "fail.h"
#include "os/os_clock.h"
#include "os/os_error.h"

#include <stdlib.h>

brood_status broodi_win32_wide(const char *text, wchar_t **out)
{
    const int units = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, -1, NULL, 0);
    if (units <= 0)
        return broodi_fail(BROOD_INVALID, "not UTF-8: \"%s\"", text);
    wchar_t *wide = broodi_alloc((size_t)units * sizeof *wide);
    if (!wide)
        return brood_os_error("malloc", ERROR_NOT_ENOUGH_MEMORY);
    (void)MultiByteToWideChar(CP_UTF8, 0, text, -1, wide, units);
    *out = wide;
    return BROOD_OK;
}

brood_status broodi_win32_narrow(const wchar_t *text, char **out)
{
    const int bytes = WideCharToMultiByte(CP_UTF8, 0, text, -1, NULL, 0, NULL, NULL);
    if (bytes <= 0)
        return brood_os_error("WideCharToMultiByte", GetLastError());
    char *narrow = broodi_alloc((size_t)bytes);
    if (!narrow)
        return brood_os_error("malloc", ERROR_NOT_ENOUGH_MEMORY);
    (void)WideCharToMultiByte(CP_UTF8, 0, text, -1, narrow, bytes, NULL, NULL);
    *out = narrow;
    return BROOD_OK;
}

// A path that does not fit is cut, which shows by a length that fills the buffer; its true length
// is never told.
brood_status broodi_win32_module_path(HMODULE module, wchar_t **out)
{
    for (DWORD capacity = MAX_PATH;; capacity *= 2) {
        wchar_t *path = broodi_alloc(capacity * sizeof *path);
        if (!path)
            return brood_os_error("malloc", ERROR_NOT_ENOUGH_MEMORY);
        const DWORD length = broodi_win32_fault() ? 0 : GetModuleFileNameW(module, path, capacity);
        const DWORD code = GetLastError();
        if (length > 0 && length < capacity) {
            *out = path;
            return BROOD_OK;
        }
        free(path);
        if (length == 0)
            return brood_os_error("GetModuleFileNameW", code);
    }
}

DWORD broodi_win32_milliseconds(int64_t duration)
{
    if (duration <= 0)
        return 0;
    const int64_t whole = (duration - 1) / 1000000 + 1;
    return whole < (int64_t)INFINITE ? (DWORD)whole : INFINITE - 1;
}

DWORD broodi_win32_until(int64_t deadline)
{
    const int64_t now = brood_os_clock();
    return deadline > now ? broodi_win32_milliseconds(deadline - now) : 0;
}
