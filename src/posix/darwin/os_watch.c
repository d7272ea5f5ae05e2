// SPDX-License-Identifier: MIT
// A watch is a kqueue of the descriptors. No object of this system rings the queues of all
// processes, so every wait is a slice of 20 ms. A loop of the program's own polls the kqueue; for
// such a loop it has a periodic timer, and a user event that is triggered while the caller reports
// that a condition holds.
//
// A kqueue is not inherited by a copy of the process.
#include "os/os_watch.h"

#include "posix/descriptor.h"
#include "posix/posix.h"
#include "posix/watch_keys.h"

#include "base/fail.h"
#include "os/os_error.h"
#include "os/os_thread.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/event.h>
#include <time.h>
#include <unistd.h>

enum { OWN = 2, SECOND = 1000000000 };

struct brood_os_watch {
    unsigned copies; // broodi_descriptors_copies() when the watch was made
    int queue;
    bool is_native;   // brood_os_watch_native has been called
    bool keeps_ready; // by the caller's last report
    bool is_again;    // the user event is triggered
    int64_t period;
    struct watch_keys keys;
    struct kevent *events; // room for all descriptors and the own ones
    size_t room;
    size_t turn; // where the next report of several keys begins
};

static brood_status check_owner(const brood_os_watch *watch)
{
    if (watch->copies == broodi_descriptors_copies())
        return BROOD_OK;
    return broodi_fail(BROOD_WRONG_STATE, "another process made the watch, this one is its copy");
}

static int open_queue(void)
{
    broodi_descriptors_lock();
    const int made =
        broodi_descriptor_note(broodi_descriptor_up(broodi_posix_fault(EMFILE) ? -1 : kqueue()));
    broodi_descriptors_unlock();
    return made;
}

// Returns 0 or an errno.
static int change(const brood_os_watch *watch, uintptr_t ident, int16_t filter, uint16_t flags,
                  uint32_t what, intptr_t data)
{
    struct kevent event;
    EV_SET(&event, ident, filter, flags, what, data, NULL);
    if (broodi_posix_fault(ENOMEM))
        return ENOMEM;
    return kevent(watch->queue, &event, 1, NULL, 0, NULL) == 0 ? 0 : errno;
}

static bool make_room(brood_os_watch *watch, size_t count)
{
    if (count + OWN <= watch->room)
        return true;
    const size_t room = (count + OWN) * 2;
    struct kevent *grown = broodi_fault() ? NULL : realloc(watch->events, room * sizeof *grown);
    if (!grown)
        return false;
    watch->events = grown;
    watch->room = room;
    return true;
}

brood_status brood_os_watch_create(const brood_os_watch_id *id, brood_os_watch **out)
{
    (void)id;
    brood_os_watch *watch = broodi_alloc(sizeof *watch);
    if (!watch)
        return brood_os_error("malloc", ENOMEM);
    *watch = (brood_os_watch){ .copies = broodi_descriptors_copies(),
                               .queue = open_queue(),
                               .period = BROOD_OS_WATCH_PERIOD };
    const int error = watch->queue < 0 ? errno : make_room(watch, 0) ? 0 : ENOMEM;
    if (error) {
        brood_os_watch_destroy(watch);
        return brood_os_error("kqueue", error);
    }
    *out = watch;
    return BROOD_OK;
}

void brood_os_watch_destroy(brood_os_watch *watch)
{
    if (!watch)
        return;
    if (watch->queue >= 0 && watch->copies == broodi_descriptors_copies())
        broodi_descriptor_close(watch->queue);
    broodi_watch_keys_free(&watch->keys);
    free(watch->events);
    free(watch);
}

// The object for the program's own loops

static int64_t period_of(const brood_os_watch *watch)
{
    return watch->period < BROOD_OS_WATCH_SLICE ? watch->period : BROOD_OS_WATCH_SLICE;
}

static int set_timer(const brood_os_watch *watch)
{
    return change(watch, 0, EVFILT_TIMER, EV_ADD | EV_CLEAR, NOTE_NSECONDS,
                  (intptr_t)period_of(watch));
}

static void update_again(brood_os_watch *watch)
{
    const bool is = watch->keeps_ready || watch->keys.always > 0;
    if (!watch->is_native || is == watch->is_again)
        return;
    if (is) {
        (void)change(watch, 0, EVFILT_USER, EV_ADD, 0, 0);
        (void)change(watch, 0, EVFILT_USER, 0, NOTE_TRIGGER, 0);
    } else {
        (void)change(watch, 0, EVFILT_USER, EV_DELETE, 0, 0);
    }
    watch->is_again = is;
}

brood_status brood_os_watch_native(brood_os_watch *watch, intptr_t *out)
{
    const brood_status status = check_owner(watch);
    if (status != BROOD_OK)
        return status;
    const int error = watch->is_native ? 0 : set_timer(watch);
    if (error)
        return brood_os_error("kevent", error);
    watch->is_native = true;
    update_again(watch);
    *out = watch->queue;
    return BROOD_OK;
}

void brood_os_watch_keep_ready(brood_os_watch *watch, bool ready)
{
    if (check_owner(watch) != BROOD_OK)
        return;
    watch->keeps_ready = ready;
    update_again(watch);
}

void brood_os_watch_set_period(brood_os_watch *watch, int64_t period)
{
    if (check_owner(watch) != BROOD_OK || period == watch->period)
        return;
    watch->period = period;
    if (watch->is_native)
        (void)set_timer(watch);
}

// Objects

// Enters the descriptor, whose first key has just been added.
static brood_status enter_first(brood_os_watch *watch, int descriptor)
{
    if (!make_room(watch, watch->keys.registered))
        return brood_os_error("malloc", ENOMEM);
    const int error = change(watch, (uintptr_t)descriptor, EVFILT_READ, EV_ADD, 0, 0);
    if (error == EBADF)
        return broodi_fail(BROOD_INVALID, "descriptor %d is not open", descriptor);
    if (error != EINVAL)
        return error ? brood_os_error("kevent", error) : BROOD_OK;
    broodi_watch_keys_set_always(&watch->keys, descriptor);
    update_again(watch);
    return BROOD_OK;
}

brood_status brood_os_watch_add(brood_os_watch *watch, intptr_t native, uint64_t key)
{
    bool first;
    brood_status status = check_owner(watch);
    if (status != BROOD_OK)
        return status;
    if (native == watch->queue)
        return broodi_fail(BROOD_INVALID, "descriptor %d is the watch itself", watch->queue);
    if (native < 0 || native > INT_MAX || fcntl((int)native, F_GETFD) < 0)
        return broodi_fail(BROOD_INVALID, "descriptor %lld is not open", (long long)native);
    if (!broodi_watch_keys_add(&watch->keys, (int)native, key, &first))
        return brood_os_error("malloc", ENOMEM);
    if (first)
        status = enter_first(watch, (int)native);
    if (status != BROOD_OK)
        (void)broodi_watch_keys_remove(&watch->keys, (int)native, key, &first);
    return status;
}

bool brood_os_watch_remove(brood_os_watch *watch, intptr_t native, uint64_t key)
{
    bool last;
    if (check_owner(watch) != BROOD_OK || native > INT_MAX ||
        !broodi_watch_keys_remove(&watch->keys, (int)native, key, &last))
        return false;
    if (last) {
        // Fails if the object is not in the queue: it is always ready, or has been closed.
        (void)change(watch, (uintptr_t)native, EVFILT_READ, EV_DELETE, 0, 0);
        update_again(watch);
    }
    return true;
}

// Waiting

// Keeps only the events of descriptors, and appends those that are always ready.
static size_t collect(const brood_os_watch *watch, size_t fetched)
{
    struct kevent *events = watch->events;
    size_t count = 0;
    for (size_t i = 0; i < fetched; i++)
        if (events[i].filter == EVFILT_READ)
            events[count++] = events[i];
    int next = broodi_watch_keys_next_always(&watch->keys, 0);
    for (; next >= 0; next = broodi_watch_keys_next_always(&watch->keys, next + 1))
        events[count++].ident = (uintptr_t)next;
    return count;
}

static size_t report(brood_os_watch *watch, size_t count, uint64_t *keys, size_t capacity)
{
    size_t used = 0;
    const size_t turn = watch->turn;
    for (size_t i = 0; i < count && used < capacity; i++, watch->turn++)
        used += broodi_watch_keys_report(&watch->keys, (int)watch->events[(turn + i) % count].ident,
                                         keys + used, capacity - used);
    return used;
}

static int fetch(const brood_os_watch *watch, int64_t timeout)
{
    const int64_t period = period_of(watch);
    const int64_t longest = watch->keys.always > 0 ? 0 : timeout < period ? timeout : period;
    const int64_t left = longest > 0 ? longest : 0;
    const struct timespec time = { .tv_sec = (time_t)(left / SECOND),
                                   .tv_nsec = (long)(left % SECOND) };
    const size_t most = watch->keys.registered + OWN;
    const int before = brood_os_thread_protect(); // it is no cancellation point
    const int count = kevent(watch->queue, NULL, 0, watch->events, (int)most, &time);
    const int error = errno;
    brood_os_thread_unprotect(before);
    errno = error;
    return count;
}

bool brood_os_watch_resets(void)
{
    return false;
}

brood_status brood_os_watch_await(brood_os_watch *watch, uint64_t *keys, size_t capacity,
                                  int64_t timeout, size_t *out_count)
{
    *out_count = 0;
    const brood_status status = check_owner(watch);
    if (status != BROOD_OK)
        return status;
    const int fetched = fetch(watch, timeout);
    if (fetched >= 0)
        *out_count = report(watch, collect(watch, (size_t)fetched), keys, capacity);
    else if (errno != EINTR)
        return brood_os_error("kevent", errno);
    return BROOD_OK;
}

enum brood_os_ring brood_os_watch_ring(const brood_os_watch_id *id)
{
    (void)id;
    return BROOD_OS_RING_ALL; // no watch needs it
}
