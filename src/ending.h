// SPDX-License-Identifier: MIT
// The end of a process, in one order for all of them: threads joined, daemons stopped, children
// joined, handlers run.
#ifndef ENDING_H
#define ENDING_H

#include <brood/status.h>
#include <stdbool.h>
#include <stdint.h>

// Whether the end of the process keeps the calling thread from starting anything.
bool broodi_ending_refuses(void);

// Registers the end of the process with the executable's atexit(), for a process that calls exit()
// or returns from main. Once per image, in brood_init. Fails with BROOD_NO_MEMORY.
brood_status broodi_ending_prepare(int (*executable_atexit)(void (*)(void)));

// Before a thread or a child is started: registers the joins of the end once more, by the first
// such call in this process. exit() runs the newest handler first, so the joins come before the
// destructors and handlers that the program has registered up to now. Fails with BROOD_NO_MEMORY.
brood_status broodi_ending_renew(void);

// The end of the calling thread: if it is inside of handlers, they do not return.
void broodi_ending_of_thread(void);

// The end of a child whose target has returned `code`.
_Noreturn void broodi_ending_of_child(int code);

// In a forked child: the end is not near, and the handlers are the parent's.
void broodi_ending_forget(void);

#endif
