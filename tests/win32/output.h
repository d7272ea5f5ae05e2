// SPDX-License-Identifier: MIT
#ifndef BROOD_TESTS_WIN32_OUTPUT_H
#define BROOD_TESTS_WIN32_OUTPUT_H

#include <windows.h>

// Opens a file for the output of a program and its children, at its end; they inherit the handle
// and so share its position, which moves with each write. FILE_APPEND_DATA would not do: Wine
// seeks to the end and then writes, in two steps, so that processes that print at the same time
// overwrite each other.
static inline HANDLE output_open(const char *path)
{
    const LARGE_INTEGER nothing = { .QuadPart = 0 };
    SECURITY_ATTRIBUTES inheritable = { sizeof inheritable, NULL, TRUE };
    HANDLE file = CreateFileA(path, GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE, &inheritable,
                              OPEN_ALWAYS, FILE_ATTRIBUTE_NORMAL, NULL);
    if (file != INVALID_HANDLE_VALUE && !SetFilePointerEx(file, nothing, NULL, FILE_END)) {
        CloseHandle(file);
        return INVALID_HANDLE_VALUE;
    }
    return file;
}

#endif
