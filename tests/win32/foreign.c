// SPDX-License-Identifier: MIT
#include "foreign.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

struct foreign_thread {
    HANDLE thread;
    void (*fn)(void *);
    void *arg;
};

struct foreign_fiber {
    void *fiber;
    void *back;
    void (*fn)(void *);
    void *arg;
};

bool foreign_is_slow(void)
{
    HMODULE system = GetModuleHandleW(L"ntdll.dll");
    return system && GetProcAddress(system, "wine_get_version");
}

_Noreturn static void give_up(const char *what)
{
    (void)fprintf(stderr, "%s (%lu)\n", what, GetLastError());
    abort();
}

static DWORD WINAPI run(void *arg)
{
    const foreign_thread *thread = arg;
    thread->fn(thread->arg);
    return 0;
}

foreign_thread *foreign_thread_start(void (*fn)(void *), void *arg)
{
    foreign_thread *thread = malloc(sizeof *thread);
    if (!thread)
        give_up("malloc");
    thread->fn = fn;
    thread->arg = arg;
    thread->thread = CreateThread(NULL, 0, run, thread, 0, NULL);
    if (!thread->thread)
        give_up("CreateThread");
    return thread;
}

void foreign_thread_join(foreign_thread *thread)
{
    if (WaitForSingleObject(thread->thread, INFINITE) != WAIT_OBJECT_0)
        give_up("WaitForSingleObject");
    CloseHandle(thread->thread);
    free(thread);
}

void foreign_thread_cancel(foreign_thread *thread)
{
    (void)thread;
}

bool foreign_thread_interrupt(foreign_thread *thread)
{
    (void)thread;
    return false;
}

bool foreign_thread_on_end(void (*fn)(void *), void *arg)
{
    (void)fn;
    (void)arg;
    return false;
}

_Noreturn void foreign_thread_exit(void)
{
    ExitThread(0);
    abort(); // not reached; MinGW does not declare ExitThread as noreturn
}

static void CALLBACK run_in_fiber(void *arg)
{
    const foreign_fiber *fiber = arg;
    fiber->fn(fiber->arg);
    SwitchToFiber(fiber->back);
    abort(); // not reached: the fiber is never switched to again
}

foreign_fiber *foreign_fiber_run(void (*fn)(void *), void *arg)
{
    foreign_fiber *fiber = malloc(sizeof *fiber);
    if (!fiber)
        give_up("malloc");
    fiber->fn = fn;
    fiber->arg = arg;
    fiber->back = ConvertThreadToFiber(NULL);
    fiber->fiber = CreateFiber(0, run_in_fiber, fiber);
    if (!fiber->back || !fiber->fiber)
        give_up("CreateFiber");
    SwitchToFiber(fiber->fiber);
    return fiber;
}

void foreign_fiber_delete(foreign_fiber *fiber)
{
    DeleteFiber(fiber->fiber);
    free(fiber);
}

static wchar_t *wide(wchar_t *buffer, const char *path)
{
    if (MultiByteToWideChar(CP_UTF8, 0, path, -1, buffer, MAX_PATH) <= 0)
        give_up(path);
    return buffer;
}

void *foreign_library_open(const char *path)
{
    wchar_t buffer[MAX_PATH + 1];
    const wchar_t *extension = wcsrchr(wide(buffer, path), L'.');
    // The system appends an extension to a name without one, unless the name ends with a point.
    if (!extension || wcspbrk(extension, L"/\\"))
        wcscat(buffer, L".");
    return LoadLibraryW(buffer);
}

void foreign_library_close(void *library)
{
    if (!FreeLibrary(library))
        give_up("FreeLibrary");
}

void (*foreign_library_function(void *library, const char *name))(void)
{
    return (void (*)(void))(uintptr_t)GetProcAddress(library, name);
}

const void *foreign_module_base(void (*code)(void))
{
    HMODULE module;
    const DWORD flags =
        GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT;
    return GetModuleHandleExW(flags, (const wchar_t *)(uintptr_t)code, &module)
               ? (const void *)module
               : NULL;
}

void foreign_address_take(uintptr_t address)
{
    (void)VirtualAlloc((void *)address, 4096, MEM_RESERVE, PAGE_NOACCESS);
}

void foreign_file_copy(const char *from, const char *to)
{
    wchar_t source[MAX_PATH];
    wchar_t target[MAX_PATH];
    if (!CopyFileW(wide(source, from), wide(target, to), FALSE))
        give_up(to);
}

// A DLL that is in use can be moved, but not written.
void foreign_file_replace(const char *from, const char *to)
{
    char aside[MAX_PATH];
    wchar_t source[MAX_PATH];
    wchar_t target[MAX_PATH];
    (void)snprintf(aside, sizeof aside, "%s.old", to);
    if (!MoveFileExW(wide(source, to), wide(target, aside), MOVEFILE_REPLACE_EXISTING))
        give_up(aside);
    foreign_file_copy(from, to);
}

void foreign_file_remove(const char *path)
{
    char aside[MAX_PATH];
    wchar_t buffer[MAX_PATH];
    (void)snprintf(aside, sizeof aside, "%s.old", path);
    (void)DeleteFileW(wide(buffer, path));
    (void)DeleteFileW(wide(buffer, aside));
}

void foreign_file_name(char *buffer, size_t capacity, const char *name)
{
    wchar_t directory[MAX_PATH];
    char narrow[MAX_PATH];
    if (GetTempPathW(MAX_PATH, directory) == 0 ||
        WideCharToMultiByte(CP_UTF8, 0, directory, -1, narrow, MAX_PATH, NULL, NULL) <= 0)
        give_up("GetTempPathW");
    (void)snprintf(buffer, capacity, "%sbrood-test-%lu-%s", narrow, GetCurrentProcessId(), name);
}
