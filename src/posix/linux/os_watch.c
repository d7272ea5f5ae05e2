// SPDX-License-Identifier: MIT
// A watch is an epoll set of the descriptors, level-triggered, and of the family's bell,
// edge-triggered: each ring wakes each set once. A loop of the program's own polls the epoll
// descriptor. For such a loop the set also has an eventfd, `again`, which is readable while the
// caller reports that a condition holds, and a periodic timer.
//
// The descriptors of a watch are noted as the library's own: a copy of the process closes them, and
// with them its part in the epoll set.
#include "os/os_watch.h"

#include "posix/descriptor.h"
#include "posix/linux/bell.h"
#include "posix/posix.h"
#include "posix/watch_keys.h"

#include "base/fail.h"
#include "os/os_error.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

// What an event is about: a descriptor number, or one of these.
#define BELL UINT64_MAX
#define AGAIN (UINT64_MAX - 1)
#define TIMER (UINT64_MAX - 2)

enum { OWN = 3, MILLISECOND = 1000000, SECOND = 1000000000 };

struct brood_os_watch {
    unsigned copies; // broodi_descriptors_copies() when the watch was made
    int set;
    int again; // -1 until brood_os_watch_native
    int timer; // likewise
    bool has_bell;
    bool keeps_ready; // by the caller's last report
    bool is_again;    // `again` is readable
    int64_t period;
    struct watch_keys keys;
    struct epoll_event *events; // room for all descriptors and the own ones
    size_t room;
    size_t turn; // where the next report of several keys begins
};

static brood_status check_owner(const brood_os_watch *watch)
{
    if (watch->copies == broodi_descriptors_copies())
        return BROOD_OK;
    return broodi_fail(BROOD_WRONG_STATE, "another process made the watch, this one is its copy");
}

// Opening

static int note(int descriptor)
{
    return broodi_descriptor_note(broodi_descriptor_up(descriptor));
}

static int open_set(void)
{
    broodi_descriptors_lock();
    const int made = note(broodi_posix_fault(EMFILE) ? -1 : epoll_create1(EPOLL_CLOEXEC));
    broodi_descriptors_unlock();
    return made;
}

static int open_again(void)
{
    broodi_descriptors_lock();
    const int made = note(broodi_posix_fault(EMFILE) ? -1 : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    broodi_descriptors_unlock();
    return made;
}

static int open_timer(void)
{
    broodi_descriptors_lock();
    const int made = note(broodi_posix_fault(EMFILE)
                              ? -1
                              : timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
    broodi_descriptors_unlock();
    return made;
}

// False with errno.
static bool enter(const brood_os_watch *watch, int descriptor, uint32_t events, uint64_t about)
{
    struct epoll_event event = { .events = events, .data.u64 = about };
    return !broodi_posix_fault(ENOMEM) &&
           epoll_ctl(watch->set, EPOLL_CTL_ADD, descriptor, &event) == 0;
}

// ENOSPC: the user has as many registrations as fs.epoll.max_user_watches allows.
static brood_status fail_to_enter(int descriptor)
{
    const int error = errno;
    if (error == EBADF)
        return broodi_fail(BROOD_INVALID, "descriptor %d is not open", descriptor);
    if (error == EINVAL || error == ELOOP)
        return broodi_fail(BROOD_INVALID, "descriptor %d is the watch itself, or watches it",
                           descriptor);
    if (error == ENOSPC)
        return broodi_fail(BROOD_NO_RESOURCES, "the limit of descriptors that a user watches (%d)",
                           error);
    return brood_os_error("epoll_ctl", error);
}

// A bell that has been rung before is readable: the first wait hears that, which is early once.
static brood_status enter_bell(brood_os_watch *watch)
{
    const int bell = broodi_bell();
    if (bell < 0)
        return BROOD_OK;
    watch->has_bell = enter(watch, bell, EPOLLIN | EPOLLET, BELL);
    return watch->has_bell ? BROOD_OK : fail_to_enter(bell);
}

// Has room for `count` descriptors and the own ones.
static bool make_room(brood_os_watch *watch, size_t count)
{
    if (count + OWN <= watch->room)
        return true;
    const size_t room = (count + OWN) * 2;
    struct epoll_event *grown =
        broodi_fault() ? NULL : realloc(watch->events, room * sizeof *grown);
    if (!grown)
        return false;
    watch->events = grown;
    watch->room = room;
    return true;
}

static brood_status open_watch(brood_os_watch *watch)
{
    watch->set = open_set();
    if (watch->set < 0)
        return brood_os_error("epoll_create1", errno);
    if (!make_room(watch, 0))
        return brood_os_error("malloc", ENOMEM);
    return enter_bell(watch);
}

brood_status brood_os_watch_create(const brood_os_watch_id *id, brood_os_watch **out)
{
    (void)id; // one write rings all watches
    brood_os_watch *watch = broodi_alloc(sizeof *watch);
    if (!watch)
        return brood_os_error("malloc", ENOMEM);
    *watch = (brood_os_watch){ .copies = broodi_descriptors_copies(),
                               .again = -1,
                               .timer = -1,
                               .period = BROOD_OS_WATCH_PERIOD };
    const brood_status status = open_watch(watch);
    if (status == BROOD_OK)
        *out = watch;
    else
        brood_os_watch_destroy(watch);
    return status;
}

static void close_own(int descriptor)
{
    if (descriptor >= 0)
        broodi_descriptor_close(descriptor);
}

void brood_os_watch_destroy(brood_os_watch *watch)
{
    if (!watch)
        return;
    if (watch->copies == broodi_descriptors_copies()) {
        close_own(watch->timer);
        close_own(watch->again);
        close_own(watch->set);
    }
    broodi_watch_keys_free(&watch->keys);
    free(watch->events);
    free(watch);
}

// The object for the program's own loops

static int64_t period_of(const brood_os_watch *watch)
{
    const bool rings = watch->has_bell || watch->period < BROOD_OS_WATCH_SLICE;
    return rings ? watch->period : BROOD_OS_WATCH_SLICE;
}

static void set_timer(const brood_os_watch *watch)
{
    const int64_t period = period_of(watch);
    const struct timespec time = { .tv_sec = (time_t)(period / SECOND),
                                   .tv_nsec = (long)(period % SECOND) };
    const struct itimerspec periodic = { .it_interval = time, .it_value = time };
    (void)timerfd_settime(watch->timer, 0, &periodic, NULL); // fails for absurd times only
}

static void update_again(brood_os_watch *watch)
{
    const bool is = watch->keeps_ready || watch->keys.always > 0;
    uint64_t one = 1;
    if (watch->again < 0 || is == watch->is_again)
        return;
    if (is)
        (void)syscall(SYS_write, watch->again, &one, sizeof one);
    else
        (void)syscall(SYS_read, watch->again, &one, sizeof one);
    watch->is_again = is;
}

// Enters a descriptor of the library's own, or closes it. Returns the descriptor; -1, with errno.
static int enter_own(const brood_os_watch *watch, int descriptor, uint32_t events, uint64_t about)
{
    if (descriptor < 0 || enter(watch, descriptor, events, about))
        return descriptor;
    broodi_descriptor_close(descriptor);
    return -1;
}

brood_status brood_os_watch_native(brood_os_watch *watch, intptr_t *out)
{
    const brood_status status = check_owner(watch);
    if (status != BROOD_OK)
        return status;
    if (watch->again < 0)
        watch->again = enter_own(watch, open_again(), EPOLLIN, AGAIN);
    if (watch->again < 0)
        return errno == ENOSPC ? fail_to_enter(-1) : brood_os_error("eventfd", errno);
    if (watch->timer < 0) {
        watch->timer = enter_own(watch, open_timer(), EPOLLIN, TIMER);
        if (watch->timer < 0)
            return errno == ENOSPC ? fail_to_enter(-1) : brood_os_error("timerfd_create", errno);
        set_timer(watch);
    }
    update_again(watch);
    *out = watch->set;
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
    if (watch->timer >= 0)
        set_timer(watch);
}

// Objects

// Enters the descriptor, whose first key has just been added.
static brood_status enter_first(brood_os_watch *watch, int descriptor)
{
    if (!make_room(watch, watch->keys.registered))
        return brood_os_error("malloc", ENOMEM);
    if (enter(watch, descriptor, EPOLLIN, (uint64_t)descriptor) || errno == EEXIST)
        return BROOD_OK;
    if (errno != EPERM)
        return fail_to_enter(descriptor);
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
        struct epoll_event unused = { .events = 0 };
        // Fails if the object is not in the set: it is always ready, or has been closed.
        (void)epoll_ctl(watch->set, EPOLL_CTL_DEL, (int)native, &unused);
        update_again(watch);
    }
    return true;
}

// Waiting

static int milliseconds(int64_t duration)
{
    if (duration <= 0)
        return 0;
    const int64_t rounded_up = (duration - 1) / MILLISECOND + 1;
    return rounded_up < INT_MAX ? (int)rounded_up : INT_MAX;
}

// Returns how many events to fetch: all, also the own ones, if there is room for all descriptors.
// If there is not, and each has one key, the kernel gives all descriptors their turn; otherwise
// report() does, which needs all of them.
static size_t events_to_fetch(const brood_os_watch *watch, size_t capacity)
{
    const size_t descriptors = watch->keys.registered;
    const bool plain = watch->keys.shared == 0 && watch->keys.always == 0;
    return plain && capacity < descriptors ? capacity : descriptors + OWN;
}

// Makes the timer not readable until its next tick.
static void read_timer(const brood_os_watch *watch)
{
    uint64_t count;
    (void)syscall(SYS_read, watch->timer, &count, sizeof count);
}

// Keeps only the events of descriptors, and appends those that are always ready.
static size_t collect(const brood_os_watch *watch, size_t fetched)
{
    struct epoll_event *events = watch->events;
    size_t count = 0;
    for (size_t i = 0; i < fetched; i++) {
        if (events[i].data.u64 == TIMER)
            read_timer(watch);
        else if (events[i].data.u64 <= INT_MAX)
            events[count++] = events[i];
    }
    int next = broodi_watch_keys_next_always(&watch->keys, 0);
    for (; next >= 0; next = broodi_watch_keys_next_always(&watch->keys, next + 1))
        events[count++].data.u64 = (uint64_t)next;
    return count;
}

static size_t report(brood_os_watch *watch, size_t count, uint64_t *keys, size_t capacity)
{
    size_t used = 0;
    const size_t turn = watch->turn;
    for (size_t i = 0; i < count && used < capacity; i++, watch->turn++)
        used +=
            broodi_watch_keys_report(&watch->keys, (int)watch->events[(turn + i) % count].data.u64,
                                     keys + used, capacity - used);
    return used;
}

// The raw call, which is not a cancellation point.
static int fetch(const brood_os_watch *watch, size_t most, int64_t timeout)
{
    enum { SIGNAL_SET = 8 };
    const int64_t period = period_of(watch);
    const int64_t longest = watch->keys.always > 0 ? 0 : period;
    return (int)syscall(SYS_epoll_pwait, watch->set, watch->events,
                        (int)(most < INT_MAX ? most : INT_MAX),
                        milliseconds(timeout < longest ? timeout : longest), NULL, SIGNAL_SET);
}

// Fetches events until one is of a descriptor, or there are no more: the own ones may have taken
// all places. The kernel moves an event that it reports behind the others. Returns how many there
// are; -1, with errno.
static int fetch_descriptors(const brood_os_watch *watch, size_t capacity, int64_t timeout)
{
    const size_t most = events_to_fetch(watch, capacity);
    int fetched = fetch(watch, most, timeout);
    for (int left = OWN; fetched >= 0; left--) {
        const int count = (int)collect(watch, (size_t)fetched);
        if (count > 0 || left == 0 || (size_t)fetched < most)
            return count;
        fetched = fetch(watch, most, 0);
    }
    return fetched;
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
    const int count = fetch_descriptors(watch, capacity, timeout);
    if (count >= 0)
        *out_count = report(watch, (size_t)count, keys, capacity);
    else if (errno != EINTR)
        return brood_os_error("epoll_pwait", errno);
    return BROOD_OK;
}

// The raw call, which is not a cancellation point.
enum brood_os_ring brood_os_watch_ring(const brood_os_watch_id *id)
{
    (void)id;
    const int before = errno;
    const uint64_t one = 1;
    const int bell = broodi_bell();
    const bool rung = bell >= 0 && syscall(SYS_write, bell, &one, sizeof one) > 0;
    errno = before;
    return rung ? BROOD_OS_RING_ALL : BROOD_OS_RING_LOST;
}
