// SPDX-License-Identifier: MIT
// Waiting for any of several things: see arena/watch.h for the protocol. If none of them has a
// native object, the thread waits for its doorbell; otherwise for a watcher (watcher.h) that lasts
// as long as the call.
#include "arena/self.h"
#include "arena/spin.h"
#include "arena/watch.h"
#include "base/deadline.h"
#include "base/fail.h"
#include "base/fault.h"
#include "memory/heap_lock.h"
#include "message/waitable.h"
#include "message/watcher.h"
#include "os/os_clock.h"
#include "os/os_thread.h"

#include <stdlib.h>
#include <string.h>

enum {
    FEW = 16,   // elements on the stack; only so many are polled
    POLL = 200, // ns between the checks of a thread that polls
};

static const int64_t net = BROOD_SECONDS(1); // between two thorough checks

// A wait.
struct wait {
    struct broodi_waiting *waiting;
    uint64_t *keys; // room for as many
    size_t count;
    bool *ready;
    int64_t deadline;
    int64_t checked; // when the last thorough check was made; 0: never
    int64_t since;   // when the thread first had to wait; 0: not yet. See broodi_waiting_is_long
    struct broodi_watcher watcher;
};

static bool check(struct wait *wait, enum broodi_care care)
{
    return broodi_waiting_check(wait->waiting, wait->count, care, wait->ready);
}

static bool check_thoroughly(struct wait *wait, int64_t now)
{
    wait->checked = now;
    broodi_heap_rest();
    return check(wait, BROODI_CARE_THOROUGH);
}

// Marks the words and checks. BROOD_BUSY: nothing is ready; `out_pause` is for how long to wait.
static brood_status look(struct wait *wait, uint32_t flag, int64_t *out_pause)
{
    broodi_waiting_mark(wait->waiting, wait->count, flag);
    const int64_t now = brood_os_clock();
    if (check(wait, wait->checked ? BROODI_CARE_QUICK : BROODI_CARE_SYSTEM) ||
        (now - wait->checked >= net && check_thoroughly(wait, now)))
        return BROOD_OK;
    if (!wait->since)
        wait->since = now;
    *out_pause = broodi_until(wait->deadline, wait->checked, net) - now;
    return now >= wait->deadline ? BROOD_TIMEOUT : BROOD_BUSY;
}

// By the doorbell of the thread, which is in this slot. BROOD_BUSY: the line of the wait is due.
static brood_status wait_for_words(struct wait *wait, uint32_t thread)
{
    int64_t pause;
    brood_status status;
    const bool polled = broodi_waiting_is_polled(wait->waiting, wait->count);
    while ((status = look(wait, BROODI_WATCHED_BY_THREADS, &pause)) == BROOD_BUSY &&
           !broodi_waiting_is_long(wait->since))
        broodi_watch_await(thread,
                           polled && pause > BROOD_OS_WATCH_SLICE ? BROOD_OS_WATCH_SLICE : pause);
    return status;
}

// Polls for a short time. Returns whether something is ready.
static bool spin(struct wait *wait)
{
    struct broodi_spin spin = broodi_spin_begin(POLL, POLL);
    bool ready;
    while (!(ready = check(wait, BROODI_CARE_QUICK)) && broodi_spin_wait(&spin))
        continue;
    broodi_spin_end(&spin, ready);
    return ready;
}

// Fails as broodi_watch_begin; otherwise as wait_for_words.
static brood_status watch_words(struct wait *wait, uint32_t thread)
{
    const uint64_t mask = broodi_waiting_mask(wait->waiting, wait->count);
    brood_status status = broodi_watch_begin(thread, mask);
    if (status != BROOD_OK)
        return status;
    status = wait_for_words(wait, thread);
    broodi_watch_end(thread);
    return status;
}

static brood_status wait_by_bell(struct wait *wait)
{
    if (wait->count <= FEW && spin(wait))
        return BROOD_OK;
    const uint32_t thread = broodi_self_slot();
    if (thread == BROODI_NONE)
        return BROOD_NO_RESOURCES;
    brood_status status;
    while ((status = watch_words(wait, thread)) == BROOD_BUSY)
        broodi_waiting_log(wait->count, &wait->since);
    return status;
}

static brood_status look_by_watcher(struct wait *wait, int64_t *out_pause)
{
    const brood_status status = look(wait, BROODI_WATCHED_BY_POLLERS, out_pause);
    if (status == BROOD_BUSY && broodi_waiting_is_long(wait->since)) {
        broodi_waiting_log(wait->count, &wait->since);
        *out_pause = 0;
    }
    return status;
}

static brood_status wait_for_all(struct wait *wait)
{
    int64_t pause = 0;
    brood_status status;
    do
        status =
            broodi_watcher_await(&wait->watcher, wait->waiting, wait->count, wait->keys, pause);
    while (status == BROOD_OK && (status = look_by_watcher(wait, &pause)) == BROOD_BUSY);
    return status;
}

static brood_status open_and_wait_for_all(struct wait *wait)
{
    brood_status status = broodi_watcher_open(&wait->watcher);
    if (status != BROOD_OK)
        return status;
    broodi_watcher_set_mask(&wait->watcher, broodi_waiting_mask(wait->waiting, wait->count));
    for (size_t i = 0; status == BROOD_OK && i < wait->count; i++)
        status = broodi_watcher_add(&wait->watcher, &wait->waiting[i], i);
    if (status == BROOD_OK)
        status = wait_for_all(wait);
    broodi_watcher_close(&wait->watcher);
    return status;
}

// What the thread opens is closed, so it is not cancelled meanwhile.
static brood_status wait_by_watcher(struct wait *wait)
{
    const int before = brood_os_thread_protect();
    const brood_status status = open_and_wait_for_all(wait);
    brood_os_thread_unprotect(before);
    return status;
}

// Whether only a watcher can tell what is ready.
static bool needs_watcher(const struct wait *wait)
{
    for (size_t i = 0; i < wait->count; i++)
        if (wait->waiting[i].waitable.kind == BROODI_WAITABLE_NATIVE)
            return true;
    return false;
}

static brood_status wait_for(struct wait *wait, brood_duration timeout)
{
    const bool all = needs_watcher(wait);
    wait->deadline = broodi_deadline(timeout);
    if (!all && (check(wait, BROODI_CARE_SYSTEM) ||
                 check_thoroughly(wait, timeout > 0 ? brood_os_clock() : 0)))
        return BROOD_OK;
    if (!all && timeout <= 0)
        return BROOD_TIMEOUT;
    const uint64_t before = broodi_self_block(BROODI_WAITS_ANY, wait->count);
    const brood_status status = broodi_waiting_natives(wait->waiting, wait->count) > 0
                                    ? wait_by_watcher(wait)
                                    : wait_by_bell(wait);
    broodi_self_unblock(before);
    return status;
}

// Something is ready: also checks the others thoroughly, once a second in each thread. Otherwise a
// thread for which something is ready by every call would never find what the dead have left.
static void check_the_others(const struct wait *wait)
{
    struct broodi_self *self = broodi_self_known();
    bool others = false;
    for (size_t i = 0; wait->ready && i < wait->count; i++)
        others |= !wait->ready[i] && wait->waiting[i].row->rests;
    const int64_t now = others && self ? brood_os_clock() : 0;
    if (!others || !self || now - self->checked < net)
        return;
    self->checked = now;
    for (size_t i = 0; i < wait->count; i++)
        if (!wait->ready[i])
            wait->ready[i] = broodi_waiting_check(&wait->waiting[i], 1, BROODI_CARE_THOROUGH, NULL);
}

static brood_status open_and_wait(struct wait *wait, const brood_waitable *waitables,
                                  brood_duration timeout)
{
    size_t open = 0;
    brood_status status = BROOD_OK;
    for (; status == BROOD_OK && open < wait->count; open++)
        status = broodi_waiting_open(&wait->waiting[open], waitables[open]);
    if (status == BROOD_OK)
        status = wait_for(wait, timeout);
    if (status == BROOD_OK)
        check_the_others(wait);
    while (open > 0)
        broodi_waiting_close(&wait->waiting[--open]);
    return status;
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

static brood_status wait_for_few(const brood_waitable *waitables, size_t count,
                                 brood_duration timeout, bool *ready)
{
    struct broodi_waiting waiting[FEW];
    uint64_t keys[FEW];
    struct wait wait = { .waiting = waiting, .keys = keys, .count = count, .ready = ready };
    return open_and_wait(&wait, waitables, timeout);
}

static brood_status wait_for_many(const brood_waitable *waitables, size_t count,
                                  brood_duration timeout, bool *ready)
{
    const size_t each = sizeof(struct broodi_waiting) + sizeof(uint64_t);
    struct broodi_waiting *waiting = count <= SIZE_MAX / each ? broodi_alloc(count * each) : NULL;
    if (!waiting)
        return broodi_fail(BROOD_NO_MEMORY, "out of memory for %zu waitables", count);
    struct wait wait = {
        .waiting = waiting, .keys = (void *)(waiting + count), .count = count, .ready = ready
    };
    const brood_status status = open_and_wait(&wait, waitables, timeout);
    free(waiting);
    return status;
}

static brood_status wait_any(const brood_waitable *waitables, size_t count, brood_duration timeout,
                             bool *ready)
{
    brood_status status = check_arguments(waitables, count, timeout);
    if (status == BROOD_OK)
        status = count <= FEW ? wait_for_few(waitables, count, timeout, ready)
                              : wait_for_many(waitables, count, timeout, ready);
    if (status != BROOD_OK && ready && count > 0)
        memset(ready, 0, count * sizeof *ready);
    return status;
}

brood_status brood_wait_any(const brood_waitable *waitables, size_t count, brood_duration timeout,
                            bool *ready)
{
    return broodi_answer("brood_wait_any", wait_any(waitables, count, timeout, ready));
}
