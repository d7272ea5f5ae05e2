// SPDX-License-Identifier: MIT
// A thread owns a kernel mutex while it lives; the system abandons the mutex when the thread ends
// in any way. Its doorbell is an event. Both have names, made from the family's random number,
// the slot and its generation, so that every process of the family can open them and no two
// threads ever share a name.
#include "os/os_life.h"

#include "win32/win32.h"

#include "os/os_error.h"

#include <stdlib.h>
#include <string.h>
#include <windows.h>

// The contents of brood_os_life. The handles are valid in the thread's own process only; the
// other fields identify the thread.
struct life {
    HANDLE mutex;
    HANDLE bell;
    uint64_t birth;
    DWORD process;
    DWORD thread;
    uint32_t generation;
};

_Static_assert(sizeof(struct life) <= sizeof(brood_os_life), "a life fits into brood_os_life");

enum {
    HOLDER_PERIOD = 50,  // ms
    MOST_KNOWN = 1 << 20 // a power of two; handles of later slots are opened for each use
};

#define LIFE L'l'
#define BELL L'b'

// The open mutex of another thread. It is closed with the last reference: one is that of the table
// below, and each wait for the end of the thread has one, since it may last longer than the table
// keeps the mutex.
struct watch {
    HANDLE mutex;
    LONG references;
};

// What of other threads this process keeps open, by slot: a use costs one system call instead of
// three.
static struct known {
    HANDLE bell; // NULL: not opened
    struct watch *watch;
    uint32_t generation;
} * known_threads;
static uint32_t known_count;
// Guards both. A user of a handle holds it in shared mode, so that the handle is not closed
// meanwhile, or has a reference.
static SRWLOCK known_guard = SRWLOCK_INIT;

static void make_name(wchar_t name[WIN32_NAME], const brood_os_life_id *id, wchar_t kind)
{
    broodi_win32_name(name, id->family, (uint64_t)id->slot << 32 | id->generation, kind);
}

// Distinguishes the calling thread from an earlier thread with the same id.
static uint64_t own_birth(void)
{
    FILETIME birth = { 0, 0 };
    FILETIME unused;
    (void)GetThreadTimes(GetCurrentThread(), &birth, &unused, &unused, &unused);
    return (uint64_t)birth.dwHighDateTime << 32 | birth.dwLowDateTime;
}

static struct life read_life(const brood_os_life *life)
{
    struct life state;
    memcpy(&state, life->opaque, sizeof state);
    return state;
}

brood_status brood_os_life_begin(brood_os_life *life, const brood_os_life_id *id)
{
    wchar_t name[WIN32_NAME];
    make_name(name, id, LIFE);
    SetLastError(ERROR_SUCCESS);
    HANDLE mutex = broodi_win32_fault() ? NULL : CreateMutexW(NULL, TRUE, name);
    if (!broodi_win32_is_new(mutex)) {
        const brood_status status = brood_os_error("CreateMutexW", GetLastError());
        if (mutex)
            CloseHandle(mutex);
        return status;
    }
    make_name(name, id, BELL);
    HANDLE bell = broodi_win32_fault() ? NULL : CreateEventW(NULL, FALSE, FALSE, name);
    if (!broodi_win32_is_new(bell)) {
        const brood_status status = brood_os_error("CreateEventW", GetLastError());
        if (bell)
            CloseHandle(bell);
        ReleaseMutex(mutex);
        CloseHandle(mutex);
        return status;
    }
    const struct life state = {
        .mutex = mutex,
        .bell = bell,
        .birth = own_birth(),
        .process = GetCurrentProcessId(),
        .thread = GetCurrentThreadId(),
        .generation = id->generation,
    };
    memcpy(life->opaque, &state, sizeof state);
    return BROOD_OK;
}

void brood_os_life_end(brood_os_life *life)
{
    const struct life state = read_life(life);
    ReleaseMutex(state.mutex);
    CloseHandle(state.mutex);
    CloseHandle(state.bell);
}

static bool is_caller(const brood_os_life *life, const brood_os_life_id *id)
{
    const struct life state = read_life(life);
    return state.generation == id->generation && state.thread == GetCurrentThreadId() &&
           state.process == GetCurrentProcessId() && state.birth == own_birth();
}

static HANDLE open_mutex(const brood_os_life_id *id)
{
    wchar_t name[WIN32_NAME];
    make_name(name, id, LIFE);
    return broodi_win32_fault() ? NULL : OpenMutexW(SYNCHRONIZE | MUTEX_MODIFY_STATE, FALSE, name);
}

// Opens the mutex, with one reference. NULL, with the system's error, if that fails.
static struct watch *open_watch(const brood_os_life_id *id)
{
    struct watch *watch = broodi_fault() ? NULL : malloc(sizeof *watch);
    if (!watch) {
        SetLastError(ERROR_NOT_ENOUGH_MEMORY);
        return NULL;
    }
    *watch = (struct watch){ .mutex = open_mutex(id), .references = 1 };
    if (watch->mutex)
        return watch;
    const DWORD error = GetLastError();
    free(watch);
    SetLastError(error);
    return NULL;
}

static void drop_watch(struct watch *watch)
{
    if (InterlockedDecrement(&watch->references) > 0)
        return;
    CloseHandle(watch->mutex);
    free(watch);
}

// Called with the guard held. NULL if no handle of this thread is kept.
static struct known *find_known(const brood_os_life_id *id)
{
    struct known *known = id->slot < known_count ? &known_threads[id->slot] : NULL;
    return known && known->generation == id->generation ? known : NULL;
}

// Called with the guard held exclusively. False if there is no memory, or the slot is beyond
// MOST_KNOWN.
static bool make_room(uint32_t slot)
{
    if (slot < known_count)
        return true;
    if (slot >= MOST_KNOWN)
        return false;
    uint32_t count = known_count > 0 ? known_count : 64;
    while (count <= slot)
        count *= 2;
    struct known *grown = broodi_fault() ? NULL : realloc(known_threads, count * sizeof *grown);
    if (!grown)
        return false;
    memset(grown + known_count, 0, (count - known_count) * sizeof *grown);
    known_threads = grown;
    known_count = count;
    return true;
}

static void close_all(const struct known *known)
{
    if (known->bell)
        CloseHandle(known->bell);
    if (known->watch)
        drop_watch(known->watch);
}

// Keeps a bell, or a reference to a watch (the other argument is NULL). Closes what it replaces in
// the slot and what belongs to another generation.
static void keep(const brood_os_life_id *id, HANDLE bell, struct watch *watch)
{
    struct known spare = { .bell = bell, .watch = watch };
    AcquireSRWLockExclusive(&known_guard);
    if (make_room(id->slot)) {
        struct known *known = &known_threads[id->slot];
        const bool same = known->generation == id->generation;
        const struct known fresh = {
            .bell = bell || !same ? bell : known->bell,
            .watch = watch || !same ? watch : known->watch,
            .generation = id->generation,
        };
        spare = *known;
        if (spare.bell == fresh.bell)
            spare.bell = NULL;
        if (spare.watch == fresh.watch)
            spare.watch = NULL;
        *known = fresh;
    }
    ReleaseSRWLockExclusive(&known_guard);
    close_all(&spare);
}

void brood_os_life_forget(const brood_os_life_id *id)
{
    struct known spare = { .bell = NULL };
    AcquireSRWLockExclusive(&known_guard);
    struct known *known = find_known(id);
    if (known) {
        spare = *known;
        *known = (struct known){ .bell = NULL };
    }
    ReleaseSRWLockExclusive(&known_guard);
    close_all(&spare);
}

// Whether no thread owns the mutex: it was abandoned or released.
static bool is_free(HANDLE mutex)
{
    const DWORD answer = WaitForSingleObject(mutex, 0);
    const bool is = answer == WAIT_OBJECT_0 || answer == WAIT_ABANDONED;
    if (is)
        ReleaseMutex(mutex);
    return is;
}

static bool ask_known(const brood_os_life_id *id, bool *out_over)
{
    AcquireSRWLockShared(&known_guard);
    const struct known *known = find_known(id);
    const struct watch *watch = known ? known->watch : NULL;
    if (watch)
        *out_over = is_free(watch->mutex);
    ReleaseSRWLockShared(&known_guard);
    return watch != NULL;
}

// A mutex that no process has open does not exist any more. A process that has asked before may
// keep it open.
bool brood_os_life_is_over(brood_os_life *life, const brood_os_life_id *id)
{
    bool over = false;
    // The calling thread would acquire its own mutex recursively.
    if (is_caller(life, id))
        return false;
    if (ask_known(id, &over))
        return over;
    struct watch *watch = open_watch(id);
    if (!watch)
        return GetLastError() == ERROR_FILE_NOT_FOUND;
    over = is_free(watch->mutex);
    if (over)
        drop_watch(watch);
    else
        keep(id, NULL, watch);
    return over;
}

static bool ring_known(const brood_os_life_id *id)
{
    AcquireSRWLockShared(&known_guard);
    const struct known *known = find_known(id);
    HANDLE bell = known ? known->bell : NULL;
    if (bell)
        (void)SetEvent(bell);
    ReleaseSRWLockShared(&known_guard);
    return bell != NULL;
}

void brood_os_bell_ring(brood_os_life *life, const brood_os_life_id *id)
{
    (void)life;
    if (ring_known(id))
        return;
    wchar_t name[WIN32_NAME];
    make_name(name, id, BELL);
    HANDLE bell = broodi_win32_fault() ? NULL : OpenEventW(EVENT_MODIFY_STATE, FALSE, name);
    if (!bell)
        return;
    (void)SetEvent(bell);
    keep(id, bell, NULL);
}

// A new reference to the watch that is kept; NULL if none is.
static struct watch *known_watch(const brood_os_life_id *id)
{
    AcquireSRWLockShared(&known_guard);
    const struct known *known = find_known(id);
    struct watch *watch = known ? known->watch : NULL;
    if (watch)
        InterlockedIncrement(&watch->references);
    ReleaseSRWLockShared(&known_guard);
    return watch;
}

// A reference to a watch of the thread, which is kept for the next wait. NULL, with the system's
// error, if its mutex cannot be opened.
static struct watch *find_watch(const brood_os_life_id *id)
{
    struct watch *watch = known_watch(id);
    if (watch)
        return watch;
    watch = open_watch(id);
    if (!watch)
        return NULL;
    InterlockedIncrement(&watch->references);
    keep(id, NULL, watch);
    return watch;
}

static void await_with_holder(HANDLE bell, HANDLE holder, DWORD timeout)
{
    const HANDLE both[] = { bell, holder };
    const DWORD answer = WaitForMultipleObjects(2, both, FALSE, timeout);
    if (answer == WAIT_OBJECT_0 + 1 || answer == WAIT_ABANDONED_0 + 1)
        ReleaseMutex(holder);
}

void brood_os_bell_await(brood_os_life *own, brood_os_life *holder,
                         const brood_os_life_id *holder_id, int64_t timeout)
{
    HANDLE bell = read_life(own).bell;
    const DWORD limit = broodi_win32_milliseconds(timeout);
    if (!holder) {
        (void)WaitForSingleObject(bell, limit);
        return;
    }
    struct watch *watch = find_watch(holder_id);
    if (watch) {
        await_with_holder(bell, watch->mutex, limit);
        drop_watch(watch);
        return;
    }
    // A holder whose mutex does not exist has ended. After any other error its end cannot be
    // awaited.
    if (GetLastError() != ERROR_FILE_NOT_FOUND)
        (void)WaitForSingleObject(bell, limit < HOLDER_PERIOD ? limit : HOLDER_PERIOD);
}
