// SPDX-License-Identifier: MIT
#include "os/os_process.h"

#include "win32/channel.h"
#include "win32/launch.h"
#include "win32/win32.h"

#include "base/fail.h"
#include "os/os_error.h"

#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include <windows.h>

// The exit codes of processes that brood_os_process_end terminates: a base plus the number of the
// corresponding POSIX signal.
enum { ENDED_BASE = 0x10000, ENDED_SOFTLY = ENDED_BASE + 15, ENDED_HARD = ENDED_BASE + 9 };

// The POSIX counterpart of a console interrupt: SIGINT.
enum { INTERRUPT = 2 };

static bool make_process(struct launch *launch, PROCESS_INFORMATION *out)
{
    launch->startup.StartupInfo.cb = sizeof launch->startup;
    // Without a console, the child must not open one.
    const DWORD console = GetConsoleCP() != 0 ? 0 : DETACHED_PROCESS;
    const DWORD flags = EXTENDED_STARTUPINFO_PRESENT | CREATE_UNICODE_ENVIRONMENT | console;
    return !broodi_win32_fault() &&
           CreateProcessW(launch->program, launch->command, NULL, NULL, TRUE, flags,
                          launch->environment, launch->directory, &launch->startup.StartupInfo,
                          out);
}

static brood_status create(struct launch *launch, const char *directory, brood_os_child *out)
{
    PROCESS_INFORMATION process;
    bool made = make_process(launch, &process);
    if (!made && GetLastError() == ERROR_ACCESS_DENIED && broodi_launch_renew_job(launch))
        made = make_process(launch, &process);
    const DWORD code = GetLastError();
    if (!made && code == ERROR_DIRECTORY && directory)
        return broodi_launch_directory_error(directory, code);
    if (!made)
        return brood_os_error("CreateProcessW", code);
    CloseHandle(process.hThread);
    const brood_status released = broodi_launch_release(launch);
    if (released != BROOD_OK) {
        CloseHandle(process.hProcess);
        return released;
    }
    *out = (brood_os_child){
        .pid = process.dwProcessId,
        .handle = (intptr_t)process.hProcess,
        .channel = (intptr_t)launch->reply,
        .memory = (intptr_t)launch->letter,
    };
    launch->reply = NULL;
    launch->letter = NULL;
    return BROOD_OK;
}

brood_status brood_os_resource_check(const brood_resource *resource)
{
    HANDLE handle = (HANDLE)resource->value;
    DWORD facts;
    switch ((brood_resource_kind)resource->kind) {
    case BROOD_RESOURCE_DESCRIPTOR:
        handle = broodi_win32_handle_of(resource->value);
        break;
    case BROOD_RESOURCE_HANDLE:
    case BROOD_RESOURCE_SOCKET:
        break;
    default:
        return broodi_fail(BROOD_INVALID, "invalid kind of resource: %d", (int)resource->kind);
    }
    // A pseudo handle, such as that of the current process, would denote another object in the
    // child.
    if (!handle || (intptr_t)handle < 0 || !GetHandleInformation(handle, &facts))
        return broodi_fail(BROOD_INVALID, "resource %lld is not open", (long long)resource->value);
    return BROOD_OK;
}

brood_status brood_os_process_spawn(const brood_os_plan *plan, brood_os_child *out)
{
    struct launch launch = { .program = NULL };
    brood_status status = broodi_launch_prepare(&launch, plan);
    if (status == BROOD_OK)
        status = create(&launch, plan->directory, out);
    broodi_launch_finish(&launch);
    return status;
}

bool brood_os_process_can_fork(void)
{
    return false;
}

brood_status brood_os_process_fork(const brood_os_plan *plan, void (*entry)(void *, intptr_t),
                                   void *arg, brood_os_child *out)
{
    (void)plan, (void)entry, (void)arg, (void)out;
    return broodi_fail(BROOD_UNSUPPORTED, "Windows has no fork");
}

// The child writes the text, so it may lack a terminator.
static bool read_reply(channel_letter *letter, brood_os_reply *out)
{
    _Static_assert(sizeof out->text == sizeof letter->text, "a reply fits");
    // Pairs with the child's store in brood_os_boot_reply.
    if (InterlockedCompareExchange(&letter->state, 0, 0) != CHANNEL_REPLIED)
        return false;
    out->status = (brood_status)letter->status;
    memcpy(out->text, letter->text, sizeof out->text);
    out->text[sizeof out->text - 1] = '\0';
    return true;
}

// Waits for the first of several objects; WAIT_TIMEOUT at the deadline.
static DWORD await_any(const HANDLE *objects, DWORD count, int64_t deadline)
{
    for (;;) {
        const DWORD left = broodi_win32_until(deadline);
        const DWORD answer = WaitForMultipleObjects(count, objects, FALSE, left);
        if (answer != WAIT_TIMEOUT || left == 0)
            return answer;
    }
}

static brood_status await_reply(const brood_os_child *child, int64_t deadline, brood_os_reply *out)
{
    const HANDLE either[] = { (HANDLE)child->channel, (HANDLE)child->handle };
    const DWORD answer = await_any(either, 2, deadline);
    const DWORD error = GetLastError();
    // The child may have replied just before the end that the wait has reported.
    if (read_reply((channel_letter *)child->memory, out))
        return BROOD_OK;
    if (answer == WAIT_TIMEOUT)
        return BROOD_TIMEOUT;
    if (answer == WAIT_FAILED)
        return brood_os_error("WaitForMultipleObjects", error);
    DWORD code = 0;
    (void)GetExitCodeProcess((HANDLE)child->handle, &code);
    return broodi_fail(BROOD_SYSTEM, "the child ended with exit code 0x%lx before it was ready",
                       code);
}

static void close_channel(brood_os_child *child)
{
    if (child->channel)
        CloseHandle((HANDLE)child->channel);
    if (child->memory)
        UnmapViewOfFile((void *)child->memory);
    child->channel = 0;
    child->memory = 0;
}

brood_status brood_os_process_await_ready(brood_os_child *child, int64_t deadline,
                                          brood_os_reply *out)
{
    const brood_status status = await_reply(child, deadline, out);
    close_channel(child);
    return status;
}

static brood_status await_process(HANDLE process, int64_t deadline)
{
    const DWORD answer = await_any(&process, 1, deadline);
    if (answer == WAIT_FAILED)
        return brood_os_error("WaitForMultipleObjects", GetLastError());
    return answer == WAIT_TIMEOUT ? BROOD_TIMEOUT : BROOD_OK;
}

brood_status brood_os_process_await_end(const brood_os_child *child, int64_t deadline)
{
    return await_process((HANDLE)child->handle, deadline);
}

// The meanings of exit codes; the first row that contains the code applies.
static const struct {
    DWORD first;
    DWORD last;
    brood_exit_kind kind;
    brood_crash crash;
} meanings[] = {
    // A real 0 is known from the child's own record; under Wine, a process killed from outside
    // has it too.
    { 0, 0, BROOD_LOST, BROOD_CRASH_NONE },
    { 3, 3, BROOD_CRASHED, BROOD_CRASH_ABORT }, // abort() of the C library
    { ENDED_HARD, ENDED_HARD, BROOD_TERMINATED, BROOD_CRASH_NONE },
    { ENDED_SOFTLY, ENDED_SOFTLY, BROOD_TERMINATED, BROOD_CRASH_NONE },
    { 0x80000002, 0x80000002, BROOD_CRASHED, BROOD_CRASH_BUS },        // misaligned
    { 0x80000003, 0x80000004, BROOD_CRASHED, BROOD_CRASH_OTHER },      // breakpoint, single step
    { 0xC0000005, 0xC0000005, BROOD_CRASHED, BROOD_CRASH_ACCESS },     // access violation
    { 0xC0000006, 0xC0000006, BROOD_CRASHED, BROOD_CRASH_BUS },        // the page cannot be read
    { 0xC000001D, 0xC000001D, BROOD_CRASHED, BROOD_CRASH_ILLEGAL },    // illegal instruction
    { 0xC000008C, 0xC0000095, BROOD_CRASHED, BROOD_CRASH_ARITHMETIC }, // bounds, float, integer
    { 0xC0000096, 0xC0000096, BROOD_CRASHED, BROOD_CRASH_ILLEGAL },    // privileged instruction
    { 0xC00000FD, 0xC00000FD, BROOD_CRASHED, BROOD_CRASH_STACK },      // stack overflow
    { 0xC000013A, 0xC000013A, BROOD_SIGNALLED,
      BROOD_CRASH_NONE }, // Ctrl+C, Ctrl+Break, a closed console
    { 0xC0000409, 0xC0000409, BROOD_CRASHED, BROOD_CRASH_ABORT }, // fast fail
    { 0xC0000602, 0xC0000602, BROOD_CRASHED, BROOD_CRASH_ABORT }, // fail fast exception
    // Other errors of the system and of programs, such as an uncaught C++ exception. They never
    // have bit 28 set, which exit(-1) has.
    { 0xC0000000, 0xCFFFFFFF, BROOD_CRASHED, BROOD_CRASH_OTHER },
    { 0xE0000000, 0xEFFFFFFF, BROOD_CRASHED, BROOD_CRASH_OTHER },
    { 0, MAXDWORD, BROOD_EXITED, BROOD_CRASH_NONE },
};

static brood_exit explain(DWORD code)
{
    size_t row = 0;
    while (code < meanings[row].first || code > meanings[row].last)
        row++;
    brood_exit ended = { .native = code };
    ended.kind = (int32_t)meanings[row].kind;
    ended.crash = (int32_t)meanings[row].crash;
    // A code that reads as a termination may also be the program's own.
    if (ended.kind == BROOD_EXITED || ended.kind == BROOD_TERMINATED)
        ended.code = (int32_t)code;
    if (ended.kind == BROOD_TERMINATED)
        ended.native = code - ENDED_BASE;
    if (ended.kind == BROOD_SIGNALLED)
        ended.native = INTERRUPT;
    return ended;
}

bool brood_os_process_reap(const brood_os_child *child, brood_exit *out)
{
    HANDLE process = (HANDLE)child->handle;
    // The exit code alone does not show the end: 259, STILL_ACTIVE, may be a real exit code.
    if (WaitForSingleObject(process, 0) == WAIT_TIMEOUT)
        return false;
    DWORD code = 0;
    (void)GetExitCodeProcess(process, &code);
    *out = explain(code);
    return true;
}

brood_status brood_os_process_end(const brood_os_child *child, bool hard)
{
    if (TerminateProcess((HANDLE)child->handle, hard ? ENDED_HARD : ENDED_SOFTLY))
        return BROOD_OK;
    const DWORD code = GetLastError();
    // The handle has all rights, so a denial means that the process is already ending.
    return code == ERROR_ACCESS_DENIED ? BROOD_OK : brood_os_error("TerminateProcess", code);
}

bool brood_os_process_open(brood_os_child *child)
{
    (void)child; // always has a handle
    return false;
}

void brood_os_process_release(brood_os_child *child)
{
    close_channel(child);
    if (child->handle)
        CloseHandle((HANDLE)child->handle);
    child->handle = 0;
}

int64_t brood_os_process_id(void)
{
    return GetCurrentProcessId();
}

uint64_t brood_os_pid_namespace(void)
{
    return 0;
}

void brood_os_pid_namespace_offer(uint64_t space, int64_t starter)
{
    (void)space, (void)starter;
}

// NULL with the last error ERROR_INVALID_PARAMETER if there is no such process.
static HANDLE open_process(int64_t pid)
{
    SetLastError(ERROR_INVALID_PARAMETER);
    if (pid <= 0 || pid > MAXDWORD)
        return NULL;
    return broodi_win32_fault()
               ? NULL
               : OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION | SYNCHRONIZE, FALSE, (DWORD)pid);
}

// Whether the error says that the process cannot be the one sought: there is no process with this
// id, or it is a foreign one that denies access.
static bool is_gone(DWORD code)
{
    return code == ERROR_INVALID_PARAMETER || code == ERROR_ACCESS_DENIED;
}

// 0 for a process that has ended: it can still be opened while any process has a handle to it.
static uint64_t read_birth(HANDLE process)
{
    FILETIME birth;
    FILETIME unused;
    if (WaitForSingleObject(process, 0) != WAIT_TIMEOUT ||
        !GetProcessTimes(process, &birth, &unused, &unused, &unused))
        return 0;
    return (uint64_t)birth.dwHighDateTime << 32 | birth.dwLowDateTime;
}

uint64_t brood_os_process_birth(int64_t pid)
{
    HANDLE process = open_process(pid);
    if (!process)
        return is_gone(GetLastError()) ? 0 : BROOD_OS_BIRTH_UNKNOWN;
    const uint64_t birth = read_birth(process);
    CloseHandle(process);
    return birth;
}

brood_status brood_os_parent_await_end(int64_t pid, uint64_t birth, int64_t deadline)
{
    HANDLE process = open_process(pid);
    const DWORD code = GetLastError();
    if (!process)
        return is_gone(code) ? BROOD_OK : brood_os_error("OpenProcess", code);
    const uint64_t now = read_birth(process);
    const bool lives = now != 0 && (now == birth || birth == BROOD_OS_BIRTH_UNKNOWN);
    const brood_status status = lives ? await_process(process, deadline) : BROOD_OK;
    CloseHandle(process);
    return status;
}

static void fill_list(char **list, size_t count, const wchar_t *strings, int room)
{
    char *at = (char *)(list + count + 1);
    for (size_t i = 0; i < count; i++) {
        list[i] = at;
        const int bytes = WideCharToMultiByte(CP_UTF8, 0, strings, -1, at, room, NULL, NULL);
        at += bytes;
        room -= bytes;
        strings += wcslen(strings) + 1;
    }
    list[count] = NULL;
}

char **brood_os_process_environment(void)
{
    wchar_t *const strings = broodi_win32_fault() ? NULL : GetEnvironmentStringsW();
    if (!strings)
        return NULL;
    size_t count = 0;
    size_t units = 0;
    for (; strings[units]; units += wcslen(strings + units) + 1)
        count++;
    // A UTF-16 unit takes at most three bytes of UTF-8.
    char **list = broodi_alloc((count + 1) * sizeof *list + units * 3);
    if (list)
        fill_list(list, count, strings, (int)units * 3);
    FreeEnvironmentStringsW(strings);
    return list;
}

// The system compares names without case, by a table of its own. False also if memory is short.
bool brood_os_process_same_name(const char *a, const char *b, size_t length)
{
    if (memcmp(a, b, length) == 0)
        return true;
    const int room = (int)length;
    wchar_t *wide = broodi_alloc(2 * length * sizeof *wide);
    if (!wide)
        return false;
    const int first = MultiByteToWideChar(CP_UTF8, 0, a, room, wide, room);
    const int second = MultiByteToWideChar(CP_UTF8, 0, b, room, wide + length, room);
    const int order = CompareStringOrdinal(wide, first, wide + length, second, TRUE);
    free(wide);
    return order == CSTR_EQUAL;
}
