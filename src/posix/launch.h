// SPDX-License-Identifier: MIT
// Inside the POSIX port: what happens in a child before the program runs in it.
#ifndef POSIX_LAUNCH_H
#define POSIX_LAUNCH_H

#include "os/os_process.h"
#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

// Everything that a child needs, prepared before it exists: between its birth and exec it makes system calls only.
struct launch {
    const brood_os_plan *plan;
    int channel; // the child's end
    int starters_end;
    pid_t starter;     // this process
    sigset_t mask;     // of the thread that starts
    bool masked;       // the child is born with another one
    char *const *argv; // for exec
    char *const *envp;
    int *moved;                      // room for one number for each resource
    void (*entry)(void *, intptr_t); // instead of exec
    void *arg;
    pid_t child; // the result
    int error;   // errno when there is no child
};

// How the system tells the end of a child.
brood_exit broodi_launch_end(const siginfo_t *info);

// The child's side. Never returns; an error goes to the channel.
_Noreturn void broodi_launch_exec(const struct launch *launch);
_Noreturn void broodi_launch_entry(const struct launch *launch);

#endif
