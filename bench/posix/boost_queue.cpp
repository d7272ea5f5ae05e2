// SPDX-License-Identifier: MIT
#include "carriers.h"

#include <boost/interprocess/ipc/message_queue.hpp>
#include <cstdio>
#include <exception>

using boost::interprocess::message_queue;

static void name_of(const struct freight *freight, int lane, char *out, size_t capacity)
{
    (void)std::snprintf(out, capacity, "%s-%d", freight->name, lane);
}

static bool make(struct freight *freight)
try {
    char name[128];
    for (int lane = 0; lane < freight->lanes; lane++) {
        name_of(freight, lane, name, sizeof name);
        message_queue queue(boost::interprocess::create_only, name, freight->capacity,
                            freight->size);
    }
    return true;
} catch (const std::exception &) {
    return false;
}

static void destroy(struct freight *freight)
{
    char name[128];
    for (int lane = 0; lane < freight->lanes; lane++) {
        name_of(freight, lane, name, sizeof name);
        (void)message_queue::remove(name);
    }
}

static message_queue *queue_of(struct end *end)
{
    return static_cast<message_queue *>(end->room[0]);
}

static bool open_end(struct end *end)
try {
    char name[128];
    name_of(end->freight, end->lane, name, sizeof name);
    end->room[0] = new message_queue(boost::interprocess::open_only, name);
    return true;
} catch (const std::exception &) {
    return false;
}

static void close_end(struct end *end)
{
    delete queue_of(end);
}

static bool send_all(struct end *end, const unsigned char *data, size_t count)
try {
    const size_t size = end->freight->size;
    for (size_t i = 0; i < count; i++)
        queue_of(end)->send(data + i * size, size, 0);
    return true;
} catch (const std::exception &) {
    return false;
}

// Waits for the first message only.
static size_t receive(struct end *end, unsigned char *buffer, size_t most)
try {
    const size_t size = end->freight->size;
    message_queue::size_type length;
    unsigned priority;
    queue_of(end)->receive(buffer, size, length, priority);
    size_t got = 1;
    while (got < most && queue_of(end)->try_receive(buffer + got * size, size, length, priority))
        got++;
    return length == size ? got : 0;
} catch (const std::exception &) {
    return 0;
}

static carrier describe()
{
    carrier made = carrier();
    made.name = "Boost message_queue";
    made.survives = "hangs";
    made.most = 1 << 24;
    made.shared = SIZE_MAX;
    made.make = make;
    made.destroy = destroy;
    made.open = open_end;
    made.close = close_end;
    made.send = send_all;
    made.receive = receive;
    return made;
}

const struct carrier boost_carrier = describe();
