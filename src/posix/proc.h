// SPDX-License-Identifier: MIT
// Inside the POSIX port: what each system has its own ways for, of processes.
// brood_os_process_birth is among it.
#ifndef POSIX_PROC_H
#define POSIX_PROC_H

#include "os/os_process.h"
#include <brood/status.h>
#include <signal.h>
#include <stdbool.h>

// waitid, without blocking, which reaps the child; signals the child, which has not been reaped. -1
// or false with errno.
int broodi_proc_wait_now(const brood_os_child *child, siginfo_t *info);
bool broodi_proc_signal(const brood_os_child *child, int signal);

// The number that a process has here by its descriptor; 0 when it has none, or that cannot be told.
int64_t broodi_proc_number(intptr_t descriptor);

// The arguments of this process when it first asked, so that its children look like it in a process
// list; NULL when they cannot be had. And the variable "environ".
char **broodi_proc_arguments(void);
char ***broodi_proc_environment(void);

bool broodi_proc_is_privileged(void);

// In a fresh image, before the program runs. It is called what the program is called, however it
// was executed.
void broodi_proc_restore_name(void);

// There too: this process dies with its starter, if that is dead already, now. Fails with
// BROOD_NO_RESOURCES, BROOD_NO_MEMORY.
brood_status broodi_proc_follow(int64_t starter);

#endif
