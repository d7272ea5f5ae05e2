// SPDX-License-Identifier: MIT
#include "process/waitables.h"

#include "arena/family.h"
#include "arena/here.h"
#include "arena/report.h"
#include "base/deadline.h"
#include "base/fail.h"
#include "message/call.h"
#include "message/passage.h"
#include "os/os_process.h"
#include "os/os_thread.h"
#include "process/child.h"
#include "process/children.h"
#include "sync/level.h"
#include "sync/object.h"
#include "thread/stop.h"
#include "thread/threads.h"

static struct broodi_process_slot *slot_of(const brood_process *process)
{
    return broodi_slot(BROODI_PROCESS, process->slot);
}

static void drop_process(void *reference)
{
    brood_process_drop(reference);
}

static void drop_thread(void *reference)
{
    brood_thread_drop(reference);
}

// Shared objects

// An object whose state, with which its slot begins, is what can be watched.
static brood_status open_object(struct broodi_waiting *waiting, enum broodi_kind kind)
{
    waiting->object = broodi_object_find(kind, waiting->waitable.id);
    if (!waiting->object)
        return broodi_object_not_found(kind);
    waiting->word = waiting->object;
    waiting->first = broodi_word_load(waiting->word);
    return BROOD_OK;
}

static brood_status open_event(struct broodi_waiting *waiting)
{
    return open_object(waiting, BROODI_EVENT);
}

static bool event_is_ready(const struct broodi_waiting *waiting, enum broodi_care care)
{
    (void)care;
    return broodi_event_is_ready(waiting->waitable.id, waiting->first,
                                 broodi_word_load(waiting->word));
}

static brood_status open_semaphore(struct broodi_waiting *waiting)
{
    return open_object(waiting, BROODI_SEMAPHORE);
}

static bool semaphore_is_ready(const struct broodi_waiting *waiting, enum broodi_care care)
{
    (void)care;
    return broodi_semaphore_is_ready(waiting->waitable.id, broodi_word_load(waiting->word));
}

// Queues

static brood_status open_side(struct broodi_waiting *waiting, enum broodi_side side)
{
    struct broodi_call call;
    const brood_status status =
        broodi_call_begin(&call, (brood_queue){ waiting->waitable.id }, BROOD_NOW);
    if (status != BROOD_OK)
        return status;
    waiting->object = call.queue;
    waiting->word = broodi_queue_word(call.queue, side);
    return BROOD_OK;
}

static bool side_is_ready(const struct broodi_waiting *waiting, enum broodi_side side,
                          enum broodi_care care)
{
    const struct broodi_call call = { .id = waiting->waitable.id, .queue = waiting->object };
    return broodi_queue_is_ready(&call, side, care == BROODI_CARE_THOROUGH);
}

static brood_status open_items(struct broodi_waiting *waiting)
{
    return open_side(waiting, BROODI_CONSUMERS);
}

static bool has_items(const struct broodi_waiting *waiting, enum broodi_care care)
{
    return side_is_ready(waiting, BROODI_CONSUMERS, care);
}

static brood_status open_room(struct broodi_waiting *waiting)
{
    return open_side(waiting, BROODI_PRODUCERS);
}

static bool has_room(const struct broodi_waiting *waiting, enum broodi_care care)
{
    return side_is_ready(waiting, BROODI_PRODUCERS, care);
}

// Connections

// What is stale is ready; the word is then that of nothing.
static brood_status open_end(struct broodi_waiting *waiting, enum broodi_side side)
{
    struct broodi_passage passage;
    const brood_status status =
        broodi_passage_begin(&passage, waiting->waitable.id, side, BROOD_NOW);
    if (status != BROOD_OK)
        return status == BROOD_STALE ? BROOD_OK : status;
    waiting->object = passage.call.queue;
    waiting->word = broodi_queue_word(passage.call.queue, side);
    return BROOD_OK;
}

// Whether the other end has no users any more. A thorough check asks the system for those that
// were killed.
static bool is_deserted(const struct broodi_end *end, bool thorough)
{
    if (thorough && broodi_users_check(&end->slot->users[!end->number], end->id, false))
        broodi_end_notify_all(end);
    return broodi_end_peer(end) != BROOD_OK;
}

// Does not make the process a user: it may have left since.
static bool end_is_ready(const struct broodi_waiting *waiting, enum broodi_side side,
                         enum broodi_care care)
{
    struct broodi_passage passage;
    const bool thorough = care == BROODI_CARE_THOROUGH;
    if (broodi_passage_find(&passage, waiting->waitable.id, side, BROOD_NOW) != BROOD_OK)
        return true;
    passage.call.is_ready =
        side == BROODI_PRODUCERS ? broodi_send_is_ready : broodi_receive_is_ready;
    return broodi_passage_check(&passage) != BROOD_OK ||
           broodi_queue_is_ready(&passage.call, side, thorough) ||
           (side == BROODI_CONSUMERS && broodi_passage_ending(&passage) != BROOD_OK) ||
           is_deserted(&passage.end, thorough);
}

static brood_status open_receiver(struct broodi_waiting *waiting)
{
    return open_end(waiting, BROODI_CONSUMERS);
}

static bool can_receive(const struct broodi_waiting *waiting, enum broodi_care care)
{
    return end_is_ready(waiting, BROODI_CONSUMERS, care);
}

static brood_status open_sender(struct broodi_waiting *waiting)
{
    return open_end(waiting, BROODI_PRODUCERS);
}

static bool can_send(const struct broodi_waiting *waiting, enum broodi_care care)
{
    return end_is_ready(waiting, BROODI_PRODUCERS, care);
}

// Threads and requests to stop

static brood_status open_thread(struct broodi_waiting *waiting)
{
    brood_thread *thread = waiting->waitable.reference;
    const brood_status status = broodi_thread_check(thread);
    if (status != BROOD_OK)
        return status;
    waiting->object = thread;
    waiting->word = broodi_thread_word(thread);
    return BROOD_OK;
}

static bool thread_is_ready(const struct broodi_waiting *waiting, enum broodi_care care)
{
    (void)care;
    return broodi_thread_is_joinable(waiting->object);
}

static brood_status open_stop(struct broodi_waiting *waiting)
{
    waiting->word = broodi_stop_word();
    waiting->object = waiting->word;
    return waiting->word ? BROOD_OK : BROOD_NO_RESOURCES;
}

static bool stop_is_ready(const struct broodi_waiting *waiting, enum broodi_care care)
{
    (void)waiting, (void)care;
    return brood_stop_requested();
}

// Children

// A direct child that has ended is seen through its native object alone. The server of a served one
// also reports the end, in the child's slot.
static brood_status open_process(struct broodi_waiting *waiting)
{
    brood_process *process = waiting->waitable.reference;
    const brood_status status = broodi_member_check(process, "process", "child");
    if (status != BROOD_OK)
        return status;
    waiting->object = process;
    waiting->native = process->child.handle;
    if (process->server)
        waiting->word = &slot_of(process)->state;
    waiting->polled = waiting->native == -1 && !process->server;
    return BROOD_OK;
}

// Waits a moment for a child that has ended and cannot be reaped yet: its server has yet to report
// how it ended, or a debugger traces it. Its native object stays ready, so the caller would not
// block.
static bool reap_late(brood_process *process)
{
    (void)broodi_child_await_end(process, broodi_deadline(BROOD_MILLISECONDS(20)));
    if (broodi_child_reap(process))
        return true;
    brood_sleep(BROOD_MILLISECONDS(1));
    return false;
}

static bool process_is_ready(const struct broodi_waiting *waiting, enum broodi_care care)
{
    brood_process *process = waiting->object;
    brood_exit seen;
    if (care == BROODI_CARE_QUICK && !waiting->signalled && !waiting->polled &&
        !(process->server && broodi_report_read(process->slot, &seen)))
        return false;
    return broodi_child_reap(process) || (waiting->signalled && reap_late(process));
}

// The parent

static brood_os_child parent_by(intptr_t native)
{
    return (brood_os_child){
        .pid = broodi_here.parent_pid, .handle = native, .channel = -1, .memory = -1, .served = true
    };
}

// The number of the parent may be another process's by now, or that of another namespace: a handle
// that was opened before the parent was found alive under its number is the parent's.
static brood_status open_parent(struct broodi_waiting *waiting)
{
    brood_os_child parent = parent_by(-1);
    if (parent.pid == 0)
        return broodi_fail(BROOD_WRONG_STATE, "the main process has no parent in the family");
    const int before = brood_os_thread_protect();
    if (brood_os_process_open(&parent) &&
        brood_os_process_birth(parent.pid) != broodi_here.parent_birth) {
        brood_os_process_release(&parent);
        parent.handle = -1;
    }
    brood_os_thread_unprotect(before);
    waiting->native = parent.handle;
    waiting->polled = parent.handle == -1;
    return BROOD_OK;
}

static bool parent_is_ready(const struct broodi_waiting *waiting, enum broodi_care care)
{
    return waiting->signalled ||
           ((care != BROODI_CARE_QUICK || waiting->polled) && !brood_parent_is_alive());
}

static void close_parent(struct broodi_waiting *waiting)
{
    brood_os_child parent = parent_by(waiting->native);
    brood_os_process_release(&parent);
}

// Native objects

static brood_status open_native(struct broodi_waiting *waiting)
{
    waiting->native = (intptr_t)waiting->waitable.id;
    return waiting->native == -1 ? broodi_fail(BROOD_INVALID, "no native object: -1") : BROOD_OK;
}

static bool native_is_ready(const struct broodi_waiting *waiting, enum broodi_care care)
{
    (void)care;
    return waiting->signalled;
}

const struct broodi_waitable_row broodi_waitable_rows[BROODI_WAITABLES] = {
    [BROODI_WAITABLE_PROCESS] = { open_process, process_is_ready, NULL, drop_process, false },
    [BROODI_WAITABLE_THREAD] = { open_thread, thread_is_ready, NULL, drop_thread, false },
    [BROODI_WAITABLE_QUEUE] = { open_items, has_items, NULL, NULL, true },
    [BROODI_WAITABLE_QUEUE_ROOM] = { open_room, has_room, NULL, NULL, true },
    [BROODI_WAITABLE_CONNECTION] = { open_receiver, can_receive, NULL, NULL, true },
    [BROODI_WAITABLE_CONNECTION_ROOM] = { open_sender, can_send, NULL, NULL, true },
    [BROODI_WAITABLE_EVENT] = { open_event, event_is_ready, NULL, NULL, false },
    [BROODI_WAITABLE_SEMAPHORE] = { open_semaphore, semaphore_is_ready, NULL, NULL, false },
    [BROODI_WAITABLE_STOP] = { open_stop, stop_is_ready, NULL, NULL, false },
    [BROODI_WAITABLE_PARENT] = { open_parent, parent_is_ready, close_parent, NULL, false },
    [BROODI_WAITABLE_NATIVE] = { open_native, native_is_ready, NULL, NULL, false },
};

// Makers

brood_waitable brood_waitable_process(brood_process *process)
{
    return (brood_waitable){ .kind = BROODI_WAITABLE_PROCESS, .reference = process };
}

brood_waitable brood_waitable_thread(brood_thread *thread)
{
    return (brood_waitable){ .kind = BROODI_WAITABLE_THREAD, .reference = thread };
}

brood_waitable brood_waitable_queue(brood_queue queue)
{
    return (brood_waitable){ .kind = BROODI_WAITABLE_QUEUE, .id = queue.id };
}

brood_waitable brood_waitable_queue_room(brood_queue queue)
{
    return (brood_waitable){ .kind = BROODI_WAITABLE_QUEUE_ROOM, .id = queue.id };
}

brood_waitable brood_waitable_connection(brood_connection connection)
{
    return (brood_waitable){ .kind = BROODI_WAITABLE_CONNECTION, .id = connection.id };
}

brood_waitable brood_waitable_connection_room(brood_connection connection)
{
    return (brood_waitable){ .kind = BROODI_WAITABLE_CONNECTION_ROOM, .id = connection.id };
}

brood_waitable brood_waitable_event(brood_event event)
{
    return (brood_waitable){ .kind = BROODI_WAITABLE_EVENT, .id = event.id };
}

brood_waitable brood_waitable_semaphore(brood_semaphore semaphore)
{
    return (brood_waitable){ .kind = BROODI_WAITABLE_SEMAPHORE, .id = semaphore.id };
}

brood_waitable brood_waitable_stop(void)
{
    return (brood_waitable){ .kind = BROODI_WAITABLE_STOP };
}

brood_waitable brood_waitable_parent(void)
{
    return (brood_waitable){ .kind = BROODI_WAITABLE_PARENT };
}

brood_waitable brood_waitable_native(intptr_t native)
{
    return (brood_waitable){ .kind = BROODI_WAITABLE_NATIVE, .id = (uint64_t)native };
}
