// SPDX-License-Identifier: MIT
// Children after their start: who waits for them, who reaps them, how they ended.
//
// A child is reaped once, under the guard, by whoever first looks when it has ended. How it ended
// is put together from three sources: the record that the child left in the arena comes first; then
// that it was brood who ended it; then what the operating system saw.
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

// The system ends a killed process at once, unless a device holds it.
#define AFTER_A_KILL BROOD_SECONDS(10)

// Daemons, or the others, in the order of their starts.
struct list {
    brood_process *first;
    brood_process *last;
    brood_process *seen_next; // whose turn it is to be looked at; NULL: the first one's
    size_t count;
};

// Guarded by the guard.
static struct {
    struct list lists[2]; // others, daemons
    uint64_t added;
    brood_process *inherited; // what a forked child found here: reachable, never used
    unsigned started;
    bool closed;
    int64_t daemons_asked; // to end, when first; 0: not yet
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

// Whether it was we who ended the child: by a signal, or on systems without signals by an exit code
// that stands for one.
static bool was_asked(const brood_process *process, brood_exit seen)
{
    return (seen.kind == BROOD_SIGNALLED || seen.kind == BROOD_TERMINATED) && seen.native < 32 &&
           (process->asked >> seen.native & 1);
}

static uint32_t record_of(const struct broodi_process_slot *slot)
{
    return atomic_load_explicit(&slot->record,
                                memory_order_acquire); // pairs with record in ending.c
}

// Whether the process ended with the code that its target returned, so far as the system tells: of
// a POSIX code 8 bits. Where all ends are codes, that of an interrupt may be the target's own.
static bool agrees(int32_t code, brood_exit seen)
{
    if (seen.kind == BROOD_LOST)
        return true;
    if (brood_os_process_can_fork())
        return seen.kind == BROOD_EXITED && ((seen.code ^ code) & 0xff) == 0;
    return seen.kind == BROOD_SIGNALLED || (uint32_t)seen.native == (uint32_t)code;
}

// Where all ends are exit codes, this one may be one of those that stand for something else.
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
    if (seen.kind == BROOD_TERMINATED &&
        !was_asked(process, seen)) // such a code of the program's own
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
    case BROODI_RECORD_ORDERLY: // there, 0 and those of crashes are believed only with this; that
                                // of an interrupt, which programs pass on, always
        if (seen.kind == BROOD_EXITED ||
            (all_are_codes && seen.kind != BROOD_TERMINATED && seen.kind != BROOD_SIGNALLED))
            return (brood_exit){ .kind = BROOD_EXITED,
                                 .code = (int32_t)seen.native,
                                 .native = seen.native };
        break;
    default:
        break;
    }
    if (was_asked(process, seen))
        return (brood_exit){ .kind = BROOD_TERMINATED, .native = seen.native & 0xff };
    return seen;
}

// A child of the fork server: the system tells us that it has ended, and the record how; without a
// record its server does, if that lives long enough.
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
    if (record_of(slot) !=
        BROODI_RECORD_CODE) // what is behind another record is the server's to tell
        return !server_lives;
    seen->native = atomic_load_explicit(&slot->code, memory_order_relaxed) &
                   0xff; // as the system would say it
    return true;
}

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

// Does nothing for one that is on no list: its start has not come so far.
static void unlink_child(brood_process *process)
{
    struct list *list = list_of(process->daemon);
    if (process->added == 0)
        return;
    *(process->previous ? &process->previous->next : &list->first) = process->next;
    *(process->next ? &process->next->previous : &list->last) = process->previous;
    if (list->seen_next == process)
        list->seen_next = process->next;
    process->added = 0;
    list->count--;
}

// Under the guard: reaps the child if it has ended. True when that happened now.
static bool reap(brood_process *process)
{
    brood_exit seen = { .kind = BROOD_RUNNING };
    if (process->ended || !see(process, &seen))
        return false;
    process->end = conclude(process, seen);
    process->ended = true;
    unlink_child(process);
    return true;
}

// After a reaping, without the guard: frees what the child had in the arena, and the list's
// reference.
static void clear_up(brood_process *process)
{
    broodi_process_slot_end(process->slot);
    brood_process_drop(process);
}

// One look at the child. True when it has ended.
static bool look(brood_process *process)
{
    const int before = brood_os_thread_protect(); // who has reaped it clears up
    brood_os_guard_lock();
    const bool now = reap(process);
    const bool ended = process->ended;
    brood_os_guard_unlock();
    if (now)
        clear_up(process);
    brood_os_thread_unprotect(before);
    return ended;
}

// The report of the child's server comes right behind the end that the system shows; where the
// system shows none, it is the end.
static void await_report(const brood_process *process, int64_t deadline)
{
    struct broodi_process_slot *slot = broodi_slot(BROODI_PROCESS, process->slot);
    const int64_t period = BROOD_MILLISECONDS(20); // between two looks at the server
    if (broodi_server_lives(process->server))
        broodi_wait(&slot->state, process->born, BROODI_NONE,
                    broodi_until(deadline, brood_clock(), period));
}

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

// A cancellation point, where the thread holds nothing.
static brood_status persist(brood_process *process, int64_t deadline)
{
    for (int looks = 0;; looks++) {
        const brood_status status = await_end(process, deadline);
        if (look(process))
            return BROOD_OK;
        if (status != BROOD_OK)
            return status;
        if (brood_clock() >= deadline)
            return BROOD_TIMEOUT;
        if (looks >
            10) // the end shows before the child can be reaped: for long only if it is being traced
            brood_sleep(BROOD_MILLISECONDS(1));
    }
}

brood_status broodi_child_join(brood_process *process, int64_t deadline)
{
    if (look(process))
        return BROOD_OK;
    if (deadline <= 0)
        return BROOD_TIMEOUT;
    broodi_self_waits(BROODI_WAITS_PROCESS, (uint64_t)process->child.pid);
    const brood_status status = persist(process, deadline);
    broodi_self_waits(BROODI_WAITS_NOT, 0);
    return status;
}

// The list

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

// Looks at up to `count` children of the list, each in turn. Puts those that it has reaped before
// `reaped`.
static brood_process *reap_in_turn(struct list *list, size_t count, brood_process *reaped)
{
    for (size_t left = count < list->count ? count : list->count; left > 0; left--) {
        brood_process *process = list->seen_next ? list->seen_next : list->first;
        list->seen_next = process->next;
        if (!reap(process))
            continue;
        process->next = reaped;
        reaped = process;
    }
    return reaped;
}

// In all of the lists; not more at once, as others wait for the guard meanwhile.
enum { AT_A_START = 4, AT_ONCE = 64 };

static void reap_some(size_t count)
{
    brood_process *reaped = NULL;
    const int before = brood_os_thread_protect(); // who has reaped them clears up
    brood_os_guard_lock();
    for (int daemon = 0; daemon < 2; daemon++)
        reaped = reap_in_turn(list_of(daemon), count, reaped);
    brood_os_guard_unlock();
    while (reaped) {
        brood_process *process = reaped;
        reaped = process->next;
        clear_up(process);
    }
    brood_os_thread_unprotect(before);
}

void broodi_children_reap_some(void)
{
    reap_some(AT_A_START);
}

static void reap_all(void)
{
    brood_os_guard_lock();
    const size_t others = list_of(false)->count;
    const size_t daemons = list_of(true)->count;
    brood_os_guard_unlock();
    const size_t most = others > daemons ? others : daemons;
    for (size_t looked = 0; looked < most; looked += AT_ONCE)
        reap_some(AT_ONCE);
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

// A served child without a handle is known by its number, which is its own as long as its server
// lives and has not reported its end. So a handle is taken first: if both are true after that, it
// is the child's, and not that of who has got the number since.
static brood_status end_by_number(const brood_process *process, bool hard)
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
        return end_by_number(process, hard);
    return brood_os_process_end(&process->child, hard);
}

// Under the guard, so that the child is not reaped meanwhile and its number is still its own. One
// that has ended already has not been ended by us.
static brood_status end_now(brood_process *process, bool hard)
{
    brood_exit seen;
    if (process->ended || brood_os_process_await_end(&process->child, 0) == BROOD_OK ||
        (process->server && broodi_process_slot_reported(process->slot, &seen)))
        return BROOD_OK;
    const brood_status status = broodi_child_end(process, hard);
    if (status == BROOD_OK)
        process->asked |= UINT32_C(1) << (hard ? 9 : 15);
    return status;
}

// When the daemons were first asked to end; they have a second from then on, whatever the deadlines
// of those who wait for it.
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

// Kills a daemon and waits for its end. One that the system protects from this process is not
// waited for: it has become another user's, and the end of this process is nothing to it.
static brood_status kill_daemon(brood_process *process, int64_t deadline)
{
    brood_os_guard_lock();
    const bool killed = end_now(process, true) == BROOD_OK;
    if (!killed)
        unlink_child(process);
    brood_os_guard_unlock();
    return killed ? broodi_child_join(process, deadline) : BROOD_OK;
}

brood_status broodi_children_stop_daemons(int64_t deadline)
{
    brood_process *process = broodi_children_any(true);
    if (!process) // without any, nothing is asked of the clock, which many a child would be the
                  // first to do
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
    unlink_child(process);
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
    broodi_server_forget();
    children.started = 0;
    children.closed = false;
    children.daemons_asked = 0;
}

// Of two that are the next ones of their lists, the one that was started first; NULL when there is
// none.
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
        return broodi_fail(BROOD_INVALID, "no process");
    return is_ours(process)
               ? BROOD_OK
               : broodi_fail(BROOD_WRONG_STATE, "the child of another process: %s", process->name);
}

static brood_status join(brood_process *process, int64_t deadline, brood_exit *out)
{
    brood_status status = check(process);
    if (status == BROOD_OK)
        status = broodi_child_join(process, deadline);
    if (status == BROOD_OK && out)
        *out = process->end; // does not change any more
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
    const bool alive = is_ours(process) && !look(process);
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
    if (!process->ended) // its slot is still its own
        broodi_stop_request(process->slot);
    brood_os_guard_unlock();
    return BROOD_OK;
}

brood_status brood_process_request_stop(brood_process *process)
{
    return broodi_answer("brood_process_request_stop", request_stop(process));
}

// One stage after the other until one has worked.
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
        return broodi_fail(BROOD_INVALID, "no place for the handle");
    if (process->child.handle == -1)
        return broodi_fail(BROOD_UNSUPPORTED,
                           "this system shows the end of a process in no descriptor");
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
