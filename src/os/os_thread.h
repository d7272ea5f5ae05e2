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

// Runs entry(arg) in a new thread with a stack of at least `stack_size` bytes (0: a default of
// the port). The thread must be joined once. Fails with BROOD_NO_RESOURCES, BROOD_NO_MEMORY.
brood_status brood_os_thread_start(brood_os_thread *out, void (*entry)(void *), void *arg,
                                   size_t stack_size);

// Waits until the thread has ended and frees what it used, or returns BROOD_TIMEOUT at
// `deadline`: then nothing has happened.
brood_status brood_os_thread_join(brood_os_thread thread, int64_t deadline);

// Returns whether it is the calling thread.
bool brood_os_thread_is_self(brood_os_thread thread);

// Returns the number of threads in this process, without those that the port itself started; at
// least 1. BROOD_OS_THREADS_UNKNOWN, which is more than 1, if it cannot be determined.
#define BROOD_OS_THREADS_UNKNOWN UINT_MAX
unsigned brood_os_thread_count(void);

// Disable cancellation of the calling thread, so that a call that has begun is finished, and
// restore the state that the first one returned. Nests.
int brood_os_thread_protect(void);
void brood_os_thread_unprotect(int before);

// Lets other threads run.
void brood_os_thread_yield(void);

// Tells the processor that this is a spin loop.
void brood_os_thread_pause(void);

// Returns the pointer that the calling thread has set; NULL before that.
void *brood_os_self_get(void);

// Sets that pointer. If it is not NULL when the thread ends, by return, by pthread_exit() or
// ExitThread(), or by cancellation, the function passed to brood_os_self_prepare is called in the
// thread with the pointer. It is not called at the end of the process, nor for other threads
// then. Fails with BROOD_NO_MEMORY; setting NULL never fails.
brood_status brood_os_self_set(void *self);

// Called once per process, before any other call of the two above; a forked child inherits it.
brood_status brood_os_self_prepare(void (*at_thread_end)(void *self));

#endif
