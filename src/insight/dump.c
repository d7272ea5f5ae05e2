// SPDX-License-Identifier: MIT
// brood_dump: prints what snapshot.h describes.
#include "insight/cycle.h"
#include "insight/snapshot.h"

#include "arena/self.h"
#include "base/fail.h"

#include <brood/dump.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

struct dump {
    void (*line)(const char *text, void *user);
    void *user;
    char text[2048]; // the current line; what does not fit is left out
    size_t length;
};

BROODI_PRINTF(2, 3) static void add(struct dump *dump, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const int length =
        vsnprintf(dump->text + dump->length, sizeof dump->text - dump->length, format, arguments);
    va_end(arguments);
    if (length > 0)
        dump->length += (size_t)length;
    if (dump->length >= sizeof dump->text)
        dump->length = sizeof dump->text - 1;
}

static void end_line(struct dump *dump)
{
    dump->line(dump->text, dump->user);
    dump->length = 0;
}

// Adds the name in quotes. A name may hold any byte: a control character, which could end the line
// or control a terminal, becomes a question mark.
static void add_name(struct dump *dump, const char *name)
{
    add(dump, "\"");
    for (const char *at = name; *at; at++)
        add(dump, "%c", (unsigned char)*at < ' ' || *at == 0x7f ? '?' : *at);
    add(dump, "\"");
}

// Threads

static void add_object(struct dump *dump, const struct broodi_snapshot_object *object)
{
    add(dump, "%s %016" PRIx64, object->kind, object->id);
    if (object->name[0]) {
        add(dump, " ");
        add_name(dump, object->name);
    }
}

static void add_wait(struct dump *dump, const struct broodi_snapshot_wait *wait)
{
    switch (wait->kind) {
    case BROODI_WAITS_NOT:
        return;
    case BROODI_WAITS_OBJECT:
        add(dump, "waits for ");
        add_object(dump, &wait->object);
        if (wait->is_held)
            add(dump, ", held by thread %" PRIu64 " of process %" PRId64, wait->holder,
                wait->holder_pid);
        return;
    case BROODI_WAITS_ITEM:
        add(dump, "waits for a message of ");
        add_object(dump, &wait->object);
        return;
    case BROODI_WAITS_ROOM:
        add(dump, "waits for room in ");
        add_object(dump, &wait->object);
        return;
    case BROODI_WAITS_PROCESS:
        add(dump, "waits for the end of process %" PRIu64, wait->number);
        return;
    case BROODI_WAITS_THREAD:
        add(dump, "waits for the end of thread %" PRIu64, wait->number);
        return;
    case BROODI_WAITS_PARENT:
        add(dump, "waits for the end of its parent");
        return;
    case BROODI_WAITS_STOP:
        add(dump, "waits to be asked to stop");
        return;
    case BROODI_WAITS_ONCE:
        add(dump, "waits for a brood_once of its process");
        return;
    case BROODI_WAITS_ANY:
        add(dump, "waits for any of %" PRIu64, wait->number);
        return;
    }
}

static void dump_wait(struct dump *dump, const struct broodi_snapshot_wait *wait)
{
    if (wait->kind == BROODI_WAITS_NOT)
        return;
    add(dump, "    ");
    add_wait(dump, wait);
    end_line(dump);
}

static void dump_locks(struct dump *dump, const struct broodi_snapshot_thread *thread)
{
    struct broodi_snapshot_object lock;
    struct broodi_snapshot_position position = { 0 };
    while (broodi_snapshot_lock(thread, &position, &lock)) {
        add(dump, "    holds ");
        add_object(dump, &lock);
        end_line(dump);
    }
}

static void dump_thread(struct dump *dump, const struct broodi_snapshot_thread *thread)
{
    add(dump, "  thread %" PRIu64, thread->id);
    if (thread->name[0]) {
        add(dump, " ");
        add_name(dump, thread->name);
    }
    if (thread->has_ended)
        add(dump, ": has ended");
    end_line(dump);
    dump_locks(dump, thread);
    dump_wait(dump, &thread->wait);
}

static void dump_threads_of(struct dump *dump, uint32_t process)
{
    struct broodi_snapshot_thread thread;
    for (uint32_t index = 0; broodi_snapshot_thread(process, &index, &thread);)
        dump_thread(dump, &thread);
}

// Processes

static void add_origin(struct dump *dump, enum broodi_origin origin, int64_t parent)
{
    static const char *const words[] = { [BROODI_ORIGIN_MAIN] = "the main process",
                                         [BROODI_ORIGIN_SPAWN] = "spawned",
                                         [BROODI_ORIGIN_FORKSERVER] = "forked by the fork server",
                                         [BROODI_ORIGIN_FORK] = "forked",
                                         [BROODI_ORIGIN_SERVER] = "the fork server",
                                         [BROODI_ORIGIN_GUEST] = "forked by the program itself" };
    add(dump, "%s", words[origin]);
    if (parent)
        add(dump,
            origin == BROODI_ORIGIN_SERVER ? " of process %" PRId64
                                           : ", started by process %" PRId64,
            parent);
}

static void dump_process(struct dump *dump, const struct broodi_snapshot_process *process)
{
    if (process->pid)
        add(dump, "process %" PRId64 " ", process->pid);
    else
        add(dump, "process being started, ");
    add_name(dump, process->name);
    add(dump, ": ");
    add_origin(dump, process->origin, process->parent);
    add(dump, "%s%s%s", process->daemon ? ", a daemon" : "",
        process->asked_to_stop ? ", asked to stop" : "", process->has_ended ? "; has ended" : "");
    end_line(dump);
    dump_threads_of(dump, process->slot);
}

static void dump_processes(struct dump *dump)
{
    struct broodi_snapshot_process process;
    for (uint32_t index = 0; broodi_snapshot_process(&index, &process);)
        dump_process(dump, &process);
}

// Queues and connections

static void add_fill(struct dump *dump, const struct broodi_snapshot_queue *queue)
{
    if (queue->unit)
        add(dump, "%" PRIu32 " of %" PRIu32 " units of %" PRIu64 " bytes", queue->count,
            queue->capacity, UINT64_C(1) << queue->unit);
    else
        add(dump, "%" PRIu32 " of %" PRIu32 " messages", queue->count, queue->capacity);
    if (queue->reserved)
        add(dump, ", %" PRIu32 " reserved", queue->reserved);
}

static void dump_queues(struct dump *dump)
{
    struct broodi_snapshot_queue queue;
    for (uint32_t index = 0; broodi_snapshot_queue(&index, &queue);) {
        if (queue.is_direction)
            continue;
        add_object(dump, &queue.object);
        add(dump, ": ");
        add_fill(dump, &queue);
        add(dump, "%s%s", queue.is_closed ? ", closed" : "",
            queue.is_ending ? "; destroyed, and being freed" : "");
        end_line(dump);
    }
}

static void dump_connection(struct dump *dump, const struct broodi_snapshot_connection *connection)
{
    static const char *const ends[] = { "first", "second" };
    add_object(dump, &connection->object);
    for (int end = 0; end < 2; end++)
        if (connection->is_closed[end])
            add(dump, ", the %s end is closed", ends[end]);
    add(dump, "%s", connection->is_ending ? "; it has ended, and is being freed" : "");
    end_line(dump);
    for (int end = 0; end < 2; end++) {
        if (!connection->sends[end])
            continue;
        add(dump, "    from the %s end: ", ends[end]);
        add_fill(dump, &connection->directions[end]);
        end_line(dump);
    }
}

static void dump_connections(struct dump *dump)
{
    struct broodi_snapshot_connection connection;
    for (uint32_t index = 0; broodi_snapshot_connection(&index, &connection);)
        dump_connection(dump, &connection);
}

// Deadlocks

static void add_member(struct dump *dump, const struct broodi_cycle_member *member)
{
    struct broodi_snapshot_wait wait;
    int64_t pid;
    uint64_t thread;
    broodi_snapshot_thread_of(member->thread, &thread, &pid);
    add(dump, "thread %" PRIu64 " of process %" PRId64 " ", thread, pid);
    broodi_snapshot_wait(member->waits, &wait);
    add_wait(dump, &wait);
}

static void dump_deadlocks(struct dump *dump)
{
    struct broodi_cycle cycle;
    for (uint32_t index = 0; broodi_cycle_next(&index, &cycle);) {
        add(dump, "deadlock: ");
        for (uint32_t i = 0; i < cycle.length; i++) {
            add(dump, "%s", i ? "; " : "");
            add_member(dump, &cycle.members[i]);
        }
        end_line(dump);
    }
}

// The family

static void dump_family(struct dump *dump)
{
    static const struct {
        enum broodi_kind kind;
        const char *words;
    } counts[] = { { BROODI_PROCESS, " processes" },
                   { BROODI_THREAD, ", threads" },
                   { BROODI_LOCK, ", locks" },
                   { BROODI_SEMAPHORE, ", semaphores" },
                   { BROODI_EVENT, ", events" },
                   { BROODI_CONDITION, ", conditions" },
                   { BROODI_BARRIER, ", barriers" },
                   { BROODI_QUEUE, ", queues" },
                   { BROODI_CONNECTION, ", connections" },
                   { BROODI_BLOCK, ", blocks" },
                   { BROODI_NAME, ", names" } };
    struct broodi_snapshot_family family;
    broodi_snapshot_family(&family);
    add(dump, "family %016" PRIx64 ":", family.family[0]);
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        add(dump, "%s %" PRIu32, counts[i].words, family.tables[counts[i].kind].taken);
    end_line(dump);
}

static brood_status dump(void (*line)(const char *, void *), void *user)
{
    const brood_status status = broodi_ready();
    if (status != BROOD_OK)
        return status;
    if (!line)
        return broodi_fail(BROOD_INVALID, "line is NULL");
    struct dump dump = { .line = line, .user = user };
    dump_family(&dump);
    dump_processes(&dump);
    dump_queues(&dump);
    dump_connections(&dump);
    dump_deadlocks(&dump);
    return BROOD_OK;
}

brood_status brood_dump(void (*line)(const char *text, void *user), void *user)
{
    return broodi_answer("brood_dump", dump(line, user));
}
