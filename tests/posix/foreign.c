// SPDX-License-Identifier: MIT
#include "foreign.h"

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct foreign_thread {
    pthread_t thread;
    void (*fn)(void *);
    void *arg;
};

bool foreign_is_slow(void)
{
#if defined(__SANITIZE_THREAD__) || defined(BROOD_EMULATED)
    return true;
#else
    return false;
#endif
}

_Noreturn static void give_up(const char *what)
{
    perror(what);
    abort();
}

static void *run(void *arg)
{
    const foreign_thread *thread = arg;
    thread->fn(thread->arg);
    return NULL;
}

foreign_thread *foreign_thread_start(void (*fn)(void *), void *arg)
{
    foreign_thread *thread = malloc(sizeof *thread);
    if (!thread)
        give_up("malloc");
    thread->fn = fn;
    thread->arg = arg;
    if (pthread_create(&thread->thread, NULL, run, thread) != 0)
        give_up("pthread_create");
    return thread;
}

void foreign_thread_join(foreign_thread *thread)
{
    if (pthread_join(thread->thread, NULL) != 0)
        give_up("pthread_join");
    free(thread);
}

void foreign_thread_cancel(foreign_thread *thread)
{
    if (pthread_cancel(thread->thread) != 0)
        give_up("pthread_cancel");
}

static void do_nothing(int number)
{
    (void)number;
}

// Without SA_RESTART, so that system calls fail with EINTR.
bool foreign_thread_interrupt(foreign_thread *thread)
{
    const struct sigaction action = { .sa_handler = do_nothing };
    if (sigaction(SIGUSR1, &action, NULL) != 0)
        give_up("sigaction");
    (void)pthread_kill(thread->thread, SIGUSR1);
    return true;
}

struct ending {
    void (*fn)(void *);
    void *arg;
};

static void end_so(void *value)
{
    const struct ending ending = *(struct ending *)value;
    free(value);
    ending.fn(ending.arg);
}

bool foreign_thread_on_end(void (*fn)(void *), void *arg)
{
    pthread_key_t key;
    struct ending *ending = malloc(sizeof *ending);
    if (!ending || pthread_key_create(&key, end_so) != 0 || pthread_setspecific(key, ending) != 0)
        give_up("a key");
    *ending = (struct ending){ fn, arg };
    return true;
}

_Noreturn void foreign_thread_exit(void)
{
    pthread_exit(NULL);
}

foreign_fiber *foreign_fiber_run(void (*fn)(void *), void *arg)
{
    (void)fn, (void)arg;
    return NULL;
}

void foreign_fiber_delete(foreign_fiber *fiber)
{
    (void)fiber;
}

void *foreign_library_open(const char *path)
{
    return dlopen(path, RTLD_NOW | RTLD_LOCAL);
}

void foreign_library_close(void *library)
{
    if (dlclose(library) != 0)
        give_up("dlclose");
}

void (*foreign_library_function(void *library, const char *name))(void)
{
    // ISO C has no conversion from the result of dlsym() to a function.
    union {
        void *object;
        void (*function)(void);
    } symbol = { dlsym(library, name) };
    return symbol.function;
}

const void *foreign_module_base(void (*code)(void))
{
    union {
        void (*function)(void);
        const void *object;
    } address = { code };
    Dl_info facts;
    return dladdr(address.object, &facts) ? facts.dli_fbase : NULL;
}

void foreign_address_take(uintptr_t address)
{
    (void)mmap((void *)address, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
               -1, 0);
}

void foreign_file_copy(const char *from, const char *to)
{
    char block[4096];
    size_t length;
    FILE *in = fopen(from, "rb");
    FILE *out = fopen(to, "wb");
    if (!in || !out)
        give_up(in ? to : from);
    while ((length = fread(block, 1, sizeof block, in)) > 0)
        if (fwrite(block, 1, length, out) != length)
            give_up(to);
    if (fclose(in) != 0 || fclose(out) != 0)
        give_up(to);
}

void foreign_file_replace(const char *from, const char *to)
{
    if (unlink(to) != 0)
        give_up(to);
    foreign_file_copy(from, to);
}

void foreign_file_remove(const char *path)
{
    (void)unlink(path);
}

void foreign_file_name(char *buffer, size_t capacity, const char *name)
{
    const char *directory = getenv("TMPDIR");
    (void)snprintf(buffer, capacity, "%s/brood-test-%d-%s", directory ? directory : "/tmp",
                   (int)getpid(), name);
}
