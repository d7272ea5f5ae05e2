// SPDX-License-Identifier: MIT
// The arena is one section of the page file, reserved as a whole. A page that one process commits
// in its view is committed in every view.
#include "os/os_memory.h"

#include "win32.h"

#include "fail.h"
#include "os/os_error.h"

#include <windows.h>

// The system keeps eight bytes for each reserved page: a window of gibibytes would cost every
// family megabytes.
#define WINDOW ((size_t)(SIZE_MAX > UINT32_MAX ? (UINT64_C(1) << 30) : (UINT64_C(256) << 20)))

static brood_status map(brood_os_arena *out, HANDLE section, size_t size)
{
    void *base = broodi_win32_fault() ? NULL : MapViewOfFile(section, FILE_MAP_WRITE, 0, 0, size);
    if (!base)
        return brood_os_error("MapViewOfFile", GetLastError());
    *out = (brood_os_arena){ .base = base, .size = size, .object = (intptr_t)section };
    return BROOD_OK;
}

static brood_status create(brood_os_arena *out, size_t size)
{
    HANDLE section = broodi_win32_fault()
                         ? NULL
                         : CreateFileMappingW(INVALID_HANDLE_VALUE, NULL, PAGE_READWRITE | SEC_RESERVE,
                                              (DWORD)((uint64_t)size >> 32), (DWORD)size, NULL);
    if (!section)
        return brood_os_error("CreateFileMappingW", GetLastError());
    const brood_status status = map(out, section, size);
    if (status != BROOD_OK)
        CloseHandle(section);
    return status;
}

brood_status brood_os_arena_create(brood_os_arena *out, size_t least)
{
    size_t size = least < WINDOW ? WINDOW : least;
    brood_status status = create(out, size);
    while (status != BROOD_OK && size / 2 >= least && size > 1) {
        size /= 2;
        status = create(out, size);
    }
    return status;
}

brood_status brood_os_arena_open(brood_os_arena *out, intptr_t object, size_t size)
{
    HANDLE section = (HANDLE)object;
    // The handle came by inheritance and is not to go further that way.
    if (!SetHandleInformation(section, HANDLE_FLAG_INHERIT, 0))
        return broodi_fail(BROOD_INVALID, "handle %lld is no arena", (long long)object);
    brood_status status = map(out, section, size);
    if (status == BROOD_OK)
        return BROOD_OK;
    // What is no section, or one that is smaller, is told by codes such as "invalid handle" and
    // "access denied".
    if (status != BROOD_NO_MEMORY)
        status = broodi_fail(BROOD_INVALID, "handle %lld is no arena", (long long)object);
    CloseHandle(section);
    return status;
}

brood_status brood_os_arena_commit(const brood_os_arena *arena, size_t offset, size_t length)
{
    if (offset > arena->size || length > arena->size - offset)
        return broodi_fail(BROOD_NO_MEMORY, "the arena's window of %llu bytes is full",
                           (unsigned long long)arena->size);
    if (broodi_win32_fault() || !VirtualAlloc(arena->base + offset, length, MEM_COMMIT, PAGE_READWRITE)) {
        const DWORD code = GetLastError();
        return broodi_fail(BROOD_NO_MEMORY, "VirtualAlloc of %llu bytes (%lu)", (unsigned long long)length,
                           code);
    }
    return BROOD_OK;
}
