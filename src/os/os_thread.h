// SPDX-License-Identifier: MIT
// Port contract: threads of this process.
#ifndef OS_THREAD_H
#define OS_THREAD_H

#include <brood/status.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct brood_os_thread {
    uintptr_t handle;
} brood_os_thread;

// Runs entry(arg) in a new thread with a stack of at least `stack_size` bytes (0: the system's
// default). Must be joined once. Fails with BROOD_NO_RESOURCES, BROOD_NO_MEMORY.
brood_status brood_os_thread_start(brood_os_thread *out, void (*entry)(void *), void *arg,
                                   size_t stack_size);

// Waits until the thread has left the system, or until `deadline` (BROOD_TIMEOUT; nothing has
// happened then), and frees what it used.
brood_status brood_os_thread_join(brood_os_thread thread, int64_t deadline);

// Whether it is the calling thread.
bool brood_os_thread_is_self(brood_os_thread thread);

// How many threads run in this process, without those that the port itself started; at least 1.
// BROOD_OS_THREADS_UNKNOWN, which is more than one, where that cannot be told.
#define BROOD_OS_THREADS_UNKNOWN UINT_MAX
unsigned brood_os_thread_count(void);

// Until the second call, with what the first has given back, the calling thread is not cancelled: a
// call that has begun is finished. Nests.
int brood_os_thread_protect(void);
void brood_os_thread_unprotect(int before);

// Lets another thread run.
void brood_os_thread_yield(void);

// Tells the processor that this is a spin loop.
void brood_os_thread_pause(void);

// The calling thread's own pointer, NULL until it is set.
void *brood_os_self_get(void);

// Sets it. When the thread ends, by return, exit of the thread or cancellation, the function given
// to brood_os_self_prepare is called in it with the pointer, if that is not NULL. Not called at the
// end of the process, nor for other threads then. Fails with BROOD_NO_MEMORY; taking it back, with
// NULL, never fails.
brood_status brood_os_self_set(void *self);

// Once per process, before any other call of the two above; a forked child inherits it.
brood_status brood_os_self_prepare(void (*at_thread_end)(void *self));

#endif
