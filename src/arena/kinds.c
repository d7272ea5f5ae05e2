// SPDX-License-Identifier: MIT
#include "arena/kinds.h"

#include "arena/family.h"
#include "arena/owner.h"
#include "arena/slots.h"
#include "base/invariant.h"

// In a window of less than a gibibyte most tables have a sixteenth of their slots.
enum {
    PROCESSES = 1 << 16,
    THREADS = 1 << 17,
    NAMES = 1 << 12,
    OWN_LOCKS = 1 << 10,
    QUEUES = 1 << 17, // a connection has two of them
    CONNECTIONS = 1 << 16,
    USERS = 1 << 18,
    PIECES = 1 << 18,
    POLLERS = 1 << 16,
    OBJECTS = 1 << 20, // for each of the other kinds
    NARROW_BITS = 4,
    NARROW_CHUNKS = BROODI_HEAP_CHUNKS < 1 << 14 ? BROODI_HEAP_CHUNKS : 1 << 14,
};

_Static_assert(THREADS <= 1 << BROODI_OWNER_SLOT_BITS && PROCESSES <= THREADS,
               "an owner can name every thread and every process");
_Static_assert(OBJECTS <= 1 << BROODI_SLOT_BITS, "a handle can name every slot");

// The bytes of the window that are accessible from the start.
struct boot {
    struct broodi_header header;
    _Alignas(64) struct broodi_process_slot processes[BROODI_FIRST];
    struct broodi_thread_slot threads[BROODI_FIRST];
    struct broodi_lock_slot locks[BROODI_FIRST];
    struct broodi_lock_slot own_locks[BROODI_FIRST];
    struct broodi_semaphore_slot semaphores[BROODI_FIRST];
    struct broodi_event_slot events[BROODI_FIRST];
    struct broodi_condition_slot conditions[BROODI_FIRST];
    struct broodi_barrier_slot barriers[BROODI_FIRST];
    struct broodi_party_slot parties[BROODI_FIRST];
    struct broodi_user_slot users[BROODI_FIRST];
    struct broodi_block_slot blocks[BROODI_FIRST];
    struct broodi_queue_slot queues[BROODI_FIRST];
    struct broodi_connection_slot connections[BROODI_FIRST];
    struct broodi_lock_slot queue_locks[BROODI_FIRST];
    struct broodi_piece_slot pieces[BROODI_FIRST];
    struct broodi_name_slot names[BROODI_FIRST];
    struct broodi_seat seats[BROODI_FIRST];
    struct broodi_key keys[BROODI_FIRST];
    struct broodi_watch watches[BROODI_FIRST];
    struct broodi_poller_slot pollers[BROODI_FIRST];
    struct broodi_chunk chunks[BROODI_FIRST];
};

_Static_assert(sizeof(struct boot) <= BROODI_BOOT, "header and first slots fit the boot chunks");

#define ROW(name, member, capacity, narrow)                                                    \
    {                                                                                          \
        name, offsetof(struct boot, member), sizeof((struct boot *)NULL)->member[0], capacity, \
            narrow                                                                             \
    }

const struct broodi_kind_row broodi_kinds[BROODI_KINDS] = {
    [BROODI_PROCESS] = ROW("process", processes, PROCESSES, PROCESSES >> NARROW_BITS),
    [BROODI_THREAD] = ROW("thread", threads, THREADS, THREADS >> NARROW_BITS),
    [BROODI_LOCK] = ROW("lock", locks, OBJECTS, OBJECTS >> NARROW_BITS),
    [BROODI_OWN_LOCK] = ROW("lock of the library", own_locks, OWN_LOCKS, OWN_LOCKS),
    [BROODI_NAME] = ROW("name", names, NAMES, NAMES),
    [BROODI_SEMAPHORE] = ROW("semaphore", semaphores, OBJECTS, OBJECTS >> NARROW_BITS),
    [BROODI_EVENT] = ROW("event", events, OBJECTS, OBJECTS >> NARROW_BITS),
    [BROODI_CONDITION] = ROW("condition", conditions, OBJECTS, OBJECTS >> NARROW_BITS),
    [BROODI_SEAT] = ROW("seat", seats, THREADS, THREADS >> NARROW_BITS),
    [BROODI_KEY] = ROW("key", keys, THREADS, THREADS >> NARROW_BITS),
    [BROODI_WATCH] = ROW("watch", watches, THREADS, THREADS >> NARROW_BITS),
    [BROODI_POLLER] = ROW("poller", pollers, POLLERS, POLLERS >> NARROW_BITS),
    [BROODI_BARRIER] = ROW("barrier", barriers, OBJECTS, OBJECTS >> NARROW_BITS),
    [BROODI_PARTY] = ROW("party", parties, OBJECTS, OBJECTS >> NARROW_BITS),
    [BROODI_USER] = ROW("user", users, USERS, USERS >> NARROW_BITS),
    [BROODI_BLOCK] = ROW("block", blocks, OBJECTS, OBJECTS >> NARROW_BITS),
    [BROODI_QUEUE] = ROW("queue", queues, QUEUES, QUEUES >> NARROW_BITS),
    [BROODI_CONNECTION] = ROW("connection", connections, CONNECTIONS, CONNECTIONS >> NARROW_BITS),
    [BROODI_QUEUE_LOCK] =
        ROW("lock of a queue", queue_locks, 2 * QUEUES, 2 * QUEUES >> NARROW_BITS),
    [BROODI_PIECE] = ROW("piece of memory", pieces, PIECES, PIECES >> NARROW_BITS),
    [BROODI_CHUNK] = ROW("chunk", chunks, BROODI_HEAP_CHUNKS, NARROW_CHUNKS),
};

static const broodi_sweep *sweeps;

void broodi_kinds_prepare(const broodi_sweep table[BROODI_KINDS])
{
    sweeps = table;
}

void broodi_kind_sweep(enum broodi_kind kind)
{
    broodi_assert(sweeps); // brood_init has passed them before it created or opened the arena
    if (sweeps[kind])
        sweeps[kind]();
}
