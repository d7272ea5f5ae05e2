// SPDX-License-Identifier: MIT
// The end of a process, in one order for all of them: threads joined, daemons stopped, children joined, handlers run.
#ifndef ENDING_H
#define ENDING_H

#include <stdbool.h>
#include <stdint.h>

// Whether the end of the process keeps the calling thread from starting anything.
bool broodi_ending_refuses(void);

// For the executable's atexit: the end of a process that calls exit() or returns from main.
void broodi_ending_at_exit(void);

// The end of the calling thread: if it is inside of handlers, they do not return.
void broodi_ending_of_thread(void);

// The end of a child whose target has returned `code`.
_Noreturn void broodi_ending_of_child(int code);

// In a forked child: the end is not near, and the handlers are the parent's.
void broodi_ending_forget(void);

#endif
