// SPDX-License-Identifier: MIT
#include "carriers.h"

#include <nng/nng.h>
#include <nng/protocol/pair0/pair.h>
#include <stdio.h>
#include <stdlib.h>

static bool make(struct freight *freight)
{
    (void)freight;
    return true;
}

static nng_socket *socket_of(struct end *end)
{
    return end->room[0];
}

// nng limits messages to 1 MiB unless it is told otherwise, and the buffers to 8192 messages.
static bool open_end(struct end *end)
{
    char path[128];
    const int most = end->freight->capacity < 8192 ? (int)end->freight->capacity : 8192;
    (void)snprintf(path, sizeof path, "ipc:///tmp/%s-%d", end->freight->name, end->lane);
    end->room[0] = calloc(1, sizeof(nng_socket));
    return end->room[0] && nng_pair0_open(socket_of(end)) == 0 &&
           nng_socket_set_int(*socket_of(end), NNG_OPT_SENDBUF, most) == 0 &&
           nng_socket_set_int(*socket_of(end), NNG_OPT_RECVBUF, most) == 0 &&
           nng_socket_set_size(*socket_of(end), NNG_OPT_RECVMAXSZ, 0) == 0 &&
           nng_socket_set_ms(*socket_of(end), NNG_OPT_RECONNMINT, 1) == 0 &&
           (end->sends ? nng_dial(*socket_of(end), path, NULL, NNG_FLAG_NONBLOCK)
                       : nng_listen(*socket_of(end), path, NULL, 0)) == 0;
}

static void close_end(struct end *end)
{
    if (end->room[0])
        (void)nng_close(*socket_of(end));
    free(end->room[0]);
}

static bool send_all(struct end *end, const unsigned char *data, size_t count)
{
    const size_t size = end->freight->size;
    for (size_t i = 0; i < count; i++)
        if (nng_send(*socket_of(end), (void *)(uintptr_t)(data + i * size), size, 0) != 0)
            return false;
    return true;
}

// Waits for the first message only.
static size_t receive(struct end *end, unsigned char *buffer, size_t most)
{
    const size_t size = end->freight->size;
    size_t got = 0;
    while (got < most) {
        size_t length = size;
        if (nng_recv(*socket_of(end), buffer + got * size, &length,
                     got > 0 ? NNG_FLAG_NONBLOCK : 0) != 0 ||
            length != size)
            break;
        got++;
    }
    return got;
}

const struct carrier nng_carrier = { .name = "nng pair, ipc",
                                     .survives = "loses what was sent",
                                     .most = 1 << 24,
                                     .make = make,
                                     .open = open_end,
                                     .close = close_end,
                                     .send = send_all,
                                     .receive = receive };
