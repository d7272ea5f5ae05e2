// SPDX-License-Identifier: MIT
// The threads that brood started in this process. The list holds those that have not been reaped,
// each with a reference.
#ifndef THREADS_H
#define THREADS_H

#include <brood/thread.h>
#include <stdbool.h>
#include <stdint.h>

// By the thread itself, as the last thing: it has ended.
void broodi_thread_complete(brood_thread *thread);

// Whether it was asked to stop.
bool broodi_thread_is_asked(const brood_thread *thread);

// A reference to a thread that is no daemon and not the calling one; NULL when there is none.
brood_thread *broodi_threads_any(void);

// The calling thread has called exit(). No other thread that has called exit() joins it from now
// on.
void broodi_thread_leaves(void);

// Waits for the thread, without the checks of brood_thread_join. BROOD_DEADLOCK when the thread and
// the caller have both called exit().
brood_status broodi_thread_join(brood_thread *thread, int64_t deadline);

// From now on none is started.
void broodi_threads_close(void);

bool broodi_thread_is_daemon(const brood_thread *thread);

// In a forked child: they were not copied.
void broodi_threads_forget(void);

#endif
