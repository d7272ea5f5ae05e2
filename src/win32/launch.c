// SPDX-License-Identifier: MIT
// A child runs the same program file as its parent. It inherits the handles in an explicit list
// and no others: the mapping with its boot record, the event for its reply, the arena, the
// resources and the standard handles. The inheritable duplicates exist only during the call.
//
// A tied child is created inside its parent's job. When the parent ends, however it ends, the
// system closes the job and terminates the processes in it. Processes that the child starts break
// away silently: other programs do not belong in the job, and the brood children of the child are
// in the child's own job.
//
// Jobs of a process are nested: an outer job contains every process of the inner ones. If this
// process has been assigned to a further job since the first tied child, its new children are in
// that job too and cannot join a job whose processes are not. Earlier children then stay in the
// job they have, and a new job is made for later ones.
//
// CreateProcessW creates the process suspended first. If the parent is killed during that call,
// the process stays suspended for ever. An untied child is therefore created in a job of its own
// that is closed when its parent dies; the limit that terminates it is removed once the child has
// been created.
#include "win32/launch.h"

#include "win32/environment.h"
#include "win32/win32.h"

#include "base/fail.h"
#include "os/os_error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include <windows.h>

// The job for tied children, made for the first of them. Its handle is never closed, even after a
// new job has replaced it: closing it would terminate the children in it.
static HANDLE tied_job;
static SRWLOCK tied_job_guard = SRWLOCK_INIT;

static bool set_limits(HANDLE job, DWORD flags)
{
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits;
    memset(&limits, 0, sizeof limits);
    limits.BasicLimitInformation.LimitFlags = flags | JOB_OBJECT_LIMIT_SILENT_BREAKAWAY_OK;
    const JOBOBJECTINFOCLASS kind = JobObjectExtendedLimitInformation;
    return !broodi_win32_fault() && SetInformationJobObject(job, kind, &limits, sizeof limits);
}

static HANDLE make_job(void)
{
    HANDLE job = broodi_win32_fault() ? NULL : CreateJobObjectW(NULL, NULL);
    if (!job)
        return NULL;
    if (set_limits(job, JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE))
        return job;
    const DWORD code = GetLastError();
    CloseHandle(job);
    SetLastError(code);
    return NULL;
}

static brood_status find_job(struct launch *launch, bool tied)
{
    if (!tied) {
        launch->own_job = launch->job = make_job();
        return launch->job ? BROOD_OK : brood_os_error("CreateJobObjectW", GetLastError());
    }
    AcquireSRWLockExclusive(&tied_job_guard);
    if (!tied_job)
        tied_job = make_job();
    const DWORD code = GetLastError();
    launch->job = tied_job;
    ReleaseSRWLockExclusive(&tied_job_guard);
    return launch->job ? BROOD_OK : brood_os_error("CreateJobObjectW", code);
}

brood_status broodi_launch_directory_error(const char *directory, DWORD code)
{
    char text[512];
    (void)snprintf(text, sizeof text, "changing to the child's directory %s", directory);
    return brood_os_error(text, code);
}

static brood_status find_directory(struct launch *launch, const char *directory)
{
    if (!directory)
        return BROOD_OK;
    const brood_status status = broodi_win32_wide(directory, &launch->directory);
    if (status != BROOD_OK)
        return status;
    const DWORD facts = GetFileAttributesW(launch->directory);
    if (facts == INVALID_FILE_ATTRIBUTES)
        return broodi_launch_directory_error(directory, GetLastError());
    if (!(facts & FILE_ATTRIBUTE_DIRECTORY))
        return broodi_launch_directory_error(directory, ERROR_DIRECTORY);
    return BROOD_OK;
}

static brood_status find_program(struct launch *launch)
{
    const brood_status status = broodi_win32_module_path(NULL, &launch->program);
    if (status != BROOD_OK)
        return status;
    // A copy, because CreateProcessW may write to it.
    const wchar_t *command = GetCommandLineW();
    const size_t size = (wcslen(command) + 1) * sizeof *command;
    launch->command = broodi_alloc(size);
    if (!launch->command)
        return brood_os_error("malloc", ERROR_NOT_ENOUGH_MEMORY);
    memcpy(launch->command, command, size);
    return BROOD_OK;
}

// Makes an inheritable duplicate of a handle for the child; stores it in `out`.
static brood_status hand(struct launch *launch, HANDLE own, HANDLE *out)
{
    HANDLE self = GetCurrentProcess();
    HANDLE copy;
    if (broodi_win32_fault() ||
        !DuplicateHandle(self, own, self, &copy, 0, TRUE, DUPLICATE_SAME_ACCESS))
        return brood_os_error("DuplicateHandle", GetLastError());
    launch->inherited[launch->inherited_count++] = copy;
    *out = copy;
    return BROOD_OK;
}

static brood_status write_letter(struct launch *launch, const brood_os_plan *plan, HANDLE *out)
{
    const uint64_t size =
        channel_resources_at(plan->size) + plan->resource_count * sizeof(channel_resource);
    HANDLE mapping = broodi_win32_fault()
                         ? NULL
                         : CreateFileMappingW(INVALID_HANDLE_VALUE, NULL, PAGE_READWRITE,
                                              (DWORD)(size >> 32), (DWORD)size, NULL);
    if (!mapping)
        return brood_os_error("CreateFileMappingW", GetLastError());
    launch->letter = broodi_win32_fault() ? NULL : MapViewOfFile(mapping, FILE_MAP_WRITE, 0, 0, 0);
    const DWORD code = GetLastError();
    const brood_status status =
        launch->letter ? hand(launch, mapping, out) : brood_os_error("MapViewOfFile", code);
    CloseHandle(mapping);
    if (status != BROOD_OK)
        return status;
    // NOLINTNEXTLINE(clang-analyzer-core.NullDereference): a failure's status is never BROOD_OK
    launch->letter->magic = CHANNEL_MAGIC;
    launch->letter->size = plan->size;
    launch->letter->resources = plan->resource_count;
    launch->letter->parent = GetCurrentProcessId();
    memcpy((unsigned char *)launch->letter + CHANNEL_RECORD, plan->record, plan->size);
    return BROOD_OK;
}

static brood_status hand_reply(struct launch *launch, HANDLE *out)
{
    launch->reply = broodi_win32_fault() ? NULL : CreateEventW(NULL, TRUE, FALSE, NULL);
    if (!launch->reply)
        return brood_os_error("CreateEventW", GetLastError());
    return hand(launch, launch->reply, out);
}

static HANDLE handle_of(const brood_resource *resource)
{
    if (resource->kind == BROOD_RESOURCE_DESCRIPTOR)
        return broodi_win32_handle_of(resource->value);
    return (HANDLE)resource->value;
}

static brood_status hand_resources(struct launch *launch, const brood_os_plan *plan)
{
    brood_status status = BROOD_OK;
    unsigned char *place = (unsigned char *)launch->letter + channel_resources_at(plan->size);
    channel_resource *list = (channel_resource *)(void *)place;
    for (size_t i = 0; status == BROOD_OK && i < plan->resource_count; i++) {
        HANDLE copy = NULL;
        status = hand(launch, handle_of(&plan->resources[i]), &copy);
        // NOLINTNEXTLINE(clang-analyzer-core.NullDereference): likewise
        list[i] = (channel_resource){ (intptr_t)copy, plan->resources[i].kind, 0 };
    }
    return status;
}

static brood_status announce(struct launch *launch, const brood_os_plan *plan)
{
    HANDLE mapping = NULL;
    HANDLE reply = NULL;
    HANDLE arena = NULL;
    brood_status status = write_letter(launch, plan, &mapping);
    if (status == BROOD_OK)
        status = hand_reply(launch, &reply);
    if (status == BROOD_OK)
        status = hand(launch, (HANDLE)plan->arena->object, &arena);
    if (status == BROOD_OK)
        status = hand_resources(launch, plan);
    if (status != BROOD_OK)
        return status;
    (void)snprintf(launch->announcement, sizeof launch->announcement,
                   CHANNEL_VARIABLE "=%llx:%llx:%llx:%llx", (unsigned long long)(uintptr_t)mapping,
                   (unsigned long long)(uintptr_t)reply, (unsigned long long)(uintptr_t)arena,
                   (unsigned long long)plan->token);
    return BROOD_OK;
}

// A process may have no standard handle, or one that has been closed; then its child has none.
static brood_status hand_standard(struct launch *launch, DWORD which, HANDLE *out)
{
    HANDLE own = GetStdHandle(which);
    DWORD facts;
    if (!own || own == INVALID_HANDLE_VALUE || !GetHandleInformation(own, &facts))
        return BROOD_OK;
    return hand(launch, own, out);
}

static brood_status hand_null(struct launch *launch, DWORD access, HANDLE *out)
{
    SECURITY_ATTRIBUTES inheritable = { sizeof inheritable, NULL, TRUE };
    const DWORD share = FILE_SHARE_READ | FILE_SHARE_WRITE;
    HANDLE null = broodi_win32_fault()
                      ? INVALID_HANDLE_VALUE
                      : CreateFileW(L"NUL", access, share, &inheritable, OPEN_EXISTING, 0, NULL);
    if (null == INVALID_HANDLE_VALUE)
        return brood_os_error("CreateFileW", GetLastError());
    launch->inherited[launch->inherited_count++] = null;
    *out = null;
    return BROOD_OK;
}

static brood_status hand_stream(struct launch *launch, const brood_os_stream *stream, DWORD access,
                                HANDLE *out)
{
    static const DWORD standard[] = { STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, STD_ERROR_HANDLE };
    switch (stream->source) {
    case BROOD_OS_STREAM_NULL:
        return hand_null(launch, access, out);
    case BROOD_OS_STREAM_RESOURCE:
        return hand(launch, handle_of(&stream->resource), out);
    default:
        return hand_standard(launch, standard[stream->source], out);
    }
}

static brood_status hand_streams(struct launch *launch, const brood_os_stream *streams)
{
    STARTUPINFOW *info = &launch->startup.StartupInfo;
    info->dwFlags = STARTF_USESTDHANDLES;
    brood_status status = hand_stream(launch, &streams[0], GENERIC_READ, &info->hStdInput);
    if (status == BROOD_OK)
        status = hand_stream(launch, &streams[1], GENERIC_WRITE, &info->hStdOutput);
    if (status == BROOD_OK)
        status = hand_stream(launch, &streams[2], GENERIC_WRITE, &info->hStdError);
    return status;
}

static brood_status set_attribute(struct launch *launch, DWORD_PTR which, HANDLE *handles,
                                  DWORD count)
{
    const size_t size = count * sizeof *handles;
    if (broodi_win32_fault() ||
        !UpdateProcThreadAttribute(launch->attributes, 0, which, handles, size, NULL, NULL))
        return brood_os_error("UpdateProcThreadAttribute", GetLastError());
    return BROOD_OK;
}

static brood_status make_attributes(struct launch *launch, DWORD count)
{
    SIZE_T size = 0;
    (void)InitializeProcThreadAttributeList(NULL, count, 0, &size);
    LPPROC_THREAD_ATTRIBUTE_LIST attributes = broodi_alloc(size);
    if (!attributes)
        return brood_os_error("malloc", ERROR_NOT_ENOUGH_MEMORY);
    if (broodi_win32_fault() || !InitializeProcThreadAttributeList(attributes, count, 0, &size)) {
        const DWORD code = GetLastError();
        free(attributes);
        return brood_os_error("InitializeProcThreadAttributeList", code);
    }
    launch->attributes = attributes;
    launch->startup.lpAttributeList = attributes;
    return BROOD_OK;
}

// The child is in its job from the start: this process may be killed right after the creation.
static brood_status list_attributes(struct launch *launch)
{
    brood_status status = make_attributes(launch, 2);
    if (status == BROOD_OK)
        status = set_attribute(launch, PROC_THREAD_ATTRIBUTE_HANDLE_LIST, launch->inherited,
                               launch->inherited_count);
    if (status == BROOD_OK)
        status = set_attribute(launch, PROC_THREAD_ATTRIBUTE_JOB_LIST, &launch->job, 1);
    return status;
}

static brood_status make_room(struct launch *launch, size_t resource_count)
{
    launch->inherited = broodi_alloc((LAUNCH_HANDLES + resource_count) * sizeof *launch->inherited);
    return launch->inherited ? BROOD_OK : brood_os_error("malloc", ERROR_NOT_ENOUGH_MEMORY);
}

brood_status broodi_launch_prepare(struct launch *launch, const brood_os_plan *plan)
{
    brood_status status = make_room(launch, plan->resource_count);
    if (status == BROOD_OK)
        status = find_directory(launch, plan->directory);
    if (status == BROOD_OK)
        status = find_program(launch);
    if (status == BROOD_OK)
        status = find_job(launch, plan->tied);
    if (status == BROOD_OK)
        status = announce(launch, plan);
    if (status == BROOD_OK)
        status = hand_streams(launch, plan->streams);
    if (status == BROOD_OK)
        status =
            broodi_environment_block(plan->environment, launch->announcement, &launch->environment);
    if (status == BROOD_OK)
        status = list_attributes(launch);
    return status;
}

bool broodi_launch_renew_job(struct launch *launch)
{
    if (launch->own_job || launch->new_job)
        return false;
    launch->new_job = make_job();
    if (launch->new_job)
        launch->job = launch->new_job; // to which the list of attributes points
    return launch->new_job != NULL;
}

static void keep_new_job(struct launch *launch)
{
    AcquireSRWLockExclusive(&tied_job_guard);
    tied_job = launch->new_job;
    ReleaseSRWLockExclusive(&tied_job_guard);
    launch->new_job = NULL;
}

brood_status broodi_launch_release(struct launch *launch)
{
    if (launch->new_job)
        keep_new_job(launch);
    return !launch->own_job || set_limits(launch->own_job, 0)
               ? BROOD_OK
               : brood_os_error("SetInformationJobObject", GetLastError());
}

void broodi_launch_finish(struct launch *launch)
{
    if (launch->own_job)
        CloseHandle(launch->own_job);
    if (launch->new_job)
        CloseHandle(launch->new_job);
    for (DWORD i = 0; i < launch->inherited_count; i++)
        CloseHandle(launch->inherited[i]);
    if (launch->attributes)
        DeleteProcThreadAttributeList(launch->attributes);
    if (launch->reply)
        CloseHandle(launch->reply);
    if (launch->letter)
        UnmapViewOfFile(launch->letter);
    free(launch->inherited);
    free(launch->attributes);
    free(launch->environment);
    free(launch->directory);
    free(launch->command);
    free(launch->program);
}
