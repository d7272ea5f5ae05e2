// SPDX-License-Identifier: MIT
// The calling thread's pointer is in a TLS slot. An FLS slot holds only a mark: the system calls
// the slot's callback at the end of each thread that has set one, possibly under a loader lock.
// It also calls it in the thread that ends the process, which the callback must detect. Threads
// that were started here call end_self themselves before that.
//
// The system also calls the callback when a fiber is deleted, by any thread, and each fiber has
// FLS values of its own. So a mark is the address of its fiber, and the thread remembers its own
// mark in a second TLS slot: the mark of another thread does not mean that this thread ends, nor
// does the mark of a fiber that another fiber deletes. Three cases cannot be told apart. A thread
// that ends in a fiber without a mark ends without a callback. A deletion by a thread that has
// ceased to be a fiber, and the deletion of the fiber into which a marked thread was converted,
// look like the thread's end.
#include "os/os_thread.h"

#include "win32/win32.h"

#include "base/fail.h"
#include "os/os_error.h"

#include <limits.h>
#include <process.h>
#include <stdlib.h>
#include <windows.h>
// Needs windows.h before it.
#include <tlhelp32.h>

// Not declared in all headers of the system.
WINBASEAPI BOOL WINAPI IsThreadAFiber(void);

typedef BOOLEAN(NTAPI *shutdown_query)(void);
typedef LONG(NTAPI *thread_query)(HANDLE thread, int what, PVOID out, ULONG size, PULONG written);

enum { AM_LAST_THREAD = 12 }; // ThreadAmILastThread

static DWORD self_slot;
static DWORD home_slot; // the mark whose callback means the end of this thread
static DWORD mark_slot;
static char no_fiber; // the mark of a thread that is not a fiber
static void (*at_end)(void *self);
static volatile LONG ending;
static shutdown_query is_shutting_down;
static thread_query query_thread;

struct start {
    void (*entry)(void *);
    void *arg;
};

void broodi_win32_set_ending(void)
{
    (void)InterlockedExchange(&ending, 1);
}

// At the end of a process the system ends all threads but one before it runs callbacks; and the
// end of the last thread ends the process.
static bool is_last_thread(void)
{
    ULONG last = 0;
    if (query_thread)
        (void)query_thread(GetCurrentThread(), AM_LAST_THREAD, &last, sizeof last, NULL);
    return last != 0;
}

static bool process_is_ending(void)
{
    return ending != 0 || (is_shutting_down && is_shutting_down()) || is_last_thread();
}

static void end_self(void)
{
    void *const self = brood_os_self_get();
    if (!self || !at_end)
        return;
    at_end(self);
    (void)TlsSetValue(self_slot, NULL);
}

// The current fiber, or &no_fiber. GCC takes the small offset into the thread's environment block
// for an invalid address.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Warray-bounds"
#endif
static void *present(void)
{
    return IsThreadAFiber() ? GetCurrentFiber() : &no_fiber;
}
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

static bool leave_mark(void)
{
    void *const fiber = present();
    const bool is_marked =
        FlsGetValue(mark_slot) == fiber || (!broodi_win32_fault() && FlsSetValue(mark_slot, fiber));
    return is_marked && TlsSetValue(home_slot, fiber);
}

// Whether a fiber other than the current one is being deleted, so that the thread continues. A
// thread that was converted to a fiber after it had been marked, or back, has kept its mark, so
// there the callback means the thread's end.
static bool is_deleted_fiber(void *home)
{
    void *const fiber = present();
    return fiber != &no_fiber && home != &no_fiber && home != fiber;
}

static void NTAPI on_mark_end(void *home)
{
    if (process_is_ending() || TlsGetValue(home_slot) != home)
        return;
    if (!is_deleted_fiber(home))
        end_self();
    else if (brood_os_self_get())
        (void)leave_mark();
}

static unsigned __stdcall run(void *arg)
{
    const struct start start = *(struct start *)arg;
    free(arg);
    start.entry(start.arg);
    end_self();
    // Otherwise the system ends the process without its exit handlers, and with this thread's code.
    if (is_last_thread())
        exit(0);
    return 0;
}

// Records the system's error code behind the C library's errno.
static brood_status refuse_thread(void)
{
    const int64_t code = (int64_t)_doserrno;
    return brood_os_error("_beginthreadex", code != 0 ? code : ERROR_MAX_THRDS_REACHED);
}

brood_status brood_os_thread_start(brood_os_thread *out, void (*entry)(void *), void *arg,
                                   size_t stack_size)
{
    if (stack_size > UINT_MAX)
        return broodi_fail(BROOD_NO_MEMORY, "a stack of %llu bytes does not fit the address space",
                           (unsigned long long)stack_size);
    struct start *start = broodi_alloc(sizeof *start);
    if (!start)
        return brood_os_error("malloc", ERROR_NOT_ENOUGH_MEMORY);
    *start = (struct start){ entry, arg };
    _doserrno = 0;
    const unsigned flags = stack_size > 0 ? STACK_SIZE_PARAM_IS_A_RESERVATION : 0;
    const uintptr_t handle =
        broodi_fault() ? 0 : _beginthreadex(NULL, (unsigned)stack_size, run, start, flags, NULL);
    if (handle == 0) {
        const brood_status status = refuse_thread();
        free(start);
        return status;
    }
    *out = (brood_os_thread){ handle };
    return BROOD_OK;
}

brood_status brood_os_thread_join(brood_os_thread thread, int64_t deadline)
{
    DWORD left;
    do
        left = broodi_win32_until(deadline);
    while (WaitForSingleObject((HANDLE)thread.handle, left) == WAIT_TIMEOUT && left > 0);
    if (WaitForSingleObject((HANDLE)thread.handle, 0) == WAIT_TIMEOUT)
        return BROOD_TIMEOUT;
    CloseHandle((HANDLE)thread.handle);
    return BROOD_OK;
}

bool brood_os_thread_is_self(brood_os_thread thread)
{
    return GetThreadId((HANDLE)thread.handle) == GetCurrentThreadId();
}

// Windows has no cancellation, only forced termination, which cannot be held off.
int brood_os_thread_protect(void)
{
    return 0;
}

void brood_os_thread_unprotect(int before)
{
    (void)before;
}

unsigned brood_os_thread_count(void)
{
    HANDLE snapshot = CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0);
    if (snapshot == INVALID_HANDLE_VALUE)
        return BROOD_OS_THREADS_UNKNOWN;
    const DWORD process = GetCurrentProcessId();
    unsigned count = 0;
    THREADENTRY32 entry = { .dwSize = sizeof entry };
    for (BOOL more = Thread32First(snapshot, &entry); more; more = Thread32Next(snapshot, &entry))
        if (entry.th32OwnerProcessID == process)
            count++;
    CloseHandle(snapshot);
    return count > 0 ? count : 1;
}

void brood_os_thread_yield(void)
{
    (void)SwitchToThread();
}

void brood_os_thread_pause(void)
{
    YieldProcessor();
}

// TlsGetValue clears the last error, which the caller may still need.
void *brood_os_self_get(void)
{
    const DWORD code = GetLastError();
    void *const self = TlsGetValue(self_slot);
    SetLastError(code);
    return self;
}

brood_status brood_os_self_set(void *self)
{
    if (self && !leave_mark())
        return brood_os_error("FlsSetValue", GetLastError());
    if (!TlsSetValue(self_slot, self))
        return brood_os_error("TlsSetValue", GetLastError());
    return BROOD_OK;
}

// The callback must stay in memory as long as the process, even if this library is a DLL that is
// unloaded.
static void stay_loaded(void)
{
    HMODULE module;
    (void)GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_PIN | GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS,
                             (const wchar_t *)(uintptr_t)on_mark_end, &module);
}

static void find_queries(void)
{
    HMODULE ntdll = GetModuleHandleW(L"ntdll.dll");
    if (!ntdll)
        return;
    is_shutting_down = (shutdown_query)(uintptr_t)GetProcAddress(ntdll, "RtlDllShutdownInProgress");
    query_thread = (thread_query)(uintptr_t)GetProcAddress(ntdll, "NtQueryInformationThread");
}

brood_status brood_os_self_prepare(void (*at_thread_end)(void *))
{
    find_queries();
    stay_loaded();
    at_end = at_thread_end;
    home_slot = mark_slot = TLS_OUT_OF_INDEXES;
    self_slot = broodi_win32_fault() ? TLS_OUT_OF_INDEXES : TlsAlloc();
    if (self_slot != TLS_OUT_OF_INDEXES)
        home_slot = broodi_win32_fault() ? TLS_OUT_OF_INDEXES : TlsAlloc();
    if (home_slot != TLS_OUT_OF_INDEXES)
        mark_slot = broodi_win32_fault() ? FLS_OUT_OF_INDEXES : FlsAlloc(on_mark_end);
    if (mark_slot != FLS_OUT_OF_INDEXES)
        return BROOD_OK;
    const DWORD code = GetLastError();
    TlsFree(self_slot);
    TlsFree(home_slot);
    return brood_os_error(home_slot == TLS_OUT_OF_INDEXES ? "TlsAlloc" : "FlsAlloc", code);
}
