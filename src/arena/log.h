// SPDX-License-Identifier: MIT
// The log of this process: the library's own lines, and where the handler comes from. A line is
// passed on in the calling thread, which holds neither the guard nor another lock of the library,
// and not in a signal handler. The handler is a function of the program and may call brood.
#ifndef ARENA_LOG_H
#define ARENA_LOG_H

#include "arena/slots.h"
#include "base/atomic.h"
#include "base/fail.h"

#include <brood/log.h>
#include <stdbool.h>
#include <stdint.h>

// The lowest level that is passed on; BROOD_LOG_OFF: none is. Changed under the guard.
extern _Atomic int broodi_log_threshold;

// Whether a line of this level would be passed on: one load.
static inline bool broodi_log_wants(brood_log_level level)
{
    return (int)level >= atomic_load_explicit(&broodi_log_threshold, memory_order_relaxed);
}

// Passes on a line of up to 511 bytes, if its level is wanted. Keeps errno and the last error.
void broodi_log_line(brood_log_level level, const char *format, ...) BROODI_PRINTF(2, 3);

// Passes on that the calling thread still waits for this, after it has waited for a second. Called
// by blocking.c for waits for a word, and by those who wait in the system for others. `number` as
// in broodi_waits_for(), but with the whole handle of an object.
void broodi_log_wait(enum broodi_waits kind, uint64_t number);

// Copies the name of an object from the registry; false if it has none. Set by brood_init, since
// the registry is in a layer above this one.
typedef bool (*broodi_log_name_of)(uint64_t id, char *out);

// Called once per image, by brood_init.
void broodi_log_prepare(broodi_log_name_of name_of);

// In a main process: sets the handler that BROOD_LOG asks for, unless the program has set one.
void broodi_log_read_environment(void);

// The handler and its level, for a child that the calling thread starts; NULL and BROOD_LOG_OFF:
// none, as for a child that the handler itself starts.
brood_log_handler broodi_log_handler_now(brood_log_level *out_level);

// Whether the calling thread is inside the handler, or was started there. Its lines are dropped:
// otherwise a handler that starts threads or children would be called for each of them, without
// end.
bool broodi_log_is_silent(void);

// Drops the lines of the calling thread from now on, which was started by a silent one.
void broodi_log_silence(void);

// In a new child, whose only thread calls it: sets the parent's handler and level.
void broodi_log_inherit(brood_log_handler handler, brood_log_level level);

#endif
