// SPDX-License-Identifier: MIT
// Waiting for any of several things: see arena/watch.h for the protocol.
#include "arena/self.h"
#include "arena/watch.h"
#include "base/deadline.h"
#include "base/fail.h"
#include "base/fault.h"
#include "memory/heap_lock.h"
#include "message/waitable.h"
#include "os/os_clock.h"

#include <stdlib.h>
#include <string.h>

enum { FEW = 16 }; // elements on the stack

static const int64_t net = BROOD_SECONDS(1); // between two thorough checks

// A wait.
struct wait {
    struct broodi_waiting *waiting;
    size_t count;
    bool *ready;
    int64_t deadline;
    int64_t checked; // when the last thorough check was made
};

static bool check(struct wait *wait, int64_t now)
{
    const bool thorough = now - wait->checked >= net;
    if (thorough) {
        wait->checked = now;
        broodi_heap_rest();
    }
    return broodi_waiting_check(wait->waiting, wait->count, thorough, wait->ready);
}

// Waits as a watcher, which the thread in this slot is.
static brood_status watch(struct wait *wait, uint32_t thread)
{
    for (;;) {
        broodi_waiting_mark(wait->waiting, wait->count, BROODI_WATCHED_BY_THREADS);
        const int64_t now = brood_os_clock();
        if (check(wait, now))
            return BROOD_OK;
        if (now >= wait->deadline)
            return BROOD_TIMEOUT;
        broodi_watch_await(thread, broodi_until(wait->deadline, now, net) - now);
    }
}

static brood_status wait_late(struct wait *wait)
{
    const uint32_t thread = broodi_self_slot();
    if (thread == BROODI_NONE)
        return BROOD_NO_RESOURCES;
    const uint64_t mask = broodi_waiting_mask(wait->waiting, wait->count);
    brood_status status = broodi_watch_begin(thread, mask);
    if (status != BROOD_OK)
        return status;
    const uint64_t before = broodi_self_block(BROODI_WAITS_ANY, wait->count);
    status = watch(wait, thread);
    broodi_self_unblock(before);
    broodi_watch_end(thread);
    return status;
}

static brood_status wait_for(struct wait *wait, brood_duration timeout)
{
    wait->deadline = broodi_deadline(timeout);
    wait->checked = timeout > 0 ? brood_os_clock() : 0;
    if (broodi_waiting_check(wait->waiting, wait->count, false, wait->ready) ||
        broodi_waiting_check(wait->waiting, wait->count, true, wait->ready))
        return BROOD_OK;
    return timeout <= 0 ? BROOD_TIMEOUT : wait_late(wait);
}

static brood_status open_and_wait(struct wait *wait, const brood_waitable *waitables,
                                  brood_duration timeout)
{
    for (size_t i = 0; i < wait->count; i++) {
        const brood_status status = broodi_waiting_open(&wait->waiting[i], waitables[i]);
        if (status != BROOD_OK)
            return status;
    }
    return wait_for(wait, timeout);
}

static brood_status check_arguments(const brood_waitable *waitables, size_t count,
                                    brood_duration timeout)
{
    const brood_status status = broodi_ready();
    if (status != BROOD_OK)
        return status;
    if (count == 0 && (timeout <= 0 || timeout == BROOD_FOREVER))
        return broodi_fail(BROOD_INVALID, "nothing to wait for");
    return count == 0 || waitables ? BROOD_OK : broodi_fail(BROOD_INVALID, "waitables is NULL");
}

static brood_status wait_any(const brood_waitable *waitables, size_t count, brood_duration timeout,
                             bool *ready)
{
    struct broodi_waiting few[FEW];
    struct wait wait = { .waiting = few, .count = count, .ready = ready };
    const brood_status status = check_arguments(waitables, count, timeout);
    if (status != BROOD_OK)
        return status;
    if (count <= FEW)
        return open_and_wait(&wait, waitables, timeout);
    if (count <= SIZE_MAX / sizeof few[0])
        wait.waiting = broodi_alloc(count * sizeof few[0]);
    else
        wait.waiting = NULL;
    if (!wait.waiting)
        return broodi_fail(BROOD_NO_MEMORY, "out of memory for %zu waitables", count);
    const brood_status waited = open_and_wait(&wait, waitables, timeout);
    free(wait.waiting);
    return waited;
}

brood_status brood_wait_any(const brood_waitable *waitables, size_t count, brood_duration timeout,
                            bool *ready)
{
    if (ready && count > 0)
        memset(ready, 0, count * sizeof *ready);
    return broodi_answer("brood_wait_any", wait_any(waitables, count, timeout, ready));
}
