// SPDX-License-Identifier: MIT
// Asking a process or a thread to stop. Every process has one word for it in its slot, which all of
// its threads wait for: bit 0 says that the process was asked; the rest counts the requests to
// threads of it, which know themselves whether they were meant.
#ifndef STOP_H
#define STOP_H

#include <stdbool.h>
#include <stdint.h>

// Asks the process in this slot. Whether such a word says that it was.
void broodi_stop_request(uint32_t process);
bool broodi_stop_is_asked(uint64_t state);

// Has the threads of this process look whether they were asked.
void broodi_stop_tell_threads(void);

#endif
