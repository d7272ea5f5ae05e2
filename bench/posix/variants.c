// SPDX-License-Identifier: MIT
// All objects can be shared between processes, as brood's can.
#define _GNU_SOURCE

#include "../any.h"

#include "boost.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

// Mutexes

static bool make_mutex(pthread_mutex_t *mutex, int robust)
{
    pthread_mutexattr_t attributes;
    if (pthread_mutexattr_init(&attributes) != 0)
        return false;
    const bool made = pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED) == 0 &&
                      pthread_mutexattr_setrobust(&attributes, robust) == 0 &&
                      pthread_mutex_init(mutex, &attributes) == 0;
    (void)pthread_mutexattr_destroy(&attributes);
    return made;
}

static bool make_robust(void *object, int parties)
{
    (void)parties;
    return make_mutex(object, PTHREAD_MUTEX_ROBUST);
}

static bool make_stalled(void *object, int parties)
{
    (void)parties;
    return make_mutex(object, PTHREAD_MUTEX_STALLED);
}

static bool step_mutex(void *object, const struct visit *visit)
{
    if (pthread_mutex_lock(object) != 0)
        return false;
    visit_touch(visit);
    return pthread_mutex_unlock(object) == 0;
}

static bool inherit_mutex(void *object, bool *out_died)
{
    const int error = pthread_mutex_lock(object);
    *out_died = error == EOWNERDEAD;
    return error == 0 || (*out_died && pthread_mutex_consistent(object) == 0);
}

static bool release_mutex(void *object)
{
    return pthread_mutex_unlock(object) == 0;
}

static const struct variant robust = { .name = "pthread mutex, robust",
                                       .make = make_robust,
                                       .step = step_mutex,
                                       .inherit = inherit_mutex,
                                       .release = release_mutex,
                                       .alone_at_most = 1.0,
                                       .most = 1.0 };

static const struct variant stalled = { .name = "pthread mutex",
                                        .make = make_stalled,
                                        .step = step_mutex };

// Semaphores

static bool make_gate(void *object, int parties)
{
    (void)parties;
    return sem_init(object, 1, 1) == 0;
}

static bool step_gate(void *object, const struct visit *visit)
{
    if (sem_wait(object) != 0)
        return false;
    visit_touch(visit);
    return sem_post(object) == 0;
}

static bool make_semaphores(void *object, int parties)
{
    sem_t *semaphores = object;
    (void)parties;
    return sem_init(&semaphores[0], 1, 1) == 0 && sem_init(&semaphores[1], 1, 0) == 0;
}

static bool step_semaphore(void *object, const struct visit *visit)
{
    sem_t *semaphores = object;
    return sem_wait(&semaphores[visit->party]) == 0 && sem_post(&semaphores[1 - visit->party]) == 0;
}

static const struct variant gate = { .name = "sem_t", .make = make_gate, .step = step_gate };
static const struct variant semaphore = { .name = "sem_t",
                                          .make = make_semaphores,
                                          .step = step_semaphore };

// Futexes, one per turn, with the waiting policy of brood's events: no spinning, no wake without
// a waiter

enum { CLEAR, SET, AWAITED };

struct futex {
    _Alignas(64) _Atomic uint32_t word;
};

static bool make_futexes(void *object, int parties)
{
    struct futex *futexes = object;
    (void)parties;
    atomic_store_explicit(&futexes[0].word, SET, memory_order_relaxed);
    return true;
}

static void await(struct futex *futex)
{
    for (;;) {
        uint32_t seen = SET;
        if (atomic_compare_exchange_strong_explicit(&futex->word, &seen, CLEAR,
                                                    memory_order_acquire, memory_order_relaxed))
            return;
        if (seen == AWAITED ||
            atomic_compare_exchange_strong_explicit(&futex->word, &seen, AWAITED,
                                                    memory_order_relaxed, memory_order_relaxed))
            (void)syscall(SYS_futex, &futex->word, FUTEX_WAIT, AWAITED, NULL, NULL, 0);
    }
}

static void set(struct futex *futex)
{
    if (atomic_exchange_explicit(&futex->word, SET, memory_order_release) == AWAITED)
        (void)syscall(SYS_futex, &futex->word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static bool step_futex(void *object, const struct visit *visit)
{
    struct futex *futexes = object;
    await(&futexes[visit->party]);
    set(&futexes[1 - visit->party]);
    return true;
}

static const struct variant futex = {
    .name = "futex", .make = make_futexes, .step = step_futex, .most = 1.1
};

// Pipes, one per turn. Another process opens the pipes of the process that made them.

struct pipes {
    pid_t maker;
    int ends[4];
};

static int own_ends[4];

static bool make_pipes(void *object, int parties)
{
    struct pipes *pipes = object;
    (void)parties;
    pipes->maker = getpid();
    return pipe2(&pipes->ends[0], O_CLOEXEC) == 0 && pipe2(&pipes->ends[2], O_CLOEXEC) == 0 &&
           write(pipes->ends[1], "", 1) == 1;
}

static void destroy_pipes(void *object)
{
    const struct pipes *pipes = object;
    for (int i = 0; i < 4; i++)
        close(pipes->ends[i]);
}

static int open_end(const struct pipes *pipes, int i)
{
    char path[64];
    if (pipes->maker == getpid())
        return pipes->ends[i];
    (void)snprintf(path, sizeof path, "/proc/%ld/fd/%d", (long)pipes->maker, pipes->ends[i]);
    return open(path, (i % 2 ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
}

static bool enter_pipes(void *object)
{
    for (int i = 0; i < 4; i++)
        if ((own_ends[i] = open_end(object, i)) < 0)
            return false;
    return true;
}

static bool step_pipe(void *object, const struct visit *visit)
{
    char byte;
    (void)object;
    return read(own_ends[2 * visit->party], &byte, 1) == 1 &&
           write(own_ends[2 * (1 - visit->party) + 1], "", 1) == 1;
}

static const struct variant pipes = { .name = "pipe",
                                      .make = make_pipes,
                                      .destroy = destroy_pipes,
                                      .enter = enter_pipes,
                                      .step = step_pipe };

// A condition that passes the turn

struct talk {
    pthread_mutex_t mutex;
    pthread_cond_t condition;
    int turn;
};

static bool make_talk(void *object, int parties)
{
    struct talk *talk = object;
    pthread_condattr_t attributes;
    (void)parties;
    talk->turn = 0;
    if (pthread_condattr_init(&attributes) != 0)
        return false;
    const bool made = make_mutex(&talk->mutex, PTHREAD_MUTEX_ROBUST) &&
                      pthread_condattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED) == 0 &&
                      pthread_cond_init(&talk->condition, &attributes) == 0;
    (void)pthread_condattr_destroy(&attributes);
    return made;
}

static bool step_talk(void *object, const struct visit *visit)
{
    struct talk *talk = object;
    if (pthread_mutex_lock(&talk->mutex) != 0)
        return false;
    while (talk->turn != visit->party)
        if (pthread_cond_wait(&talk->condition, &talk->mutex) != 0)
            return false;
    talk->turn = 1 - visit->party;
    return pthread_cond_signal(&talk->condition) == 0 && pthread_mutex_unlock(&talk->mutex) == 0;
}

static const struct variant condition = { .name = "pthread condition, robust mutex",
                                          .make = make_talk,
                                          .step = step_talk };

// Barriers

static bool make_barrier(void *object, int parties)
{
    pthread_barrierattr_t attributes;
    if (pthread_barrierattr_init(&attributes) != 0)
        return false;
    const bool made = pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED) == 0 &&
                      pthread_barrier_init(object, &attributes, (unsigned)parties) == 0;
    (void)pthread_barrierattr_destroy(&attributes);
    return made;
}

static bool step_barrier(void *object, const struct visit *visit)
{
    (void)visit;
    const int answer = pthread_barrier_wait(object);
    return answer == 0 || answer == PTHREAD_BARRIER_SERIAL_THREAD;
}

static const struct variant barrier = { .name = "pthread barrier",
                                        .make = make_barrier,
                                        .step = step_barrier };

const struct variant *const *variants_of(enum kind kind)
{
    static const struct variant *const all[KIND_ANY_FEW][5] = {
        [KIND_LOCK] = { &robust, &stalled, &gate, &boost_mutex },
        [KIND_EVENT] = { &futex, &pipes },
        [KIND_SEMAPHORE] = { &semaphore },
        [KIND_CONDITION] = { &condition },
        [KIND_BARRIER] = { &barrier },
    };
    if (any_count(kind) > 0)
        return any_of_system(kind);
    return all[kind];
}
