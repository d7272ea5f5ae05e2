// SPDX-License-Identifier: MIT
#include "../any.h"

#include <stddef.h>
#include <windows.h>

// Locks of a single process

static bool make_slim(void *object, int parties)
{
    (void)parties;
    InitializeSRWLock(object);
    return true;
}

static bool step_slim(void *object, const struct visit *visit)
{
    AcquireSRWLockExclusive(object);
    visit_touch(visit);
    ReleaseSRWLockExclusive(object);
    return true;
}

static bool make_section(void *object, int parties)
{
    (void)parties;
    InitializeCriticalSection(object);
    return true;
}

static void destroy_section(void *object)
{
    DeleteCriticalSection(object);
}

static bool step_section(void *object, const struct visit *visit)
{
    EnterCriticalSection(object);
    visit_touch(visit);
    LeaveCriticalSection(object);
    return true;
}

static const struct variant slim = { .name = "SRWLOCK",
                                     .make = make_slim,
                                     .step = step_slim,
                                     .within_process = true,
                                     .alone_at_most = 2.0 };

static const struct variant section = { .name = "CRITICAL_SECTION",
                                        .make = make_section,
                                        .destroy = destroy_section,
                                        .step = step_section,
                                        .within_process = true };

// Kernel objects: one, or one per turn. Another process duplicates the handles of the process
// that made them.

struct handles {
    DWORD maker;
    HANDLE both[2];
};

static HANDLE own[2];

static bool make_handles(void *object, HANDLE first, HANDLE second)
{
    struct handles *handles = object;
    *handles = (struct handles){ GetCurrentProcessId(), { first, second } };
    return first && second;
}

static void destroy_handles(void *object)
{
    const struct handles *handles = object;
    CloseHandle(handles->both[0]);
    if (handles->both[1] != handles->both[0])
        CloseHandle(handles->both[1]);
}

static bool enter_handles(void *object)
{
    const struct handles *handles = object;
    HANDLE maker = OpenProcess(PROCESS_DUP_HANDLE, FALSE, handles->maker);
    bool done = maker != NULL;
    for (int i = 0; i < 2 && done; i++) {
        own[i] = handles->both[i];
        if (handles->maker != GetCurrentProcessId())
            done = DuplicateHandle(maker, handles->both[i], GetCurrentProcess(), &own[i], 0, FALSE,
                                   DUPLICATE_SAME_ACCESS);
    }
    if (maker)
        CloseHandle(maker);
    return done;
}

static bool await(HANDLE handle)
{
    return WaitForSingleObject(handle, INFINITE) == WAIT_OBJECT_0;
}

static bool make_mutex(void *object, int parties)
{
    (void)parties;
    HANDLE mutex = CreateMutexW(NULL, FALSE, NULL);
    return make_handles(object, mutex, mutex);
}

static bool step_mutex(void *object, const struct visit *visit)
{
    (void)object;
    if (!await(own[0]))
        return false;
    visit_touch(visit);
    return ReleaseMutex(own[0]);
}

static bool inherit_mutex(void *object, bool *out_died)
{
    (void)object;
    const DWORD answer = WaitForSingleObject(own[0], INFINITE);
    *out_died = answer == WAIT_ABANDONED;
    return *out_died || answer == WAIT_OBJECT_0;
}

static bool release_mutex(void *object)
{
    (void)object;
    return ReleaseMutex(own[0]);
}

static const struct variant mutex = { .name = "kernel mutex",
                                      .make = make_mutex,
                                      .destroy = destroy_handles,
                                      .enter = enter_handles,
                                      .step = step_mutex,
                                      .inherit = inherit_mutex,
                                      .release = release_mutex,
                                      .alone_at_most = 0.002 };

static bool make_events(void *object, int parties)
{
    (void)parties;
    return make_handles(object, CreateEventW(NULL, FALSE, TRUE, NULL),
                        CreateEventW(NULL, FALSE, FALSE, NULL));
}

static bool step_event(void *object, const struct visit *visit)
{
    (void)object;
    return await(own[visit->party]) && SetEvent(own[1 - visit->party]);
}

static const struct variant event = { .name = "kernel event",
                                      .make = make_events,
                                      .destroy = destroy_handles,
                                      .enter = enter_handles,
                                      .step = step_event };

static bool make_semaphores(void *object, int parties)
{
    (void)parties;
    return make_handles(object, CreateSemaphoreW(NULL, 1, 1, NULL),
                        CreateSemaphoreW(NULL, 0, 1, NULL));
}

static bool step_semaphore(void *object, const struct visit *visit)
{
    (void)object;
    return await(own[visit->party]) && ReleaseSemaphore(own[1 - visit->party], 1, NULL);
}

static const struct variant semaphore = { .name = "kernel semaphore",
                                          .make = make_semaphores,
                                          .destroy = destroy_handles,
                                          .enter = enter_handles,
                                          .step = step_semaphore };

// A condition that passes the turn

struct talk {
    SRWLOCK lock;
    CONDITION_VARIABLE condition;
    int turn;
};

static bool make_talk(void *object, int parties)
{
    struct talk *talk = object;
    (void)parties;
    InitializeSRWLock(&talk->lock);
    InitializeConditionVariable(&talk->condition);
    talk->turn = 0;
    return true;
}

static bool step_talk(void *object, const struct visit *visit)
{
    struct talk *talk = object;
    AcquireSRWLockExclusive(&talk->lock);
    while (talk->turn != visit->party)
        if (!SleepConditionVariableSRW(&talk->condition, &talk->lock, INFINITE, 0))
            return false;
    talk->turn = 1 - visit->party;
    WakeConditionVariable(&talk->condition);
    ReleaseSRWLockExclusive(&talk->lock);
    return true;
}

static const struct variant condition = { .name = "CONDITION_VARIABLE, SRWLOCK",
                                          .make = make_talk,
                                          .step = step_talk,
                                          .within_process = true };

const struct variant *const *variants_of(enum kind kind)
{
    static const struct variant *const all[KIND_ANY_FEW][4] = {
        [KIND_LOCK] = { &slim, &section, &mutex },
        [KIND_EVENT] = { &event },
        [KIND_SEMAPHORE] = { &semaphore },
        [KIND_CONDITION] = { &condition },
        [KIND_BARRIER] = { NULL },
    };
    if (any_count(kind) > 0)
        return any_of_system(kind);
    return all[kind];
}
