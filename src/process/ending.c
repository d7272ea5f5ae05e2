// SPDX-License-Identifier: MIT
// The end of a process: its order, the exit record, and the streams. docs/design/death.md says why
// the order is as it is.
#include "process/ending.h"

#include "arena/blocking.h"
#include "arena/family.h"
#include "arena/self.h"
#include "base/deadline.h"
#include "base/fail.h"
#include "base/fault.h"
#include "base/invariant.h"
#include "message/users.h"
#include "os/os_guard.h"
#include "os/os_stdio.h"
#include "os/os_thread.h"
#include "process/children.h"
#include "process/launches.h"
#include "process/server.h"
#include "thread/handlers.h"
#include "thread/threads.h"

#include <brood/brood.h>
#include <stdlib.h>

static struct {
    // Guarded by the guard. NULL: the process has no pools.
    const struct broodi_ending_pools *pools;

    atomic_bool begun;  // only threads that the end joins may start threads and children
    atomic_bool closed; // no thread may
} ending;

// The end when it is run by the executable's exit().
static struct {
    int (*executable_atexit)(void (*)(void));
    atomic_bool renewed;
    atomic_bool returned; // the target of this fresh image has returned `code`
    int code;
} at_exit;

// Once the end has begun only the threads that it joins may start something, and those that attend
// to the pools which the joined threads use. If daemon threads could, one of them could keep the
// process from ever ending.
static bool refuses(void)
{
    if (!atomic_load_explicit(&ending.begun, memory_order_acquire))
        return false;
    const struct broodi_self *self = broodi_self_known();
    const bool joined = self && self->thread && !self->daemon;
    const bool attends = self && self->attends_pools;
    return (!joined && !attends) || atomic_load_explicit(&ending.closed, memory_order_acquire);
}

// The order

static brood_status join_threads(int64_t deadline)
{
    brood_thread *thread;
    brood_status status = BROOD_OK;
    while (status == BROOD_OK && (thread = broodi_threads_any()) != NULL) {
        status = broodi_thread_join(thread, deadline);
        if (status == BROOD_DEADLOCK)
            status = BROOD_OK;
        brood_thread_drop(thread);
    }
    return status;
}

static brood_status join_children(int64_t deadline)
{
    brood_process *process;
    brood_status status = BROOD_OK;
    while (status == BROOD_OK && (process = broodi_children_any(false)) != NULL) {
        status = broodi_child_join(process, deadline);
        brood_process_drop(process);
    }
    return status;
}

static const struct broodi_ending_pools *load_pools(void)
{
    brood_os_guard_lock();
    const struct broodi_ending_pools *pools = ending.pools;
    brood_os_guard_unlock();
    return pools;
}

void broodi_ending_include_pools(const struct broodi_ending_pools *pools)
{
    brood_os_guard_lock();
    if (!ending.pools)
        ending.pools = pools;
    brood_os_guard_unlock();
}

static brood_status end_pools(int64_t deadline)
{
    const struct broodi_ending_pools *pools = load_pools();
    return pools ? pools->end(deadline) : BROOD_OK;
}

static void join_at_exit(void);

// When a handler that runs inside exit() calls exit() or ends its thread, the C library continues
// with the functions that it has not called yet. So register one that runs the remaining handlers.
// If there is no memory for the registration, they are lost.
static void register_for_rest(void)
{
    (void)at_exit.executable_atexit(join_at_exit);
}

// Flushes first, so that earlier output precedes what the children print from now on. The threads
// that are joined may still start threads and children.
static brood_status begin_end(int64_t deadline)
{
    brood_os_stdio_flush(false);
    // Release, here and for `closed`: pairs with the acquire loads in refuses().
    atomic_store_explicit(&ending.begun, true, memory_order_release);
    return join_threads(deadline);
}

// The threads that are left after the first join may start nothing. A start that passed that check
// before the end began may still have listed a thread or a child: so the lists are closed, and the
// threads are joined again.
static brood_status end_in_order(int64_t deadline)
{
    brood_status status = begin_end(deadline);
    if (status == BROOD_OK) {
        atomic_store_explicit(&ending.closed, true, memory_order_release);
        broodi_threads_close();
        broodi_children_close();
        status = join_threads(deadline); // threads started before the list was closed
    }
    if (status == BROOD_OK) {
        broodi_launches_close(deadline); // by daemon threads, and threads of the program's own
        status = end_pools(deadline);
    }
    if (status == BROOD_OK)
        status = broodi_children_stop_daemons(deadline);
    if (status == BROOD_OK)
        status = join_children(deadline);
    if (status == BROOD_OK)
        broodi_server_close();
    return status == BROOD_OK ? broodi_handlers_run(register_for_rest, deadline) : status;
}

// Protected from cancellation: the thread holds references, a stream's lock, and the gate of the
// fork server.
static brood_status end_all(int64_t deadline)
{
    const int before = brood_os_thread_protect();
    const brood_status status = end_in_order(deadline);
    brood_os_thread_unprotect(before);
    return status;
}

brood_status brood_shutdown(brood_duration timeout)
{
    broodi_keep_errno();
    brood_status status = broodi_ready();
    const struct broodi_self *self = broodi_self_known();
    if (status == BROOD_OK && (broodi_handlers_are_running_here() || (self && self->thread)))
        status =
            broodi_fail(BROOD_DEADLOCK, "called by a handler or by a thread that brood started");
    if (status == BROOD_OK)
        status = end_all(broodi_deadline(timeout));
    return broodi_answer_to("brood_shutdown", status);
}

// Ends

// Writes the exit record for the parent, and for the barriers that the process took part in, which
// need it also of a guest and of the main process. Then leaves the lists of users: whoever waits
// for a message of this process is told at once.
static void record(enum broodi_record what, int code)
{
    const uint32_t process = broodi_here_process();
    if (process == BROODI_NONE || broodi_here.role == BROODI_SERVER)
        return;
    struct broodi_process_slot *slot = broodi_slot(BROODI_PROCESS, process);
    atomic_store_explicit(&slot->code, code, memory_order_relaxed);
    // Release: pairs with the acquire in broodi_child_record().
    atomic_store_explicit(&slot->record, (uint32_t)what, memory_order_release);
    broodi_users_leave_all();
}

static broodi_word flushed; // 1: the helper thread has flushed all streams

static void flush_all(void *unused)
{
    (void)unused;
    brood_os_stdio_flush(true);
    // exit() follows, which waits for stdin too.
    if (atomic_load_explicit(&at_exit.returned, memory_order_acquire))
        brood_os_stdio_await_input();
    atomic_store_explicit(&flushed.state, 1, memory_order_seq_cst);
    broodi_changed(BROODI_PRIVATE, &flushed, BROODI_ALL);
}

static bool is_flushed(void)
{
    return atomic_load_explicit(&flushed.state, memory_order_acquire) != 0;
}

// Flushes all streams in a helper thread and waits for it for a second at most: a daemon thread may
// be blocked in a read with its stream locked. False if the second has passed.
static bool flush_beside_threads(void)
{
    brood_os_thread helper;
    atomic_store_explicit(&flushed.state, 0, memory_order_relaxed); // a fork may have inherited 1
    if (brood_os_thread_start(&helper, flush_all, NULL, 0) != BROOD_OK)
        return true;
    const int64_t deadline = broodi_deadline(BROOD_SECONDS(1));
    while (!is_flushed() && brood_clock() < deadline)
        broodi_block_on(BROODI_WAITS_NOT, 0, &flushed, 0, BROODI_NONE, deadline);
    if (!is_flushed())
        return false;
    (void)brood_os_thread_join(helper, INT64_MAX);
    return true;
}

// Flushes all streams. False if another thread blocks inside one of them. A fork that was made
// beside other threads flushes stdout and stderr only: the other buffers hold its parent's output,
// and their locks may have been copied while held by a thread that does not exist in the fork.
static bool flush_streams(void)
{
    const bool is_alone = !broodi_here.forked_with_threads && brood_os_thread_count() == 1;
    brood_os_stdio_flush(is_alone);
    return is_alone || broodi_here.forked_with_threads || flush_beside_threads();
}

// Ends the process without exit().
_Noreturn static void leave(int code)
{
    record(BROODI_RECORD_CODE, code);
    brood_os_process_exit(code);
}

static void join_at_exit(void)
{
    broodi_thread_leaves();
    if (broodi_here.role != BROODI_GUEST)
        (void)end_all(INT64_MAX);
}

// Some C libraries' exit() waits for streams that other threads have locked. If the target of a
// fresh image has returned and the streams cannot be flushed in time, _exit() replaces the rest of
// exit(). If the target has called exit() itself, the C library's behaviour stays as it is.
static void record_at_exit(void)
{
    if (!atomic_load_explicit(&at_exit.returned, memory_order_acquire)) {
        record(BROODI_RECORD_ORDERLY, 0);
        return;
    }
    if (brood_os_stdio_exit_waits() && !flush_streams())
        leave(at_exit.code);
    record(BROODI_RECORD_RETURNED, at_exit.code);
}

// The oldest of the functions that brood registers with atexit(), so the last one that runs.
static void end_at_exit(void)
{
    const int before = brood_os_thread_protect();
    join_at_exit();
    record_at_exit();
    brood_os_thread_unprotect(before);
}

static brood_status at_executables_exit(void (*handler)(void))
{
    broodi_assert(at_exit.executable_atexit); // broodi_ending_prepare has stored it
    if (broodi_fault() || at_exit.executable_atexit(handler) != 0)
        return broodi_fail(BROOD_NO_MEMORY, "atexit");
    return BROOD_OK;
}

brood_status broodi_ending_prepare(int (*executable_atexit)(void (*)(void)))
{
    at_exit.executable_atexit = executable_atexit;
    return at_executables_exit(end_at_exit);
}

// The first call in a process registers the joins of the end with atexit() once more. exit() runs
// the newest function first, so the joins precede the destructors and handlers that the program has
// registered up to now.
static brood_status renew(void)
{
    if (atomic_load_explicit(&at_exit.renewed, memory_order_relaxed) ||
        atomic_exchange_explicit(&at_exit.renewed, true, memory_order_relaxed))
        return BROOD_OK;
    const brood_status status = at_executables_exit(join_at_exit);
    if (status != BROOD_OK)
        atomic_store_explicit(&at_exit.renewed, false, memory_order_relaxed);
    return status;
}

brood_status broodi_ending_admit_start(void)
{
    return refuses() ? broodi_fail(BROOD_WRONG_STATE, "the process is ending") : renew();
}

// Ends a process that is a fork of one that runs the program's code: a child by BROOD_START_FORK,
// or a guest that has returned from the target it was forked in. It does not call exit(), whose
// handlers are the parent's.
_Noreturn static void end_copy(int code)
{
    broodi_assert(!broodi_here.is_fresh);
    if (broodi_here.role != BROODI_GUEST)
        (void)end_all(INT64_MAX);
    (void)flush_streams();
    leave(code);
}

// A fresh image joins its threads before it calls exit(). Some C libraries admit one thread at a
// time to exit() and atexit(), so that exit() could not join a thread which calls either. And no
// destructor of an object with static storage must run while a thread may use the object.
_Noreturn void broodi_ending_of_child(int code)
{
    const int before = brood_os_thread_protect();
    if (!broodi_here.is_fresh)
        end_copy(code);
    (void)begin_end(INT64_MAX);
    brood_os_thread_unprotect(before);
    at_exit.code = code;
    // Release: pairs with the acquire in record_at_exit(), which may run in another thread.
    atomic_store_explicit(&at_exit.returned, true, memory_order_release);
    exit(code);
}

// The only thread has the copy of a free guard: a fork waits for the guard.
void broodi_ending_forget(void)
{
    if (ending.pools)
        ending.pools->forget();
    atomic_store_explicit(&ending.begun, false, memory_order_relaxed);
    atomic_store_explicit(&ending.closed, false, memory_order_relaxed);
    atomic_store_explicit(&at_exit.renewed, false, memory_order_relaxed);
}
