// SPDX-License-Identifier: MIT
// Port contract: the buffers of stdio, and the end of the process.
#ifndef OS_STDIO_H
#define OS_STDIO_H

#include <stdbool.h>
#include <stddef.h>

// Flushes stdout and stderr, each unless another thread has it locked. With `all`, then flushes
// every stream, which blocks as long as another thread has one locked. Without `all` it never
// blocks on another thread's read.
void brood_os_stdio_flush(bool all);

// Returns whether exit() waits for a stream that another thread has locked.
bool brood_os_stdio_exit_waits(void);

// Waits until no other thread has stdin locked, which a flush of all streams may skip.
void brood_os_stdio_await_input(void);

// Called in a copy made beside other threads: discards what stdout and stderr have buffered,
// which belongs to the parent and was being written by other threads.
void brood_os_stdio_discard(void);

// Ends the process at once with this exit status, without running any handler.
_Noreturn void brood_os_process_exit(int code);

// Writes the concatenated parts, 8 at most, and the end of a line to stderr in one call. A very
// long line may be truncated. If the reader is gone, the process gets no SIGPIPE.
void brood_os_stdio_write(const char *const *parts, size_t count);

// Writes the line "brood: <line>" to stderr in the same way.
void brood_os_stdio_print(const char *line);

// Calls brood_os_stdio_print and ends the process with status 70. For a process that cannot go on.
_Noreturn void brood_os_process_refuse(const char *line);

#endif
