// SPDX-License-Identifier: MIT
#include "../peers.h"

#include <stddef.h>
#include <wchar.h>
#include <windows.h>

#define PATH_CAPACITY 32768 // UTF-16 units, the longest path of Windows
#define WIDE(text) WIDE_(text)
#define WIDE_(text) L##text

static bool wait_for(HANDLE handle)
{
    return WaitForSingleObject(handle, INFINITE) == WAIT_OBJECT_0;
}

static bool run_image(void)
{
    static const wchar_t arguments[] = L"nothing " WIDE(PEER_NOTHING);
    static wchar_t path[PATH_CAPACITY];
    const DWORD length = GetModuleFileNameW(NULL, path, PATH_CAPACITY);
    if (length == 0 || length == PATH_CAPACITY)
        return false;

    // CreateProcessW() may write into it.
    wchar_t command_line[sizeof arguments / sizeof arguments[0]];
    wmemcpy(command_line, arguments, sizeof arguments / sizeof arguments[0]);
    STARTUPINFOW startup = { .cb = sizeof startup };
    PROCESS_INFORMATION process;
    if (!CreateProcessW(path, command_line, NULL, NULL, FALSE, 0, NULL, NULL, &startup, &process))
        return false;

    DWORD code = 1;
    const bool ended = wait_for(process.hProcess) && GetExitCodeProcess(process.hProcess, &code);
    CloseHandle(process.hThread);
    CloseHandle(process.hProcess);
    return ended && code == 0;
}

static DWORD WINAPI nothing(void *unused)
{
    (void)unused;
    return 0;
}

static bool run_thread(void)
{
    const HANDLE thread = CreateThread(NULL, 0, nothing, NULL, 0, NULL);
    if (thread == NULL)
        return false;
    const bool ended = wait_for(thread);
    CloseHandle(thread);
    return ended;
}

static const struct {
    const char *name;
    bool (*run)(void);
} peers[] = {
    [PEER_IMAGE] = { "CreateProcess", run_image },
    [PEER_LAUNCH] = { NULL, NULL },
    [PEER_COPY] = { NULL, NULL },
    [PEER_THREAD] = { "CreateThread", run_thread },
};

const char *peer_name(enum peer peer)
{
    return peers[peer].name;
}

bool peer_run(enum peer peer)
{
    return peers[peer].run && peers[peer].run();
}

// Only runners need the path.
const char *peer_image(void)
{
    return NULL;
}

bool peer_touch(int megabytes)
{
    enum { PAGE = 4096 };
    static void *memory;
    if (memory)
        VirtualFree(memory, 0, MEM_RELEASE);
    const size_t size = (size_t)megabytes << 20;
    memory = VirtualAlloc(NULL, size, MEM_COMMIT | MEM_RESERVE, PAGE_READWRITE);
    if (!memory)
        return false;
    for (size_t at = 0; at < size; at += PAGE)
        ((volatile char *)memory)[at] = 1;
    return true;
}

double peer_load(void)
{
    return -1;
}
