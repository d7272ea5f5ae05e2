// SPDX-License-Identifier: MIT
#include <brood/brood.h>

#include "../src/base/atomic.h"
#include "any.h"

#include <stddef.h>

// Locks, and a semaphore used as a lock

static bool make_lock(void *object, int parties)
{
    (void)parties;
    return brood_lock_create(object) == BROOD_OK;
}

static void destroy_lock(void *object)
{
    (void)brood_lock_destroy(*(brood_lock *)object);
}

static bool step_lock(void *object, const struct visit *visit)
{
    const brood_lock lock = *(brood_lock *)object;
    if (brood_lock_acquire(lock, BROOD_FOREVER) != BROOD_OK)
        return false;
    visit_touch(visit);
    return brood_lock_release(lock) == BROOD_OK;
}

static bool inherit_lock(void *object, bool *out_died)
{
    const brood_status status = brood_lock_acquire(*(brood_lock *)object, BROOD_FOREVER);
    *out_died = status == BROOD_OWNER_DIED;
    return brood_status_acquired(status);
}

static bool release_lock(void *object)
{
    return brood_lock_release(*(brood_lock *)object) == BROOD_OK;
}

static const struct variant lock = { .name = "brood_lock",
                                     .make = make_lock,
                                     .destroy = destroy_lock,
                                     .step = step_lock,
                                     .inherit = inherit_lock,
                                     .release = release_lock };

static bool make_gate(void *object, int parties)
{
    (void)parties;
    return brood_semaphore_create(object, 1, 1) == BROOD_OK;
}

static void destroy_gate(void *object)
{
    (void)brood_semaphore_destroy(*(brood_semaphore *)object);
}

static bool step_gate(void *object, const struct visit *visit)
{
    const brood_semaphore gate = *(brood_semaphore *)object;
    if (brood_semaphore_acquire(gate, BROOD_FOREVER) != BROOD_OK)
        return false;
    visit_touch(visit);
    return brood_semaphore_release(gate, 1) == BROOD_OK;
}

static const struct variant gate = { "brood_semaphore", make_gate, destroy_gate,
                                     .step = step_gate };

// Events, one for each turn

static bool make_events(void *object, int parties)
{
    brood_event *events = object;
    (void)parties;
    return brood_event_create(&events[0]) == BROOD_OK &&
           brood_event_create(&events[1]) == BROOD_OK && brood_event_set(events[0]) == BROOD_OK;
}

static void destroy_events(void *object)
{
    const brood_event *events = object;
    (void)brood_event_destroy(events[0]);
    (void)brood_event_destroy(events[1]);
}

static bool step_event(void *object, const struct visit *visit)
{
    const brood_event *events = object;
    return brood_event_wait(events[visit->party], BROOD_FOREVER) == BROOD_OK &&
           brood_event_clear(events[visit->party]) == BROOD_OK &&
           brood_event_set(events[1 - visit->party]) == BROOD_OK;
}

static const struct variant event = { "brood_event", make_events, destroy_events,
                                      .step = step_event };

// Semaphores, one for each turn

static bool make_semaphores(void *object, int parties)
{
    brood_semaphore *semaphores = object;
    (void)parties;
    return brood_semaphore_create(&semaphores[0], 1, 0) == BROOD_OK &&
           brood_semaphore_create(&semaphores[1], 0, 0) == BROOD_OK;
}

static void destroy_semaphores(void *object)
{
    const brood_semaphore *semaphores = object;
    (void)brood_semaphore_destroy(semaphores[0]);
    (void)brood_semaphore_destroy(semaphores[1]);
}

static bool step_semaphore(void *object, const struct visit *visit)
{
    const brood_semaphore *semaphores = object;
    return brood_semaphore_acquire(semaphores[visit->party], BROOD_FOREVER) == BROOD_OK &&
           brood_semaphore_release(semaphores[1 - visit->party], 1) == BROOD_OK;
}

static const struct variant semaphore = { "brood_semaphore", make_semaphores, destroy_semaphores,
                                          .step = step_semaphore };

// A condition that passes the turn

struct talk {
    brood_lock lock;
    brood_condition condition;
    int turn;
};

static bool make_talk(void *object, int parties)
{
    struct talk *talk = object;
    (void)parties;
    talk->turn = 0;
    return brood_lock_create(&talk->lock) == BROOD_OK &&
           brood_condition_create(&talk->condition) == BROOD_OK;
}

static void destroy_talk(void *object)
{
    const struct talk *talk = object;
    (void)brood_condition_destroy(talk->condition);
    (void)brood_lock_destroy(talk->lock);
}

static bool step_talk(void *object, const struct visit *visit)
{
    struct talk *talk = object;
    if (brood_lock_acquire(talk->lock, BROOD_FOREVER) != BROOD_OK)
        return false;
    while (talk->turn != visit->party)
        if (brood_condition_wait(talk->condition, talk->lock, BROOD_FOREVER) != BROOD_OK)
            return false;
    talk->turn = 1 - visit->party;
    return brood_condition_notify(talk->condition, 1) == BROOD_OK &&
           brood_lock_release(talk->lock) == BROOD_OK;
}

static const struct variant condition = { "brood_condition", make_talk, destroy_talk,
                                          .step = step_talk };

// Barriers

static bool make_barrier(void *object, int parties)
{
    return brood_barrier_create(object, (uint32_t)parties) == BROOD_OK;
}

static void destroy_barrier(void *object)
{
    (void)brood_barrier_destroy(*(brood_barrier *)object);
}

static bool step_barrier(void *object, const struct visit *visit)
{
    (void)visit;
    return brood_barrier_wait(*(brood_barrier *)object, BROOD_FOREVER, NULL) == BROOD_OK;
}

static const struct variant barrier = { "brood_barrier", make_barrier, destroy_barrier,
                                        .step = step_barrier };

// References

static bool make_nothing(void *object, int parties)
{
    (void)object, (void)parties;
    return true;
}

static bool step_nothing(void *object, const struct visit *visit)
{
    (void)object;
    visit_touch(visit);
    return true;
}

// Sleeps now and then, in case both parties are on one processor.
static bool step_word(void *object, const struct visit *visit)
{
    _Atomic int *turn = object;
    for (int polls = 1; atomic_load_explicit(turn, memory_order_acquire) != visit->party; polls++)
        if (polls % 10000 == 0)
            brood_sleep(1);
    atomic_store_explicit(turn, 1 - visit->party, memory_order_release);
    return true;
}

static const struct variant nothing = { "nothing", make_nothing, .step = step_nothing };
static const struct variant word = { "word", make_nothing, .step = step_word };

const struct variant *const *objects_of(enum kind kind)
{
    static const struct variant *const all[KIND_ANY_FEW][3] = {
        [KIND_LOCK] = { &lock, &gate },    [KIND_EVENT] = { &event },
        [KIND_SEMAPHORE] = { &semaphore }, [KIND_CONDITION] = { &condition },
        [KIND_BARRIER] = { &barrier },     [KIND_NOTHING] = { &nothing },
        [KIND_WORD] = { &word },
    };
    if (any_count(kind) > 0)
        return any_of_brood(kind);
    return all[kind];
}
