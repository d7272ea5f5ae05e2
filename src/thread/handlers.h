// SPDX-License-Identifier: MIT
// The handlers of brood_at_exit, which run at the end of the process.
#ifndef HANDLERS_H
#define HANDLERS_H

#include <brood/status.h>
#include <stdbool.h>
#include <stdint.h>

// Runs the handlers, newest first, until none is left and none runs in another thread, and calls
// `before_each` before each of them. From then on no handler can be added. Fails with
// BROOD_TIMEOUT.
brood_status broodi_handlers_run(void (*before_each)(void), int64_t deadline);

// Whether the calling thread is inside a handler.
bool broodi_handlers_are_running_here(void);

// At the end of the calling thread: counts the handlers that it is inside as left, since they will
// not return.
void broodi_handlers_end_of_thread(void);

// In a forked child: forgets the handlers, which are the parent's.
void broodi_handlers_forget(void);

#endif
