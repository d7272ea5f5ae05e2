// SPDX-License-Identifier: MIT
// The calling thread's pointer lies in a TLS slot. A second slot, of the FLS kind, only holds a
// mark: the system calls its function at the end of any thread that has set one. It does so also in
// the thread that ends the process, which must be told apart, and perhaps under a lock of the
// loader: threads that were started here call the function by themselves before.
//
// It does so too when a fiber is deleted, by whatever thread, and each fiber has marks of its own.
// So a mark says which fiber it is of, and the thread remembers its own: the mark of another thread
// is not its end, nor is that of a fiber which another fiber deletes. What cannot be told: that a
// thread ends in a fiber without a mark, which calls nobody; and a deletion by a thread that is no
// fiber any more, or of the fiber that a marked thread has become, which look like the thread's
// end.
#include "os/os_thread.h"

#include "win32.h"

#include "fail.h"
#include "os/os_error.h"

#include <limits.h>
#include <process.h>
#include <stdlib.h>
#include <windows.h>
// After windows.h, which it needs.
#include <tlhelp32.h>

// Which not all headers of the system have.
WINBASEAPI BOOL WINAPI IsThreadAFiber(void);

typedef BOOLEAN(NTAPI *shutdown_query)(void);
typedef LONG(NTAPI *thread_query)(HANDLE thread, int what, PVOID out, ULONG size, PULONG written);

enum { AM_LAST_THREAD = 12 }; // ThreadAmILastThread

static DWORD self_slot;
static DWORD home_slot; // the mark that stands for the end of this thread
static DWORD mark_slot;
static char no_fiber; // the mark of a thread that is none
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

// At the end of a process the system ends all threads but one before it calls anybody; and a thread
// that ends as the last one ends the process.
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

// The fiber that runs. GCC takes its place, a small offset into the thread's own block, for an
// address.
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

// Whether the thread goes on. One that has become a fiber after it was marked has the same mark as
// before; so has one that is none any more.
static bool is_deleted_fiber(void *home)
{
    void *const fiber = present();
    return fiber != &no_fiber && home != &no_fiber && home != fiber;
}

static void NTAPI meet_mark(void *home)
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
    if (is_last_thread()) // the system would end the process without its handlers, and with this
                          // thread's code
        exit(0);
    return 0;
}

// The system's code behind the errno of the C library.
static brood_status refuse_thread(void)
{
    const int64_t code = (int64_t)_doserrno;
    return brood_os_error("_beginthreadex", code != 0 ? code : ERROR_MAX_THRDS_REACHED);
}

brood_status brood_os_thread_start(brood_os_thread *out, void (*entry)(void *), void *arg,
                                   size_t stack_size)
{
    if (stack_size > UINT_MAX)
        return broodi_fail(BROOD_NO_MEMORY, "a stack of %llu bytes",
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

// A thread is not cancelled here, but ended by force, against which nothing helps.
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

// Reading the slot clears the last error, which is the caller's business.
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

// The function of the mark must stay in memory as long as the process, also when this is a DLL that
// gets unloaded.
static void stay_loaded(void)
{
    HMODULE module;
    (void)GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_PIN | GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS,
                             (const wchar_t *)(uintptr_t)meet_mark, &module);
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
        mark_slot = broodi_win32_fault() ? FLS_OUT_OF_INDEXES : FlsAlloc(meet_mark);
    if (mark_slot != FLS_OUT_OF_INDEXES)
        return BROOD_OK;
    const DWORD code = GetLastError();
    TlsFree(self_slot);
    TlsFree(home_slot);
    return brood_os_error(home_slot == TLS_OUT_OF_INDEXES ? "TlsAlloc" : "FlsAlloc", code);
}
