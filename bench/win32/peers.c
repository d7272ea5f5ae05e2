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

    wchar_t command_line[sizeof arguments / sizeof arguments[0]]; // CreateProcessW() may write into it
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

const char *peer_name(enum peer peer)
{
    static const char *const names[] = {
        [PEER_IMAGE] = "CreateProcess + wait",
        [PEER_COPY] = NULL,
        [PEER_THREAD] = "CreateThread + wait",
    };
    return names[peer];
}

bool peer_run(enum peer peer, const char *program)
{
    (void)program;
    switch (peer) {
    case PEER_IMAGE:
        return run_image();
    case PEER_COPY:
        return false;
    case PEER_THREAD:
        return run_thread();
    }
    return false;
}
