// SPDX-License-Identifier: MIT
#include "../carrier.h"

#include <stdio.h>
#include <windows.h>

// Named pipes in message mode

enum { MOST_BUFFER = 1 << 20 };

static bool make_lane(struct freight *freight, int lane)
{
    char name[128];
    const size_t wanted = freight->size * freight->capacity;
    const DWORD bytes = wanted < MOST_BUFFER ? (DWORD)wanted : MOST_BUFFER;
    (void)snprintf(name, sizeof name, "\\\\.\\pipe\\%s-%d", freight->name, lane);
    HANDLE reads = CreateNamedPipeA(name, PIPE_ACCESS_INBOUND,
                                    PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE | PIPE_WAIT, 1, bytes,
                                    bytes, 0, NULL);
    if (reads == INVALID_HANDLE_VALUE)
        return false;
    HANDLE writes = CreateFileA(name, GENERIC_WRITE, 0, NULL, OPEN_EXISTING, 0, NULL);
    freight->handles[freight->handle_count++] = (intptr_t)reads;
    freight->handles[freight->handle_count++] = (intptr_t)writes;
    return writes != INVALID_HANDLE_VALUE;
}

static bool make(struct freight *freight)
{
    for (int lane = 0; lane < freight->lanes; lane++)
        if (!make_lane(freight, lane))
            return false;
    return true;
}

static void destroy(struct freight *freight)
{
    for (int i = 0; i < freight->handle_count; i++)
        CloseHandle((HANDLE)freight->handles[i]);
}

static bool send_all(struct end *end, const unsigned char *data, size_t count)
{
    const DWORD size = (DWORD)end->freight->size;
    DWORD written;
    for (size_t i = 0; i < count; i++)
        if (!WriteFile((HANDLE)end->handle, data + i * size, size, &written, NULL) ||
            written != size)
            return false;
    return true;
}

// One: a read is one message.
static size_t receive(struct end *end, unsigned char *buffer, size_t most)
{
    const DWORD size = (DWORD)end->freight->size;
    DWORD got;
    (void)most;
    return ReadFile((HANDLE)end->handle, buffer, size, &got, NULL) && got == size;
}

static const struct carrier pipes = { .name = "named pipe, messages",
                                      .survives = "yes",
                                      .most = 1 << 24,
                                      .shared = SIZE_MAX,
                                      .at_most = 0.05,
                                      .make = make,
                                      .destroy = destroy,
                                      .send = send_all,
                                      .receive = receive };

const struct carrier *const carriers_of_system[] = { &pipes, NULL };
