// SPDX-License-Identifier: MIT
#include "win32/win32.h"

#include "base/fail.h"
#include "os/os_clock.h"
#include "os/os_error.h"

#include <io.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

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

// A path that does not fit is truncated, which shows only as a length that fills the buffer; the
// full length is not reported.
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

static wchar_t *put_hex(wchar_t *at, uint64_t value)
{
    for (int bit = 60; bit >= 0; bit -= 4)
        *at++ = L"0123456789abcdef"[value >> bit & 15];
    *at++ = L'-';
    return at;
}

void broodi_win32_name(wchar_t name[WIN32_NAME], const uint64_t family[2], uint64_t number,
                       wchar_t kind)
{
    static const wchar_t prefix[] = L"Local\\brood-";
    memcpy(name, prefix, sizeof prefix);
    wchar_t *at = name + sizeof prefix / sizeof *prefix - 1;
    at = put_hex(at, family[0]);
    at = put_hex(at, family[1]);
    at = put_hex(at, number);
    *at++ = kind;
    *at = L'\0';
}

// For a descriptor that is not open, some C libraries return an error. MSVC's ends the program
// unless the thread has an invalid parameter handler.
#if defined(_MSC_VER) || defined(_UCRT)
static void __cdecl go_on(const wchar_t *expression, const wchar_t *function, const wchar_t *file,
                          unsigned line, uintptr_t reserved)
{
    (void)expression, (void)function, (void)file, (void)line, (void)reserved;
}

static intptr_t ask(int descriptor)
{
    const _invalid_parameter_handler before = _set_thread_local_invalid_parameter_handler(go_on);
    const intptr_t handle = _get_osfhandle(descriptor);
    (void)_set_thread_local_invalid_parameter_handler(before);
    return handle;
}
#else
static intptr_t ask(int descriptor)
{
    return _get_osfhandle(descriptor);
}
#endif

HANDLE broodi_win32_handle_of(int64_t descriptor)
{
    const intptr_t handle = descriptor < 0 || descriptor > INT_MAX ? -1 : ask((int)descriptor);
    return handle < 0 ? NULL : (HANDLE)handle; // -2: a standard stream without a handle
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
