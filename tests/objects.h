// SPDX-License-Identifier: MIT
// Every kind of shared object and every operation on one, by the bits of the handle, for tests
// that treat all of them alike.
#ifndef OBJECTS_H
#define OBJECTS_H

#include <brood/brood.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
    A_LOCK,
    A_SEMAPHORE,
    AN_EVENT,
    A_CONDITION,
    A_BARRIER,
    A_BLOCK,
    A_CONNECTION,
    A_QUEUE,
    OBJECT_KINDS
};

enum { SEMAPHORE_VALUE = 3, BARRIER_PARTIES = 2, BLOCK_SIZE = 100, QUEUE_CAPACITY = 2 };

// 0 if the object cannot be created.
static inline uint64_t object_create(int kind)
{
    brood_lock lock = { 0 };
    brood_semaphore semaphore = { 0 };
    brood_event event = { 0 };
    brood_condition condition = { 0 };
    brood_barrier barrier = { 0 };
    brood_block block = { 0 };
    brood_queue queue = { 0 };
    brood_connection ends[2] = { { 0 }, { 0 } };
    switch (kind) {
    case A_LOCK:
        return brood_lock_create(&lock) == BROOD_OK ? lock.id : 0;
    case A_SEMAPHORE:
        return brood_semaphore_create(&semaphore, SEMAPHORE_VALUE, 0) == BROOD_OK ? semaphore.id
                                                                                  : 0;
    case AN_EVENT:
        return brood_event_create(&event) == BROOD_OK ? event.id : 0;
    case A_CONDITION:
        return brood_condition_create(&condition) == BROOD_OK ? condition.id : 0;
    case A_BARRIER:
        return brood_barrier_create(&barrier, BARRIER_PARTIES) == BROOD_OK ? barrier.id : 0;
    case A_CONNECTION:
        return brood_connection_pair(&ends[0], &ends[1], BROOD_DUPLEX) == BROOD_OK ? ends[0].id : 0;
    case A_QUEUE:
        return brood_queue_create_joinable(&queue, QUEUE_CAPACITY, 1) == BROOD_OK ? queue.id : 0;
    default:
        return brood_block_create(&block, BLOCK_SIZE) == BROOD_OK ? block.id : 0;
    }
}

static inline brood_status object_destroy(int kind, uint64_t id)
{
    switch (kind) {
    case A_LOCK:
        return brood_lock_destroy((brood_lock){ id });
    case A_SEMAPHORE:
        return brood_semaphore_destroy((brood_semaphore){ id });
    case AN_EVENT:
        return brood_event_destroy((brood_event){ id });
    case A_CONDITION:
        return brood_condition_destroy((brood_condition){ id });
    case A_BARRIER:
        return brood_barrier_destroy((brood_barrier){ id });
    case A_CONNECTION:
        return brood_connection_destroy((brood_connection){ id });
    case A_QUEUE:
        return brood_queue_destroy((brood_queue){ id });
    default:
        return brood_block_destroy((brood_block){ id });
    }
}

// Operations. Each releases what it has acquired.

static inline brood_status release_if_acquired(uint64_t lock, brood_status status)
{
    if (brood_status_acquired(status))
        (void)brood_lock_release((brood_lock){ lock });
    return status;
}

static inline brood_status lock_acquire(uint64_t id)
{
    return release_if_acquired(id, brood_lock_acquire((brood_lock){ id }, BROOD_FOREVER));
}

static inline brood_status lock_try(uint64_t id)
{
    return release_if_acquired(id, brood_lock_acquire((brood_lock){ id }, BROOD_NOW));
}

static inline brood_status lock_release(uint64_t id)
{
    return brood_lock_release((brood_lock){ id });
}

static inline brood_status lock_destroy(uint64_t id)
{
    return brood_lock_destroy((brood_lock){ id });
}

// Waits for a valid condition with this lock.
static inline brood_status lock_wait_with(uint64_t id)
{
    brood_condition condition;
    brood_status status = brood_condition_create(&condition);
    if (status != BROOD_OK)
        return status;
    status = brood_condition_wait(condition, (brood_lock){ id }, BROOD_FOREVER);
    (void)brood_condition_destroy(condition);
    return status;
}

static inline brood_status semaphore_acquire(uint64_t id)
{
    return brood_semaphore_acquire((brood_semaphore){ id }, BROOD_FOREVER);
}

static inline brood_status semaphore_release(uint64_t id)
{
    return brood_semaphore_release((brood_semaphore){ id }, 1);
}

static inline brood_status semaphore_value(uint64_t id)
{
    uint32_t value;
    return brood_semaphore_value((brood_semaphore){ id }, &value);
}

static inline brood_status semaphore_destroy(uint64_t id)
{
    return brood_semaphore_destroy((brood_semaphore){ id });
}

static inline brood_status event_set(uint64_t id)
{
    return brood_event_set((brood_event){ id });
}

static inline brood_status event_clear(uint64_t id)
{
    return brood_event_clear((brood_event){ id });
}

static inline brood_status event_is_set(uint64_t id)
{
    bool set;
    return brood_event_is_set((brood_event){ id }, &set);
}

static inline brood_status event_wait(uint64_t id)
{
    return brood_event_wait((brood_event){ id }, BROOD_FOREVER);
}

static inline brood_status event_destroy(uint64_t id)
{
    return brood_event_destroy((brood_event){ id });
}

static inline bool never(void *arg)
{
    (void)arg;
    return false;
}

// With a valid lock, held.
static inline brood_status wait_with_lock(uint64_t id, bool with_predicate, brood_duration timeout)
{
    brood_lock lock;
    const brood_condition condition = { id };
    brood_status status = brood_lock_create(&lock);
    if (status != BROOD_OK)
        return status;
    status = brood_lock_acquire(lock, BROOD_NOW);
    if (status == BROOD_OK) {
        status = with_predicate ? brood_condition_wait_for(condition, lock, never, NULL, timeout)
                                : brood_condition_wait(condition, lock, timeout);
        (void)brood_lock_release(lock); // may be released already
    }
    (void)brood_lock_destroy(lock);
    return status;
}

static inline brood_status condition_wait(uint64_t id)
{
    return wait_with_lock(id, false, BROOD_FOREVER);
}

static inline brood_status condition_wait_for(uint64_t id)
{
    return wait_with_lock(id, true, BROOD_FOREVER);
}

static inline brood_status condition_notify(uint64_t id)
{
    return brood_condition_notify((brood_condition){ id }, 1);
}

static inline brood_status condition_notify_all(uint64_t id)
{
    return brood_condition_notify_all((brood_condition){ id });
}

static inline brood_status condition_destroy(uint64_t id)
{
    return brood_condition_destroy((brood_condition){ id });
}

static inline brood_status barrier_wait(uint64_t id)
{
    return brood_barrier_wait((brood_barrier){ id }, BROOD_FOREVER, NULL);
}

static inline brood_status barrier_reset(uint64_t id)
{
    return brood_barrier_reset((brood_barrier){ id });
}

static inline brood_status barrier_abort(uint64_t id)
{
    return brood_barrier_abort((brood_barrier){ id });
}

static inline brood_status barrier_is_broken(uint64_t id)
{
    bool broken;
    return brood_barrier_is_broken((brood_barrier){ id }, &broken);
}

static inline brood_status barrier_waiting(uint64_t id)
{
    uint32_t count;
    return brood_barrier_waiting((brood_barrier){ id }, &count);
}

static inline brood_status barrier_destroy(uint64_t id)
{
    return brood_barrier_destroy((brood_barrier){ id });
}

// For calls that return no status.
static inline brood_status status_of_block(bool is_good)
{
    if (is_good)
        return BROOD_OK;
    return strstr(brood_last_error(), brood_status_text(BROOD_STALE)) ? BROOD_STALE : BROOD_INVALID;
}

static inline brood_status block_data(uint64_t id)
{
    return status_of_block(brood_block_data((brood_block){ id }) != NULL);
}

static inline brood_status block_size(uint64_t id)
{
    return status_of_block(brood_block_size((brood_block){ id }) == BLOCK_SIZE);
}

static inline brood_status block_destroy(uint64_t id)
{
    return brood_block_destroy((brood_block){ id });
}

static inline brood_status connection_send(uint64_t id)
{
    return brood_connection_send((brood_connection){ id }, "x", 1, BROOD_FOREVER);
}

static inline brood_status connection_send_parts(uint64_t id)
{
    return brood_connection_send_parts((brood_connection){ id }, NULL, 0, BROOD_FOREVER);
}

static inline brood_status connection_receive(uint64_t id)
{
    char byte;
    return brood_connection_receive((brood_connection){ id }, &byte, 1, NULL, BROOD_FOREVER);
}

static inline brood_status connection_poll(uint64_t id)
{
    return brood_connection_poll((brood_connection){ id }, BROOD_FOREVER);
}

static inline brood_status connection_leave(uint64_t id)
{
    return brood_connection_leave((brood_connection){ id });
}

static inline brood_status connection_close(uint64_t id)
{
    return brood_connection_close((brood_connection){ id });
}

static inline brood_status connection_destroy(uint64_t id)
{
    return brood_connection_destroy((brood_connection){ id });
}

static inline brood_status queue_put(uint64_t id)
{
    return brood_queue_put((brood_queue){ id }, "a", 1, BROOD_NOW);
}

static inline brood_status queue_put_many(uint64_t id)
{
    return brood_queue_put_many((brood_queue){ id }, "a", 1, 1, NULL, BROOD_NOW);
}

static inline brood_status queue_get(uint64_t id)
{
    char byte;
    return brood_queue_get((brood_queue){ id }, &byte, 1, NULL, BROOD_FOREVER);
}

static inline brood_status queue_get_many(uint64_t id)
{
    char byte;
    return brood_queue_get_many((brood_queue){ id }, &byte, 1, 1, NULL, NULL, BROOD_FOREVER);
}

static inline brood_status queue_reserve(uint64_t id)
{
    brood_message message = { 0 };
    const brood_status status = brood_queue_reserve((brood_queue){ id }, 1, &message, BROOD_NOW);
    brood_queue_abort((brood_queue){ id }, &message);
    return status;
}

// A queue that exists refuses some calls with BROOD_INVALID: then the status is that of the handle.
static inline brood_status queue_or(uint64_t id, brood_status status)
{
    size_t count;
    return status == BROOD_INVALID ? brood_queue_count((brood_queue){ id }, &count) : status;
}

// With a message that names no memory.
static inline brood_status queue_commit(uint64_t id)
{
    brood_message message = { .internal = { UINT64_MAX, UINT64_MAX } };
    return queue_or(id, brood_queue_commit((brood_queue){ id }, &message, 1));
}

static inline brood_status queue_take(uint64_t id)
{
    brood_message message = { 0 };
    const brood_status status = brood_queue_take((brood_queue){ id }, &message, BROOD_FOREVER);
    brood_queue_release((brood_queue){ id }, &message);
    return status;
}

static inline brood_status queue_count(uint64_t id)
{
    size_t count;
    return brood_queue_count((brood_queue){ id }, &count);
}

static inline brood_status queue_clear(uint64_t id)
{
    return brood_queue_clear((brood_queue){ id }, NULL);
}

static inline brood_status queue_task_done(uint64_t id)
{
    return queue_or(id, brood_queue_task_done((brood_queue){ id }));
}

static inline brood_status queue_join(uint64_t id)
{
    return brood_queue_join((brood_queue){ id }, BROOD_FOREVER);
}

static inline brood_status queue_close(uint64_t id)
{
    return brood_queue_close((brood_queue){ id });
}

static inline brood_status queue_destroy(uint64_t id)
{
    return brood_queue_destroy((brood_queue){ id });
}

struct operation {
    const char *name;
    int kind;
    brood_status (*fn)(uint64_t id);
    bool is_long; // waits without a timeout, or destroys the object
};

static const struct operation operations[] = {
    { "brood_lock_acquire", A_LOCK, lock_acquire, true },
    { "brood_lock_acquire at once", A_LOCK, lock_try, false },
    { "brood_lock_release", A_LOCK, lock_release, false },
    { "brood_lock_destroy", A_LOCK, lock_destroy, true },
    { "brood_condition_wait with the lock", A_LOCK, lock_wait_with, true },
    { "brood_semaphore_acquire", A_SEMAPHORE, semaphore_acquire, true },
    { "brood_semaphore_release", A_SEMAPHORE, semaphore_release, false },
    { "brood_semaphore_value", A_SEMAPHORE, semaphore_value, false },
    { "brood_semaphore_destroy", A_SEMAPHORE, semaphore_destroy, true },
    { "brood_event_set", AN_EVENT, event_set, false },
    { "brood_event_clear", AN_EVENT, event_clear, false },
    { "brood_event_is_set", AN_EVENT, event_is_set, false },
    { "brood_event_wait", AN_EVENT, event_wait, true },
    { "brood_event_destroy", AN_EVENT, event_destroy, true },
    { "brood_condition_wait", A_CONDITION, condition_wait, true },
    { "brood_condition_wait_for", A_CONDITION, condition_wait_for, true },
    { "brood_condition_notify", A_CONDITION, condition_notify, false },
    { "brood_condition_notify_all", A_CONDITION, condition_notify_all, false },
    { "brood_condition_destroy", A_CONDITION, condition_destroy, true },
    { "brood_barrier_wait", A_BARRIER, barrier_wait, true },
    { "brood_barrier_reset", A_BARRIER, barrier_reset, false },
    { "brood_barrier_abort", A_BARRIER, barrier_abort, false },
    { "brood_barrier_is_broken", A_BARRIER, barrier_is_broken, false },
    { "brood_barrier_waiting", A_BARRIER, barrier_waiting, false },
    { "brood_barrier_destroy", A_BARRIER, barrier_destroy, true },
    { "brood_block_data", A_BLOCK, block_data, false },
    { "brood_block_size", A_BLOCK, block_size, false },
    { "brood_block_destroy", A_BLOCK, block_destroy, true },
    { "brood_queue_put", A_QUEUE, queue_put, false },
    { "brood_queue_put_many", A_QUEUE, queue_put_many, false },
    { "brood_queue_get", A_QUEUE, queue_get, true },
    { "brood_queue_get_many", A_QUEUE, queue_get_many, true },
    { "brood_queue_reserve", A_QUEUE, queue_reserve, false },
    { "brood_queue_commit", A_QUEUE, queue_commit, false },
    { "brood_queue_take", A_QUEUE, queue_take, true },
    { "brood_queue_count", A_QUEUE, queue_count, false },
    { "brood_queue_clear", A_QUEUE, queue_clear, false },
    { "brood_queue_task_done", A_QUEUE, queue_task_done, false },
    { "brood_queue_join", A_QUEUE, queue_join, true },
    { "brood_queue_close", A_QUEUE, queue_close, true },
    { "brood_queue_destroy", A_QUEUE, queue_destroy, true },
    { "brood_connection_send", A_CONNECTION, connection_send, true },
    { "brood_connection_send_parts", A_CONNECTION, connection_send_parts, true },
    { "brood_connection_receive", A_CONNECTION, connection_receive, true },
    { "brood_connection_poll", A_CONNECTION, connection_poll, true },
    { "brood_connection_leave", A_CONNECTION, connection_leave, false },
    { "brood_connection_close", A_CONNECTION, connection_close, true },
    { "brood_connection_destroy", A_CONNECTION, connection_destroy, true },
};

enum { OPERATIONS = sizeof operations / sizeof operations[0] };

// Whether the object is in the state after its creation, and works. No other thread may use it.
static inline bool object_is_untouched(int kind, uint64_t id)
{
    static const unsigned char zero[BLOCK_SIZE];
    const void *data = NULL;
    uint32_t number = UINT32_MAX;
    bool flag = true;
    size_t count = SIZE_MAX;
    switch (kind) {
    case A_LOCK:
        return lock_try(id) == BROOD_OK;
    case A_SEMAPHORE:
        return brood_semaphore_value((brood_semaphore){ id }, &number) == BROOD_OK &&
               number == SEMAPHORE_VALUE;
    case AN_EVENT:
        return brood_event_is_set((brood_event){ id }, &flag) == BROOD_OK && !flag;
    case A_CONDITION:
        return wait_with_lock(id, false, BROOD_NOW) == BROOD_TIMEOUT;
    case A_BLOCK:
        data = brood_block_data((brood_block){ id });
        return data && memcmp(data, zero, sizeof zero) == 0;
    case A_QUEUE:
        return brood_queue_count((brood_queue){ id }, &count) == BROOD_OK && count == 0 &&
               queue_put(id) == BROOD_OK && queue_get(id) == BROOD_OK &&
               queue_task_done(id) == BROOD_OK && queue_join(id) == BROOD_OK;
    case A_CONNECTION:
        return brood_connection_poll((brood_connection){ id }, BROOD_NOW) == BROOD_TIMEOUT;
    default:
        return brood_barrier_is_broken((brood_barrier){ id }, &flag) == BROOD_OK && !flag &&
               brood_barrier_waiting((brood_barrier){ id }, &number) == BROOD_OK && number == 0;
    }
}

#endif
