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

// Connections: one for both lanes. Its first end receives in the first lane, and sends in the
// second one.

static bool make_connection(struct freight *freight)
{
    brood_connection ends[2];
    if (brood_connection_pair(&ends[0], &ends[1],
                              freight->lanes == 2 ? BROOD_DUPLEX : BROOD_ONE_WAY) != BROOD_OK)
        return false;
    freight->ids[0] = ends[0].id;
    freight->ids[1] = ends[1].id;
    return true;
}

static void destroy_connection(struct freight *freight)
{
    (void)brood_connection_destroy((brood_connection){ freight->ids[0] });
}

static brood_connection connection_of(const struct end *end)
{
    return (brood_connection){ end->freight->ids[end->sends ^ (end->lane == 1)] };
}

static bool send_all(struct end *end, const unsigned char *data, size_t count)
{
    const size_t size = end->freight->size;
    for (size_t i = 0; i < count; i++)
        if (brood_connection_send(connection_of(end), data + i * size, size, BROOD_FOREVER) !=
            BROOD_OK)
            return false;
    return true;
}

// Waits for the first message only.
static size_t receive(struct end *end, unsigned char *buffer, size_t most)
{
    const size_t size = end->freight->size;
    size_t got = 0;
    size_t length;
    while (got < most &&
           brood_connection_receive(connection_of(end), buffer + got * size, size, &length,
                                    got > 0 ? BROOD_NOW : BROOD_FOREVER) == BROOD_OK)
        got++;
    return got;
}

const struct carrier carriers_of_brood[] = {
    { .name = "brood_queue",
      .survives = "yes",
      .most = 1 << 24,
      .shared = SIZE_MAX,
      .make = make_queues,
      .destroy = destroy_queues,
      .send = put,
      .receive = get },
    { .name = "brood_connection",
      .survives = "yes",
      .shared = SIZE_MAX,
      .make = make_connection,
      .destroy = destroy_connection,
      .send = send_all,
      .receive = receive },
    { .name = NULL },
};
