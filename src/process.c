// SPDX-License-Identifier: MIT
// Children after their start: waiting for them, reaping them, and how they ended.
//
// A child is reaped once, under the guard, by the first thread that checks it after its end. How it
// ended is derived from three sources, in this order: the exit record that the child left in the
// arena; whether brood ended it; what the operating system reports.
#include "children.h"

#include "deadline.h"
#include "fail.h"
#include "family.h"
#include "fault.h"
#include "os/os_guard.h"
#include "self.h"
#include "server.h"
#include "stop.h"
#include "wait.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// How long brood_process_stop waits after a kill. The system ends a killed process at once, unless
// a device driver blocks it.
#define AFTER_A_KILL BROOD_SECONDS(10)

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
    brood_process *inherited; // objects of the parent in a forked child: reachable, never used
    unsigned started;
    bool closed;
    int64_t daemons_asked; // when the daemons were first asked to end; 0: not yet
} children;

// References

brood_process *broodi_child_new(const char *name, bool daemon)
{
    const size_t length = strlen(name) + 1;
    brood_process *process = broodi_alloc(sizeof *process + length);
    if (!process)
        return NULL;
    memset(process, 0, sizeof *process);
    memcpy(process->name, name, length);
    atomic_init(&process->references, 1);
    process->serial = broodi_here.serial;
    process->slot = BROODI_NONE;
    process->daemon = daemon;
    process->child = (brood_os_child){ .handle = -1, .channel = -1, .memory = -1 };
    return process;
}

void broodi_child_retain(brood_process *process)
{
    atomic_fetch_add_explicit(&process->references, 1, memory_order_relaxed);
}

static void free_process(brood_process *process)
{
    if (process->serial == broodi_here.serial) {
        brood_os_process_forget(&process->child);
        if (process->detached && process->slot != BROODI_NONE)
            broodi_process_slot_end(process->slot);
    }
    brood_process_drop(process->server);
    free(process);
}

void brood_process_drop(brood_process *process)
{
    if (!process || atomic_fetch_sub_explicit(&process->references, 1, memory_order_acq_rel) > 1)
        return;
    const int before = brood_os_thread_protect();
    free_process(process);
    brood_os_thread_unprotect(before);
}

// Ends

// Whether brood ended the child: by a signal, or on systems without signals by an exit code that
// stands for one.
static bool was_ended_by_brood(const brood_process *process, brood_exit seen)
{
    return (seen.kind == BROOD_SIGNALLED || seen.kind == BROOD_TERMINATED) && seen.native < 32 &&
           (process->signals_sent >> seen.native & 1);
}

static uint32_t record_of(const struct broodi_process_slot *slot)
{
    // Acquire: pairs with the release in record() of ending.c.
    return atomic_load_explicit(&slot->record, memory_order_acquire);
}

// Whether the system's report is consistent with `code`, which the target returned. POSIX reports 8
// bits of it. Where all ends are exit codes, one that is reported as an interrupt may be the
// target's own code.
static bool agrees(int32_t code, brood_exit seen)
{
    if (seen.kind == BROOD_LOST)
        return true;
    if (brood_os_process_can_fork())
        return seen.kind == BROOD_EXITED && ((seen.code ^ code) & 0xff) == 0;
    return seen.kind == BROOD_SIGNALLED || (uint32_t)seen.native == (uint32_t)code;
}

// Where all ends are exit codes, `seen` may be the reading of `code` as a crash or a signal: the
// native value is then `code` itself.
static brood_exit exited(int32_t code, brood_exit seen)
{
    const bool all_are_codes = !brood_os_process_can_fork();
    return (brood_exit){ .kind = BROOD_EXITED,
                         .code = code,
                         .native = all_are_codes ? (int64_t)(uint32_t)code : seen.native };
}

static brood_exit conclude(const brood_process *process, brood_exit seen)
{
    const struct broodi_process_slot *slot = broodi_slot(BROODI_PROCESS, process->slot);
    const bool all_are_codes = !brood_os_process_can_fork();
    // An exit code that stands for a termination, but comes from the program itself.
    if (seen.kind == BROOD_TERMINATED && !was_ended_by_brood(process, seen))
        seen =
            (brood_exit){ .kind = BROOD_EXITED, .code = seen.code, .native = (uint32_t)seen.code };
    const int32_t code = atomic_load_explicit(&slot->code, memory_order_relaxed);
    switch (record_of(slot)) {
    case BROODI_RECORD_RETURNED:
        if (!agrees(code, seen))
            break;
        return exited(code, seen);
    case BROODI_RECORD_CODE:
        return exited(code, seen);
    case BROODI_RECORD_ORDERLY:
        // Where all ends are exit codes, 0 and the codes of crashes count as an exit only with this
        // record. The code of an interrupt, which programs pass on, is always read as a signal.
        if (seen.kind == BROOD_EXITED ||
            (all_are_codes && seen.kind != BROOD_TERMINATED && seen.kind != BROOD_SIGNALLED))
            return (brood_exit){ .kind = BROOD_EXITED,
                                 .code = (int32_t)seen.native,
                                 .native = seen.native };
        break;
    default:
        break;
    }
    if (was_ended_by_brood(process, seen))
        return (brood_exit){ .kind = BROOD_TERMINATED, .native = seen.native & 0xff };
    return seen;
}

// A child of the fork server: the system reports that it has ended, and the exit record how.
// Without a record the server reports how, unless it ends before. False while the child runs, and
// while the report is still to come.
static bool see_served(const brood_process *process, brood_exit *seen)
{
    const struct broodi_process_slot *slot = broodi_slot(BROODI_PROCESS, process->slot);
    if (broodi_process_slot_reported(process->slot, seen))
        return true;
    const bool server_lives = broodi_server_lives(process->server);
    const brood_status waited = brood_os_process_await_end(&process->child, 0);
    if (waited == BROOD_TIMEOUT || (waited != BROOD_OK && server_lives))
        return false;
    if (broodi_process_slot_reported(process->slot, seen))
        return true;
    *seen = (brood_exit){ .kind = BROOD_LOST };
    // Only a CODE record is complete without the server's report.
    if (record_of(slot) != BROODI_RECORD_CODE)
        return !server_lives;
    // The 8 bits that the system would report.
    seen->native = atomic_load_explicit(&slot->code, memory_order_relaxed) & 0xff;
    return true;
}

// Whether the child has ended; then `seen` is what the system or the server reports. Reaps a child
// of this process.
static bool see(const brood_process *process, brood_exit *seen)
{
    return process->server ? see_served(process, seen)
                           : brood_os_process_reap(&process->child, seen);
}

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

// Reaps the child if it has ended. The caller holds the guard. True if this call reaped it: then
// the caller owes a release_reaped().
static bool reap(brood_process *process)
{
    brood_exit seen = { .kind = BROOD_RUNNING };
    if (process->ended || !see(process, &seen))
        return false;
    process->end = conclude(process, seen);
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

// Reaps the child if it has ended. True if it has, now or before.
static bool reap_if_ended(brood_process *process)
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

// Waits a short while for the server's report of a child's end. The report comes right after the
// end that the system shows; where this process has no handle to see the end, the report is all
// that shows it.
static void await_report(const brood_process *process, int64_t deadline)
{
    struct broodi_process_slot *slot = broodi_slot(BROODI_PROCESS, process->slot);
    const int64_t period = BROOD_MILLISECONDS(20); // between two checks that the server lives
    if (broodi_server_lives(process->server))
        broodi_wait(&slot->state, process->live_state, BROODI_NONE,
                    broodi_until(deadline, brood_clock(), period));
}

// Returns BROOD_OK when the child may have ended, so that the caller checks it; BROOD_TIMEOUT. A
// server that does not report an end that the system shows may have been stopped: continue it.
static brood_status await_end(const brood_process *process, int64_t deadline)
{
    const brood_status status = brood_os_process_await_end(&process->child, deadline);
    brood_exit seen;
    if (!process->server || status == BROOD_TIMEOUT || see_served(process, &seen))
        return status == BROOD_TIMEOUT ? status : BROOD_OK;
    if (deadline <= brood_clock())
        return BROOD_TIMEOUT;
    await_report(process, deadline);
    if (status == BROOD_OK && !see_served(process, &seen))
        brood_os_server_continue(&process->server->child);
    return BROOD_OK;
}

bool broodi_child_await_report(const brood_process *process)
{
    brood_exit seen;
    while (broodi_server_lives(process->server) &&
           !broodi_process_slot_reported(process->slot, &seen)) {
        await_report(process, INT64_MAX);
        brood_os_server_continue(&process->server->child);
    }
    return broodi_process_slot_reported(process->slot, &seen);
}

// A cancellation point; the thread holds nothing there.
static brood_status await_and_reap(brood_process *process, int64_t deadline)
{
    for (int checks = 0;; checks++) {
        const brood_status status = await_end(process, deadline);
        if (reap_if_ended(process))
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
    if (reap_if_ended(process))
        return BROOD_OK;
    if (deadline <= 0)
        return BROOD_TIMEOUT;
    broodi_self_waits(BROODI_WAITS_PROCESS, (uint64_t)process->child.pid);
    const brood_status status = await_and_reap(process, deadline);
    broodi_self_waits(BROODI_WAITS_NOT, 0);
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

// A served child without a handle is known by its pid, which cannot be reused as long as its server
// lives and has not reported its end. So open a handle of the pid first: if both hold after that,
// the handle is the child's, and not that of a process which got the pid later.
static brood_status end_by_pid(const brood_process *process, bool hard)
{
    brood_exit seen;
    brood_os_child child = process->child;
    const bool held = brood_os_process_hold(&child);
    brood_status status = BROOD_OK;
    if (broodi_server_lives(process->server) && !broodi_process_slot_reported(process->slot, &seen))
        status = brood_os_process_end(&child, hard);
    if (held)
        brood_os_process_forget(&child);
    return status;
}

brood_status broodi_child_end(const brood_process *process, bool hard)
{
    if (process->server && process->child.handle < 0)
        return end_by_pid(process, hard);
    return brood_os_process_end(&process->child, hard);
}

// The caller holds the guard, so that the child is not reaped meanwhile and its pid is not reused.
// A child that has ended already does not count as ended by brood.
static brood_status end_now(brood_process *process, bool hard)
{
    brood_exit seen;
    if (process->ended || brood_os_process_await_end(&process->child, 0) == BROOD_OK ||
        (process->server && broodi_process_slot_reported(process->slot, &seen)))
        return BROOD_OK;
    const brood_status status = broodi_child_end(process, hard);
    if (status == BROOD_OK)
        process->signals_sent |= UINT32_C(1) << (hard ? 9 : 15);
    return status;
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
        (void)end_now(process, false);
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
    const bool killed = end_now(process, true) == BROOD_OK;
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

void broodi_children_inherit(brood_process *process)
{
    process->next = children.inherited;
    children.inherited = process;
}

static void forget_child(brood_process *process)
{
    (void)unlink_child(process);
    brood_os_process_forget(&process->child);
    if (process->server)
        brood_os_process_forget(&process->server->child);
    broodi_children_inherit(process);
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

// Public calls on one child

static bool is_ours(const brood_process *process)
{
    return process && process->serial == broodi_here.serial;
}

static brood_status check(const brood_process *process)
{
    if (!process)
        return broodi_fail(BROOD_INVALID, "process is NULL");
    return is_ours(process)
               ? BROOD_OK
               : broodi_fail(BROOD_WRONG_STATE, "a child of another process: %s", process->name);
}

static brood_status join(brood_process *process, int64_t deadline, brood_exit *out)
{
    brood_status status = check(process);
    if (status == BROOD_OK)
        status = broodi_child_join(process, deadline);
    if (status == BROOD_OK && out)
        *out = process->end; // constant once the child has ended
    return status;
}

brood_status brood_process_join(brood_process *process, brood_duration timeout, brood_exit *out)
{
    return broodi_answer("brood_process_join", join(process, broodi_deadline(timeout), out));
}

static brood_status report(brood_process *process, brood_exit *out)
{
    const brood_status status = join(process, 0, out);
    return status == BROOD_TIMEOUT ? BROOD_BUSY : status;
}

brood_status brood_process_report(brood_process *process, brood_exit *out)
{
    return broodi_answer("brood_process_report", report(process, out));
}

bool brood_process_is_alive(brood_process *process)
{
    const int error = errno;
    const bool alive = is_ours(process) && !reap_if_ended(process);
    errno = error;
    return alive;
}

static brood_status end(brood_process *process, bool hard)
{
    brood_status status = check(process);
    if (status != BROOD_OK)
        return status;
    brood_os_guard_lock();
    status = end_now(process, hard);
    brood_os_guard_unlock();
    return status;
}

brood_status brood_process_terminate(brood_process *process)
{
    return broodi_answer("brood_process_terminate", end(process, false));
}

brood_status brood_process_kill(brood_process *process)
{
    return broodi_answer("brood_process_kill", end(process, true));
}

static brood_status request_stop(brood_process *process)
{
    const brood_status status = check(process);
    if (status != BROOD_OK)
        return status;
    brood_os_guard_lock();
    if (!process->ended) // so the slot has not been freed
        broodi_stop_request(process->slot);
    brood_os_guard_unlock();
    return BROOD_OK;
}

brood_status brood_process_request_stop(brood_process *process)
{
    return broodi_answer("brood_process_request_stop", request_stop(process));
}

// Requests a stop, then terminates, then kills the child, until one of them has ended it.
static brood_status stop(brood_process *process, brood_duration grace, brood_exit *out)
{
    brood_status status = request_stop(process);
    if (status == BROOD_OK)
        status = join(process, broodi_deadline(grace), out);
    for (int hard = 0; hard <= 1 && status == BROOD_TIMEOUT; hard++) {
        status = end(process, hard);
        if (status == BROOD_OK)
            status = join(process, broodi_deadline(hard ? AFTER_A_KILL : grace), out);
    }
    return status;
}

brood_status brood_process_stop(brood_process *process, brood_duration grace, brood_exit *out)
{
    return broodi_answer("brood_process_stop", stop(process, grace, out));
}

static brood_status native(const brood_process *process, intptr_t *out)
{
    const brood_status status = check(process);
    if (status != BROOD_OK)
        return status;
    if (!out)
        return broodi_fail(BROOD_INVALID, "out is NULL");
    if (process->child.handle == -1)
        return broodi_fail(BROOD_UNSUPPORTED, "the system provides no descriptor of this process");
    *out = process->child.handle;
    return BROOD_OK;
}

brood_status brood_process_native(brood_process *process, intptr_t *out)
{
    return broodi_answer("brood_process_native", native(process, out));
}

brood_pid brood_process_pid(const brood_process *process)
{
    return process ? process->child.pid : 0;
}

const char *brood_process_name(const brood_process *process)
{
    return process ? process->name : "";
}

bool brood_process_is_daemon(const brood_process *process)
{
    return process && process->daemon;
}
