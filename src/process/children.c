// SPDX-License-Identifier: MIT
// The lists of the children. A child is reaped once, under the guard, by the first thread that
// checks it after its end.
#include "process/children.h"

#include "arena/family.h"
#include "arena/log.h"
#include "arena/self.h"
#include "base/deadline.h"
#include "base/invariant.h"
#include "os/os_guard.h"
#include "process/burial.h"
#include "process/child.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>

// Guarded by the guard.
static struct {
    struct broodi_members lists[2]; // others, daemons
    int64_t daemons_asked;          // when the daemons were first asked to end; 0: not yet
} children;

static struct broodi_members *list_of(bool daemon)
{
    return &children.lists[daemon];
}

static brood_process *child_of(struct broodi_member *member)
{
    return (void *)member;
}

static bool remove_child(brood_process *process)
{
    return broodi_members_remove(list_of(process->daemon), &process->member);
}

// Reaping

// Reaps the child if it has ended. The caller holds the guard. True if this call reaped it: then
// the caller has a reference, and calls release_reaped() when it has released the guard.
static bool reap(brood_process *process)
{
    broodi_assert(brood_os_guard_is_held());
    if (process->ended || !broodi_child_see(process, &process->end))
        return false;
    process->ended = true;
    // The list's reference passes to the caller. If kill_daemon() has given the child up, the list
    // has none any more: then another one is made for the caller.
    if (!remove_child(process))
        broodi_member_retain(&process->member);
    return true;
}

static void log_end(const brood_process *process)
{
    char how[128];
    if (process->silent || !broodi_log_wants(BROOD_LOG_INFO))
        return;
    (void)brood_exit_text(process->end, how, sizeof how);
    broodi_log_line(BROOD_LOG_INFO, "process %" PRId64 " \"%s\" has ended: %s", process->child.pid,
                    process->member.name, how);
}

// Frees the slot of a reaped child, and drops the reference that reap() has passed on. The caller
// does not hold the guard.
static void release_reaped(brood_process *process)
{
    log_end(process);
    broodi_assert(process->ended && process->member.added == 0 && !brood_os_guard_is_held());
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
    const uint64_t number = (uint64_t)process->child.pid;
    const enum broodi_waits kind = broodi_waits_until(BROODI_WAITS_PROCESS, deadline);
    const uint64_t before = broodi_self_block(kind, number);
    brood_status status = BROOD_TIMEOUT;
    if (broodi_log_wants(BROOD_LOG_DEBUG)) {
        status = await_and_reap(process, broodi_until(deadline, brood_clock(), BROOD_SECONDS(1)));
        if (status == BROOD_TIMEOUT)
            broodi_self_log_wait(BROODI_WAITS_PROCESS, number, deadline);
    }
    if (status == BROOD_TIMEOUT)
        status = await_and_reap(process, deadline);
    broodi_self_unblock(before);
    return status;
}

// The lists

bool broodi_children_add(brood_process *process)
{
    brood_os_guard_lock();
    const bool added = broodi_members_add(list_of(process->daemon), &process->member);
    brood_os_guard_unlock();
    return added;
}

void broodi_children_close(void)
{
    broodi_members_close(list_of(false));
    broodi_members_close(list_of(true));
}

// Daemons and others share the numbers of one list.
unsigned broodi_children_number(void)
{
    return broodi_members_number(list_of(false));
}

// Checks up to `count` children of the list, in turn. Returns the children that it has reaped,
// linked by `next` in front of `reaped`.
static struct broodi_member *reap_in_turn(struct broodi_members *list, size_t count,
                                          struct broodi_member *reaped)
{
    for (size_t left = count < list->count ? count : list->count; left > 0; left--) {
        struct broodi_member *member = broodi_members_turn(list);
        if (!reap(child_of(member)))
            continue;
        member->next = reaped;
        reaped = member;
    }
    return reaped;
}

// How many children of each list are checked by a start, and in one hold of the guard, for which
// other threads wait meanwhile.
enum { PER_START = 4, PER_HOLD = 64 };

static void reap_some(size_t count)
{
    struct broodi_member *reaped = NULL;
    // No cancellation between reap() and release_reaped().
    const int before = brood_os_thread_protect();
    brood_os_guard_lock();
    for (int daemon = 0; daemon < 2; daemon++)
        reaped = reap_in_turn(list_of(daemon), count, reaped);
    brood_os_guard_unlock();
    while (reaped) {
        struct broodi_member *member = reaped;
        reaped = member->next;
        release_reaped(child_of(member));
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
    return broodi_members_oldest(list_of(daemon));
}

// Asks the daemons to end, once. Returns when that was: they have a second from then on, whatever
// the deadlines of the threads that wait for them.
static int64_t ask_daemons(void)
{
    brood_os_guard_lock();
    const bool first = children.daemons_asked == 0;
    if (first)
        children.daemons_asked = brood_clock();
    for (struct broodi_member *member = list_of(true)->first; member && first;
         member = member->next)
        (void)broodi_child_end_if_alive(child_of(member), false);
    const int64_t asked = children.daemons_asked;
    brood_os_guard_unlock();
    return asked;
}

static void log_kill(const brood_process *process, bool killed)
{
    static const char *const ends[] = {
        "cannot be ended, and goes on",
        "had to be killed: it still ran a second after it was asked to end",
    };
    broodi_log_line(BROOD_LOG_WARNING, "daemon %" PRId64 " \"%s\" %s", process->child.pid,
                    process->member.name, ends[killed]);
}

// Kills a daemon and waits for its end. A daemon that this process may not signal, because it has
// become another user's, is given up: it is not waited for, and the list's reference is dropped.
// The daemon lives, so its slot stays; a sweep frees it once both processes have ended.
static brood_status kill_daemon(brood_process *process, int64_t deadline)
{
    brood_os_guard_lock();
    const bool killed = broodi_child_end_if_alive(process, true) == BROOD_OK;
    const bool gives_up = !killed && remove_child(process);
    brood_os_guard_unlock();
    log_kill(process, killed);
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

// Releases the descriptors that a fork has copied.
static void release_copies(const struct broodi_members *list)
{
    for (struct broodi_member *member = list->first; member; member = member->next) {
        brood_process *process = child_of(member);
        brood_os_process_release(&process->child);
        if (process->server)
            brood_os_process_release(&process->server->child);
    }
}

void broodi_children_forget(void)
{
    for (int daemon = 0; daemon < 2; daemon++) {
        release_copies(list_of(daemon));
        broodi_members_forget(list_of(daemon));
    }
    children.daemons_asked = 0;
}

// Whether `one` was added before `other`. Each may be NULL: then the other one is older.
static bool is_older(const struct broodi_member *one, const struct broodi_member *other)
{
    return one && (!other || one->added < other->added);
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
    struct broodi_member *next[2] = { list_of(false)->first, list_of(true)->first };
    for (size_t i = 0; out && i < capacity && (next[0] || next[1]); i++) {
        struct broodi_member **older = &next[is_older(next[1], next[0])];
        broodi_member_retain(*older);
        out[i] = child_of(*older);
        *older = (*older)->next;
    }
    brood_os_guard_unlock();
    return count;
}
