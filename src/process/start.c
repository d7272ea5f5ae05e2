// SPDX-License-Identifier: MIT
// brood_process_start: plan -> method -> launch -> boot record -> handshake. The child's half is in
// init.c.
//
// One function, discard(), releases what has not been moved out of the struct of a start, whichever
// stage the start has reached.
#include "process/plan.h"

#include "arena/family.h"
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
#include "process/served.h"
#include "process/server.h"
#include "process/standard.h"

#include <stdlib.h>

// Launch

// Runs in a forked child. The child decodes the record although it has the parent's memory: the
// argument in the record is aligned for any type.
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
    broodi_child_of_fork(&boot, channel, start->kept, start->options->resource_count,
                         start->target);
}

static brood_status launch_by(const struct broodi_start *start, const brood_os_plan *plan)
{
    brood_os_child *child = &start->process->child;
    switch (start->method) {
    case BROOD_START_FORK:
        return brood_os_process_fork(plan, enter_fork, (void *)(uintptr_t)start, child);
    case BROOD_START_FORKSERVER:
        return brood_os_server_start(&start->process->server->child, plan, &start->now, child);
    default:
        return brood_os_process_spawn(plan, child);
    }
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

// Handshake

// Fails a start whose child has not replied in time. A server from which no child has taken the
// request is not used again.
static brood_status fail_late(const brood_process *process)
{
    if (!process->server || process->child.pid > 0)
        return broodi_fail(BROOD_TIMEOUT, "the child did not reach brood_init() in time");
    broodi_server_give_up(process->server);
    return broodi_fail(BROOD_TIMEOUT, "the fork server did not make a child in time");
}

static brood_status handshake(struct broodi_start *start)
{
    brood_os_reply reply = { .status = BROOD_SYSTEM };
    brood_process *process = start->process;
    const int64_t deadline = broodi_deadline(broodi_start_timeout);
    if (process->server)
        brood_os_server_await(&process->server->child, &process->child, deadline);
    brood_status status = brood_os_process_await_ready(&process->child, deadline, &reply);
    start->replied = status == BROOD_OK;
    if (!start->replied && process->server)
        broodi_served_load_pid(process);
    if (status == BROOD_TIMEOUT)
        return fail_late(process);
    if (status == BROOD_OK && reply.status != BROOD_OK)
        return broodi_fail(reply.status, "%s", reply.text);
    if (status == BROOD_OK && !start->detached && !broodi_children_add(start->process))
        return broodi_fail(BROOD_WRONG_STATE, "the process is ending");
    return status;
}

// Ends the child of a failed start, and reaps it unless it is detached or served. A child that
// replied with a failure ends by itself.
static void undo_launch(struct broodi_start *start, brood_status status)
{
    brood_exit end;
    char text[128];
    brood_os_child *child = &start->process->child;
    const bool reaped_elsewhere = start->detached || start->process->server;
    // Kill a child that has not replied, which could still run its target without a handle in the
    // program; one that runs but could not be listed (BROOD_WRONG_STATE); and any child that this
    // process reaps, so that the wait below is short.
    if ((!reaped_elsewhere || !start->replied || status == BROOD_WRONG_STATE) && child->pid > 0)
        (void)broodi_child_end(start->process, true);
    if (!reaped_elsewhere) {
        (void)brood_os_process_await_end(child, INT64_MAX);
        while (!brood_os_process_reap(child, &end))
            brood_os_thread_yield();
    }
    if (start->replied || status != BROOD_SYSTEM)
        return;
    if (reaped_elsewhere && !broodi_report_read(start->process->slot, &end))
        return;
    (void)brood_exit_text(end, text, sizeof text);
    (void)broodi_fail(status, "the child ended before it reached its target: %s", text);
}

static void discard(struct broodi_start *start, brood_status status)
{
    if (status != BROOD_OK && start->launched)
        undo_launch(start, status);
    if (status != BROOD_OK && start->process) {
        if (start->process->slot != BROODI_NONE && !start->detached)
            broodi_process_slot_end(start->process->slot);
        brood_process_drop(start->process);
    }
    free(start->encoded);
    free(start->identity);
    free((void *)start->merged);
    free(start->merged_storage);
    free(start->kept);
    free(start->record);
}

static brood_status begin(struct broodi_start *start)
{
    const brood_status status = launch(start);
    return status == BROOD_OK ? handshake(start) : status;
}

static bool can_begin_again(const struct broodi_start *start, brood_status status)
{
    return status == BROOD_SYSTEM && !start->replied && start->process->server &&
           broodi_served_can_begin_again(start->process);
}

static brood_status begin_again(struct broodi_start *start)
{
    const brood_status status = broodi_plan_again(start);
    return status == BROOD_OK ? begin(start) : status;
}

static brood_status begin_repeatedly(struct broodi_start *start)
{
    enum { TRIES = 10 };
    brood_status status = begin(start);
    for (int i = 1; i < TRIES && can_begin_again(start, status); i++)
        status = begin_again(start);
    return status;
}

static brood_status run_protected(struct broodi_start *start, brood_process **out)
{
    brood_status status = broodi_plan(start);
    if (status == BROOD_OK) {
        broodi_children_reap_some();
        status = begin_repeatedly(start);
    }
    discard(start, status);
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
