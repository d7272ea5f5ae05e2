// SPDX-License-Identifier: MIT
#include "any.h"

#include <brood/brood.h>
#include <stddef.h>
#include <stdlib.h>

// Queues of one message each

struct crowd {
    brood_block block; // the queues of party 0, then those of party 1
    int count;
};

static brood_queue *queues_of(const struct crowd *crowd, int party)
{
    brood_queue *queues = brood_block_data(crowd->block);
    return queues ? queues + (ptrdiff_t)party * crowd->count : NULL;
}

static bool make(struct crowd *crowd, int count)
{
    crowd->count = count;
    if (brood_block_create(&crowd->block, 2 * (size_t)count * sizeof(brood_queue)) != BROOD_OK)
        return false;
    brood_queue *queues = queues_of(crowd, 0);
    for (int i = 0; queues && i < 2 * count; i++)
        if (brood_queue_create(&queues[i], 1, 1) != BROOD_OK)
            return false;
    return queues && brood_queue_put(queues[0], "", 1, BROOD_NOW) == BROOD_OK;
}

static bool make_few(void *object, int parties)
{
    (void)parties;
    return make(object, ANY_FEW);
}

static bool make_some(void *object, int parties)
{
    (void)parties;
    return make(object, ANY_SOME);
}

static bool make_many(void *object, int parties)
{
    (void)parties;
    return make(object, ANY_MANY);
}

static void destroy(void *object)
{
    const struct crowd *crowd = object;
    const brood_queue *queues = queues_of(crowd, 0);
    for (int i = 0; queues && i < 2 * crowd->count; i++)
        (void)brood_queue_destroy(queues[i]);
    (void)brood_block_destroy(crowd->block);
}

// What the calling thread waits for: its party's queues.
static const brood_waitable *waitables_of(const struct crowd *crowd, int party)
{
    static _Thread_local brood_waitable waitables[ANY_MANY];
    static _Thread_local uint64_t block; // that they are of
    const brood_queue *queues = queues_of(crowd, party);
    for (int i = 0; queues && block != crowd->block.id && i < crowd->count; i++)
        waitables[i] = brood_waitable_queue(queues[i]);
    block = crowd->block.id;
    return waitables;
}

// Gets the message of a queue, and puts one into a queue of the other party.
static bool pass(const struct crowd *crowd, int party, brood_queue queue)
{
    const brood_queue *others = queues_of(crowd, 1 - party);
    char byte;
    return others && brood_queue_get(queue, &byte, 1, NULL, BROOD_NOW) == BROOD_OK &&
           brood_queue_put(others[any_next(crowd->count)], "", 1, BROOD_NOW) == BROOD_OK;
}

static bool step(void *object, const struct visit *visit)
{
    static _Thread_local bool ready[ANY_MANY];
    const struct crowd *crowd = object;
    const brood_queue *own = queues_of(crowd, visit->party);
    if (brood_wait_any(waitables_of(crowd, visit->party), (size_t)crowd->count, BROOD_FOREVER,
                       ready) != BROOD_OK)
        return false;
    int at = 0;
    while (!ready[at])
        at++;
    return pass(crowd, visit->party, own[at]);
}

// The same by a poller, which the calling thread makes at its first step.

struct own {
    brood_poller *poller;
    uint64_t block; // whose queues it has
};

static brood_local owns;

static void free_own(void *arg)
{
    struct own *own = arg;
    brood_poller_destroy(own->poller);
    free(own);
}

static void make_owns(void)
{
    (void)!brood_local_create(&owns, free_own);
}

static struct own *own_of_thread(void)
{
    static brood_once_flag once = BROOD_ONCE_INIT;
    brood_once(&once, make_owns);
    struct own *own = brood_local_get(owns);
    if (!own && (own = calloc(1, sizeof *own)) != NULL && brood_local_set(owns, own) != BROOD_OK) {
        free(own);
        own = NULL;
    }
    return own;
}

static bool add_all(brood_poller *poller, const struct crowd *crowd, int party)
{
    const brood_waitable *waitables = waitables_of(crowd, party);
    for (int i = 0; i < crowd->count; i++)
        if (brood_poller_add(poller, waitables[i], NULL) != BROOD_OK)
            return false;
    return true;
}

static bool step_poller(void *object, const struct visit *visit)
{
    struct own *own = own_of_thread();
    const struct crowd *crowd = object;
    brood_ready ready;
    size_t count;
    if (!own)
        return false;
    if (own->block != crowd->block.id) {
        brood_poller_destroy(own->poller);
        own->poller = NULL;
        own->block = crowd->block.id;
        if (brood_poller_create(&own->poller) != BROOD_OK ||
            !add_all(own->poller, crowd, visit->party))
            return false;
    }
    return brood_poller_wait(own->poller, &ready, 1, &count, BROOD_FOREVER) == BROOD_OK &&
           pass(crowd, visit->party, (brood_queue){ ready.waitable.id });
}

#define ANY(maker)                                             \
    {                                                          \
        "brood_wait_any, queues", maker, destroy, .step = step \
    }
#define POLLER(maker)                                               \
    {                                                               \
        "brood_poller, queues", maker, destroy, .step = step_poller \
    }

static const struct variant few[] = { ANY(make_few), POLLER(make_few) };
static const struct variant some[] = { ANY(make_some), POLLER(make_some) };
static const struct variant many[] = { ANY(make_many), POLLER(make_many) };

const struct variant *const *any_of_brood(enum kind kind)
{
    static const struct variant *const all[][3] = {
        { &few[0], &few[1] },
        { &some[0], &some[1] },
        { &many[0], &many[1] },
    };
    return all[kind - KIND_ANY_FEW];
}
