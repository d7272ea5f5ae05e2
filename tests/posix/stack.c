// SPDX-License-Identifier: MIT
// How much stack each public call needs: as the first call in a process, contended, and with
// tables and heap that must grow. A thread with a painted stack makes the call, and measures how
// deep the paint was overwritten. Each call has a process of its own.
#include "../meeting.h"

#include "../foreign.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum {
    MOST = 12 * 1024,
    STACK = 512 * 1024,
    PAINT = 0xA5,
    MANY = 2000, // objects, so that a table grows
    LARGE = 2 << 20,
};

#define SOON BROOD_MILLISECONDS(5)

// What the calls work on. A thread with an ordinary stack makes it.
static struct {
    brood_lock lock;
    brood_lock held; // held by another thread
    brood_semaphore semaphore;
    brood_event event;
    brood_condition condition;
    brood_barrier barrier;
    brood_block block;
    brood_block large;
    brood_queue queue;    // one message is in it, one reserved, and one taken: it is full
    brood_connection end; // a message is on its way to it
    brood_connection other;
    brood_message reserved;
    brood_message taken;
    brood_process *process;
    brood_thread *thread;
    brood_local local;
    brood_waitable waitables[17]; // more than fit the stack
    brood_poller *poller;
} on;

static int return_at_once(void *arg)
{
    (void)arg;
    return 0;
}

static int wait_to_stop(void *arg)
{
    (void)arg;
    (void)brood_stop_wait(MEETING_PATIENCE);
    return 0;
}

static void do_nothing(void *arg)
{
    (void)arg;
}

static void do_once(void)
{
}

static bool is_never(void *arg)
{
    (void)arg;
    return false;
}

static void take_line(const char *text, void *user)
{
    (void)text, (void)user;
}

static void take_log(brood_log_level level, const char *process, const char *text, void *user)
{
    (void)level, (void)process, (void)text, (void)user;
}

static brood_once_flag flag = BROOD_ONCE_INIT;

// Preparations

static void make_lock(void)
{
    (void)!brood_lock_create(&on.lock);
    (void)!brood_lock_create(&on.held);
    (void)!brood_lock_acquire(on.held, BROOD_FOREVER);
}

static void set_log(void)
{
    brood_log_set_handler(take_log, BROOD_LOG_INFO, NULL);
}

static void make_semaphore(void)
{
    (void)!brood_semaphore_create(&on.semaphore, 0, 0);
}

static void make_event(void)
{
    (void)!brood_event_create(&on.event);
}

static void make_condition(void)
{
    (void)!brood_lock_create(&on.lock);
    (void)!brood_condition_create(&on.condition);
}

static void make_barrier(void)
{
    (void)!brood_barrier_create(&on.barrier, 2);
}

static void make_block(void)
{
    (void)!brood_block_create(&on.block, 1000);
    (void)!brood_block_create(&on.large, LARGE);
}

static void make_waitables(void)
{
    (void)!brood_event_create(&on.event);
    (void)!brood_queue_create(&on.queue, 2, 8);
    for (size_t i = 0; i < sizeof on.waitables / sizeof on.waitables[0]; i++)
        on.waitables[i] = i % 2 ? brood_waitable_event(on.event) : brood_waitable_queue(on.queue);
}

static unsigned char data[LARGE];

static void make_connection(void)
{
    (void)!brood_connection_pair(&on.end, &on.other, BROOD_DUPLEX);
    (void)!brood_connection_send(on.other, data, LARGE / 2, BROOD_NOW);
}

static void make_idle_connection(void)
{
    (void)!brood_connection_pair(&on.end, &on.other, BROOD_DUPLEX);
}

static void make_queue(void)
{
    (void)!brood_queue_create(&on.queue, 2, LARGE);
    (void)!brood_queue_put(on.queue, "taken", 5, BROOD_NOW);
    (void)!brood_queue_take(on.queue, &on.taken, BROOD_NOW);
    (void)!brood_queue_reserve(on.queue, 100, &on.reserved, BROOD_NOW);
    (void)!brood_queue_put(on.queue, data, LARGE, BROOD_NOW);
}

// One message is in it, and one was got.
static void make_joinable_queue(void)
{
    (void)!brood_queue_create_joinable(&on.queue, 2, LARGE);
    (void)!brood_queue_put(on.queue, "got", 3, BROOD_NOW);
    (void)!brood_queue_put(on.queue, "in", 2, BROOD_NOW);
    (void)!brood_queue_get(on.queue, data, LARGE, NULL, BROOD_NOW);
}

static void make_empty_queue(void)
{
    (void)!brood_queue_create(&on.queue, MANY, LARGE);
}

static void make_process(void)
{
    (void)!brood_process_start(&on.process, wait_to_stop, NULL, 0, NULL);
}

static void make_ending_process(void)
{
    (void)!brood_process_start(&on.process, return_at_once, NULL, 0, NULL);
}

static void make_poller(void)
{
    make_event();
    make_process();
    on.waitables[0] = brood_waitable_process(on.process);
    (void)!brood_poller_create(&on.poller);
    (void)!brood_poller_add(on.poller, brood_waitable_event(on.event), NULL);
}

static void make_thread(void)
{
    (void)!brood_thread_start(&on.thread, wait_to_stop, NULL, 0, NULL);
}

static void make_ending_thread(void)
{
    (void)!brood_thread_start(&on.thread, return_at_once, NULL, 0, NULL);
}

static void make_local(void)
{
    (void)!brood_local_create(&on.local, NULL);
}

// The calls; each returns whether its result was as expected.

static bool start_by(int32_t method)
{
    brood_process *process = NULL;
    const brood_process_options options = { .method = method, .fork_with_threads = true };
    const brood_status status = brood_process_start(&process, return_at_once, NULL, 0, &options);
    on.process = process;
    return status == BROOD_OK;
}

static bool create_locks(void)
{
    brood_lock lock;
    for (int i = 0; i < MANY; i++)
        if (brood_lock_create(&lock) != BROOD_OK)
            return false;
    return true;
}

static bool create_semaphores(void)
{
    brood_semaphore semaphore;
    for (int i = 0; i < MANY; i++)
        if (brood_semaphore_create(&semaphore, 1, 1) != BROOD_OK)
            return false;
    return true;
}

static bool create_connections(void)
{
    brood_connection end;
    for (int i = 0; i < MANY; i++)
        if (brood_connection_pair(&end, &end, BROOD_DUPLEX) != BROOD_OK)
            return false;
    return true;
}

static bool create_events(void)
{
    brood_event event;
    for (int i = 0; i < MANY; i++)
        if (brood_event_create(&event) != BROOD_OK)
            return false;
    return true;
}

static bool create_conditions(void)
{
    brood_condition condition;
    for (int i = 0; i < MANY; i++)
        if (brood_condition_create(&condition) != BROOD_OK)
            return false;
    return true;
}

static bool create_joinable_queues(void)
{
    brood_queue queue;
    for (int i = 0; i < MANY; i++)
        if (brood_queue_create_joinable(&queue, 1, 1) != BROOD_OK)
            return false;
    return true;
}

static bool create_queues(void)
{
    brood_queue queue;
    for (int i = 0; i < MANY; i++)
        if (brood_queue_create(&queue, 1, 1) != BROOD_OK)
            return false;
    return true;
}

static bool create_barriers(void)
{
    brood_barrier barrier;
    for (int i = 0; i < MANY; i++)
        if (brood_barrier_create(&barrier, 3) != BROOD_OK)
            return false;
    return true;
}

static bool create_blocks(void)
{
    brood_block block;
    for (int i = 0; i < 200; i++)
        if (brood_block_create(&block, 40000) != BROOD_OK)
            return false;
    return brood_block_create(&block, LARGE) == BROOD_OK;
}

static bool set_names(void)
{
    char name[16];
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(name, sizeof name, "name-%d", i);
        if (brood_registry_set(name, 1) != BROOD_OK)
            return false;
    }
    return true;
}

static bool exit_text(void)
{
    char text[128];
    return brood_exit_text((brood_exit){ .kind = BROOD_EXITED, .code = 5 }, text, sizeof text) > 0;
}

static bool last_error(void)
{
    return brood_lock_acquire((brood_lock){ 1 }, BROOD_NOW) == BROOD_INVALID && *brood_last_error();
}

static bool condition_wait_for(void)
{
    return brood_lock_acquire(on.lock, BROOD_FOREVER) == BROOD_OK &&
           brood_condition_wait_for(on.condition, on.lock, is_never, NULL, SOON) == BROOD_TIMEOUT &&
           brood_lock_release(on.lock) == BROOD_OK;
}

static bool condition_wait(void)
{
    return brood_lock_acquire(on.lock, BROOD_FOREVER) == BROOD_OK &&
           brood_condition_wait(on.condition, on.lock, SOON) == BROOD_TIMEOUT &&
           brood_lock_release(on.lock) == BROOD_OK;
}

static bool local_set(void)
{
    return brood_local_set(on.local, &on) == BROOD_OK && brood_local_get(on.local) == &on;
}

static bool lock_release(void)
{
    return brood_lock_acquire(on.lock, BROOD_NOW) == BROOD_OK &&
           brood_lock_release(on.lock) == BROOD_OK;
}

// Messages in place belong to the thread that has reserved or taken them.

static bool queue_abort(void)
{
    const bool reserved = brood_queue_reserve(on.queue, 100, &on.reserved, BROOD_NOW) == BROOD_OK;
    brood_queue_abort(on.queue, &on.reserved);
    return reserved && !on.reserved.data;
}

static bool queue_commit(void)
{
    return brood_queue_reserve(on.queue, 100, &on.reserved, BROOD_NOW) == BROOD_OK &&
           brood_queue_commit(on.queue, &on.reserved, 100) == BROOD_OK;
}

static bool queue_release(void)
{
    const bool taken = brood_queue_take(on.queue, &on.taken, BROOD_NOW) == BROOD_OK;
    brood_queue_release(on.queue, &on.taken);
    return taken && !on.taken.data;
}

static bool thread_start(void)
{
    return brood_thread_start(&on.thread, return_at_once, NULL, 0, NULL) == BROOD_OK;
}

static bool too_large(void)
{
    brood_block block;
    return brood_block_create(&block, SIZE_MAX / 4 * 3) == BROOD_NO_MEMORY && *brood_last_error();
}

#define CALL(name, expression)    \
    static bool call_##name(void) \
    {                             \
        return expression;        \
    }

static brood_exit ended;
static int code;
static bool yes;
static uint32_t number;
static size_t size;
static const brood_part part = { data, LARGE / 2 };
static uint64_t id;
static intptr_t native;
static brood_ready ready;
static brood_resource resource;

CALL(active_children, brood_active_children(NULL, 0) == 1)
CALL(at_exit, brood_at_exit(do_nothing, NULL) == BROOD_OK)
CALL(barrier_abort, brood_barrier_abort(on.barrier) == BROOD_OK)
CALL(barrier_destroy, brood_barrier_destroy(on.barrier) == BROOD_OK)
CALL(barrier_is_broken, brood_barrier_is_broken(on.barrier, &yes) == BROOD_OK)
CALL(barrier_reset, brood_barrier_reset(on.barrier) == BROOD_OK)
CALL(barrier_wait, brood_barrier_wait(on.barrier, SOON, NULL) == BROOD_TIMEOUT)
CALL(barrier_waiting, brood_barrier_waiting(on.barrier, &number) == BROOD_OK)
CALL(block_create_lazy, brood_block_create_lazy(&on.block, LARGE) == BROOD_OK)
CALL(block_data, brood_block_data(on.block) && brood_block_data(on.large))
CALL(block_destroy,
     brood_block_destroy(on.block) == BROOD_OK && brood_block_destroy(on.large) == BROOD_OK)
CALL(block_size, brood_block_size(on.block) == 1000)
CALL(clock, brood_clock() > 0)
CALL(condition_destroy, brood_condition_destroy(on.condition) == BROOD_OK)
CALL(condition_notify, brood_condition_notify(on.condition, 1) == BROOD_OK)
CALL(condition_notify_all, brood_condition_notify_all(on.condition) == BROOD_OK)
CALL(connection_close, brood_connection_close(on.end) == BROOD_OK)
CALL(connection_destroy, brood_connection_destroy(on.end) == BROOD_OK)
CALL(connection_leave, brood_connection_leave(on.other) == BROOD_OK)
CALL(connection_poll, brood_connection_poll(on.end, BROOD_NOW) == BROOD_OK)
CALL(connection_poll_idle, brood_connection_poll(on.end, SOON) == BROOD_TIMEOUT)
CALL(connection_receive,
     brood_connection_receive(on.end, data, LARGE, &size, BROOD_NOW) == BROOD_OK)
CALL(connection_send, brood_connection_send(on.end, data, LARGE / 2, BROOD_NOW) == BROOD_OK)
CALL(connection_send_parts, brood_connection_send_parts(on.end, &part, 1, BROOD_NOW) == BROOD_OK)
CALL(cpu_count, brood_cpu_count() > 0)
CALL(cpu_usable, brood_cpu_usable() > 0)
CALL(dump, brood_dump(take_line, NULL) == BROOD_OK)
CALL(event_clear, brood_event_clear(on.event) == BROOD_OK)
CALL(event_destroy, brood_event_destroy(on.event) == BROOD_OK)
CALL(event_is_set, brood_event_is_set(on.event, &yes) == BROOD_OK)
CALL(event_set, brood_event_set(on.event) == BROOD_OK)
CALL(event_wait, brood_event_wait(on.event, SOON) == BROOD_TIMEOUT)
CALL(exit_number, brood_exit_number(ended) >= 0)
CALL(init, (brood_init(), true))
CALL(local_create, brood_local_create(&on.local, NULL) == BROOD_OK)
CALL(local_get, !brood_local_get(on.local))
CALL(local_destroy, (brood_local_destroy(on.local), true))
CALL(lock_acquire, brood_lock_acquire(on.held, SOON) == BROOD_TIMEOUT)
CALL(lock_create_recursive, brood_lock_create_recursive(&on.lock) == BROOD_OK)
CALL(lock_destroy, brood_lock_destroy(on.lock) == BROOD_OK)
CALL(log, (brood_log(BROOD_LOG_WARNING, "a line"), true))
CALL(log_set_handler, (brood_log_set_handler(take_log, BROOD_LOG_INFO, NULL), true))
CALL(log_stderr, (brood_log_stderr(BROOD_LOG_INFO, "stack", "a line", NULL), true))
CALL(once, (brood_once(&flag, do_once), true))
CALL(parent_is_alive, brood_parent_is_alive())
CALL(parent_pid, brood_parent_pid() > 0)
CALL(parent_wait, brood_parent_wait(SOON) == BROOD_TIMEOUT)
CALL(poller_add, brood_poller_add(on.poller, brood_waitable_process(on.process), NULL) == BROOD_OK)
CALL(poller_create, brood_poller_create(&on.poller) == BROOD_OK)
CALL(poller_destroy, (brood_poller_destroy(on.poller), true))
CALL(poller_native, brood_poller_native(on.poller, &native) == BROOD_OK)
CALL(poller_remove, brood_poller_remove(on.poller, brood_waitable_event(on.event)) == BROOD_OK)
CALL(poller_wait, brood_poller_wait(on.poller, &ready, 1, NULL, SOON) == BROOD_TIMEOUT)
CALL(process_drop, (brood_process_drop(on.process), true))
CALL(process_is_alive, brood_process_is_alive(on.process))
CALL(process_is_daemon, !brood_process_is_daemon(on.process))
CALL(process_join, brood_process_join(on.process, MEETING_PATIENCE, &ended) == BROOD_OK)
CALL(process_kill, brood_process_kill(on.process) == BROOD_OK)
CALL(process_name, brood_process_name(on.process))
CALL(process_native, brood_process_native(on.process, &native) == BROOD_OK)
CALL(process_pid, brood_process_pid(on.process) > 0)
CALL(process_report, brood_process_report(on.process, &ended) != BROOD_INVALID)
CALL(process_request_stop, brood_process_request_stop(on.process) == BROOD_OK)
CALL(process_start, start_by(BROOD_START_DEFAULT))
CALL(process_start_spawn, start_by(BROOD_START_SPAWN))
CALL(process_start_forkserver, start_by(BROOD_START_FORKSERVER))
CALL(process_start_fork, start_by(BROOD_START_FORK))
CALL(process_stop, brood_process_stop(on.process, MEETING_PATIENCE, &ended) == BROOD_OK)
CALL(process_terminate, brood_process_terminate(on.process) == BROOD_OK)
CALL(queue_clear, brood_queue_clear(on.queue, NULL) == BROOD_OK)
CALL(queue_close, brood_queue_close(on.queue) == BROOD_OK)
CALL(queue_count, brood_queue_count(on.queue, &size) == BROOD_OK)
CALL(queue_destroy, brood_queue_destroy(on.queue) == BROOD_OK)
CALL(queue_get, brood_queue_get(on.queue, data, LARGE, &size, BROOD_NOW) == BROOD_OK)
CALL(queue_get_empty, brood_queue_get(on.queue, data, LARGE, &size, SOON) == BROOD_TIMEOUT)
CALL(queue_get_many,
     brood_queue_get_many(on.queue, data, LARGE, 1, NULL, &size, BROOD_NOW) == BROOD_OK)
CALL(queue_join, brood_queue_join(on.queue, SOON) == BROOD_TIMEOUT)
CALL(queue_get_joinable, brood_queue_get(on.queue, data, LARGE, &size, BROOD_NOW) == BROOD_OK)
CALL(queue_task_done, brood_queue_task_done(on.queue) == BROOD_OK)
CALL(queue_put, brood_queue_put(on.queue, data, LARGE, BROOD_NOW) == BROOD_OK)
CALL(queue_put_full, brood_queue_put(on.queue, data, LARGE, SOON) == BROOD_TIMEOUT)
CALL(queue_put_many, brood_queue_put_many(on.queue, data, 1000, MANY, NULL, BROOD_NOW) == BROOD_OK)
CALL(queue_reserve, brood_queue_reserve(on.queue, LARGE, &on.reserved, BROOD_NOW) == BROOD_OK)
CALL(queue_take, brood_queue_take(on.queue, &on.taken, BROOD_NOW) == BROOD_OK)
CALL(registry_get, brood_registry_get("nothing", &id) == BROOD_NOT_FOUND)
CALL(self_name, brood_self_name())
CALL(self_pid, brood_self_pid() > 0)
CALL(self_resource, brood_self_resource(0, &resource) == BROOD_NOT_FOUND)
CALL(self_thread_id, brood_self_thread_id() > 0)
CALL(semaphore_acquire, brood_semaphore_acquire(on.semaphore, SOON) == BROOD_TIMEOUT)
CALL(semaphore_destroy, brood_semaphore_destroy(on.semaphore) == BROOD_OK)
CALL(semaphore_release, brood_semaphore_release(on.semaphore, 1) == BROOD_OK)
CALL(semaphore_value, brood_semaphore_value(on.semaphore, &number) == BROOD_OK)
CALL(shutdown, brood_shutdown(BROOD_FOREVER) == BROOD_OK)
CALL(sleep, (brood_sleep(SOON), true))
CALL(start_method_get, brood_start_method_get() >= 0)
CALL(start_method_set, brood_start_method_set(BROOD_START_SPAWN) == BROOD_OK)
CALL(status_acquired, brood_status_acquired(BROOD_OK))
CALL(status_name, brood_status_name(BROOD_OK))
CALL(status_text, brood_status_text(BROOD_OK))
CALL(stop_requested, !brood_stop_requested())
CALL(stop_wait, brood_stop_wait(SOON) == BROOD_TIMEOUT)
CALL(thread_drop, (brood_thread_drop(on.thread), true))
CALL(thread_id, brood_thread_id(on.thread) > 0)
CALL(thread_is_alive, brood_thread_is_alive(on.thread))
CALL(thread_join, brood_thread_join(on.thread, MEETING_PATIENCE, &code) == BROOD_OK)
CALL(thread_name, brood_thread_name(on.thread))
CALL(thread_request_stop, brood_thread_request_stop(on.thread) == BROOD_OK)
CALL(version, brood_version())
CALL(wait_any, brood_wait_any(on.waitables, 17, SOON, NULL) == BROOD_TIMEOUT)
CALL(waitable_event, brood_waitable_event(on.event).kind)
CALL(wait_any_of_processes, brood_wait_any(on.waitables, 1, SOON, NULL) == BROOD_TIMEOUT)
CALL(waitable_connection, brood_waitable_connection((brood_connection){ 0 }).kind)
CALL(waitable_connection_room, brood_waitable_connection_room((brood_connection){ 0 }).kind)
CALL(waitable_native, brood_waitable_native(0).kind)
CALL(waitable_parent, brood_waitable_parent().kind)
CALL(waitable_process, brood_waitable_process(on.process).kind)
CALL(waitable_queue, brood_waitable_queue(on.queue).kind)
CALL(waitable_queue_room, brood_waitable_queue_room(on.queue).kind)
CALL(waitable_semaphore, brood_waitable_semaphore(on.semaphore).kind)
CALL(waitable_stop, brood_waitable_stop().kind)
CALL(waitable_thread, brood_waitable_thread(on.thread).kind)

static const struct call {
    const char *name;
    void (*prepare)(void);
    bool (*make)(void);
} calls[] = {
    { "active_children", make_process, call_active_children },
    { "at_exit", NULL, call_at_exit },
    { "barrier_abort", make_barrier, call_barrier_abort },
    { "barrier_create", NULL, create_barriers },
    { "barrier_destroy", make_barrier, call_barrier_destroy },
    { "barrier_is_broken", make_barrier, call_barrier_is_broken },
    { "barrier_reset", make_barrier, call_barrier_reset },
    { "barrier_wait", make_barrier, call_barrier_wait },
    { "barrier_waiting", make_barrier, call_barrier_waiting },
    { "block_create", NULL, create_blocks },
    { "block_create (too large)", NULL, too_large },
    { "block_create_lazy", NULL, call_block_create_lazy },
    { "block_data", make_block, call_block_data },
    { "block_destroy", make_block, call_block_destroy },
    { "block_size", make_block, call_block_size },
    { "clock", NULL, call_clock },
    { "condition_create", NULL, create_conditions },
    { "condition_destroy", make_condition, call_condition_destroy },
    { "condition_notify", make_condition, call_condition_notify },
    { "condition_notify_all", make_condition, call_condition_notify_all },
    { "condition_wait", make_condition, condition_wait },
    { "condition_wait_for", make_condition, condition_wait_for },
    { "connection_close", make_connection, call_connection_close },
    { "connection_destroy", make_connection, call_connection_destroy },
    { "connection_leave", make_connection, call_connection_leave },
    { "connection_pair", NULL, create_connections },
    { "connection_poll", make_connection, call_connection_poll },
    { "connection_poll (idle)", make_idle_connection, call_connection_poll_idle },
    { "connection_receive", make_connection, call_connection_receive },
    { "connection_send", make_idle_connection, call_connection_send },
    { "connection_send_parts", make_idle_connection, call_connection_send_parts },
    { "cpu_count", NULL, call_cpu_count },
    { "cpu_usable", NULL, call_cpu_usable },
    { "dump", make_process, call_dump },
    { "event_clear", make_event, call_event_clear },
    { "event_create", NULL, create_events },
    { "event_destroy", make_event, call_event_destroy },
    { "event_is_set", make_event, call_event_is_set },
    { "event_set", make_event, call_event_set },
    { "event_wait", make_event, call_event_wait },
    { "exit_number", NULL, call_exit_number },
    { "exit_text", NULL, exit_text },
    { "init_with", NULL, call_init },
    { "last_error", NULL, last_error },
    { "local_create", NULL, call_local_create },
    { "local_destroy", make_local, call_local_destroy },
    { "local_get", make_local, call_local_get },
    { "local_set", make_local, local_set },
    { "lock_acquire", make_lock, call_lock_acquire },
    { "lock_create", NULL, create_locks },
    { "lock_create_recursive", NULL, call_lock_create_recursive },
    { "lock_destroy", make_lock, call_lock_destroy },
    { "lock_release", make_lock, lock_release },
    { "log", set_log, call_log },
    { "log_set_handler", NULL, call_log_set_handler },
    { "log_stderr", NULL, call_log_stderr },
    { "once", NULL, call_once },
    { "parent_is_alive", NULL, call_parent_is_alive },
    { "parent_pid", NULL, call_parent_pid },
    { "parent_wait", NULL, call_parent_wait },
    { "poller_add", make_poller, call_poller_add },
    { "poller_create", NULL, call_poller_create },
    { "poller_destroy", make_poller, call_poller_destroy },
    { "poller_native", make_poller, call_poller_native },
    { "poller_remove", make_poller, call_poller_remove },
    { "poller_wait", make_poller, call_poller_wait },
    { "process_drop", make_ending_process, call_process_drop },
    { "process_is_alive", make_process, call_process_is_alive },
    { "process_is_daemon", make_process, call_process_is_daemon },
    { "process_join", make_ending_process, call_process_join },
    { "process_kill", make_process, call_process_kill },
    { "process_name", make_process, call_process_name },
    { "process_native", make_process, call_process_native },
    { "process_pid", make_process, call_process_pid },
    { "process_report", make_process, call_process_report },
    { "process_request_stop", make_process, call_process_request_stop },
    { "process_start", NULL, call_process_start },
    { "process_start (spawn)", NULL, call_process_start_spawn },
    { "process_start (forkserver)", NULL, call_process_start_forkserver },
    { "process_start (fork)", NULL, call_process_start_fork },
    { "process_stop", make_process, call_process_stop },
    { "process_terminate", make_process, call_process_terminate },
    { "queue_abort", make_empty_queue, queue_abort },
    { "queue_clear", make_queue, call_queue_clear },
    { "queue_close", make_queue, call_queue_close },
    { "queue_commit", make_empty_queue, queue_commit },
    { "queue_count", make_queue, call_queue_count },
    { "queue_create", NULL, create_queues },
    { "queue_create_joinable", NULL, create_joinable_queues },
    { "queue_destroy", make_queue, call_queue_destroy },
    { "queue_get", make_queue, call_queue_get },
    { "queue_get (empty)", make_empty_queue, call_queue_get_empty },
    { "queue_get_many", make_queue, call_queue_get_many },
    { "queue_join", make_joinable_queue, call_queue_join },
    { "queue_get (joinable)", make_joinable_queue, call_queue_get_joinable },
    { "queue_put", make_empty_queue, call_queue_put },
    { "queue_put (full)", make_queue, call_queue_put_full },
    { "queue_put_many", make_empty_queue, call_queue_put_many },
    { "queue_release", make_queue, queue_release },
    { "queue_reserve", make_empty_queue, call_queue_reserve },
    { "queue_take", make_queue, call_queue_take },
    { "queue_task_done", make_joinable_queue, call_queue_task_done },
    { "registry_get", NULL, call_registry_get },
    { "registry_set", NULL, set_names },
    { "self_name", NULL, call_self_name },
    { "self_pid", NULL, call_self_pid },
    { "self_resource", NULL, call_self_resource },
    { "self_thread_id", NULL, call_self_thread_id },
    { "semaphore_acquire", make_semaphore, call_semaphore_acquire },
    { "semaphore_create", NULL, create_semaphores },
    { "semaphore_destroy", make_semaphore, call_semaphore_destroy },
    { "semaphore_release", make_semaphore, call_semaphore_release },
    { "semaphore_value", make_semaphore, call_semaphore_value },
    { "shutdown", NULL, call_shutdown },
    { "sleep", NULL, call_sleep },
    { "start_method_get", NULL, call_start_method_get },
    { "start_method_set", NULL, call_start_method_set },
    { "status_acquired", NULL, call_status_acquired },
    { "status_name", NULL, call_status_name },
    { "status_text", NULL, call_status_text },
    { "stop_requested", NULL, call_stop_requested },
    { "stop_wait", NULL, call_stop_wait },
    { "thread_drop", make_ending_thread, call_thread_drop },
    { "thread_id", make_thread, call_thread_id },
    { "thread_is_alive", make_thread, call_thread_is_alive },
    { "thread_join", make_ending_thread, call_thread_join },
    { "thread_name", make_thread, call_thread_name },
    { "thread_request_stop", make_thread, call_thread_request_stop },
    { "thread_start", NULL, thread_start },
    { "version", NULL, call_version },
    { "wait_any", make_waitables, call_wait_any },
    { "wait_any (process)", make_poller, call_wait_any_of_processes },
    { "waitable_connection", NULL, call_waitable_connection },
    { "waitable_connection_room", NULL, call_waitable_connection_room },
    { "waitable_event", make_event, call_waitable_event },
    { "waitable_native", NULL, call_waitable_native },
    { "waitable_parent", NULL, call_waitable_parent },
    { "waitable_process", make_process, call_waitable_process },
    { "waitable_queue", make_empty_queue, call_waitable_queue },
    { "waitable_queue_room", make_empty_queue, call_waitable_queue_room },
    { "waitable_semaphore", make_semaphore, call_waitable_semaphore },
    { "waitable_stop", NULL, call_waitable_stop },
    { "waitable_thread", make_thread, call_waitable_thread },
};

enum { CALLS = sizeof calls / sizeof calls[0] };

// A thread with a painted stack

struct measured {
    const struct call *call;
    const unsigned char *stack;
    bool done;
    int64_t depth;
};

static void *make_call(void *arg)
{
    struct measured *measured = arg;
    const unsigned char *here = __builtin_frame_address(0);
    const unsigned char *touched = measured->stack;
    measured->done = measured->call->make();
    while (*touched == PAINT)
        touched++;
    measured->depth = here - touched;
    return NULL;
}

// Stores the depth in the block; it is negative if the call failed.
static int measure(void *arg)
{
    struct argument {
        uint32_t index;
        brood_block out;
    } argument;
    memcpy(&argument, arg, sizeof argument);
    int64_t *out = brood_block_data(argument.out);
    struct measured measured = { .call = &calls[argument.index] };
    pthread_attr_t attributes;
    pthread_t thread;
    void *stack =
        mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    CHECK(out && stack != MAP_FAILED);
    memset(stack, PAINT, STACK);
    measured.stack = stack;
    if (measured.call->prepare)
        measured.call->prepare();
    CHECK(pthread_attr_init(&attributes) == 0 &&
          pthread_attr_setstack(&attributes, stack, STACK) == 0);
    CHECK(pthread_create(&thread, &attributes, make_call, &measured) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    *out = measured.done ? measured.depth : -1;
    if (on.process)
        (void)brood_process_request_stop(on.process);
    if (on.thread)
        (void)brood_thread_request_stop(on.thread);
    return 0;
}

static int64_t depth_of(uint32_t index)
{
    struct argument {
        uint32_t index;
        brood_block out;
    } argument = { .index = index };
    assert_status(brood_block_create(&argument.out, sizeof(int64_t)), BROOD_OK);
    brood_process *process = started_process(measure, &argument, sizeof argument);
    brood_exit how;
    assert_status(brood_process_join(process, MEETING_PATIENCE, &how), BROOD_OK);
    brood_process_drop(process);
    const int64_t depth = *(const int64_t *)brood_block_data(argument.out);
    assert_status(brood_block_destroy(argument.out), BROOD_OK);
    return how.kind == BROOD_EXITED && how.code == 0 ? depth : -2;
}

static void every_call_needs_little_stack(void **state)
{
    (void)state;
    uint32_t failures = 0;
    int64_t deepest = 0;
    for (uint32_t index = 0; index < CALLS; index++) {
        const int64_t depth = depth_of(index);
        deepest = depth > deepest ? depth : deepest;
        if (depth >= 0 && depth <= MOST)
            continue;
        print_message("brood_%s: %lld bytes\n", calls[index].name, (long long)depth);
        failures++;
    }
    print_message("at most %lld bytes\n", (long long)deepest);
    assert_int_equal(failures, 0);
}

// Every call in src/exports.txt must be measured.
static void every_call_is_measured(void **state)
{
    (void)state;
    char line[128];
    FILE *file = fopen(EXPORTS, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        bool known = strncmp(line, "brood_", 6) != 0;
        for (uint32_t i = 0; i < CALLS && !known; i++)
            known = strcmp(line + 6, calls[i].name) == 0;
        if (!known)
            fail_msg("%s is not measured", line);
    }
    (void)fclose(file);
}

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_call_needs_little_stack),
        cmocka_unit_test(every_call_is_measured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
