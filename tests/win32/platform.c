// SPDX-License-Identifier: MIT
#include "platform.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <windows.h>

// What a process that was ended from outside has as its exit code. No other one has it.
enum { KILLED = 0x4b494c4c };

noreturn static void give_up(const char *what)
{
    (void)fprintf(stderr, "%s (%lu)\n", what, GetLastError());
    abort();
}

bool platform_has_fork(void)
{
    return false;
}

bool platform_has_fork_with_threads(void)
{
    return false;
}

bool platform_has_signals(void)
{
    return false;
}

size_t platform_descriptor_count(void)
{
    DWORD count;
    if (!GetProcessHandleCount(GetCurrentProcess(), &count))
        give_up("GetProcessHandleCount");
    return count;
}

bool platform_descriptors_limit(unsigned more)
{
    (void)more;
    return false;
}

void platform_descriptors_unlimit(void)
{
}

// NULL when there is none.
static HANDLE open_process(brood_pid pid, DWORD rights)
{
    return pid > 0 ? OpenProcess(rights | SYNCHRONIZE, FALSE, (DWORD)pid) : NULL;
}

bool platform_process_lives(brood_pid pid)
{
    HANDLE process = open_process(pid, PROCESS_QUERY_LIMITED_INFORMATION);
    if (!process)
        return false;
    const bool lives = WaitForSingleObject(process, 0) == WAIT_TIMEOUT;
    CloseHandle(process);
    return lives;
}

void platform_process_kill(brood_pid pid)
{
    HANDLE process = open_process(pid, PROCESS_TERMINATE);
    if (!process)
        return;
    if (!TerminateProcess(process, KILLED) && GetLastError() != ERROR_ACCESS_DENIED)
        give_up("TerminateProcess");
    CloseHandle(process);
}

bool platform_has_child(void)
{
    return false;
}

bool platform_reap(brood_pid pid)
{
    (void)pid;
    return false;
}

bool platform_children_ignore(bool ignore)
{
    (void)ignore;
    return false;
}

int platform_guest(int (*fn)(void *arg), void *arg)
{
    (void)fn;
    (void)arg;
    return -1;
}

noreturn void platform_crash(void)
{
    volatile int *volatile nowhere = (volatile int *)(uintptr_t)64;
    *nowhere = 1;
    abort();
}

void platform_environment_set(const char *name, const char *value)
{
    char entry[1024];
    (void)snprintf(entry, sizeof entry, "%s=%s", name, value ? value : "");
    if (_putenv(entry) != 0)
        give_up("_putenv");
}
