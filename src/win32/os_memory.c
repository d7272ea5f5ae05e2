// SPDX-License-Identifier: MIT
// The arena's window is one section of the page file, reserved as a whole. A page that one
// process commits in its view is committed in every view, and cannot be decommitted. A large
// block is a section of its own, which exists until its last handle is closed; its keeper holds
// one.
#include "os/os_memory.h"

#include "win32/win32.h"

#include "base/fail.h"
#include "os/os_error.h"

#include <windows.h>

// The system keeps eight bytes per reserved page: a window of gibibytes would cost every family
// megabytes.
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
    HANDLE section =
        broodi_win32_fault()
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
    while (status != BROOD_OK && size > least) {
        size = size / 2 > least ? size / 2 : least;
        status = create(out, size);
    }
    return status;
}

brood_status brood_os_arena_open(brood_os_arena *out, intptr_t object, size_t size, size_t least)
{
    HANDLE section = (HANDLE)object;
    // The handle was inherited; this process's children must not inherit it.
    if (!SetHandleInformation(section, HANDLE_FLAG_INHERIT, 0))
        return broodi_fail(BROOD_INVALID, "handle %lld is no arena", (long long)object);
    brood_status status = map(out, section, size);
    if (status == BROOD_NO_MEMORY && least < size)
        status = map(out, section, least);
    if (status == BROOD_OK)
        return BROOD_OK;
    // For a handle that is no section, or a section that is too small, the system reports codes
    // such as "invalid handle" and "access denied".
    if (status != BROOD_NO_MEMORY)
        status = broodi_fail(BROOD_INVALID, "handle %lld is no arena", (long long)object);
    CloseHandle(section);
    return status;
}

brood_status brood_os_arena_commit(const brood_os_arena *arena, const brood_os_range *range)
{
    if (range->offset > arena->size || range->length > arena->size - range->offset)
        return broodi_fail(BROOD_NO_MEMORY, "the arena's window of %llu bytes is full",
                           (unsigned long long)arena->size);
    if (broodi_win32_fault() ||
        !VirtualAlloc(arena->base + range->offset, range->length, MEM_COMMIT, PAGE_READWRITE)) {
        const DWORD code = GetLastError();
        return broodi_fail(BROOD_NO_MEMORY, "VirtualAlloc of %llu bytes (%lu)",
                           (unsigned long long)range->length, code);
    }
    return BROOD_OK;
}

// Reserved pages of a view are inaccessible; a commit in one view makes them accessible in all.
bool brood_os_arena_access(const brood_os_arena *arena, const brood_os_range *range)
{
    return range->offset <= arena->size && range->length <= arena->size - range->offset;
}

void brood_os_arena_populate(const brood_os_arena *arena, const brood_os_range *range)
{
    (void)arena, (void)range;
}

bool brood_os_arena_decommit(const brood_os_arena *arena, const brood_os_range *range)
{
    (void)arena, (void)range;
    return false;
}

// Sections

uint64_t brood_os_section_limit(void)
{
    return INT64_MAX;
}

// A process id may be reused, so the name of a process also contains bits of its creation time.
static int64_t name_of(HANDLE process)
{
    FILETIME birth;
    FILETIME others[3];
    if (!GetProcessTimes(process, &birth, &others[0], &others[1], &others[2]))
        return 0;
    return (int64_t)((uint64_t)(birth.dwLowDateTime & INT32_MAX) << 32 | GetProcessId(process));
}

int64_t brood_os_section_keeper(void)
{
    return name_of(GetCurrentProcess());
}

// NULL if the process has ended or cannot be opened.
static HANDLE open_keeper(int64_t keeper)
{
    if (keeper == brood_os_section_keeper())
        return GetCurrentProcess();
    const DWORD rights = PROCESS_DUP_HANDLE | PROCESS_QUERY_LIMITED_INFORMATION;
    HANDLE process = broodi_win32_fault() ? NULL : OpenProcess(rights, FALSE, (DWORD)keeper);
    if (!process || name_of(process) == keeper)
        return process;
    CloseHandle(process);
    return NULL;
}

brood_status brood_os_memory_check(uint64_t length)
{
    MEMORYSTATUSEX memory = { .dwLength = sizeof memory };
    if (length > SIZE_MAX || (GlobalMemoryStatusEx(&memory) && length > memory.ullAvailPageFile))
        return broodi_fail(BROOD_NO_MEMORY, "%llu bytes requested, %llu available",
                           (unsigned long long)length, (unsigned long long)memory.ullAvailPageFile);
    return BROOD_OK;
}

// Duplicates the handle into the keeper; false if that fails.
static bool hand_over(HANDLE section, int64_t name, uint64_t *out_name)
{
    HANDLE theirs = NULL;
    HANDLE keeper = open_keeper(name);
    if (!keeper)
        return false;
    const bool done = DuplicateHandle(GetCurrentProcess(), section, keeper, &theirs, 0, FALSE,
                                      DUPLICATE_SAME_ACCESS);
    CloseHandle(keeper);
    *out_name = (uint64_t)(uintptr_t)theirs;
    return done;
}

// If the keeper has died, this process becomes the keeper.
brood_status brood_os_section_create(const brood_os_arena *arena, bool lazy, brood_os_section *out)
{
    (void)arena, (void)lazy; // the system always allocates pages on first access
    HANDLE section =
        broodi_win32_fault()
            ? NULL
            : CreateFileMappingW(INVALID_HANDLE_VALUE, NULL, PAGE_READWRITE | SEC_COMMIT,
                                 (DWORD)(out->length >> 32), (DWORD)out->length, NULL);
    if (!section)
        return brood_os_error("CreateFileMappingW", GetLastError());
    const int64_t self = brood_os_section_keeper();
    if (out->keeper != self && hand_over(section, out->keeper, &out->name)) {
        CloseHandle(section);
        return BROOD_OK;
    }
    out->keeper = self;
    out->name = (uint64_t)(uintptr_t)section;
    return BROOD_OK;
}

// Returns a handle of this process to the section; DUPLICATE_CLOSE_SOURCE also closes the
// keeper's. NULL if the keeper has ended or the duplication fails.
static HANDLE duplicate(const brood_os_section *section, DWORD options)
{
    HANDLE ours = NULL;
    HANDLE keeper = open_keeper(section->keeper);
    if (!keeper)
        return NULL;
    if (!DuplicateHandle(keeper, (HANDLE)(uintptr_t)section->name, GetCurrentProcess(), &ours, 0,
                         FALSE, DUPLICATE_SAME_ACCESS | options))
        ours = NULL;
    CloseHandle(keeper);
    return ours;
}

void brood_os_section_destroy(const brood_os_arena *arena, const brood_os_section *section)
{
    (void)arena;
    HANDLE ours = section->name ? duplicate(section, DUPLICATE_CLOSE_SOURCE) : NULL;
    if (ours)
        CloseHandle(ours);
}

brood_status brood_os_section_map(const brood_os_arena *arena, const brood_os_section *section,
                                  void **out)
{
    (void)arena;
    HANDLE ours = duplicate(section, 0);
    if (!ours)
        return broodi_fail(BROOD_NOT_FOUND, "process %lu, which kept the block, has ended",
                           (unsigned long)(DWORD)section->keeper);
    *out = broodi_win32_fault()
               ? NULL
               : MapViewOfFile(ours, FILE_MAP_WRITE, 0, 0, (SIZE_T)section->length);
    const DWORD code = GetLastError();
    CloseHandle(ours); // the view keeps the section alive
    return *out ? BROOD_OK : brood_os_error("MapViewOfFile", code);
}

void brood_os_section_unmap(void *address, uint64_t length)
{
    (void)length;
    UnmapViewOfFile(address);
}
