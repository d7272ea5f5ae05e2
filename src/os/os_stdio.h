// SPDX-License-Identifier: MIT
// Port contract: the buffers of stdio, and ends of the process.
#ifndef OS_STDIO_H
#define OS_STDIO_H

#include <stdbool.h>

// Flushes stdout and stderr, as far as no other thread is inside them; with `all`, every stream
// too, which the caller does only while no other thread can sit in one. Never blocks on another
// thread's read.
void brood_os_stdio_flush(bool all);

// Whether exit() waits for a stream that another thread has locked.
bool brood_os_stdio_exit_waits(void);

// Waits until no other thread is inside stdin, which a flush of all streams may pass over.
void brood_os_stdio_await_input(void);

// In a copy made beside other threads: forgets what stdout and stderr hold, which is its starter's
// and was being written by others.
void brood_os_stdio_forget(void);

// Ends the process at once, with this status, without running any handler.
_Noreturn void brood_os_process_exit(int code);

// Prints "brood: <line>" to stderr as one write. A reader that is gone costs nobody his life:
// SIGPIPE is not delivered.
void brood_os_stdio_tell(const char *line);

// brood_os_stdio_tell, and the end of the process with status 70. For a process that cannot go on.
_Noreturn void brood_os_process_refuse(const char *line);

#endif
