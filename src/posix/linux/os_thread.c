// SPDX-License-Identifier: MIT
#include "os/os_thread.h"

#include "posix/linux/life.h"
#include "posix/linux/starter.h"

#include "base/fault.h"
#include "os/os_clock.h"
#include "os/os_error.h"

#if defined(__GLIBC__) && __GLIBC__ * 1000 + __GLIBC_MINOR__ >= 2032
#include <sys/single_threaded.h>
#endif
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

_Static_assert(sizeof(pthread_t) <= sizeof(uintptr_t), "a pthread_t fits into brood_os_thread");

static pthread_key_t at_end;
static _Thread_local void *self;

struct start {
    void (*entry)(void *);
    void *arg;
};

static void *run(void *arg)
{
    const struct start start = *(struct start *)arg;
    free(arg);
    start.entry(start.arg);
    return NULL;
}

// A C library's default stack may be too small for programs written for other systems: musl's is
// 128 KiB.
static int set_stack(pthread_attr_t *attributes, size_t size)
{
    const size_t usual = 1 << 20;
    size_t given = 0;
    if (size == 0 && pthread_attr_getstacksize(attributes, &given) == 0 && given >= usual)
        return 0;
    if (size == 0)
        size = usual;
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t least = (size_t)PTHREAD_STACK_MIN;
    if (size < least)
        size = least;
    if (size > SIZE_MAX - page)
        return ENOMEM;
    return pthread_attr_setstacksize(attributes, (size + page - 1) / page * page);
}

// The stack must also hold the thread-local variables of all modules, and for one that is too
// small the C library only returns EINVAL: the size is doubled until it suffices.
static int create(pthread_t *out, pthread_attr_t *attributes, struct start *start)
{
    const size_t most = (size_t)1 << 30;
    for (;;) {
        size_t size = 0;
        const int error = broodi_fault() ? EAGAIN : pthread_create(out, attributes, run, start);
        if (error != EINVAL)
            return error;
        if (pthread_attr_getstacksize(attributes, &size) != 0 || size > most ||
            pthread_attr_setstacksize(attributes, 2 * size) != 0)
            return ENOMEM;
    }
}

brood_status brood_os_thread_start(brood_os_thread *out, void (*entry)(void *), void *arg,
                                   size_t stack_size)
{
    struct start *start = broodi_alloc(sizeof *start);
    pthread_attr_t attributes;
    if (!start || broodi_fault() || pthread_attr_init(&attributes) != 0) {
        free(start);
        return brood_os_error("malloc", ENOMEM);
    }
    *start = (struct start){ entry, arg };
    pthread_t thread;
    int error = set_stack(&attributes, stack_size);
    if (!error)
        error = create(&thread, &attributes, start);
    pthread_attr_destroy(&attributes);
    if (error == EINVAL) // from setting the size
        error = ENOMEM;
    if (error) {
        free(start);
        return brood_os_error("pthread_create", error);
    }
    *out = (brood_os_thread){ (uintptr_t)thread };
    return BROOD_OK;
}

// Only glibc can join with a deadline on the monotonic clock, and the thread sanitizer does not
// intercept that call. Otherwise a join with a deadline polls, with growing pauses of up to a
// millisecond: a thread that is joined is usually about to end.
#if defined(__GLIBC__) && __GLIBC__ * 1000 + __GLIBC_MINOR__ >= 2031 && \
    !defined(__SANITIZE_THREAD__)
static bool join_until(pthread_t thread, int64_t deadline)
{
    const struct timespec end = { .tv_sec = (time_t)(deadline / 1000000000),
                                  .tv_nsec = (long)(deadline % 1000000000) };
    return pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &end) == 0;
}
#else
static bool join_until(pthread_t thread, int64_t deadline)
{
    const int64_t longest = 1000000;
    for (int64_t pause = 20000; pthread_tryjoin_np(thread, NULL) == EBUSY;
         pause = pause * 2 < longest ? pause * 2 : longest) {
        const int64_t now = brood_os_clock();
        if (now >= deadline)
            return false;
        brood_os_sleep_until(now + pause < deadline ? now + pause : deadline);
    }
    return true;
}
#endif

// Not cancellable: the caller has the only right to join the thread.
brood_status brood_os_thread_join(brood_os_thread thread, int64_t deadline)
{
    bool joined = true;
    const int before = brood_os_thread_protect();
    if (deadline == INT64_MAX)
        (void)pthread_join((pthread_t)thread.handle, NULL);
    else
        joined = join_until((pthread_t)thread.handle, deadline);
    brood_os_thread_unprotect(before);
    return joined ? BROOD_OK : BROOD_TIMEOUT;
}

bool brood_os_thread_is_self(brood_os_thread thread)
{
    return pthread_equal((pthread_t)thread.handle, pthread_self());
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

// Threads that are not the program's: the thread sanitizer runs one, and so does QEMU in user
// mode (preset "aarch64").
#if defined(__SANITIZE_THREAD__) || defined(BROOD_EMULATED)
enum { FOREIGN_THREADS = 1 };
#else
enum { FOREIGN_THREADS = 0 };
#endif

// Returns whether the thread has run its last instruction in this process.
static bool is_exiting(const char *id)
{
    enum { PF_EXITING = 4 }; // of the kernel
    char text[512];
    unsigned long flags = 0;
    (void)snprintf(text, sizeof text, "/proc/self/task/%s/stat", id);
    FILE *file = fopen(text, "re");
    if (!file)
        return errno == ENOENT;
    const size_t length = fread(text, 1, sizeof text - 1, file);
    (void)fclose(file);
    text[length] = 0;
    // The name, field 2, may contain any character; the flags are field 9.
    const char *end = strrchr(text, ')');
    return length == 0 || (end && sscanf(end + 1, " %*c %*d %*d %*d %*d %*d %lu", &flags) == 1 &&
                           (flags & PF_EXITING));
}

// Counts the threads in the kernel's list that are not exiting: a joined thread stays in the list
// for some microseconds. 0 if the list cannot be read.
static unsigned count_running(void)
{
    DIR *list = broodi_fault() ? NULL : opendir("/proc/self/task");
    const struct dirent *entry;
    unsigned count = 0;
    while (list && (entry = readdir(list)) != NULL)
        count += entry->d_name[0] != '.' && !is_exiting(entry->d_name);
    if (list)
        closedir(list);
    return count;
}

bool broodi_thread_is_alone(void)
{
    return count_running() == FOREIGN_THREADS + 1;
}

// Used without the kernel's list. glibc knows whether the process has only one thread, but not
// the number.
#if defined(__GLIBC__) && __GLIBC__ * 1000 + __GLIBC_MINOR__ >= 2032
static unsigned count_without_list(void)
{
    return __libc_single_threaded ? 1 : BROOD_OS_THREADS_UNKNOWN;
}
#else
// The directory has two links and one for each thread; reading that takes no descriptor.
static unsigned count_without_list(void)
{
    struct stat tasks = { .st_nlink = 0 };
    const bool alone = stat("/proc/self/task", &tasks) == 0 && tasks.st_nlink == 3;
    return alone ? 1 : BROOD_OS_THREADS_UNKNOWN;
}
#endif

// The links of the directory are ".", ".." and one for each thread.
static unsigned count_threads(void)
{
    struct stat facts;
    if (broodi_fault() || stat("/proc/self/task", &facts) != 0 || facts.st_nlink < 3)
        return count_without_list();
    const unsigned own = FOREIGN_THREADS + (broodi_starter_exists() ? 1 : 0);
    const unsigned all = (unsigned)facts.st_nlink - 2;
    if (all <= own + 1)
        return 1;
    const unsigned running = count_running();
    const unsigned known = running ? running : all;
    return known > own ? known - own : 1;
}

unsigned brood_os_thread_count(void)
{
    const int before = brood_os_thread_protect();
    const unsigned count = count_threads();
    brood_os_thread_unprotect(before);
    return count;
}

void brood_os_thread_yield(void)
{
    sched_yield();
}

void brood_os_thread_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
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
    int error = broodi_fault() ? EAGAIN : pthread_key_create(&at_end, at_thread_end);
    if (error)
        return brood_os_error("pthread_key_create", error);
    error = broodi_starter_watch_fork();
    if (!error)
        error = broodi_life_watch_fork();
    return error ? brood_os_error("pthread_atfork", error) : BROOD_OK;
}
