// SPDX-License-Identifier: MIT
#include "carriers.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

static void path_of(const struct freight *freight, int lane, char *out, size_t capacity)
{
    (void)snprintf(out, capacity, "ipc:///tmp/%s-%d", freight->name, lane);
}

static bool make(struct freight *freight)
{
    (void)freight;
    return true;
}

static void destroy(struct freight *freight)
{
    char path[128];
    for (int lane = 0; lane < freight->lanes; lane++) {
        path_of(freight, lane, path, sizeof path);
        (void)unlink(path + strlen("ipc://"));
    }
}

// A context, and so a thread that moves the messages, for each end.
static bool open_end(struct end *end)
{
    char path[128];
    const int most = (int)end->freight->capacity;
    const int linger = 0;
    path_of(end->freight, end->lane, path, sizeof path);
    end->room[0] = zmq_ctx_new();
    end->room[1] = end->room[0] ? zmq_socket(end->room[0], ZMQ_PAIR) : NULL;
    return end->room[1] && zmq_setsockopt(end->room[1], ZMQ_SNDHWM, &most, sizeof most) == 0 &&
           zmq_setsockopt(end->room[1], ZMQ_RCVHWM, &most, sizeof most) == 0 &&
           zmq_setsockopt(end->room[1], ZMQ_LINGER, &linger, sizeof linger) == 0 &&
           (end->sends ? zmq_connect(end->room[1], path) : zmq_bind(end->room[1], path)) == 0;
}

static void close_end(struct end *end)
{
    if (end->room[1])
        (void)zmq_close(end->room[1]);
    if (end->room[0])
        (void)zmq_ctx_term(end->room[0]);
}

static bool send_all(struct end *end, const unsigned char *data, size_t count)
{
    const size_t size = end->freight->size;
    for (size_t i = 0; i < count; i++)
        if (zmq_send(end->room[1], data + i * size, size, 0) != (int)size)
            return false;
    return true;
}

// Waits for the first message only.
static size_t receive(struct end *end, unsigned char *buffer, size_t most)
{
    const size_t size = end->freight->size;
    size_t got = 0;
    while (got < most && zmq_recv(end->room[1], buffer + got * size, size,
                                  got > 0 ? ZMQ_DONTWAIT : 0) == (int)size)
        got++;
    return got;
}

const struct carrier zeromq_carrier = { .name = "ZeroMQ pair, ipc",
                                        .survives = "loses what was sent",
                                        .most = 1 << 24,
                                        .make = make,
                                        .destroy = destroy,
                                        .open = open_end,
                                        .close = close_end,
                                        .send = send_all,
                                        .receive = receive };
