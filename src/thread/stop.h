// SPDX-License-Identifier: MIT
// Requests to stop, to a process or to one of its threads. The slot of every process has one word
// for them, which all its threads wait on: bit 0 is set once the process was requested to stop; the
// other bits count the requests to its threads. A flag of the thread says whether it was meant
// (broodi_self.asked).
#ifndef STOP_H
#define STOP_H

#include "base/word.h"

#include <stdbool.h>
#include <stdint.h>

// The word of this process; NULL if it is a guest without a slot, and gets none.
broodi_word *broodi_stop_word(void);

// Requests the process in this slot to stop.
void broodi_stop_request(uint32_t process);

// Whether this state of a process's word says that the process was requested to stop.
bool broodi_stop_is_requested(uint64_t state);

// Wakes the threads of this process that wait for a request, so that each checks its own flag.
void broodi_stop_notify_threads(void);

#endif
