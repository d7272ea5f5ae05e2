// SPDX-License-Identifier: MIT
// The handlers of brood_at_exit.
#include "thread/handlers.h"

#include "arena/blocking.h"
#include "arena/self.h"
#include "base/compiler.h"
#include "base/deadline.h"
#include "base/fail.h"
#include "base/fault.h"
#include "base/invariant.h"
#include "os/os_guard.h"

#include <brood/brood.h>
#include <stdlib.h>

struct handler {
    void (*fn)(void *);
    void *arg;
    struct handler *next; // the one registered before
};

// Guarded by the guard, except for `running`.
static struct {
    bool done;
    broodi_word running; // how many handlers run now: two threads may end the process at once
    struct handler *newest;
    struct handler *inherited; // the parent's handlers in a forked child: reachable, never run
} handlers;

// How many handlers the calling thread is inside, all of them counted in `running`. It can be more
// than one, because a handler may call exit().
static BROODI_THREAD_LOCAL unsigned inside;

// Running them

// Unlinks and returns the newest handler, counted as running; NULL if there is none. A handler that
// runs may register another one: so the handlers are done only when none runs outside of the
// calling thread.
static struct handler *pop_handler(uint64_t *out_running)
{
    brood_os_guard_lock();
    struct handler *handler = handlers.newest;
    if (handler) {
        handlers.newest = handler->next;
        atomic_fetch_add_explicit(&handlers.running.state, 1, memory_order_relaxed);
    }
    *out_running = atomic_load_explicit(&handlers.running.state, memory_order_relaxed);
    handlers.done = !handler && *out_running == inside;
    brood_os_guard_unlock();
    return handler;
}

static uint64_t running_now(void)
{
    return atomic_load_explicit(&handlers.running.state, memory_order_relaxed);
}

// Says that the calling thread has left `count` handlers.
static void leave_handlers(unsigned count)
{
    broodi_assert(count <= inside && inside <= running_now());
    inside -= count;
    atomic_fetch_sub_explicit(&handlers.running.state, count, memory_order_seq_cst);
    broodi_changed(BROODI_PRIVATE, &handlers.running, BROODI_ALL);
}

void broodi_handlers_end_of_thread(void)
{
    if (inside > 0)
        leave_handlers(inside);
}

static void run_handler(struct handler *handler, void (*before_each)(void))
{
    const struct handler own = *handler;
    free(handler); // before the call, which may end the thread
    before_each();
    inside++;
    (void)broodi_self(); // so that the end of the thread calls broodi_handlers_end_of_thread
    broodi_assert(!brood_os_guard_is_held());
    own.fn(own.arg);
    if (inside > 0) // 0 in a fork that the handler has made
        leave_handlers(1);
}

brood_status broodi_handlers_run(void (*before_each)(void), int64_t deadline)
{
    for (;;) {
        uint64_t running;
        struct handler *handler = pop_handler(&running);
        if (handler)
            run_handler(handler, before_each);
        else if (running == inside)
            return BROOD_OK;
        else if (brood_clock() >= deadline)
            return BROOD_TIMEOUT;
        else
            broodi_block_on(BROODI_WAITS_NOT, 0, &handlers.running, running, BROODI_NONE, deadline);
    }
}

bool broodi_handlers_are_running_here(void)
{
    return inside > 0;
}

// Adding one

static brood_status push(struct handler *handler)
{
    brood_os_guard_lock();
    const bool late = handlers.done;
    if (!late) {
        handler->next = handlers.newest;
        handlers.newest = handler;
    }
    brood_os_guard_unlock();
    return late ? broodi_fail(BROOD_WRONG_STATE, "the handlers have run") : BROOD_OK;
}

static brood_status add_handler(void (*fn)(void *), void *arg)
{
    brood_status status = broodi_ready();
    if (status != BROOD_OK)
        return status;
    if (!fn)
        return broodi_fail(BROOD_INVALID, "fn is NULL");
    struct handler *handler = broodi_alloc(sizeof *handler);
    if (!handler)
        return broodi_fail(BROOD_NO_MEMORY, "the handler");
    *handler = (struct handler){ .fn = fn, .arg = arg };
    status = push(handler);
    if (status != BROOD_OK)
        free(handler);
    return status;
}

brood_status brood_at_exit(void (*fn)(void *), void *arg)
{
    return broodi_answer("brood_at_exit", add_handler(fn, arg));
}

void broodi_handlers_forget(void)
{
    handlers.done = false;
    atomic_store_explicit(&handlers.running.state, 0, memory_order_relaxed);
    inside = 0;
    while (handlers.newest) {
        struct handler *handler = handlers.newest;
        handlers.newest = handler->next;
        handler->next = handlers.inherited;
        handlers.inherited = handler;
    }
}
