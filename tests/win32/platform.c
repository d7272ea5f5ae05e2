// SPDX-License-Identifier: MIT
#include "platform.h"

#include "foreign.h"
#include "output.h"

#include <fcntl.h>
#include <io.h>
#include <share.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <wchar.h>
#include <windows.h>
// After windows.h, which they need.
#include <psapi.h>
#include <tlhelp32.h>

// Not declared in all headers of the system.
WINBASEAPI BOOL WINAPI GetProcessHandleCount(HANDLE process, DWORD *out);

// The exit code of a process that platform_process_kill has ended; no other process has it.
enum { KILLED = 0x4b494c4c };

_Noreturn static void give_up(const char *what)
{
    (void)fprintf(stderr, "%s (%lu)\n", what, GetLastError());
    abort();
}

bool platform_has_fork(void)
{
    return false;
}

bool platform_copy_may_start_threads(void)
{
    return false;
}

bool platform_ends_with_the_last_thread(void)
{
    return true;
}

bool platform_copy_outlives_its_first_thread(void)
{
    return true;
}

bool platform_copy_can_be_made_beside_threads(void)
{
    return false;
}

bool platform_child_can_be_started_beside_threads(void)
{
    return true;
}

bool platform_copy_is_safe_beside_threads(void)
{
    return false;
}

void platform_leaks_ignore(void)
{
}

bool platform_joined_thread_is_gone(void)
{
    return true;
}

bool platform_has_signals(void)
{
    return false;
}

// Handles are small multiples of four, and the lowest free one is allocated next. The system's
// list of all handles must not be queried: the server of Wine 8 reads past its end if some
// process has no handle at that moment, crashes, and everything that runs waits for ever.
static size_t count_by_number(void)
{
    enum { FIRST = 4, GAP = 256 * FIRST };
    size_t count = 0;
    DWORD facts;
    for (uintptr_t number = FIRST, last = 0; number <= last + GAP; number += FIRST)
        if (GetHandleInformation((HANDLE)number, &facts)) {
            count++;
            last = number;
        }
    return count;
}

// Wine 8 reports 0 for every process.
size_t platform_descriptor_count(void)
{
    DWORD count;
    if (!GetProcessHandleCount(GetCurrentProcess(), &count))
        give_up("GetProcessHandleCount");
    return count ? count : count_by_number();
}

// A leak would keep at least one handle for each child that has ended.
size_t platform_descriptors_kept(size_t ended)
{
    return 8 + ended / 2;
}

size_t platform_mapping_count(void)
{
    return 0;
}

size_t platform_shared_file_count(void)
{
    return 0;
}

long platform_thread_sleeps(void)
{
    return -1;
}

// Under Wine this would set the host's clock.
bool platform_wall_clock_jump(brood_duration ahead, brood_duration span)
{
    (void)ahead, (void)span;
    return false;
}

bool platform_descriptors_limit(unsigned more)
{
    (void)more;
    return false;
}

void platform_descriptors_unlimit(void)
{
}

// NULL if there is no such process.
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

brood_pid platform_parent_of(brood_pid pid)
{
    HANDLE snapshot = CreateToolhelp32Snapshot(TH32CS_SNAPPROCESS, 0);
    PROCESSENTRY32 entry = { .dwSize = sizeof entry };
    brood_pid parent = 0;
    if (snapshot == INVALID_HANDLE_VALUE)
        give_up("CreateToolhelp32Snapshot");
    for (BOOL found = Process32First(snapshot, &entry); found;
         found = Process32Next(snapshot, &entry))
        if (entry.th32ProcessID == (DWORD)pid)
            parent = entry.th32ParentProcessID;
    CloseHandle(snapshot);
    return parent;
}

size_t platform_children_of(brood_pid pid, brood_pid *out, size_t capacity)
{
    (void)pid, (void)out, (void)capacity;
    return 0;
}

size_t platform_images(brood_pid *out, size_t capacity)
{
    (void)out, (void)capacity;
    return 0;
}

size_t platform_memory_used(void)
{
    PROCESS_MEMORY_COUNTERS counters;
    if (!K32GetProcessMemoryInfo(GetCurrentProcess(), &counters, sizeof counters))
        give_up("K32GetProcessMemoryInfo");
    return counters.WorkingSetSize;
}

size_t platform_memory_allocated(intptr_t object)
{
    (void)object;
    return 0;
}

void *platform_memory_shared(size_t size)
{
    void *memory = calloc(1, size);
    if (!memory)
        give_up("calloc");
    return memory;
}

brood_pid platform_group_of(brood_pid pid)
{
    (void)pid;
    return 0;
}

bool platform_process_stop(brood_pid pid)
{
    (void)pid;
    return false;
}

void platform_group_leave(void)
{
}

void platform_job_join(void)
{
    HANDLE job = CreateJobObjectW(NULL, NULL);
    if (!job || !AssignProcessToJobObject(job, GetCurrentProcess()))
        give_up("AssignProcessToJobObject");
    CloseHandle(job); // it exists as long as a process is in it
}

static bool is_listed(brood_pid pid, const brood_pid *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (list[i] == pid)
            return true;
    return false;
}

// The file name of this program, without its directory.
static const wchar_t *own_file(wchar_t path[MAX_PATH])
{
    if (GetModuleFileNameW(NULL, path, MAX_PATH) == 0)
        give_up("GetModuleFileNameW");
    const wchar_t *slash = wcsrchr(path, L'\\');
    return slash ? slash + 1 : path;
}

// The recorded parent id may be that of a dead process that was reused since; a later process
// with that id is unlikely to be a copy of this program.
size_t platform_relatives(const char *mark, brood_pid *list, size_t count, size_t capacity)
{
    wchar_t path[MAX_PATH];
    const wchar_t *file = own_file(path);
    HANDLE snapshot = CreateToolhelp32Snapshot(TH32CS_SNAPPROCESS, 0);
    PROCESSENTRY32W entry = { .dwSize = sizeof entry };
    (void)mark;
    if (snapshot == INVALID_HANDLE_VALUE)
        give_up("CreateToolhelp32Snapshot");
    for (size_t before = count + 1; before != count;) { // a child may be listed before its parent
        before = count;
        for (BOOL more = Process32FirstW(snapshot, &entry); more;
             more = Process32NextW(snapshot, &entry))
            if (count < capacity && wcscmp(entry.szExeFile, file) == 0 &&
                is_listed(entry.th32ParentProcessID, list, count) &&
                !is_listed(entry.th32ProcessID, list, count))
                list[count++] = entry.th32ProcessID;
    }
    CloseHandle(snapshot);
    return count;
}

int platform_output_redirect(const char *path)
{
    int file;
    (void)fflush(stdout);
    const int saved = _dup(1);
    if (saved < 0 ||
        _sopen_s(&file, path, _O_WRONLY | _O_CREAT | _O_TRUNC, _SH_DENYNO, _S_IREAD | _S_IWRITE) !=
            0 ||
        _dup2(file, 1) != 0)
        give_up(path);
    (void)_close(file);
    return saved;
}

void platform_output_restore(int saved)
{
    (void)fflush(stdout);
    if (_dup2(saved, 1) != 0)
        give_up("_dup2");
    (void)_close(saved);
}

bool platform_children_are_ignored(void)
{
    return false;
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

brood_pid platform_guest_start(int (*fn)(void *arg), void *arg)
{
    (void)fn;
    (void)arg;
    return 0;
}

int platform_guest_end(brood_pid guest)
{
    (void)guest;
    return -1;
}

int platform_guest(int (*fn)(void *arg), void *arg)
{
    return platform_guest_end(platform_guest_start(fn, arg));
}

static void make_pipe(intptr_t ends[2], int flags)
{
    int both[2];
    if (_pipe(both, 4096, _O_BINARY | flags) != 0)
        give_up("_pipe");
    ends[0] = both[0];
    ends[1] = both[1];
}

void platform_pipe(intptr_t ends[2])
{
    make_pipe(ends, _O_NOINHERIT);
}

void platform_pipe_inheritable(intptr_t ends[2])
{
    make_pipe(ends, 0);
}

size_t platform_read(intptr_t descriptor, char *buffer, size_t capacity)
{
    const int got = _read((int)descriptor, buffer, (unsigned)capacity);
    if (got < 0)
        give_up("_read");
    return (size_t)got;
}

// Whether no other process runs this program.
static bool is_alone(void)
{
    wchar_t path[MAX_PATH];
    const wchar_t *file = own_file(path);
    PROCESSENTRY32W entry = { .dwSize = sizeof entry };
    unsigned count = 0;
    HANDLE snapshot = CreateToolhelp32Snapshot(TH32CS_SNAPPROCESS, 0);
    if (snapshot == INVALID_HANDLE_VALUE)
        give_up("CreateToolhelp32Snapshot");
    for (BOOL more = Process32FirstW(snapshot, &entry); more;
         more = Process32NextW(snapshot, &entry))
        count += wcscmp(entry.szExeFile, file) == 0;
    CloseHandle(snapshot);
    return count <= 1;
}

// If a process is ended before it has connected to Wine's server, the server keeps the handles
// that it inherited open, and does not list it. Under Wine the pipe therefore also counts as
// ended if for two seconds no other process of this program, which could write, existed.
bool platform_pipe_ends(intptr_t reading)
{
    enum { PERIOD = 20, POLLS = 60000 / PERIOD, ENOUGH = 2000 / PERIOD };
    HANDLE pipe = (HANDLE)_get_osfhandle((int)reading);
    unsigned alone = 0;
    for (unsigned polls = 0; polls < POLLS && alone < ENOUGH; polls++) {
        DWORD length = 0;
        if (!PeekNamedPipe(pipe, NULL, 0, NULL, &length, NULL))
            return GetLastError() == ERROR_BROKEN_PIPE;
        if (length > 0)
            return false;
        alone = foreign_is_slow() && is_alone() ? alone + 1 : 0;
        Sleep(PERIOD);
    }
    return alone == ENOUGH;
}

void platform_write(intptr_t descriptor, const char *text)
{
    if (_write((int)descriptor, text, (unsigned)strlen(text)) != (int)strlen(text))
        give_up("_write");
}

void platform_close(intptr_t descriptor)
{
    if (_close((int)descriptor) != 0)
        give_up("_close");
}

brood_resource platform_resource(intptr_t descriptor)
{
    return (brood_resource){ BROOD_RESOURCE_HANDLE, _get_osfhandle((int)descriptor) };
}

intptr_t platform_file_open(const char *path)
{
    const int file = _open(path, _O_RDONLY | _O_BINARY | _O_NOINHERIT);
    if (file < 0)
        give_up(path);
    return file;
}

static HANDLE standard(int number)
{
    static const DWORD names[] = { STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, STD_ERROR_HANDLE };
    return GetStdHandle(names[number]);
}

void platform_print(int number, const char *text)
{
    DWORD written = 0;
    const DWORD length = (DWORD)strlen(text);
    if (!WriteFile(standard(number), text, length, &written, NULL) || written != length)
        give_up("WriteFile");
}

bool platform_stream_is_passed(int number)
{
    DWORD facts = 0;
    return GetHandleInformation(standard(number), &facts) && (facts & HANDLE_FLAG_INHERIT);
}

void platform_stream_keep_from_programs(int number)
{
    if (!SetHandleInformation(standard(number), HANDLE_FLAG_INHERIT, 0))
        give_up("SetHandleInformation");
}

FILE *platform_stream(intptr_t descriptor)
{
    FILE *stream = _fdopen((int)descriptor, "r");
    if (!stream)
        give_up("_fdopen");
    return stream;
}

void platform_input_replace(intptr_t descriptor)
{
    if (_dup2((int)descriptor, 0) != 0)
        give_up("_dup2");
}

// A semaphore: a fresh image has none of its own.
platform_bait platform_bait_lay(void)
{
    SECURITY_ATTRIBUTES inherited = { sizeof inherited, NULL, TRUE };
    HANDLE semaphore = CreateSemaphoreW(&inherited, 0, 1000, NULL);
    if (!semaphore)
        give_up("CreateSemaphoreW");
    return (platform_bait){ .number = (intptr_t)semaphore };
}

void platform_bait_touch(intptr_t number)
{
    (void)ReleaseSemaphore((HANDLE)number, 1, NULL);
}

bool platform_bait_is_touched(platform_bait bait)
{
    return WaitForSingleObject((HANDLE)bait.number, 0) == WAIT_OBJECT_0;
}

void platform_bait_remove(platform_bait bait)
{
    CloseHandle((HANDLE)bait.number);
}

void platform_descriptors_describe(char *buffer, size_t capacity)
{
    (void)capacity;
    buffer[0] = 0;
}

void platform_descriptors_close(void)
{
}

bool platform_is_ready(intptr_t native, brood_duration timeout)
{
    return WaitForSingleObject((HANDLE)native, (DWORD)(timeout / 1000000)) == WAIT_OBJECT_0;
}

static platform_native create_event(BOOL manual)
{
    HANDLE event = CreateEventW(NULL, manual, FALSE, NULL);
    if (!event)
        give_up("CreateEventW");
    return (platform_native){ .object = (intptr_t)event };
}

platform_native platform_native_create(void)
{
    return create_event(TRUE);
}

platform_native platform_native_create_reset(void)
{
    return create_event(FALSE);
}

void platform_native_set(platform_native *native, bool ready)
{
    if (!(ready ? SetEvent((HANDLE)native->object) : ResetEvent((HANDLE)native->object)))
        give_up("SetEvent");
    native->ready = ready;
}

void platform_native_destroy(platform_native *native)
{
    if (!CloseHandle((HANDLE)native->object))
        give_up("CloseHandle");
}

void platform_terminate_ignore(void)
{
}

static HANDLE inheritable(HANDLE handle)
{
    if (handle == INVALID_HANDLE_VALUE ||
        !SetHandleInformation(handle, HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT))
        give_up("SetHandleInformation");
    return handle;
}

// Puts "NAME=value" into the environment of this process, for a child to inherit; removes it if
// `set` is false.
static void put_variable(const char *variable, bool set)
{
    char name[64];
    const char *sign = variable ? strchr(variable, '=') : NULL;
    if (!sign)
        return;
    (void)snprintf(name, sizeof name, "%.*s", (int)(sign - variable), variable);
    if (!SetEnvironmentVariableA(name, set ? sign + 1 : NULL) && set)
        give_up(variable);
}

platform_program platform_program_start(const char *argument, const char *variable,
                                        const char *output)
{
    char program[MAX_PATH];
    char command[MAX_PATH + 128];
    HANDLE ends[2];
    PROCESS_INFORMATION process;
    if (GetModuleFileNameA(NULL, program, sizeof program) == 0 ||
        !CreatePipe(&ends[0], &ends[1], NULL, 0))
        give_up("platform_program_start");
    (void)snprintf(command, sizeof command, "\"%s\" %s", program, argument);
    STARTUPINFOA info = { .cb = sizeof info, .dwFlags = STARTF_USESTDHANDLES };
    info.hStdInput = inheritable(ends[0]);
    info.hStdOutput = output_open(output);
    if (info.hStdOutput == INVALID_HANDLE_VALUE)
        give_up(output);
    info.hStdError = info.hStdOutput;
    put_variable(variable, true);
    if (!CreateProcessA(program, command, NULL, NULL, TRUE, 0, NULL, NULL, &info, &process))
        give_up(command);
    put_variable(variable, false);
    CloseHandle(info.hStdInput);
    CloseHandle(info.hStdOutput);
    CloseHandle(process.hThread);
    return (platform_program){ process.dwProcessId, (intptr_t)process.hProcess, (intptr_t)ends[1] };
}

void platform_program_close_input(platform_program program)
{
    CloseHandle((HANDLE)program.input);
}

int platform_program_wait(platform_program program)
{
    DWORD code = KILLED;
    if (WaitForSingleObject((HANDLE)program.handle, INFINITE) != WAIT_OBJECT_0 ||
        !GetExitCodeProcess((HANDLE)program.handle, &code))
        give_up("platform_program_wait");
    CloseHandle((HANDLE)program.handle);
    return code == KILLED ? -1 : (int)(code & 0xff);
}

_Noreturn void platform_crash(void)
{
    volatile int *volatile nowhere = (volatile int *)(uintptr_t)64;
    *nowhere = 1;
    abort();
}

_Noreturn void platform_crash_illegal(void)
{
#if defined(__clang__) || defined(__GNUC__)
    __builtin_trap();
#else
    RaiseException(EXCEPTION_ILLEGAL_INSTRUCTION, EXCEPTION_NONCONTINUABLE, 0, NULL);
    abort();
#endif
}

_Noreturn void platform_crash_arithmetic(void)
{
    volatile int number = 7;
    volatile int zero = 0;
    volatile int result = number / zero;
    (void)result;
    abort();
}

// Moves the stack pointer in one step, page by page, over the whole stack: Wine can report the
// fault only if there is room on the stack at that point, and is silent otherwise.
_Noreturn void platform_crash_stack(void)
{
    volatile char room[64 << 20];
    volatile size_t somewhere = 0;
    room[somewhere] = 1;
    somewhere = (size_t)room[somewhere];
    abort();
}

// What the system's own handler does, also for Ctrl+Break and a closed console.
_Noreturn void platform_interrupt(void)
{
    ExitProcess((UINT)platform_interrupt_code());
    abort(); // not reached; MinGW does not declare ExitProcess as noreturn
}

int platform_interrupt_code(void)
{
    return (int)0xC000013A;
}

void platform_environment_set(const char *name, const char *value)
{
    char entry[1024];
    (void)snprintf(entry, sizeof entry, "%s=%s", name, value ? value : "");
    if (_putenv(entry) != 0)
        give_up("_putenv");
}
