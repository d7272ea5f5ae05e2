// SPDX-License-Identifier: MIT
// Inside the Windows port: what CreateProcessW needs for a child.
#ifndef WIN32_LAUNCH_H
#define WIN32_LAUNCH_H

#include "channel.h"

#include "os/os_process.h"
#include <windows.h>

// Beside the resources: record, reply, arena, three standard ones.
enum { LAUNCH_HANDLES = 6, LAUNCH_ANNOUNCEMENT = sizeof CHANNEL_VARIABLE + (size_t)4 * 17 };

// All that a launch makes. What nobody has moved out is taken back at its end; zero is nothing.
struct launch {
    wchar_t *program;
    wchar_t *command;
    wchar_t *directory;
    wchar_t *environment;
    channel_letter *letter; // mapped; goes into brood_os_child
    HANDLE reply;           // goes into brood_os_child
    HANDLE *inherited;      // room for LAUNCH_HANDLES and the resources
    DWORD inherited_count;
    HANDLE job;
    HANDLE own_job; // the same, of a child that is to survive
    HANDLE new_job; // the same, of a tied child that could not join those of before
    char announcement[LAUNCH_ANNOUNCEMENT];
    LPPROC_THREAD_ATTRIBUTE_LIST attributes;
    STARTUPINFOEXW startup;
};

// Fills a launch that is all zero. Whatever comes of it, broodi_launch_finish is next.
brood_status broodi_launch_prepare(struct launch *launch, const brood_os_plan *plan);

// A failure to have that directory as the child's.
brood_status broodi_launch_directory_error(const char *directory, DWORD code);

// When the system has denied the child: gives a tied one a job in which there is nobody yet. False
// when that cannot help.
bool broodi_launch_renew_job(struct launch *launch);

// Once the child is made: one that is to survive its starter does from now on; a new job is that of
// the tied ones to come. Where this fails, broodi_launch_finish ends the child.
brood_status broodi_launch_release(struct launch *launch);

void broodi_launch_finish(struct launch *launch);

#endif
