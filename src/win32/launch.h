// SPDX-License-Identifier: MIT
// Inside the Windows port: the arguments of CreateProcessW for a child.
#ifndef WIN32_LAUNCH_H
#define WIN32_LAUNCH_H

#include "win32/channel.h"

#include "os/os_process.h"
#include <windows.h>

// Handles besides the resources: record, reply, arena, three standard handles.
enum { LAUNCH_HANDLES = 6, LAUNCH_ANNOUNCEMENT = sizeof CHANNEL_VARIABLE + (size_t)4 * 17 };

// All that a launch acquires; zero means nothing. broodi_launch_finish frees what has not been
// moved out.
struct launch {
    wchar_t *program;
    wchar_t *command;
    wchar_t *directory;
    wchar_t *environment;
    channel_letter *letter; // mapped; moved into brood_os_child
    HANDLE reply;           // moved into brood_os_child
    HANDLE *inherited;      // capacity: LAUNCH_HANDLES and the resources
    DWORD inherited_count;
    HANDLE job;
    HANDLE own_job; // the same, for an untied child
    HANDLE new_job; // the same, for a tied child that could not join the current job
    char announcement[LAUNCH_ANNOUNCEMENT];
    LPPROC_THREAD_ATTRIBUTE_LIST attributes;
    STARTUPINFOEXW startup;
};

// Fills a zeroed launch. The caller then calls broodi_launch_finish, also after a failure.
brood_status broodi_launch_prepare(struct launch *launch, const brood_os_plan *plan);

// Records the failure to use `directory` as the child's current directory.
brood_status broodi_launch_directory_error(const char *directory, DWORD code);

// Called when the system has denied the creation of the child: puts a tied child into a new,
// empty job. False if that does not help, or the job could not be made.
bool broodi_launch_renew_job(struct launch *launch);

// Called once the child has been created: lets an untied child survive its parent, and makes a
// new job the job of later tied children. If this fails, broodi_launch_finish terminates the
// child.
brood_status broodi_launch_release(struct launch *launch);

void broodi_launch_finish(struct launch *launch);

#endif
