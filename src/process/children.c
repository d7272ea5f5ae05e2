// SPDX-License-Identifier: MIT
// The lists of the children. A child is reaped once, under the guard, by the first thread that
// checks it after its end.
#include "process/children.h"

#include "arena/family.h"
#include "arena/self.h"
#include "base/deadline.h"
#include "os/os_guard.h"
#include "process/burial.h"
#include "process/child.h"

#include <errno.h>
#include <stddef.h>

// The daemons, or the other children, in the order of their starts.
struct list {
    brood_process *first;
    brood_process *last;
    brood_process *next_check; // the child that is checked next; NULL: the first
    size_t count;
};

// Guarded by the guard.
static struct {
    struct list lists[2]; // others, daemons
    uint64_t added;
    unsigned started;
    bool closed;
    int64_t daemons_asked; // when the daemons were first asked to end; 0: not yet
} children;

static struct list *list_of(bool daemon)
{
    return &children.lists[daemon];
}

static void link_child(brood_process *process)
{
    struct list *list = list_of(process->daemon);
    process->added = ++children.added;
    process->previous = list->last;
    process->next = NULL;
    *(list->last ? &list->last->next : &list->first) = process;
    list->last = process;
    list->count++;
}

// Returns false for a child that is not on a list.
static bool unlink_child(brood_process *process)
{
    struct list *list = list_of(process->daemon);
    if (process->added == 0)
        return false;
    *(process->previous ? &process->previous->next : &list->first) = process->next;
    *(process->next ? &process->next->previous : &list->last) = process->previous;
    if (list->next_check == process)
        list->next_check = process->next;
    process->added = 0;
    list->count--;
    return true;
}

// Reaping

// Reaps the child if it has ended. The caller holds the guard. True if this call reaped it: then
// the caller owes a release_reaped().
static bool reap(brood_process *process)
{
    if (process->ended || !broodi_child_see(process, &process->end))
        return false;
    process->ended = true;
    if (!unlink_child(process))       // kill_daemon() has given it up:
        broodi_child_retain(process); // release_reaped() drops this one instead of the list's
    return true;
}

// Frees the slot of a reaped child and drops the list's reference. The caller does not hold the
// guard.
static void release_reaped(brood_process *process)
{
    broodi_process_slot_end(process->slot);
    brood_process_drop(process);
}

bool broodi_child_reap(brood_process *process)
{
    // No cancellation between reap() and release_reaped().
    const int before = brood_os_thread_protect();
    brood_os_guard_lock();
    const bool now = reap(process);
    const bool ended = process->ended;
    brood_os_guard_unlock();
    if (now)
        release_reaped(process);
    brood_os_thread_unprotect(before);
    return ended;
}

// A cancellation point; the thread holds nothing there.
static brood_status await_and_reap(brood_process *process, int64_t deadline)
{
    for (int checks = 0;; checks++) {
        const brood_status status = broodi_child_await_end(process, deadline);
        if (broodi_child_reap(process))
            return BROOD_OK;
        if (status != BROOD_OK)
            return status;
        if (brood_clock() >= deadline)
            return BROOD_TIMEOUT;
        // The system shows the end before the child can be reaped: for long only if a debugger
        // traces the child.
        if (checks > 10)
            brood_sleep(BROOD_MILLISECONDS(1));
    }
}

brood_status broodi_child_join(brood_process *process, int64_t deadline)
{
    if (broodi_child_reap(process))
        return BROOD_OK;
    if (deadline <= 0)
        return BROOD_TIMEOUT;
    const uint64_t before = broodi_self_block(BROODI_WAITS_PROCESS, (uint64_t)process->child.pid);
    const brood_status status = await_and_reap(process, deadline);
    broodi_self_unblock(before);
    return status;
}

// The lists

bool broodi_children_add(brood_process *process)
{
    brood_os_guard_lock();
    const bool open = !children.closed;
    if (open) {
        broodi_child_retain(process);
        link_child(process);
    }
    brood_os_guard_unlock();
    return open;
}

void broodi_children_close(void)
{
    brood_os_guard_lock();
    children.closed = true;
    brood_os_guard_unlock();
}

unsigned broodi_children_number(void)
{
    brood_os_guard_lock();
    const unsigned number = ++children.started;
    brood_os_guard_unlock();
    return number;
}

// Checks up to `count` children of the list, in turn. Returns the children that it has reaped,
// linked by `next` in front of `reaped`.
static brood_process *reap_in_turn(struct list *list, size_t count, brood_process *reaped)
{
    for (size_t left = count < list->count ? count : list->count; left > 0; left--) {
        brood_process *process = list->next_check ? list->next_check : list->first;
        list->next_check = process->next;
        if (!reap(process))
            continue;
        process->next = reaped;
        reaped = process;
    }
    return reaped;
}

// How many children of each list are checked by a start, and in one hold of the guard, for which
// other threads wait meanwhile.
enum { PER_START = 4, PER_HOLD = 64 };

static void reap_some(size_t count)
{
    brood_process *reaped = NULL;
    // No cancellation between reap() and release_reaped().
    const int before = brood_os_thread_protect();
    brood_os_guard_lock();
    for (int daemon = 0; daemon < 2; daemon++)
        reaped = reap_in_turn(list_of(daemon), count, reaped);
    brood_os_guard_unlock();
    while (reaped) {
        brood_process *process = reaped;
        reaped = process->next;
        release_reaped(process);
    }
    brood_os_thread_unprotect(before);
}

void broodi_children_reap_some(void)
{
    reap_some(PER_START);
}

static void reap_all(void)
{
    brood_os_guard_lock();
    const size_t others = list_of(false)->count;
    const size_t daemons = list_of(true)->count;
    brood_os_guard_unlock();
    const size_t most = others > daemons ? others : daemons;
    for (size_t checked = 0; checked < most; checked += PER_HOLD)
        reap_some(PER_HOLD);
}

brood_process *broodi_children_any(bool daemon)
{
    brood_os_guard_lock();
    brood_process *process = list_of(daemon)->first;
    if (process)
        broodi_child_retain(process);
    brood_os_guard_unlock();
    return process;
}

// Asks the daemons to end, once. Returns when that was: they have a second from then on, whatever
// the deadlines of the threads that wait for them.
static int64_t ask_daemons(void)
{
    brood_os_guard_lock();
    const bool first = children.daemons_asked == 0;
    if (first)
        children.daemons_asked = brood_clock();
    for (brood_process *process = list_of(true)->first; process && first; process = process->next)
        (void)broodi_child_end_if_alive(process, false);
    const int64_t asked = children.daemons_asked;
    brood_os_guard_unlock();
    return asked;
}

// Kills a daemon and waits for its end. A daemon that this process may not signal, because it has
// become another user's, is given up: it is not waited for, and the list's reference is dropped.
// The daemon lives, so its slot stays; a sweep frees it once both processes have ended.
static brood_status kill_daemon(brood_process *process, int64_t deadline)
{
    brood_os_guard_lock();
    const bool killed = broodi_child_end_if_alive(process, true) == BROOD_OK;
    const bool gives_up = !killed && unlink_child(process);
    brood_os_guard_unlock();
    if (gives_up)
        brood_process_drop(process);
    return killed ? broodi_child_join(process, deadline) : BROOD_OK;
}

brood_status broodi_children_stop_daemons(int64_t deadline)
{
    brood_process *process = broodi_children_any(true);
    // No daemons: do not read the clock, which costs most children a page fault.
    if (!process)
        return BROOD_OK;
    brood_status status = BROOD_OK;
    const int64_t patience = ask_daemons() + BROOD_SECONDS(1);
    while (process) {
        status = broodi_child_join(process, patience < deadline ? patience : deadline);
        if (status == BROOD_TIMEOUT && brood_clock() >= patience)
            status = kill_daemon(process, deadline);
        brood_process_drop(process);
        process = status == BROOD_OK ? broodi_children_any(true) : NULL;
    }
    return status;
}

static void forget_child(brood_process *process)
{
    (void)unlink_child(process);
    brood_os_process_release(&process->child);
    if (process->server)
        brood_os_process_release(&process->server->child);
    broodi_child_inherit(process);
}

void broodi_children_forget(void)
{
    for (int daemon = 0; daemon < 2; daemon++)
        while (list_of(daemon)->first)
            forget_child(list_of(daemon)->first);
    children.started = 0;
    children.closed = false;
    children.daemons_asked = 0;
}

// Returns the child that was started first; NULL if both are NULL.
static brood_process *older(brood_process *one, brood_process *other)
{
    if (!one || !other)
        return one ? one : other;
    return one->added < other->added ? one : other;
}

size_t brood_active_children(brood_process **out, size_t capacity)
{
    if (broodi_ready() != BROOD_OK)
        return 0;
    const int error = errno;
    reap_all();
    errno = error;
    brood_os_guard_lock();
    const size_t count = list_of(false)->count + list_of(true)->count;
    brood_process *next[2] = { list_of(false)->first, list_of(true)->first };
    for (size_t i = 0; out && i < count && i < capacity; i++) {
        out[i] = older(next[0], next[1]);
        next[out[i]->daemon] = out[i]->next;
        broodi_child_retain(out[i]);
    }
    brood_os_guard_unlock();
    return count;
}
