// SPDX-License-Identifier: MIT
// Inside the POSIX port, on Linux: a vfork() whose child has no signal handlers.
#ifndef POSIX_CLONE_H
#define POSIX_CLONE_H

#include <sys/types.h>

// Calls run(arg), which must not return, in a child that shares the memory of this process. Each
// signal that this process handles has its default action in the child. Returns the pid when the
// child has executed a program or ended; -1 with errno otherwise. ENOSYS: the system does not
// have the call, or vfork() must be used instead. The child may only make system calls.
pid_t broodi_clone_without_handlers(void (*run)(void *), void *arg);

#endif
