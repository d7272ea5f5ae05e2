// SPDX-License-Identifier: MIT
// Inside the POSIX port: functions for processes that differ between Linux and macOS.
// brood_os_process_birth is one of them.
#ifndef POSIX_PROC_H
#define POSIX_PROC_H

#include "os/os_process.h"
#include <brood/status.h>
#include <signal.h>
#include <stdbool.h>

// waitid without blocking, which reaps the child; and a signal to a child that has not been
// reaped. -1 or false with errno.
int broodi_proc_wait_now(const brood_os_child *child, siginfo_t *info);
bool broodi_proc_signal(const brood_os_child *child, int signal);

// Returns the pid in this process's namespace of the process that a descriptor refers to; 0 if it
// has none, or if that cannot be determined.
int64_t broodi_proc_pid_of(intptr_t descriptor);

// Returns the arguments of this process as of the first call, so that its children look like it
// in a process list; NULL if they cannot be read. And the variable "environ".
char **broodi_proc_arguments(void);
char ***broodi_proc_environment(void);

// Returns whether the program runs with raised privileges.
bool broodi_proc_is_privileged(void);

// Called in a fresh image before the program runs: gives the process the name of the program,
// however it was executed.
void broodi_proc_restore_name(void);

// Called there too: makes this process die with its parent, at once if that has died already.
// Fails with BROOD_NO_RESOURCES, BROOD_NO_MEMORY.
brood_status broodi_proc_follow(int64_t parent);

#endif
