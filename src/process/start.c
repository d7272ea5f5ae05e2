// SPDX-License-Identifier: MIT
// brood_process_start: the parent's half of a start. The child's half is in init.c, whose head
// lists the steps of both.
//
//    plan          checks, allocates, writes the boot record              broodi_plan, in plan.c
//    launch        makes the process
//    await_reply   waits until the child is about to run its target
//    enlist        adds the child to the children of this process
//    discard       frees what the plan has allocated; after a failure also ends the child
//
// Invariants:
// - A child runs its target only after it has sent the reply READY. A start is repeated, with
//   another slot and record, only if the child has ended and had not sent it
//   (broodi_served_can_repeat).
// - Until enlist has succeeded, the start owns the child: its object, its slot and its life. If the
//   start fails, discard ends all three: it kills the child, and frees the slot when the child has
//   ended. (A served child may be unknown: it has stored no pid and sent no reply. It is not
//   killed, but finds the slot changed when it begins, and ends.)
// - After enlist the list of children owns the slot, and the start one reference to the object,
//   which becomes the caller's. No later step can fail.
// - A fork server is detached: it is not enlisted, and its slot is freed with its last reference.
// - The calling thread cannot be cancelled from the plan to the end of discard.
//
// If the parent is killed before it has sent the whole record, the child ends. Later the system
// kills a child that is tied, and another one runs. A sweep frees the slot of either (burial.c).
#include "process/plan.h"

#include "arena/family.h"
#include "arena/log.h"
#include "arena/process_slot.h"
#include "arena/report.h"
#include "arena/self.h"
#include "base/deadline.h"
#include "base/fail.h"
#include "os/os_server.h"
#include "os/os_stdio.h"
#include "os/os_thread.h"
#include "process/boot.h"
#include "process/burial.h"
#include "process/child.h"
#include "process/children.h"
#include "process/init.h"
#include "process/launches.h"
#include "process/served.h"
#include "process/server.h"
#include "process/standard.h"

#include <inttypes.h>
#include <stdlib.h>

// Launch

// Runs in a forked child, and does not return. So nothing of `start` is freed there: the child
// keeps using `record`, `merged` and `kept`. It decodes the record although it has the parent's
// memory: the argument in the record is aligned for any type.
static void enter_fork(void *arg, intptr_t channel)
{
    const struct broodi_start *start = arg;
    struct broodi_boot boot;
    if (broodi_boot_decode(start->record, start->record_size, start->boot.token, &boot) != BROOD_OK)
        brood_os_process_exit(70);
    if (start->beside_threads)
        brood_os_stdio_discard();
    brood_os_thread_unprotect(start->protection);
    broodi_here.forked_with_threads |= start->beside_threads;
    broodi_member_inherit(&start->process->member); // the parent's object for this child
    broodi_log_inherit(start->log, start->log_level);
    broodi_child_of_fork(&boot, channel, start->kept, start->options->resource_count,
                         start->target);
}

// A request to a fork server is no launch in this process.
static brood_status launch_by(const struct broodi_start *start, const brood_os_plan *plan)
{
    brood_os_child *child = &start->process->child;
    if (start->method == BROOD_START_FORKSERVER)
        return brood_os_server_start(&start->process->server->child, plan, &start->now, child);
    if (!broodi_launches_enter())
        return broodi_fail(BROOD_WRONG_STATE, "the process is ending");
    const brood_status status =
        start->method == BROOD_START_FORK
            ? brood_os_process_fork(plan, enter_fork, (void *)(uintptr_t)start, child)
            : brood_os_process_spawn(plan, child);
    broodi_launches_leave();
    return status;
}

static brood_status launch(struct broodi_start *start)
{
    const brood_process_options *options = start->options;
    const bool forks = start->method == BROOD_START_FORK;
    brood_os_plan os_plan = {
        .record = start->record,
        .size = start->record_size,
        .token = start->boot.token,
        .arena = &broodi_family.arena,
        .directory = options->directory,
        .environment = start->merged,
        .tied = !options->survive_parent && !start->detached,
        .detached = start->detached,
        .place = { start->process->slot, start->process->live_state },
        .resources = options->resources,
        .resource_count = options->resource_count,
        .kept = start->kept,
    };
    broodi_standard_plan(options, os_plan.streams);
    start->beside_threads = forks && options->fork_with_threads && brood_os_thread_count() > 1;
    brood_os_stdio_flush(forks && !start->beside_threads && !broodi_here.forked_with_threads);
    const brood_status status = launch_by(start, &os_plan);
    start->launched = status == BROOD_OK;
    return status;
}

// Reply

// Fails a start whose child has not replied in time. A server from which no child has taken the
// request is not used again.
static brood_status fail_late(const brood_process *process)
{
    if (!process->server || process->child.pid > 0)
        return broodi_fail(BROOD_TIMEOUT, "the child did not reach brood_init() in time");
    broodi_server_give_up(process->server);
    return broodi_fail(BROOD_TIMEOUT, "the fork server did not make a child in time");
}

// Returns BROOD_OK if the child is about to run its target.
static brood_status await_reply(struct broodi_start *start)
{
    brood_os_reply reply = { .status = BROOD_SYSTEM };
    brood_process *process = start->process;
    const int64_t deadline = broodi_deadline(broodi_start_timeout);
    if (process->server)
        brood_os_server_await(&process->server->child, &process->child, deadline);
    const brood_status status = brood_os_process_await_ready(&process->child, deadline, &reply);
    if (status == BROOD_OK)
        start->reply = reply.status == BROOD_OK ? BROODI_REPLY_READY : BROODI_REPLY_FAILURE;
    else if (process->server)
        broodi_served_load_pid(process);
    if (status == BROOD_TIMEOUT)
        return fail_late(process);
    return start->reply == BROODI_REPLY_FAILURE ? broodi_fail(reply.status, "%s", reply.text)
                                                : status;
}

static brood_status enlist(struct broodi_start *start)
{
    if (start->detached || broodi_children_add(start->process))
        return BROOD_OK;
    return broodi_fail(BROOD_WRONG_STATE, "the process is ending");
}

// Attempts

static brood_status attempt(struct broodi_start *start)
{
    brood_status status = launch(start);
    if (status == BROOD_OK)
        status = await_reply(start);
    return status == BROOD_OK ? enlist(start) : status;
}

// Whether a served child ended without a reply, for a reason that was not its own.
static bool can_repeat(const struct broodi_start *start, brood_status status)
{
    return status == BROOD_SYSTEM && start->reply == BROODI_REPLY_NONE && start->process->server &&
           broodi_served_can_repeat(start->process);
}

static brood_status attempt_again(struct broodi_start *start)
{
    const brood_status status = broodi_plan_again(start);
    return status == BROOD_OK ? attempt(start) : status;
}

static brood_status attempt_repeatedly(struct broodi_start *start)
{
    enum { TRIES = 10 };
    brood_status status = attempt(start);
    for (int i = 1; i < TRIES && can_repeat(start, status); i++)
        status = attempt_again(start);
    return status;
}

// Discard

static void reap(const brood_os_child *child, brood_exit *out)
{
    (void)brood_os_process_await_end(child, INT64_MAX);
    while (!brood_os_process_reap(child, out))
        brood_os_thread_yield();
}

// Kills the child of a failed start, and waits until it has ended, since its slot is freed next. A
// fork server is not waited for, since it has no threads in the family; and one that has replied
// with a failure is not killed, since it ends by itself. Returns whether `out` is how the child
// ended.
static bool end_child(const struct broodi_start *start, brood_exit *out)
{
    const brood_process *process = start->process;
    if (process->server) {
        broodi_served_kill(process);
        return broodi_report_read(process->slot, out);
    }
    if (process->child.pid > 0 && !(start->detached && start->reply == BROODI_REPLY_FAILURE))
        (void)broodi_child_end(process, true);
    if (!start->detached)
        reap(&process->child, out);
    return !start->detached;
}

// Ends the child of a failed start, and adds to the error text how it ended if it did so before its
// reply.
static void undo_launch(const struct broodi_start *start, brood_status status)
{
    brood_exit end;
    char text[128];
    if (!end_child(start, &end) || start->reply != BROODI_REPLY_NONE || status != BROOD_SYSTEM)
        return;
    (void)brood_exit_text(end, text, sizeof text);
    (void)broodi_fail(status, "the child ended before it reached its target: %s", text);
}

static void discard(struct broodi_start *start, brood_status status)
{
    if (status != BROOD_OK && start->launched)
        undo_launch(start, status);
    if (status != BROOD_OK && start->process) {
        broodi_ends_undo(&start->ends, start->options);
        if (start->process->slot != BROODI_NONE && !start->detached)
            broodi_process_slot_end(start->process->slot);
        brood_process_drop(start->process);
    }
    free(start->encoded);
    free(start->encoded_log);
    free(start->identity);
    free((void *)start->merged);
    free(start->merged_storage);
    free(start->kept);
    free(start->ends.users);
    free(start->record);
}

// The start

static void log_start(const struct broodi_start *start)
{
    static const char *const methods[] = { [BROOD_START_SPAWN] = "spawn",
                                           [BROOD_START_FORKSERVER] = "fork server",
                                           [BROOD_START_FORK] = "fork" };
    broodi_log_line(BROOD_LOG_INFO, "process %" PRId64 " \"%s\" has started, by %s",
                    start->process->child.pid, start->process->member.name, methods[start->method]);
}

static brood_status run_protected(struct broodi_start *start, brood_process **out)
{
    brood_status status = broodi_plan(start);
    if (status == BROOD_OK) {
        // The start of a fork server is a part of another start, and holds the gate of server.c:
        // the ends of children are not logged there.
        if (!start->detached)
            broodi_children_reap_some();
        status = attempt_repeatedly(start);
    }
    discard(start, status);
    if (status == BROOD_OK && !start->detached)
        log_start(start);
    if (status == BROOD_OK && out)
        *out = start->process;
    else if (status == BROOD_OK)
        brood_process_drop(start->process);
    return status;
}

static brood_status run(struct broodi_start *start, brood_process **out)
{
    start->protection = brood_os_thread_protect();
    const brood_status status = run_protected(start, out);
    brood_os_thread_unprotect(start->protection);
    return status;
}

static brood_status start_server(const brood_resource *resources, size_t count, brood_process **out)
{
    const brood_process_options options = { .name = "ForkServer",
                                            .daemon = BROOD_DAEMON_NO,
                                            .method = BROOD_START_SPAWN,
                                            .resources = resources,
                                            .resource_count = count };
    struct broodi_start start = { .detached = true, .target = broodi_serve, .options = &options };
    return run(&start, out);
}

brood_status brood_process_start(brood_process **out, brood_target target, const void *arg,
                                 size_t size, const brood_process_options *options)
{
    static const brood_process_options defaults = BROOD_PROCESS_OPTIONS_INIT;
    struct broodi_start start = { .target = target,
                                  .arg = arg,
                                  .size = size,
                                  .options = options ? options : &defaults,
                                  .start_server = start_server };
    return broodi_answer("brood_process_start", run(&start, out));
}
