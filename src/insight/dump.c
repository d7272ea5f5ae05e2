// SPDX-License-Identifier: MIT
// brood_dump: describes the slots of the family in text. It reads slots while other threads write
// them, and stops no thread: each line was true at some moment, but not all lines at the same one.
// A slot that is freed or taken while it is read is left out.
#include "arena/family.h"

#include "arena/kinds.h"
#include "arena/process_slot.h"
#include "arena/self.h"
#include "arena/thread_slot.h"
#include "base/fail.h"
#include "base/label.h"
#include "memory/registry.h"
#include "os/os_process.h"
#include "sync/lock.h"
#include "thread/stop.h"

#include <brood/dump.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

struct dump {
    void (*line)(const char *text, void *user);
    void *user;
    char text[768]; // the current line
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
static void add_name(struct dump *dump, char *name)
{
    for (char *at = name; *at; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            *at = '?';
    add(dump, "\"%s\"", name);
}

static struct broodi_process_slot *process_at(uint32_t index)
{
    return broodi_slot(BROODI_PROCESS, index);
}

static struct broodi_thread_slot *thread_at(uint32_t index)
{
    return broodi_slot(BROODI_THREAD, index);
}

// Shared objects

static const char *kind_name(uint32_t kind)
{
    const char *name = kind < BROODI_HANDLE_KINDS ? broodi_kinds[kind].name : NULL;
    return name ? name : "object"; // the slot was overwritten with other data
}

static void add_object(struct dump *dump, uint64_t id)
{
    char name[BROOD_REGISTRY_NAME_MAX + 2];
    add(dump, "%s %016" PRIx64, kind_name(broodi_handle_unpack(id).kind), id);
    if (!broodi_registry_name_of(id, name))
        return;
    add(dump, " ");
    add_name(dump, name);
}

static void add_holder(struct dump *dump, uint64_t lock)
{
    uint32_t holder;
    if (!broodi_lock_holder(lock, &holder) || holder >= broodi_slot_limit(BROODI_THREAD))
        return;
    const struct broodi_thread_slot *thread = thread_at(holder);
    const uint64_t state = atomic_load_explicit(&thread->state.state, memory_order_acquire);
    const uint32_t process = broodi_thread_process_of(state);
    if (process < broodi_slot_limit(BROODI_PROCESS))
        add(dump, ", held by thread %" PRIu64 " of process %" PRId64,
            atomic_load_explicit(&thread->id, memory_order_relaxed),
            atomic_load_explicit(&process_at(process)->pid, memory_order_relaxed));
}

// Threads

static void add_wait(struct dump *dump, uint64_t waits)
{
    const uint64_t number = broodi_waits_for(BROODI_WAITS_NOT, waits);
    const uint64_t object = (uint64_t)broodi_family.tag << BROODI_TAG_AT |
                            (number & ((UINT64_C(1) << BROODI_TAG_AT) - 1));
    switch ((enum broodi_waits)(waits >> BROODI_WAITS_AT)) {
    case BROODI_WAITS_NOT:
        return;
    case BROODI_WAITS_OBJECT:
        add(dump, "    waits for ");
        add_object(dump, object);
        add_holder(dump, object);
        break;
    case BROODI_WAITS_PROCESS:
        add(dump, "    waits for the end of process %" PRIu64, number);
        break;
    case BROODI_WAITS_THREAD:
        add(dump, "    waits for the end of thread %" PRIu64, number);
        break;
    case BROODI_WAITS_PARENT:
        add(dump, "    waits for the end of its parent");
        break;
    case BROODI_WAITS_STOP:
        add(dump, "    waits to be asked to stop");
        break;
    case BROODI_WAITS_ONCE:
        add(dump, "    waits for a brood_once of its process");
        break;
    default: // the slot was overwritten with other data
        return;
    }
    end_line(dump);
}

static void add_locks_of(struct dump *dump, enum broodi_kind kind, uint32_t thread)
{
    uint64_t id;
    for (uint32_t index = 0; broodi_lock_next(kind, thread, &index, &id);) {
        add(dump, "    holds ");
        add_object(dump, id);
        end_line(dump);
    }
}

static void dump_thread(struct dump *dump, uint32_t index, uint64_t state)
{
    const struct broodi_thread_slot *slot = thread_at(index);
    const bool holds = atomic_load_explicit(&slot->held, memory_order_relaxed) > 0;
    const uint64_t id = atomic_load_explicit(&slot->id, memory_order_relaxed);
    const uint64_t waits = atomic_load_explicit(&slot->waits, memory_order_relaxed);
    char name[sizeof slot->name + 1];
    broodi_label_read(slot->name, BROODI_LABEL, name);
    const bool over = broodi_thread_is_over(index, broodi_thread_turn(index));
    if (!over && atomic_load_explicit(&slot->state.state, memory_order_relaxed) != state)
        return;
    add(dump, name[0] ? "  thread %" PRIu64 " " : "  thread %" PRIu64, id);
    if (name[0])
        add_name(dump, name);
    if (over)
        add(dump, ": has ended");
    end_line(dump);
    if (holds) {
        add_locks_of(dump, BROODI_LOCK, index);
        add_locks_of(dump, BROODI_OWN_LOCK, index);
    }
    if (!over)
        add_wait(dump, waits);
}

static void dump_threads_of(struct dump *dump, uint32_t process)
{
    const uint32_t limit = broodi_slot_limit(BROODI_THREAD);
    for (uint32_t index = 0; (index = broodi_slot_next(BROODI_THREAD, index, limit)) < limit;
         index++) {
        const uint64_t state =
            atomic_load_explicit(&thread_at(index)->state.state, memory_order_acquire);
        const enum broodi_thread_phase phase = broodi_thread_phase_of(state);
        if ((phase == BROODI_THREAD_LIVE || phase == BROODI_THREAD_DEAD) &&
            broodi_thread_process_of(state) == process)
            dump_thread(dump, index, state);
    }
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
    add(dump, "%s", words[origin < BROODI_ORIGIN_GUEST ? origin : BROODI_ORIGIN_GUEST]);
    if (parent)
        add(dump,
            origin == BROODI_ORIGIN_SERVER ? " of process %" PRId64
                                           : ", started by process %" PRId64,
            parent);
}

// Returns the pid of the parent; 0 if there is none, or the parent's slot was freed.
static int64_t parent_of(const struct broodi_process_slot *slot)
{
    const uint32_t parent = atomic_load_explicit(&slot->parent, memory_order_relaxed);
    if (parent == BROODI_NONE)
        return 0;
    const uint64_t state =
        atomic_load_explicit(&process_at(parent)->state.state, memory_order_acquire);
    if (!broodi_slot_is_live(state) ||
        broodi_generation(state) !=
            atomic_load_explicit(&slot->parent_generation, memory_order_relaxed))
        return 0;
    return atomic_load_explicit(&process_at(parent)->pid, memory_order_relaxed);
}

static bool has_ended(const struct broodi_process_slot *slot, uint64_t state, int64_t pid)
{
    const enum broodi_process_phase phase = broodi_process_phase_of(state);
    return phase == BROODI_PROCESS_ENDED ||
           (phase == BROODI_PROCESS_LIVE && broodi_process_has_number(slot) &&
            brood_os_process_birth(pid) == 0);
}

static void dump_process(struct dump *dump, uint32_t index, uint64_t state)
{
    const struct broodi_process_slot *slot = process_at(index);
    const int64_t pid = atomic_load_explicit(&slot->pid, memory_order_relaxed);
    const int64_t parent = parent_of(slot);
    const uint32_t origin = atomic_load_explicit(&slot->origin, memory_order_relaxed);
    const bool daemon = atomic_load_explicit(&slot->daemon, memory_order_relaxed);
    const uint64_t stop = atomic_load_explicit(&slot->stop.state, memory_order_relaxed);
    char name[sizeof slot->name + 1];
    broodi_label_read(slot->name, BROODI_LABEL, name);
    if (atomic_load_explicit(&slot->state.state, memory_order_relaxed) != state)
        return;
    if (pid)
        add(dump, "process %" PRId64 " ", pid);
    else
        add(dump, "process being started, ");
    add_name(dump, name);
    add(dump, ": ");
    add_origin(dump, (enum broodi_origin)origin, parent);
    add(dump, "%s%s%s", daemon ? ", a daemon" : "",
        broodi_stop_is_requested(stop) ? ", asked to stop" : "",
        has_ended(slot, state, pid) ? "; has ended" : "");
    end_line(dump);
    dump_threads_of(dump, index);
}

static void dump_processes(struct dump *dump)
{
    const uint32_t limit = broodi_slot_limit(BROODI_PROCESS);
    for (uint32_t index = 0; (index = broodi_slot_next(BROODI_PROCESS, index, limit)) < limit;
         index++) {
        const uint64_t state =
            atomic_load_explicit(&process_at(index)->state.state, memory_order_acquire);
        if (broodi_process_phase_of(state) != BROODI_PROCESS_DYING)
            dump_process(dump, index, state);
    }
}

static void add_count(struct dump *dump, const char *what, enum broodi_kind kind)
{
    const uint32_t count =
        atomic_load_explicit(&broodi_family.header->tables[kind].live, memory_order_relaxed);
    add(dump, "%s %u", what, (unsigned)count);
}

static void dump_family(struct dump *dump)
{
    add(dump, "family %016" PRIx64 ":", broodi_family.header->family[0]);
    add_count(dump, " processes", BROODI_PROCESS);
    add_count(dump, ", threads", BROODI_THREAD);
    add_count(dump, ", locks", BROODI_LOCK);
    add_count(dump, ", semaphores", BROODI_SEMAPHORE);
    add_count(dump, ", events", BROODI_EVENT);
    add_count(dump, ", conditions", BROODI_CONDITION);
    add_count(dump, ", barriers", BROODI_BARRIER);
    add_count(dump, ", blocks", BROODI_BLOCK);
    add_count(dump, ", names", BROODI_NAME);
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
    return BROOD_OK;
}

brood_status brood_dump(void (*line)(const char *text, void *user), void *user)
{
    return broodi_answer("brood_dump", dump(line, user));
}
