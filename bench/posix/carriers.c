// SPDX-License-Identifier: MIT
// The carriers of the kernel.
#define _GNU_SOURCE

#include "carriers.h"

#include <fcntl.h>
#include <limits.h>
#include <mqueue.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { AT_ONCE = 32, LARGE_PIPE = 1 << 20 };

// Descriptors

static void close_handles(struct freight *freight)
{
    for (int i = 0; i < freight->handle_count; i++)
        (void)close((int)freight->handles[i]);
}

static void add_lane(struct freight *freight, const int ends[2])
{
    freight->handles[freight->handle_count++] = ends[0];
    freight->handles[freight->handle_count++] = ends[1];
}

static bool make_pipes(struct freight *freight)
{
    int ends[2];
    for (int i = 0; i < freight->lanes; i++) {
        if (pipe2(ends, O_CLOEXEC) != 0)
            return false;
        add_lane(freight, ends);
    }
    return true;
}

static bool make_large_pipes(struct freight *freight)
{
    if (!make_pipes(freight))
        return false;
    for (int i = 0; i < freight->handle_count; i += 2)
        if (fcntl((int)freight->handles[i], F_SETPIPE_SZ, LARGE_PIPE) < 0)
            return false;
    return true;
}

// With room for all messages that the lane may hold, as far as the system allows. A privileged
// process may exceed the system's limit.
static void enlarge(int socket, const struct freight *freight)
{
    const size_t wanted = 2 * freight->size * freight->capacity;
    const int bytes = wanted < INT_MAX / 4 ? (int)wanted : INT_MAX / 4;
    if (setsockopt(socket, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) != 0)
        (void)setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
}

static bool make_sockets(struct freight *freight, int type)
{
    int ends[2];
    for (int i = 0; i < freight->lanes; i++) {
        if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) != 0)
            return false;
        enlarge(ends[1], freight);
        add_lane(freight, ends);
    }
    return true;
}

static bool make_streams(struct freight *freight)
{
    return make_sockets(freight, SOCK_STREAM);
}

static bool make_packets(struct freight *freight)
{
    return make_sockets(freight, SOCK_SEQPACKET);
}

static bool write_all(struct end *end, const unsigned char *data, size_t count)
{
    size_t left = count * end->freight->size;
    while (left > 0) {
        const ssize_t written = write((int)end->handle, data, left);
        if (written <= 0)
            return false;
        data += written;
        left -= (size_t)written;
    }
    return true;
}

// Reads what there is, and the rest of the last message.
static size_t read_some(struct end *end, unsigned char *buffer, size_t most)
{
    const size_t size = end->freight->size;
    size_t got = 0;
    while (got == 0 || got % size != 0) {
        const size_t wanted = got == 0 ? most * size : size - got % size;
        const ssize_t bytes = read((int)end->handle, buffer + got, wanted);
        if (bytes <= 0)
            return 0;
        got += (size_t)bytes;
    }
    return got / size;
}

// Packets

static void fill_packets(struct mmsghdr *packets, struct iovec *parts, const struct end *end,
                         const unsigned char *data, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        parts[i] = (struct iovec){ (void *)(uintptr_t)(data + i * end->freight->size),
                                   end->freight->size };
        packets[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &parts[i], .msg_iovlen = 1 } };
    }
}

static bool send_packets(struct end *end, const unsigned char *data, size_t count)
{
    struct mmsghdr packets[AT_ONCE];
    struct iovec parts[AT_ONCE];
    const size_t size = end->freight->size;
    if (count == 1)
        return send((int)end->handle, data, size, MSG_NOSIGNAL) == (ssize_t)size;
    fill_packets(packets, parts, end, data, count);
    for (size_t sent = 0; sent < count;) {
        const int some = sendmmsg((int)end->handle, packets + sent, (unsigned)(count - sent), 0);
        if (some <= 0)
            return false;
        sent += (size_t)some;
    }
    return true;
}

static size_t receive_packets(struct end *end, unsigned char *buffer, size_t most)
{
    struct mmsghdr packets[AT_ONCE];
    struct iovec parts[AT_ONCE];
    const size_t size = end->freight->size;
    if (most == 1)
        return recv((int)end->handle, buffer, size, 0) == (ssize_t)size;
    fill_packets(packets, parts, end, buffer, most);
    const int got = recvmmsg((int)end->handle, packets, (unsigned)most, MSG_WAITFORONE, NULL);
    return got > 0 ? (size_t)got : 0;
}

// POSIX message queues

static mqd_t open_queue(const struct freight *freight, int lane, int flags, long capacity)
{
    char name[128];
    struct mq_attr attributes = { .mq_maxmsg = capacity, .mq_msgsize = (long)freight->size };
    (void)snprintf(name, sizeof name, "/%s-%d", freight->name, lane);
    return mq_open(name, flags | O_CLOEXEC, 0600, &attributes);
}

// As many messages as the system allows.
static bool make_queues(struct freight *freight)
{
    const struct rlimit none = { RLIM_INFINITY, RLIM_INFINITY };
    (void)setrlimit(RLIMIT_MSGQUEUE, &none);
    for (int lane = 0; lane < freight->lanes; lane++) {
        mqd_t queue = open_queue(freight, lane, O_CREAT | O_RDWR, (long)freight->capacity);
        if (queue == (mqd_t)-1)
            queue = open_queue(freight, lane, O_CREAT | O_RDWR, 10);
        if (queue == (mqd_t)-1)
            return false;
        (void)mq_close(queue);
    }
    return true;
}

static void destroy_queues(struct freight *freight)
{
    char name[128];
    for (int lane = 0; lane < freight->lanes; lane++) {
        (void)snprintf(name, sizeof name, "/%s-%d", freight->name, lane);
        (void)mq_unlink(name);
    }
}

static mqd_t queue_of(const struct end *end)
{
    return (mqd_t)(intptr_t)end->room[0];
}

static bool open_queue_end(struct end *end)
{
    const mqd_t queue = open_queue(end->freight, end->lane, end->sends ? O_WRONLY : O_RDONLY, 0);
    end->room[0] = (void *)(intptr_t)queue;
    return queue != (mqd_t)-1;
}

static void close_queue_end(struct end *end)
{
    (void)mq_close(queue_of(end));
}

static bool send_queued(struct end *end, const unsigned char *data, size_t count)
{
    const size_t size = end->freight->size;
    for (size_t i = 0; i < count; i++)
        if (mq_send(queue_of(end), (const char *)data + i * size, size, 0) != 0)
            return false;
    return true;
}

// One: there is no call that does not wait, except of a queue that never waits.
static size_t receive_queued(struct end *end, unsigned char *buffer, size_t most)
{
    const size_t size = end->freight->size;
    (void)most;
    return mq_receive(queue_of(end), (char *)buffer, size, NULL) == (ssize_t)size;
}

static const struct carrier pipes = { .name = "pipe",
                                      .survives = "tears above 4 KiB",
                                      .shared = PIPE_BUF,
                                      .make = make_pipes,
                                      .destroy = close_handles,
                                      .send = write_all,
                                      .receive = read_some };

static const struct carrier large_pipes = { .name = "pipe of 1 MiB",
                                            .survives = "tears above 4 KiB",
                                            .shared = PIPE_BUF,
                                            .make = make_large_pipes,
                                            .destroy = close_handles,
                                            .send = write_all,
                                            .receive = read_some };

static const struct carrier streams = { .name = "socketpair, stream",
                                        .survives = "tears",
                                        .make = make_streams,
                                        .destroy = close_handles,
                                        .send = write_all,
                                        .receive = read_some };

static const struct carrier packets = { .name = "socketpair, seqpacket",
                                        .survives = "yes",
                                        .most = 1 << 24,
                                        .shared = SIZE_MAX,
                                        .make = make_packets,
                                        .destroy = close_handles,
                                        .send = send_packets,
                                        .receive = receive_packets };

static const struct carrier queues = { .name = "POSIX message queue",
                                       .survives = "yes",
                                       .most = 1 << 24,
                                       .shared = SIZE_MAX,
                                       .make = make_queues,
                                       .destroy = destroy_queues,
                                       .open = open_queue_end,
                                       .close = close_queue_end,
                                       .send = send_queued,
                                       .receive = receive_queued };

const struct carrier *const carriers_of_system[] = {
    &pipes,          &large_pipes, &streams,       &packets, &queues,
    &zeromq_carrier, &nng_carrier, &boost_carrier, NULL,
};
