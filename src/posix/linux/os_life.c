// SPDX-License-Identifier: MIT
// A thread's liveness is a robust process-shared mutex that the thread holds for its life: the
// kernel marks it, and wakes one waiter, at any end of the thread. A check is a load of the mutex
// word. The doorbell is a futex word beside it.
//
// On a system that keeps no lists of robust mutexes (an emulator of user programs), a thread that
// has not unlocked its mutex has ended if its process has, which is identified by its pid and
// start time.
#include "os/os_life.h"

#include "posix/linux/futex.h"
#include "posix/linux/life.h"
#include "posix/linux/valgrind.h"

#include "base/atomic.h"
#include "base/fault.h"
#include "os/os_error.h"
#include "os/os_futex.h"
#include "os/os_process.h"
#include "os/os_race.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

struct life {
    pthread_mutex_t mutex;
    _Atomic uint32_t bell; // counts the rings
    uint32_t heard;        // used by the owner only: rings it has received
    // Pid and start time of the thread's process if the kernel does not mark the mutex of a
    // killed thread, otherwise 0. Atomic, because the slot may be used for another thread while a
    // process still checks the one before.
    _Atomic int64_t pid;
    _Atomic uint64_t birth;
};

_Static_assert(sizeof(struct life) <= sizeof(brood_os_life), "a life fits into brood_os_life");
_Static_assert(_Alignof(struct life) <= _Alignof(brood_os_life), "and is aligned in it");

static struct life *in(brood_os_life *life)
{
    return (struct life *)(void *)life->opaque;
}

// The word of a robust mutex: the owner's thread id and two flags of the kernel.
static _Atomic uint32_t *word_of(struct life *life)
{
#if defined(__GLIBC__)
    return (_Atomic uint32_t *)(void *)&life->mutex.__data.__lock;
#else
    return (_Atomic uint32_t *)(uintptr_t)&life->mutex.__u.__vi[1];
#endif
}

static int make_mutex(pthread_mutex_t *mutex)
{
    pthread_mutexattr_t attributes;
    int error = broodi_fault() ? ENOMEM : pthread_mutexattr_init(&attributes);
    if (error)
        return error;
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    error = pthread_mutex_init(mutex, &attributes);
    pthread_mutexattr_destroy(&attributes);
    // No other thread locks it: a trylock suffices, and does not add to the lock order of the
    // program.
    return error ? error : pthread_mutex_trylock(mutex);
}

// Helgrind is told that the mutex is unlocked while its thread lives; otherwise it would report
// each thread that ends with it as a fault of the program.
static void hide(pthread_mutex_t *mutex)
{
    broodi_helgrind(BROODI_HELGRIND_UNLOCK_PRE, (uintptr_t)mutex, 0);
    broodi_helgrind(BROODI_HELGRIND_UNLOCK_POST, (uintptr_t)mutex, 0);
}

static void show(pthread_mutex_t *mutex)
{
    broodi_helgrind(BROODI_HELGRIND_LOCK_PRE, (uintptr_t)mutex, 0);
    broodi_helgrind(BROODI_HELGRIND_LOCK_POST, (uintptr_t)mutex, 0);
}

// Returns whether the kernel marks the mutexes of a thread that is killed.
static bool has_robust_lists(void)
{
    static _Atomic int known; // 1: yes, -1: no, 0: not known yet
    int answer = atomic_load_explicit(&known, memory_order_relaxed);
    if (answer == 0) {
        brood_os_race_ignore(&known, sizeof known);
        void *head = NULL;
        size_t size = 0;
        answer = syscall(SYS_get_robust_list, 0, &head, &size) == 0 || errno != ENOSYS ? 1 : -1;
        atomic_store_explicit(&known, answer, memory_order_relaxed);
    }
    return answer > 0;
}

brood_status brood_os_life_begin(brood_os_life *life, const brood_os_life_id *id)
{
    (void)id;
    struct life *own = in(life);
    const int64_t pid = has_robust_lists() ? 0 : getpid();
    atomic_store_explicit(&own->pid, pid, memory_order_relaxed);
    atomic_store_explicit(&own->birth, pid ? brood_os_process_birth(pid) : 0, memory_order_relaxed);
    const int error = make_mutex(&own->mutex);
    if (error)
        return brood_os_error("pthread_mutex_init", error);
    hide(&own->mutex);
    own->heard = atomic_load_explicit(&own->bell, memory_order_relaxed);
    return BROOD_OK;
}

void brood_os_life_end(brood_os_life *life)
{
    show(&in(life)->mutex);
    pthread_mutex_unlock(&in(life)->mutex);
}

static bool is_over(uint32_t word)
{
    return word == 0 || (word & FUTEX_OWNER_DIED);
}

// Returns whether the process of the thread has ended, where the mutex does not show it; false if
// that cannot be determined: the caller checks again.
static bool is_lost(const struct life *life)
{
    const int64_t pid = atomic_load_explicit(&life->pid, memory_order_relaxed);
    if (pid == 0)
        return false;
    const uint64_t birth = atomic_load_explicit(&life->birth, memory_order_relaxed);
    const uint64_t now = brood_os_process_birth(pid);
    return now == 0 ||
           (now != BROOD_OS_BIRTH_UNKNOWN && birth != BROOD_OS_BIRTH_UNKNOWN && now != birth);
}

bool brood_os_life_is_over(brood_os_life *life, const brood_os_life_id *id)
{
    (void)id;
    return is_over(atomic_load_explicit(word_of(in(life)), memory_order_acquire)) ||
           is_lost(in(life));
}

// The head of the robust mutex list of the forking thread; guarded by the guard. Its first word
// points to the first entry, and to itself if the list is empty. glibc empties the list in a
// copy, musl does not: the end of the thread in the copy would be reported as the end of the
// thread that forked.
static void **robust;

static void note_list(void)
{
    size_t size = 0;
    if (syscall(SYS_get_robust_list, 0, &robust, &size) != 0)
        robust = NULL;
}

static void empty_list(void)
{
    if (robust)
        *robust = robust;
}

int broodi_life_watch_fork(void)
{
    return broodi_fault() ? ENOMEM : pthread_atfork(note_list, NULL, empty_list);
}

bool broodi_life_watch(brood_os_life *life, const uint32_t **word, uint32_t *value)
{
    _Atomic uint32_t *state = word_of(in(life));
    uint32_t seen = atomic_load_explicit(state, memory_order_acquire);
    if (atomic_load_explicit(&in(life)->pid, memory_order_relaxed) != 0) {
        *word = NULL;
        return !is_over(seen) && !is_lost(in(life));
    }
    while (!is_over(seen) && !(seen & FUTEX_WAITERS))
        if (atomic_compare_exchange_weak_explicit(state, &seen, seen | FUTEX_WAITERS,
                                                  memory_order_acq_rel, memory_order_acquire))
            seen |= FUTEX_WAITERS;
    *word = (const uint32_t *)(uintptr_t)state;
    *value = seen;
    return !is_over(seen);
}

static const uint32_t *bell_of(struct life *life)
{
    return (const uint32_t *)(uintptr_t)&life->bell;
}

void brood_os_life_forget(const brood_os_life_id *id)
{
    (void)id; // this port opens nothing
}

void brood_os_bell_ring(brood_os_life *life, const brood_os_life_id *id)
{
    (void)id;
    struct life *of = in(life);
    atomic_fetch_add_explicit(&of->bell, 1,
                              memory_order_release); // pairs with the load in brood_os_bell_await
    (void)brood_os_futex_wake(bell_of(of), 1);
}

void brood_os_bell_await(brood_os_life *own, brood_os_life *holder,
                         const brood_os_life_id *holder_id, int64_t timeout)
{
    (void)holder_id;
    struct life *mine = in(own);
    if (atomic_load_explicit(&mine->bell, memory_order_acquire) == mine->heard)
        (void)brood_os_futex_wait(bell_of(mine), mine->heard, holder, timeout);
    mine->heard = atomic_load_explicit(&mine->bell, memory_order_acquire);
}
