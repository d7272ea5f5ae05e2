// SPDX-License-Identifier: MIT
// Inside the POSIX port, on Linux: vfork() whose child has no signal handlers.
#ifndef POSIX_CLONE_H
#define POSIX_CLONE_H

#include <sys/types.h>

// Runs run(arg), which must not return, in a child that shares the memory of this process. Each
// signal that this process handles has its default action there. Returns when the child has
// executed a program or ended. -1 with errno; ENOSYS where there is no such call, or where vfork()
// is the one to use. Only system calls are allowed in the child.
pid_t broodi_clone_without_handlers(void (*run)(void *), void *arg);

#endif
