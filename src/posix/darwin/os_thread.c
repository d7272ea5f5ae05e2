// SPDX-License-Identifier: MIT
// pthread_join has no deadline here, so a thread sets a flag when it is about to end: a join with
// a deadline polls the flag first.
#include "os/os_thread.h"

#include "posix/darwin/follower.h"

#include "base/fault.h"
#include "os/os_clock.h"
#include "os/os_error.h"

#include <errno.h>
#include <limits.h>
#include <mach/mach.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

static pthread_key_t at_end;
static _Thread_local void *self;

// Lives from the start to the join.
struct thread {
    pthread_t id; // for the creator only: the thread may run before it is written
    void (*entry)(void *);
    void *arg;
    atomic_bool leaves; // only the destructors of its thread-specific values are left
};

static _Thread_local const struct thread *here;

static void leave(void *thread)
{
    atomic_store_explicit(&((struct thread *)thread)->leaves, true, memory_order_release);
}

static void *run(void *arg)
{
    struct thread *thread = arg;
    here = thread;
    pthread_cleanup_push(leave, thread); // also at pthread_exit() or cancellation
    thread->entry(thread->arg);
    pthread_cleanup_pop(1);
    return NULL;
}

static int set_stack(pthread_attr_t *attributes, size_t size)
{
    const size_t usual = 1 << 20;
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t least = PTHREAD_STACK_MIN;
    if (size == 0)
        size = usual;
    if (size < least)
        size = least;
    if (size > SIZE_MAX - page)
        return ENOMEM;
    return pthread_attr_setstacksize(attributes, (size + page - 1) / page * page);
}

static int create(struct thread *thread, size_t stack_size)
{
    pthread_attr_t attributes;
    int error = broodi_fault() ? ENOMEM : pthread_attr_init(&attributes);
    if (error)
        return error;
    error = set_stack(&attributes, stack_size);
    if (!error)
        error = broodi_fault() ? EAGAIN : pthread_create(&thread->id, &attributes, run, thread);
    pthread_attr_destroy(&attributes);
    return error == EINVAL ? ENOMEM : error; // from setting the size
}

brood_status brood_os_thread_start(brood_os_thread *out, void (*entry)(void *), void *arg,
                                   size_t stack_size)
{
    struct thread *thread = broodi_alloc(sizeof *thread);
    if (!thread)
        return brood_os_error("malloc", ENOMEM);
    *thread = (struct thread){ .entry = entry, .arg = arg };
    const int error = create(thread, stack_size);
    if (error) {
        free(thread);
        return brood_os_error("pthread_create", error);
    }
    *out = (brood_os_thread){ (uintptr_t)thread };
    return BROOD_OK;
}

// Polls with growing pauses: a thread that is joined is usually about to end.
static bool leaves_until(struct thread *thread, int64_t deadline)
{
    const int64_t longest = 1000000;
    for (int64_t pause = 20000; !atomic_load_explicit(&thread->leaves, memory_order_acquire);
         pause = pause * 2 < longest ? pause * 2 : longest) {
        const int64_t now = brood_os_clock();
        if (now >= deadline)
            return false;
        brood_os_sleep_until(now + pause < deadline ? now + pause : deadline);
    }
    return true;
}

// Not cancellable: the caller has the only right to join the thread. Destructors of the program's
// own thread-specific values are waited for beyond the deadline.
brood_status brood_os_thread_join(brood_os_thread handle, int64_t deadline)
{
    struct thread *thread = (struct thread *)handle.handle;
    const int before = brood_os_thread_protect();
    const bool joined = deadline == INT64_MAX || leaves_until(thread, deadline);
    if (joined) {
        (void)pthread_join(thread->id, NULL);
        free(thread);
    }
    brood_os_thread_unprotect(before);
    return joined ? BROOD_OK : BROOD_TIMEOUT;
}

bool brood_os_thread_is_self(brood_os_thread thread)
{
    return here && (uintptr_t)here == thread.handle;
}

// A thread that has ended may stay in the list for a while; thread_info fails for it.
static bool is_running(thread_t thread)
{
    thread_basic_info_data_t facts = { 0 };
    mach_msg_type_number_t size = THREAD_BASIC_INFO_COUNT;
    return thread_info(thread, THREAD_BASIC_INFO, (thread_info_t)&facts, &size) == KERN_SUCCESS;
}

unsigned brood_os_thread_count(void)
{
    thread_act_array_t threads = NULL;
    mach_msg_type_number_t listed = 0;
    if (broodi_fault() || task_threads(mach_task_self(), &threads, &listed) != KERN_SUCCESS)
        return BROOD_OS_THREADS_UNKNOWN;
    unsigned count = 0;
    for (mach_msg_type_number_t i = 0; i < listed; i++) {
        count += is_running(threads[i]);
        (void)mach_port_deallocate(mach_task_self(), threads[i]);
    }
    (void)vm_deallocate(mach_task_self(), (vm_address_t)threads, listed * sizeof *threads);
    const unsigned own = broodi_follower_exists() ? 1 : 0;
    return count > own ? count - own : 1;
}

int brood_os_thread_protect(void)
{
    int before = 0;
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    return before;
}

void brood_os_thread_unprotect(int before)
{
    (void)pthread_setcancelstate(before, NULL);
}

void brood_os_thread_yield(void)
{
    sched_yield();
}

void brood_os_thread_pause(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb");
#endif
}

void *brood_os_self_get(void)
{
    return self;
}

brood_status brood_os_self_set(void *value)
{
    const int error = value && broodi_fault() ? ENOMEM : pthread_setspecific(at_end, value);
    if (error)
        return brood_os_error("pthread_setspecific", error);
    self = value;
    return BROOD_OK;
}

brood_status brood_os_self_prepare(void (*at_thread_end)(void *))
{
    const int error = broodi_fault() ? EAGAIN : pthread_key_create(&at_end, at_thread_end);
    return error ? brood_os_error("pthread_key_create", error) : BROOD_OK;
}
