// SPDX-License-Identifier: MIT
// The end of a process, in the same order for all processes: join threads, stop daemons, join
// children, run handlers.
#ifndef ENDING_H
#define ENDING_H

#include <brood/status.h>
#include <stdbool.h>
#include <stdint.h>

// Registers the end of the process with the executable's atexit(), for a process that calls exit()
// or returns from main. Called once per image, by brood_init. Fails with BROOD_NO_MEMORY.
brood_status broodi_ending_prepare(int (*executable_atexit)(void (*)(void)));

// Called before each start of a thread or child. Fails with BROOD_WRONG_STATE if the calling thread
// may start nothing any more, because the process is ending; with BROOD_NO_MEMORY.
brood_status broodi_ending_admit_start(void);

// Ends a child whose target has returned `code`.
_Noreturn void broodi_ending_of_child(int code);

// In a forked child: resets the state of the end.
void broodi_ending_forget(void);

#endif
