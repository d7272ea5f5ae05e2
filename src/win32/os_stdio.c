// SPDX-License-Identifier: MIT
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>
// Included last: the macro "noreturn" breaks the system's headers.
#include "win32/win32.h"

#include "os/os_stdio.h"

enum { REFUSED = 70 };

// The C library cannot try to lock a stream, so this may block. A thread that is blocked in a
// read holds the lock of its own stream only.
void brood_os_stdio_flush(bool all)
{
    (void)fflush(stdout);
    (void)fflush(stderr);
    if (all)
        (void)fflush(NULL);
}

bool brood_os_stdio_exit_waits(void)
{
    return true;
}

void brood_os_stdio_await_input(void)
{
    _lock_file(stdin);
    _unlock_file(stdin);
}

// No process is a copy of another.
void brood_os_stdio_discard(void)
{
}

_Noreturn void brood_os_process_exit(int code)
{
    broodi_win32_set_ending();
    _exit(code);
}

static size_t append(char *text, size_t at, size_t room, const char *what)
{
    const size_t length = strlen(what);
    const size_t part = length < room - at ? length : room - at;
    memcpy(text + at, what, part);
    return at + part;
}

void brood_os_stdio_write(const char *const *parts, size_t count)
{
    enum { ROOM = 4096, END = 2 };
    char text[ROOM];
    size_t length = 0;
    for (size_t i = 0; i < count; i++)
        length = append(text, length, ROOM - END, parts[i]);
    length = append(text, length, ROOM, "\r\n");
    DWORD written;
    (void)WriteFile(GetStdHandle(STD_ERROR_HANDLE), text, (DWORD)length, &written, NULL);
}

void brood_os_stdio_print(const char *line)
{
    const char *const parts[] = { "brood: ", line };
    brood_os_stdio_write(parts, 2);
}

_Noreturn void brood_os_process_refuse(const char *line)
{
    brood_os_stdio_print(line);
    brood_os_process_exit(REFUSED);
}
