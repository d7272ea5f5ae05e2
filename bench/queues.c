// SPDX-License-Identifier: MIT
// brood's carriers.
#include <brood/brood.h>

#include "carrier.h"

// Queues

static bool make_queues(struct freight *freight)
{
    for (int i = 0; i < freight->lanes; i++) {
        brood_queue queue;
        if (brood_queue_create(&queue, freight->capacity, freight->size) != BROOD_OK)
            return false;
        freight->ids[i] = queue.id;
    }
    return true;
}

static void destroy_queues(struct freight *freight)
{
    for (int i = 0; i < freight->lanes; i++)
        (void)brood_queue_destroy((brood_queue){ freight->ids[i] });
}

static brood_queue queue_of(const struct end *end)
{
    return (brood_queue){ end->freight->ids[end->lane] };
}

static bool put(struct end *end, const unsigned char *data, size_t count)
{
    const size_t size = end->freight->size;
    if (count == 1)
        return brood_queue_put(queue_of(end), data, size, BROOD_FOREVER) == BROOD_OK;
    return brood_queue_put_many(queue_of(end), data, size, count, NULL, BROOD_FOREVER) == BROOD_OK;
}

static size_t get(struct end *end, unsigned char *buffer, size_t most)
{
    const size_t size = end->freight->size;
    size_t got;
    if (most == 1)
        return brood_queue_get(queue_of(end), buffer, size, &got, BROOD_FOREVER) == BROOD_OK &&
               got == size;
    return brood_queue_get_many(queue_of(end), buffer, size, most, NULL, &got, BROOD_FOREVER) ==
                   BROOD_OK
               ? got
               : 0;
}

const struct carrier carriers_of_brood[] = {
    { .name = "brood_queue",
      .survives = "yes",
      .shared = SIZE_MAX,
      .make = make_queues,
      .destroy = destroy_queues,
      .send = put,
      .receive = get },
    { .name = NULL },
};
