// SPDX-License-Identifier: MIT
// Pollers: sets of things to wait for that stay. A poller has a watcher for as long as it exists,
// whose mask covers all words of the set, and the words are marked whenever no thread is about to
// check them. So a change rings the watcher also while no thread waits, and another loop that waits
// for the watcher's native object comes back to check.
//
// The elements have places in an array, which stay the same and are the keys of their native
// objects. An element is in use if it has a row.
#include "arena/members.h"
#include "arena/self.h"
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

enum { LEAST = 16 };

struct brood_poller {
    struct broodi_member member;
    atomic_bool used; // a thread is in a call
    int cancelable;   // what brood_os_thread_protect has returned to that thread
    struct broodi_watcher watcher;
    struct broodi_waiting *waiting;
    void **users;    // of the elements
    uint64_t *keys;  // room for those of all elements
    size_t capacity; // of the three arrays
    size_t count;    // elements in use
    size_t turn;     // the element that is checked first
    int64_t checked; // when the last thorough check was made; 0: never
};

// Calls

// Begins a call of the poller; the caller calls leave() if it succeeds. In between the thread is
// not cancelled.
static brood_status enter(brood_poller *poller)
{
    brood_status status = broodi_ready();
    if (status == BROOD_OK)
        status = broodi_member_check(poller, "poller", "poller");
    if (status != BROOD_OK)
        return status;
    if (atomic_exchange_explicit(&poller->used, true, memory_order_acquire))
        return broodi_fail(BROOD_BUSY, "the poller is in a call");
    poller->cancelable = brood_os_thread_protect();
    return BROOD_OK;
}

static void leave(brood_poller *poller)
{
    const int before = poller->cancelable;
    atomic_store_explicit(&poller->used, false, memory_order_release);
    brood_os_thread_unprotect(before);
}

// Creating and destroying

static void free_memory(brood_poller *poller)
{
    free(poller->waiting);
    free(poller->users);
    free(poller->keys);
    free(poller);
}

static bool grow_one(void **array, size_t from, size_t to, size_t size)
{
    void *larger = broodi_fault() ? NULL : realloc(*array, to * size);
    if (!larger)
        return false;
    memset((char *)larger + from * size, 0, (to - from) * size);
    *array = larger;
    return true;
}

static brood_status grow(brood_poller *poller)
{
    const size_t more = poller->capacity ? 2 * poller->capacity : LEAST;
    void *waiting = poller->waiting;
    void *users = poller->users;
    void *keys = poller->keys;
    bool grown = poller->capacity <= SIZE_MAX / 4 / sizeof *poller->waiting &&
                 grow_one(&waiting, poller->capacity, more, sizeof *poller->waiting);
    poller->waiting = waiting;
    grown = grown && grow_one(&users, poller->capacity, more, sizeof *poller->users);
    poller->users = users;
    grown = grown && grow_one(&keys, poller->capacity, more, sizeof *poller->keys);
    poller->keys = keys;
    if (!grown)
        return broodi_fail(BROOD_NO_MEMORY, "out of memory for %zu things", more);
    poller->capacity = more;
    return BROOD_OK;
}

static brood_status create(brood_poller **out)
{
    brood_status status = broodi_ready();
    if (status != BROOD_OK)
        return status;
    if (!out)
        return broodi_fail(BROOD_INVALID, "out is NULL");
    brood_poller *poller = broodi_member_new(sizeof *poller, "");
    if (!poller)
        return broodi_fail(BROOD_NO_MEMORY, "out of memory for a poller");
    status = grow(poller);
    if (status == BROOD_OK)
        status = broodi_watcher_open(&poller->watcher);
    if (status == BROOD_OK)
        *out = poller;
    else
        free_memory(poller);
    return status;
}

brood_status brood_poller_create(brood_poller **out)
{
    return broodi_answer("brood_poller_create", create(out));
}

static void end_element(brood_poller *poller, size_t at)
{
    struct broodi_waiting *waiting = &poller->waiting[at];
    const struct broodi_waitable_row *row = waiting->row;
    broodi_watcher_remove(&poller->watcher, waiting, at);
    broodi_waiting_close(waiting);
    if (row->drop)
        row->drop(waiting->waitable.reference);
    poller->count--;
}

void brood_poller_destroy(brood_poller *poller)
{
    if (!poller)
        return;
    const bool ours = broodi_member_is_ours(poller);
    for (size_t i = 0; ours && i < poller->capacity; i++)
        if (poller->waiting[i].row)
            end_element(poller, i);
    if (ours)
        broodi_watcher_close(&poller->watcher);
    else
        broodi_watcher_forget(&poller->watcher);
    free_memory(poller);
}

// Adding and removing

static bool is_same(const brood_waitable *one, const brood_waitable *other)
{
    return one->kind == other->kind && one->id == other->id && one->reference == other->reference;
}

// The place of the waitable; `capacity` if it is not in the set.
static size_t find(const brood_poller *poller, const brood_waitable *waitable)
{
    size_t i = 0;
    while (i < poller->capacity &&
           !(poller->waiting[i].row && is_same(&poller->waiting[i].waitable, waitable)))
        i++;
    return i;
}

static size_t find_unused(const brood_poller *poller)
{
    size_t i = 0;
    while (i < poller->capacity && poller->waiting[i].row)
        i++;
    return i;
}

static void store_mask(const brood_poller *poller)
{
    broodi_watcher_set_mask(&poller->watcher,
                            broodi_waiting_mask(poller->waiting, poller->capacity));
}

// Marks the word of the new element, and makes the native object of the poller ready if the element
// is: no ring would tell.
static brood_status add_element(brood_poller *poller, size_t at, brood_waitable waitable)
{
    struct broodi_waiting *waiting = &poller->waiting[at];
    brood_status status = broodi_waiting_open(waiting, waitable);
    if (status == BROOD_OK)
        status = broodi_watcher_add(&poller->watcher, waiting, at);
    if (status != BROOD_OK) {
        broodi_waiting_close(waiting);
        return status;
    }
    if (waiting->row->drop)
        broodi_member_retain(waitable.reference);
    poller->count++;
    store_mask(poller);
    broodi_waiting_mark(waiting, 1, BROODI_WATCHED_BY_POLLERS);
    if (broodi_waiting_check(waiting, 1, BROODI_CARE_THOROUGH, NULL))
        brood_os_watch_keep_ready(poller->watcher.watch, true);
    return BROOD_OK;
}

static brood_status add_here(brood_poller *poller, brood_waitable waitable, void *user)
{
    if (find(poller, &waitable) < poller->capacity)
        return broodi_fail(BROOD_INVALID, "the waitable is in the poller");
    const size_t at = find_unused(poller);
    brood_status status = at < poller->capacity ? BROOD_OK : grow(poller);
    if (status == BROOD_OK)
        status = add_element(poller, at, waitable);
    if (status == BROOD_OK)
        poller->users[at] = user;
    return status;
}

static brood_status add(brood_poller *poller, brood_waitable waitable, void *user)
{
    brood_status status = enter(poller);
    if (status != BROOD_OK)
        return status;
    status = add_here(poller, waitable, user);
    leave(poller);
    return status;
}

brood_status brood_poller_add(brood_poller *poller, brood_waitable waitable, void *user)
{
    return broodi_answer("brood_poller_add", add(poller, waitable, user));
}

static brood_status remove_waitable(brood_poller *poller, const brood_waitable *waitable)
{
    brood_status status = enter(poller);
    if (status != BROOD_OK)
        return status;
    const size_t at = find(poller, waitable);
    if (at < poller->capacity) {
        end_element(poller, at);
        store_mask(poller);
    } else {
        status = broodi_fail(BROOD_NOT_FOUND, "the waitable is not in the poller");
    }
    leave(poller);
    return status;
}

brood_status brood_poller_remove(brood_poller *poller, brood_waitable waitable)
{
    return broodi_answer("brood_poller_remove", remove_waitable(poller, &waitable));
}

// Waiting

// What a call reports.
struct report {
    brood_ready *out;
    size_t capacity;
    size_t count;
    int64_t deadline;
    int64_t since; // when the thread first had to wait; 0: not yet
};

// Quickly, unless only a thorough check may see what is there.
static bool check(struct broodi_waiting *waiting)
{
    const enum broodi_care care = waiting->thorough ? BROODI_CARE_THOROUGH : BROODI_CARE_QUICK;
    const bool ready = broodi_waiting_check(waiting, 1, care, NULL);
    waiting->thorough &= ready;
    return ready;
}

// Of all elements: one that is always ready does not keep the others from it.
static void check_thoroughly(brood_poller *poller, int64_t now)
{
    poller->checked = now;
    broodi_heap_rest();
    for (size_t i = 0; i < poller->capacity; i++)
        poller->waiting[i].thorough =
            broodi_waiting_check(&poller->waiting[i], 1, BROODI_CARE_THOROUGH, NULL);
}

// Checks all elements, from the one whose turn it is, and reports as many as there is room for. The
// element behind the last one that is reported has the next turn.
static void report(brood_poller *poller, struct report *report)
{
    const size_t first = poller->turn;
    for (size_t i = 0; i < poller->capacity && report->count < report->capacity; i++) {
        const size_t at = (first + i) % poller->capacity;
        struct broodi_waiting *waiting = &poller->waiting[at];
        if (!check(waiting))
            continue;
        // The pulses of an event up to now are reported by this, and so is a signal.
        waiting->signalled = false;
        if (waiting->word)
            waiting->first = broodi_word_load(waiting->word);
        report->out[report->count++] =
            (brood_ready){ .waitable = waiting->waitable, .user = poller->users[at] };
        poller->turn = at + 1;
    }
}

static brood_status look(brood_poller *poller, struct report *to, int64_t *out_pause)
{
    broodi_waiting_mark(poller->waiting, poller->capacity, BROODI_WATCHED_BY_POLLERS);
    const int64_t now = brood_os_clock();
    if (now - poller->checked >= poller->watcher.period)
        check_thoroughly(poller, now);
    report(poller, to);
    brood_os_watch_keep_ready(poller->watcher.watch, to->count > 0);
    if (to->count > 0)
        return BROOD_OK;
    if (!to->since)
        to->since = now;
    *out_pause = broodi_until(to->deadline, poller->checked, poller->watcher.period) - now;
    return now >= to->deadline ? BROOD_TIMEOUT : BROOD_BUSY;
}

// Looks again, and passes on the line of the wait when it is due. The poller is in use meanwhile.
static brood_status look_again(brood_poller *poller, struct report *to, int64_t *out_pause)
{
    const brood_status status = look(poller, to, out_pause);
    if (status == BROOD_BUSY && broodi_waiting_is_long(to->since)) {
        broodi_waiting_log(poller->count, &to->since);
        *out_pause = 0;
    }
    return status;
}

static brood_status wait_here(brood_poller *poller, struct report *to)
{
    int64_t pause = 0;
    brood_status status;
    do
        status = broodi_watcher_await(&poller->watcher, poller->waiting, poller->capacity,
                                      poller->keys, pause);
    while (status == BROOD_OK && (status = look_again(poller, to, &pause)) == BROOD_BUSY);
    return status;
}

static brood_status wait_in_slot(brood_poller *poller, struct report *to)
{
    if (to->deadline == 0)
        return wait_here(poller, to);
    const uint64_t before = broodi_self_block(BROODI_WAITS_ANY, poller->count);
    const brood_status status = wait_here(poller, to);
    broodi_self_unblock(before);
    return status;
}

static brood_status wait_for(brood_poller *poller, brood_ready *out, size_t capacity,
                             size_t *out_count, brood_duration timeout)
{
    struct report to = { .out = out, .capacity = capacity, .deadline = broodi_deadline(timeout) };
    brood_status status = enter(poller);
    if (out_count)
        *out_count = 0;
    if (status != BROOD_OK)
        return status;
    if (!out || capacity == 0)
        status = broodi_fail(BROOD_INVALID, out ? "capacity is 0" : "out is NULL");
    else
        status = wait_in_slot(poller, &to);
    leave(poller);
    if (out_count)
        *out_count = to.count;
    return status;
}

brood_status brood_poller_wait(brood_poller *poller, brood_ready *out, size_t capacity,
                               size_t *out_count, brood_duration timeout)
{
    return broodi_answer("brood_poller_wait", wait_for(poller, out, capacity, out_count, timeout));
}

static brood_status native(brood_poller *poller, intptr_t *out)
{
    brood_status status = enter(poller);
    if (status != BROOD_OK)
        return status;
    status = out ? broodi_watcher_native(&poller->watcher, out)
                 : broodi_fail(BROOD_INVALID, "out is NULL");
    // What became ready before is found by the first check.
    if (status == BROOD_OK)
        brood_os_watch_keep_ready(poller->watcher.watch, true);
    leave(poller);
    return status;
}

brood_status brood_poller_native(brood_poller *poller, intptr_t *out)
{
    return broodi_answer("brood_poller_native", native(poller, out));
}
