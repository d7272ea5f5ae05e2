// SPDX-License-Identifier: MIT
#include "place.h"

#include "foreign.h"
#include "output.h"

#include <fcntl.h>
#include <io.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include <windows.h>
// After windows.h, which it needs.
#include <shellapi.h>

enum { ROOM = 2048 };

_Noreturn static void give_up(const char *what)
{
    (void)fprintf(stderr, "%s (%lu)\n", what, GetLastError());
    abort();
}

static wchar_t *wide(wchar_t buffer[ROOM], const char *text)
{
    if (MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, -1, buffer, ROOM) <= 0)
        give_up(text);
    return buffer;
}

static const char *narrow(char buffer[ROOM], const wchar_t *text)
{
    if (WideCharToMultiByte(CP_UTF8, 0, text, -1, buffer, ROOM, NULL, NULL) <= 0)
        give_up("WideCharToMultiByte");
    return buffer;
}

const char *place_argument(int number)
{
    static char text[ROOM];
    int count;
    wchar_t **all = CommandLineToArgvW(GetCommandLineW(), &count);
    if (!all)
        give_up("CommandLineToArgvW");
    const char *found = number < count ? narrow(text, all[number]) : NULL;
    LocalFree(all);
    return found;
}

const char *place_program(void)
{
    static char text[ROOM];
    wchar_t path[ROOM];
    if (GetModuleFileNameW(NULL, path, ROOM) == 0)
        give_up("GetModuleFileNameW");
    return narrow(text, path);
}

const char *place_directory(void)
{
    static char text[ROOM];
    wchar_t path[ROOM];
    if (GetCurrentDirectoryW(ROOM, path) == 0)
        give_up("GetCurrentDirectoryW");
    return narrow(text, path);
}

const char *place_variable(const char *name)
{
    static char text[ROOM];
    wchar_t key[ROOM];
    wchar_t value[ROOM];
    // The C library's copy must agree.
    const wchar_t *copy = _wgetenv(wide(key, name));
    const DWORD length = GetEnvironmentVariableW(key, value, ROOM);
    if ((length > 0) != (copy != NULL) || (copy && wcscmp(copy, value) != 0))
        give_up(name);
    return length > 0 ? narrow(text, value) : NULL;
}

bool place_has_stream(int number)
{
    static const DWORD streams[] = { STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, STD_ERROR_HANDLE };
    HANDLE handle = GetStdHandle(streams[number]);
    DWORD facts;
    return handle && handle != INVALID_HANDLE_VALUE && GetHandleInformation(handle, &facts);
}

void place_pipe(intptr_t ends[2])
{
    int both[2];
    if (_pipe(both, 4096, _O_BINARY | _O_NOINHERIT) != 0)
        give_up("pipe");
    ends[0] = both[0];
    ends[1] = both[1];
}

void place_close(intptr_t end)
{
    if (_close((int)end) != 0)
        give_up("close");
}

size_t place_read(intptr_t end, char *buffer, size_t capacity)
{
    const int got = _read((int)end, buffer, (unsigned)capacity);
    if (got < 0)
        give_up("read");
    return (size_t)got;
}

void place_folder_make(char *buffer, size_t capacity, const char *name)
{
    wchar_t path[ROOM];
    foreign_file_name(buffer, capacity, name);
    if (!CreateDirectoryW(wide(path, buffer), NULL) && GetLastError() != ERROR_ALREADY_EXISTS)
        give_up(buffer);
}

void place_folder_remove(const char *path)
{
    wchar_t buffer[ROOM];
    (void)RemoveDirectoryW(wide(buffer, path));
}

void place_program_copy(const char *from, const char *to)
{
    foreign_file_copy(from, to);
}

const char *place_name_of(const char *path)
{
    const char *name = path;
    for (; *path; path++)
        if (*path == '/' || *path == '\\')
            name = path + 1;
    return name;
}

void (*place_code(void))(void)
{
    unsigned char *code =
        VirtualAlloc(NULL, 4096, MEM_COMMIT | MEM_RESERVE, PAGE_EXECUTE_READWRITE);
    if (!code)
        give_up("VirtualAlloc");
#if defined(__x86_64__) || defined(__i386__)
    static const unsigned char zero[] = { 0x31, 0xc0, 0xc3 }; // xor eax, eax; ret
    memcpy(code, zero, sizeof zero);
#endif
    return (void (*)(void))(uintptr_t)code;
}

bool place_image_is_kept(void)
{
    return false;
}

// Puts "NAME=value" into the environment of this process, for a child to inherit; removes it if
// `set` is false.
static void put_variables(const place_run *run, bool set)
{
    for (size_t i = 0; i < sizeof run->variables / sizeof run->variables[0] && run->variables[i];
         i++) {
        wchar_t entry[ROOM];
        wchar_t *sign = wcschr(wide(entry, run->variables[i]), L'=');
        *sign = 0;
        if (!SetEnvironmentVariableW(entry, set ? sign + 1 : NULL) && set)
            give_up(run->variables[i]);
    }
}

// No argument of a test needs more quoting than quotation marks around it.
static void make_command(wchar_t command[ROOM], const place_run *run)
{
    wchar_t text[ROOM];
    int length = swprintf(command, ROOM, L"\"%ls\"", wide(text, run->program));
    for (size_t i = 0; i < sizeof run->arguments / sizeof run->arguments[0] && run->arguments[i];
         i++)
        length += swprintf(command + length, (size_t)(ROOM - length), L" \"%ls\"",
                           wide(text, run->arguments[i]));
}

int place_program_run(const place_run *run)
{
    wchar_t program[ROOM];
    wchar_t command[ROOM];
    wchar_t directory[ROOM];
    DWORD code = 0;
    PROCESS_INFORMATION process;
    STARTUPINFOW info = { .cb = sizeof info, .dwFlags = STARTF_USESTDHANDLES };
    info.hStdOutput = run->output ? output_open(run->output) : INVALID_HANDLE_VALUE;
    if (run->output && info.hStdOutput == INVALID_HANDLE_VALUE)
        give_up(run->output);
    info.hStdError = run->output ? info.hStdOutput : NULL;
    make_command(command, run);
    put_variables(run, true);
    if (!CreateProcessW(wide(program, run->program), command, NULL, NULL, run->output != NULL, 0,
                        NULL, run->directory ? wide(directory, run->directory) : NULL, &info,
                        &process))
        give_up(run->program);
    put_variables(run, false);
    if (WaitForSingleObject(process.hProcess, INFINITE) != WAIT_OBJECT_0 ||
        !GetExitCodeProcess(process.hProcess, &code))
        give_up("WaitForSingleObject");
    CloseHandle(process.hThread);
    CloseHandle(process.hProcess);
    if (run->output)
        CloseHandle(info.hStdOutput);
    return (int)(code & 0xff);
}

const char *place_privileges_raise(const char *path)
{
    (void)path;
    return "Windows has no set-uid programs";
}
