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

// The child's steps: an error goes to the channel and ends it. It dies with the starter if it is tied; if that is dead already, now. Its input is set
// after all that it is given has been brought above the standard numbers.
void broodi_launch_tie(const struct launch *launch);
void broodi_launch_restore_mask(const struct launch *launch);
void broodi_launch_set_input(const struct launch *launch, int channel);
void broodi_launch_set_directory(const struct launch *launch);

// All of them. Never returns.
_Noreturn void broodi_launch_exec(const struct launch *launch);
_Noreturn void broodi_launch_entry(const struct launch *launch);

#endif
