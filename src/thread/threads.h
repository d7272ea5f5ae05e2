// SPDX-License-Identifier: MIT
// The threads that brood started in this process. The list holds those that have not been reaped,
// each with a reference.
#ifndef THREADS_H
#define THREADS_H

#include "arena/self.h"
#include "base/word.h"

#include <brood/thread.h>
#include <stdbool.h>
#include <stdint.h>

// Passes to the log that the calling thread ends, if brood started it.
void broodi_thread_log_end(const struct broodi_self *self);

// Marks the calling thread as ended; the last thing that it does with its object.
void broodi_thread_complete(brood_thread *thread);

// Returns a reference to a thread that the end of the process has to join: no daemon, not the
// calling thread, and not a thread that is inside exit() like the caller. NULL if there is none.
brood_thread *broodi_threads_any(void);

// The calling thread has called exit(). From now on no other thread that calls exit() joins it.
void broodi_thread_leaves(void);

// Waits for the thread, without the checks of brood_thread_join. Fails with BROOD_DEADLOCK if the
// thread and the caller have both called exit().
brood_status broodi_thread_join(brood_thread *thread, int64_t deadline);

// For waits for any of several things. Whether a join would return at once: the thread has ended,
// or the join would fail. And the word that changes when it ends.
bool broodi_thread_is_joinable(const brood_thread *thread);
broodi_word *broodi_thread_word(brood_thread *thread);

// Fails unless this process has created the thread.
brood_status broodi_thread_check(const brood_thread *thread);

// From now on no thread can be started.
void broodi_threads_close(void);

// In a forked child: empties the list, whose threads do not exist in the child.
void broodi_threads_forget(void);

#endif
