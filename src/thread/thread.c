// SPDX-License-Identifier: MIT
// Threads. The states of a thread are
//
//   RUNNING   its target runs
//   LEAVING   the same, and the target has called exit()
//   ENDED     the thread has left its target: by return, exit of the thread, or cancellation
//   REAPING   one thread joins the system's thread, which usually takes microseconds
//   REAPED    the system's thread has ended
//
// in this order; only a thread that calls exit() is LEAVING, and a REAPING that times out goes back
// to ENDED. Any number of threads may join a thread; one of them reaps it.
#include "thread/threads.h"

#include "arena/blocking.h"
#include "arena/log.h"
#include "arena/members.h"
#include "arena/race.h"
#include "arena/self.h"
#include "base/compiler.h"
#include "base/deadline.h"
#include "base/fail.h"
#include "base/fault.h"
#include "base/invariant.h"
#include "os/os_guard.h"
#include "os/os_thread.h"
#include "thread/stop.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RUNNING, LEAVING, ENDED, REAPING, REAPED };

enum { BATCH = 32 }; // threads that reap_ended() finds in one hold of the guard

struct brood_thread {
    struct broodi_member member;
    uint64_t id;
    broodi_word state;
    int code;                 // written before the state becomes ENDED
    _Atomic uint32_t watched; // `state` is
    brood_os_thread thread;
    brood_target target;
    void *arg;
    void *copy;    // of the argument; NULL if the pointer itself was passed
    bool silent;   // its lines are not logged: broodi_log_is_silent()
    bool returned; // the target has returned; used by the thread itself
    bool daemon;
    atomic_bool asked;  // to stop
    atomic_bool leaves; // has called exit(), in its target or in a destructor behind it
};

_Static_assert(offsetof(struct brood_thread, member) == 0, "a thread begins with its member");
BROODI_WATCHABLE(brood_thread, state, watched);

static struct broodi_members threads; // that have not been reaped

static brood_thread *thread_of(const struct broodi_member *member)
{
    return (void *)(uintptr_t)member;
}

static uint64_t state_of(const brood_thread *thread)
{
    return atomic_load_explicit(&thread->state.state, memory_order_acquire);
}

static void set_state(brood_thread *thread, uint32_t state)
{
    atomic_store_explicit(&thread->state.state, state, memory_order_seq_cst);
    broodi_changed(BROODI_THREAD, &thread->state, BROODI_ALL);
}

void brood_thread_drop(brood_thread *thread)
{
    if (!broodi_member_release(thread))
        return;
    free(thread->copy);
    free(thread);
}

// Starting

static brood_thread *create(const char *name, const void *arg, size_t size)
{
    brood_thread *thread = broodi_member_new(sizeof *thread, name);
    void *copy = size && thread ? broodi_alloc(size) : NULL;
    if (!thread || (size && !copy)) {
        free(thread);
        return NULL;
    }
    thread->arg = size ? memcpy(copy, arg, size) : (void *)(uintptr_t)arg;
    thread->copy = copy;
    thread->id = broodi_thread_number();
    broodi_race_ignore(&thread->state, sizeof thread->state);
    broodi_race_ignore(&thread->watched, sizeof thread->watched);
    broodi_race_ignore(&thread->asked, sizeof thread->asked);
    return thread;
}

static void run(void *arg)
{
    brood_thread *thread = arg;
    if (thread->silent)
        broodi_log_silence();
    struct broodi_self *self = broodi_self();
    if (self) {
        self->thread = thread;
        self->name = thread->member.name;
        self->daemon = thread->daemon;
        self->asked = &thread->asked;
        self->id = thread->id;
        // So that brood_dump lists the thread. The target also runs without a slot.
        (void)broodi_self_take_slot();
    }
    thread->code = thread->target(thread->arg);
    thread->returned = true;
    if (self)
        broodi_self_end(self);
    else
        broodi_thread_complete(thread);
}

void broodi_thread_log_end(const struct broodi_self *self)
{
    const brood_thread *thread = self->thread;
    if (!thread || self->serial != broodi_here.serial || !broodi_log_wants(BROOD_LOG_INFO))
        return;
    if (thread->returned)
        broodi_log_line(BROOD_LOG_INFO, "thread %" PRIu64 " \"%s\" has returned %d", thread->id,
                        thread->member.name, thread->code);
    else
        broodi_log_line(BROOD_LOG_INFO, "thread %" PRIu64 " \"%s\" ends inside its target",
                        thread->id, thread->member.name);
}

static brood_status check(brood_target target, const void *arg, size_t size,
                          const brood_thread_options *options)
{
    brood_status status = broodi_start_check_target(target);
    if (status == BROOD_OK && size > 0 && !arg)
        status = broodi_fail(BROOD_INVALID, "arg is NULL, size is %zu", size);
    if (status == BROOD_OK)
        status = broodi_start_check_options(options->daemon, options->reserved,
                                            sizeof options->reserved / sizeof options->reserved[0]);
    return status == BROOD_OK ? broodi_self_admit_start() : status;
}

static bool is_daemon(int32_t mode)
{
    const struct broodi_self *self = broodi_self_known();
    return broodi_start_is_daemon(mode, self && self->daemon);
}

// Starts and lists the thread in one hold of the guard: so once the list is closed, it holds every
// thread that has not been reaped, and none is added.
static brood_status start_and_list(brood_thread *thread, size_t stack_size)
{
    brood_status status = BROOD_WRONG_STATE;
    brood_os_guard_lock();
    if (!threads.closed)
        status = brood_os_thread_start(&thread->thread, run, thread, stack_size);
    if (status == BROOD_OK)
        (void)broodi_members_add(&threads, &thread->member);
    brood_os_guard_unlock();
    return status;
}

static void reap_ended(void);

static brood_status start(brood_thread **out, brood_target target, const void *arg, size_t size,
                          const brood_thread_options *options)
{
    char counted[32];
    brood_status status = check(target, arg, size, options);
    if (status != BROOD_OK)
        return status;
    reap_ended();
    (void)snprintf(counted, sizeof counted, "Thread-%u", broodi_members_number(&threads));
    brood_thread *thread = create(options->name ? options->name : counted, arg, size);
    if (!thread)
        return broodi_fail(BROOD_NO_MEMORY, "a thread object with an argument of %zu bytes", size);
    thread->target = target;
    thread->daemon = is_daemon(options->daemon);
    thread->silent = broodi_log_is_silent();
    broodi_member_retain(&thread->member); // for the new thread itself
    status = start_and_list(thread, options->stack_size);
    if (status != BROOD_OK) {
        brood_thread_drop(thread);
        brood_thread_drop(thread);
        return status;
    }
    broodi_log_line(BROOD_LOG_INFO, "thread %" PRIu64 " \"%s\" has started", thread->id,
                    thread->member.name);
    if (out)
        *out = thread;
    else
        brood_thread_drop(thread);
    return BROOD_OK;
}

brood_status brood_thread_start(brood_thread **out, brood_target target, const void *arg,
                                size_t size, const brood_thread_options *options)
{
    static const brood_thread_options defaults = BROOD_THREAD_OPTIONS_INIT;
    return broodi_answer("brood_thread_start",
                         start(out, target, arg, size, options ? options : &defaults));
}

// Ending

void broodi_thread_complete(brood_thread *thread)
{
    broodi_assert(state_of(thread) <= LEAVING);
    broodi_race_release(thread);
    set_state(thread, ENDED);
    brood_thread_drop(thread);
}

static bool remove_thread(brood_thread *thread)
{
    brood_os_guard_lock();
    const bool removed = broodi_members_remove(&threads, &thread->member);
    brood_os_guard_unlock();
    return removed;
}

// Joins the system's thread of an ENDED thread, which may still run the program's thread-local
// destructors. One caller does that at a time, until `deadline`; other callers return at once.
static void reap(brood_thread *thread, int64_t deadline)
{
    uint64_t state = ENDED;
    if (brood_os_thread_is_self(thread->thread) ||
        !atomic_compare_exchange_strong_explicit(&thread->state.state, &state, REAPING,
                                                 memory_order_acq_rel, memory_order_acquire))
        return;
    const bool joined = brood_os_thread_join(thread->thread, deadline) == BROOD_OK;
    broodi_assert(state_of(thread) == REAPING);
    set_state(thread, joined ? REAPED : ENDED);
    if (joined && remove_thread(thread))
        brood_thread_drop(thread);
}

static bool has_ended(const struct broodi_member *member)
{
    return state_of(thread_of(member)) == ENDED;
}

// Reaps ended threads without waiting, so that those which the program never joins do not
// accumulate. A thread that the system has not ended yet is left for the next call.
static void reap_ended(void)
{
    size_t count;
    size_t reaped;
    struct broodi_member *ended[BATCH];
    do {
        count = broodi_members_find(&threads, has_ended, ended, BATCH);
        reaped = 0;
        for (size_t i = 0; i < count; i++) {
            brood_thread *thread = thread_of(ended[i]);
            reap(thread, 0);
            reaped += state_of(thread) == REAPED;
            brood_thread_drop(thread);
        }
    } while (count == BATCH && reaped > 0);
}

// Whether `thread` is the calling one. An ENDED thread, which has no broodi_self any more, may
// still call: it runs the program's thread-local destructors, or exit() as the last thread of the
// process. Then compare the system's threads: a handle cannot be reused before it is reaped.
static bool is_self(const brood_thread *thread)
{
    const struct broodi_self *self = broodi_self_known();
    if (self && self->thread)
        return self->thread == thread;
    const uint64_t state = state_of(thread);
    return (state == ENDED || state == REAPING) && brood_os_thread_is_self(thread->thread);
}

static BROODI_THREAD_LOCAL bool leaving; // the calling thread is on the list, and has called exit()

// Whether the thread and the caller have both called exit(), which joins all threads: they would
// wait for each other. seq_cst, as is the store in broodi_thread_leaves(): of two threads that call
// exit() at the same time, at least one loads true.
static bool leaves_beside_caller(const brood_thread *thread)
{
    return leaving && atomic_load_explicit(&thread->leaves, memory_order_seq_cst);
}

static bool is_caller(const struct broodi_member *member)
{
    return is_self(thread_of(member));
}

static bool is_to_be_joined(const struct broodi_member *member)
{
    const brood_thread *thread = thread_of(member);
    return !thread->daemon && !is_self(thread) && !leaves_beside_caller(thread);
}

void broodi_thread_leaves(void)
{
    brood_thread *own = broodi_members_any(&threads, is_caller);
    if (!own)
        return;
    uint64_t state = RUNNING;
    leaving = true;
    atomic_store_explicit(&own->leaves, true, memory_order_seq_cst);
    if (atomic_compare_exchange_strong_explicit(&own->state.state, &state, LEAVING,
                                                memory_order_seq_cst, memory_order_relaxed))
        broodi_changed(BROODI_THREAD, &own->state, BROODI_ALL);
    brood_thread_drop(own);
}

brood_thread *broodi_threads_any(void)
{
    reap_ended();
    return broodi_members_any(&threads, is_to_be_joined);
}

static void wait_for(brood_thread *thread, uint64_t state, int64_t deadline)
{
    broodi_block_on(broodi_waits_until(BROODI_WAITS_THREAD, deadline), thread->id, &thread->state,
                    state, BROODI_NONE, deadline);
}

static brood_status join_in_time(brood_thread *thread, int64_t deadline)
{
    for (;;) {
        const uint64_t state = state_of(thread);
        if (state == REAPED)
            return BROOD_OK;
        if (leaves_beside_caller(thread))
            return broodi_fail(BROOD_DEADLOCK, "both threads have called exit()");
        if (state == ENDED)
            reap(thread, deadline);
        else if (deadline > 0)
            wait_for(thread, state, deadline);
        if (state_of(thread) != REAPED && (deadline == 0 || brood_clock() >= deadline))
            return BROOD_TIMEOUT;
    }
}

brood_status broodi_thread_join(brood_thread *thread, int64_t deadline)
{
    const brood_status status = join_in_time(thread, deadline);
    broodi_block_end(BROODI_WAITS_THREAD, thread->id);
    return status;
}

brood_status broodi_thread_check(const brood_thread *thread)
{
    return broodi_member_check(thread, "thread", "thread");
}

static brood_status request_stop(brood_thread *thread)
{
    const brood_status status = broodi_thread_check(thread);
    if (status != BROOD_OK)
        return status;
    broodi_race_release(&thread->asked);
    // Release: pairs with the acquire in thread_is_asked() of stop.c.
    atomic_store_explicit(&thread->asked, true, memory_order_release);
    broodi_stop_notify_threads();
    return BROOD_OK;
}

brood_status brood_thread_request_stop(brood_thread *thread)
{
    return broodi_answer("brood_thread_request_stop", request_stop(thread));
}

static brood_status join(brood_thread *thread, brood_duration timeout, int *out_code)
{
    brood_status status = broodi_thread_check(thread);
    if (status != BROOD_OK)
        return status;
    if (is_self(thread))
        return broodi_fail(BROOD_DEADLOCK, "a thread cannot join itself");
    status = broodi_thread_join(thread, broodi_deadline(timeout));
    // The thread has left its target, so the join succeeds. A later join or start reaps the thread.
    if (status == BROOD_TIMEOUT && state_of(thread) > LEAVING)
        status = BROOD_OK;
    if (status == BROOD_OK)
        broodi_race_acquire(thread);
    if (status == BROOD_OK && out_code)
        *out_code = thread->code;
    return status;
}

brood_status brood_thread_join(brood_thread *thread, brood_duration timeout, int *out_code)
{
    return broodi_answer("brood_thread_join", join(thread, timeout, out_code));
}

bool broodi_thread_is_joinable(const brood_thread *thread)
{
    return state_of(thread) > LEAVING || is_self(thread) || leaves_beside_caller(thread);
}

broodi_word *broodi_thread_word(brood_thread *thread)
{
    return &thread->state;
}

bool brood_thread_is_alive(brood_thread *thread)
{
    return broodi_member_is_ours(thread) && state_of(thread) <= LEAVING;
}

uint64_t brood_thread_id(const brood_thread *thread)
{
    return thread ? thread->id : 0;
}

const char *brood_thread_name(const brood_thread *thread)
{
    return broodi_member_name(thread);
}

void broodi_threads_close(void)
{
    broodi_members_close(&threads);
}

void broodi_threads_forget(void)
{
    broodi_members_forget(&threads);
}
