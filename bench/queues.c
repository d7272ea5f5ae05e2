// SPDX-License-Identifier: MIT
// brood's carriers.
#include <brood/brood.h>

#include "carrier.h"

#include <stdlib.h>

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

// Queues with messages in place: the end's room has the message that it writes or reads.

static bool open_message(struct end *end)
{
    end->room[0] = calloc(1, sizeof(brood_message));
    return end->room[0] != NULL;
}

static void close_message(struct end *end)
{
    free(end->room[0]);
}

static unsigned char *reserve_in_queue(struct end *end)
{
    brood_message *message = end->room[0];
    return brood_queue_reserve(queue_of(end), end->freight->size, message, BROOD_FOREVER) ==
                   BROOD_OK
               ? message->data
               : NULL;
}

static bool commit_to_queue(struct end *end, const unsigned char *data, size_t count)
{
    (void)data, (void)count;
    return brood_queue_commit(queue_of(end), end->room[0], end->freight->size) == BROOD_OK;
}

static const unsigned char *take_from_queue(struct end *end)
{
    brood_message *message = end->room[0];
    return brood_queue_take(queue_of(end), message, BROOD_FOREVER) == BROOD_OK &&
                   message->size == end->freight->size
               ? message->data
               : NULL;
}

static bool release_to_queue(struct end *end)
{
    brood_queue_release(queue_of(end), end->room[0]);
    return true;
}

// Parts of a block, which are used again: one queue has the numbers of those that contain a
// message, another one of those that do not.

enum { FULL, EMPTY, PARTS };

static brood_queue list_of(const struct freight *freight, int list)
{
    return (brood_queue){ freight->ids[list] };
}

static void destroy_parts(struct freight *freight)
{
    (void)brood_queue_destroy(list_of(freight, FULL));
    (void)brood_queue_destroy(list_of(freight, EMPTY));
    (void)brood_block_destroy((brood_block){ freight->ids[PARTS] });
}

static bool make_list(struct freight *freight, int list)
{
    brood_queue queue;
    if (brood_queue_create(&queue, freight->capacity, sizeof(uint32_t)) != BROOD_OK)
        return false;
    freight->ids[list] = queue.id;
    return true;
}

static bool make_parts(struct freight *freight)
{
    brood_block block;
    bool made = make_list(freight, FULL) && make_list(freight, EMPTY) &&
                brood_block_create(&block, freight->size * freight->capacity) == BROOD_OK;
    if (made)
        freight->ids[PARTS] = block.id;
    for (uint32_t i = 0; made && i < freight->capacity; i++)
        made = brood_queue_put(list_of(freight, EMPTY), &i, sizeof i, BROOD_NOW) == BROOD_OK;
    if (!made)
        destroy_parts(freight);
    return made;
}

// The end's room has the address of the block, and the number of a part.
static bool open_part(struct end *end)
{
    end->room[0] = brood_block_data((brood_block){ end->freight->ids[PARTS] });
    return end->room[0] != NULL;
}

static unsigned char *get_part(struct end *end, int list)
{
    uint32_t number;
    if (brood_queue_get(list_of(end->freight, list), &number, sizeof number, NULL, BROOD_FOREVER) !=
        BROOD_OK)
        return NULL;
    end->room[1] = (void *)(uintptr_t)number;
    return (unsigned char *)end->room[0] + number * end->freight->size;
}

static bool put_part(struct end *end, int list)
{
    const uint32_t number = (uint32_t)(uintptr_t)end->room[1];
    return brood_queue_put(list_of(end->freight, list), &number, sizeof number, BROOD_FOREVER) ==
           BROOD_OK;
}

static unsigned char *reserve_part(struct end *end)
{
    return get_part(end, EMPTY);
}

static bool send_part(struct end *end, const unsigned char *data, size_t count)
{
    (void)data, (void)count;
    return put_part(end, FULL);
}

static const unsigned char *take_part(struct end *end)
{
    return get_part(end, FULL);
}

static bool release_part(struct end *end)
{
    return put_part(end, EMPTY);
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
    { .name = "brood_queue, in place",
      .survives = "yes",
      .most = 1 << 24,
      .shared = SIZE_MAX,
      .make = make_queues,
      .destroy = destroy_queues,
      .open = open_message,
      .close = close_message,
      .send = commit_to_queue,
      .reserve = reserve_in_queue,
      .take = take_from_queue,
      .release = release_to_queue },
    { .name = "brood_block, parts by queues",
      .survives = "loses the part",
      .shared = SIZE_MAX,
      .make = make_parts,
      .destroy = destroy_parts,
      .open = open_part,
      .send = send_part,
      .reserve = reserve_part,
      .take = take_part,
      .release = release_part },
    { .name = NULL },
};
