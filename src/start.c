// SPDX-License-Identifier: MIT
// brood_process_start: plan -> method -> launch -> boot record -> handshake. The child's half is in
// init.c.
//
// One struct owns everything that a start allocates. One function, discard(), releases what has not
// been moved out of the struct, whichever stage the start has reached.
#include "start.h"
#include "boot.h"
#include "child.h"
#include "children.h"
#include "deadline.h"
#include "environment.h"
#include "fail.h"
#include "family.h"
#include "fault.h"
#include "init.h"
#include "method.h"
#include "os/os_boot.h"
#include "os/os_module.h"
#include "os/os_random.h"
#include "os/os_server.h"
#include "os/os_stdio.h"
#include "os/os_thread.h"
#include "self.h"
#include "served.h"
#include "server.h"
#include "standard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

brood_duration broodi_start_patience = BROOD_SECONDS(60);

struct start {
    bool detached; // starts the fork server of this process instead of a child
    brood_target target;
    const void *arg;
    size_t size;
    const brood_process_options *options;
    brood_start_method method;
    brood_os_circumstances now; // for the fork server
    char *identity;             // such as "1:2"
    const char **merged;        // the environment; a forked child keeps using it
    char **merged_storage;      // the strings of `merged`; a forked child keeps using them
    brood_resource *kept;       // a copy of the resources, which a forked child keeps using
    struct broodi_boot boot;
    unsigned char *record; // `boot`, encoded
    size_t record_size;
    brood_process *process; // the child, also before it is launched
    bool beside_threads;    // the start is a fork while other threads run
    bool launched;
    bool replied;
    int protection; // what brood_os_thread_protect returned for the caller's thread
};

// Plan

static brood_status check_resources(const brood_process_options *options)
{
    brood_status status = BROOD_OK;
    if (options->resource_count > 0 && !options->resources)
        return broodi_fail(BROOD_INVALID, "resources is NULL, resource_count is %zu",
                           options->resource_count);
    for (size_t i = 0; status == BROOD_OK && i < options->resource_count; i++)
        status = brood_os_resource_check(&options->resources[i]);
    return status;
}

static brood_status check(const struct start *start)
{
    const brood_process_options *options = start->options;
    brood_status status = broodi_ready();
    if (status != BROOD_OK)
        return status;
    if (!start->target)
        return broodi_fail(BROOD_INVALID, "target is NULL");
    if ((start->size == 0) != (start->arg == NULL))
        return broodi_fail(BROOD_INVALID, "size is %zu, but arg is %p", start->size, start->arg);
    if (options->daemon < BROOD_DAEMON_INHERIT || options->daemon > BROOD_DAEMON_NO)
        return broodi_fail(BROOD_INVALID, "invalid daemon mode %d", (int)options->daemon);
    for (size_t i = 0; i < sizeof options->reserved / sizeof options->reserved[0]; i++)
        if (options->reserved[i])
            return broodi_fail(BROOD_INVALID, "a reserved member of the options is not zero");
    // Some start methods would treat an empty path like NULL.
    if (options->directory && !options->directory[0])
        return broodi_fail(BROOD_NOT_FOUND, "changing to the child's directory: the path is empty");
    status = broodi_standard_check(options);
    if (status == BROOD_OK)
        status = check_resources(options);
    if (status == BROOD_OK)
        status = broodi_environment_check(options->environment);
    return status == BROOD_OK ? broodi_self_admit_start() : status;
}

static bool is_daemon(const brood_process_options *options)
{
    if (options->daemon == BROOD_DAEMON_INHERIT)
        return broodi_here.daemon;
    return options->daemon == BROOD_DAEMON_YES;
}

// Returns the default name, such as "Process-1:2"; the identity, "1:2", is the part that begins at
// `out_identity`. The name of a fork server is not counted: it ends with 0.
static char *make_name(bool counted, size_t *out_identity)
{
    const unsigned number = counted ? broodi_children_number() : 0;
    const size_t capacity = sizeof "Process-" + strlen(broodi_here.identity) + 16;
    char *name = broodi_alloc(capacity);
    if (name)
        (void)snprintf(name, capacity, "Process-%s%s%u", broodi_here.identity,
                       broodi_here.identity[0] ? ":" : "", number);
    *out_identity = strlen("Process-");
    return name;
}

static brood_status make_child(struct start *start)
{
    size_t identity_at;
    const brood_process_options *options = start->options;
    char *name = make_name(!start->detached, &identity_at);
    if (!name)
        return broodi_fail(BROOD_NO_MEMORY, "the child's name");
    start->process = broodi_child_new(options->name ? options->name : name, is_daemon(options));
    if (start->process)
        start->process->detached = start->detached;
    memmove(name, name + identity_at, strlen(name + identity_at) + 1);
    start->identity = name;
    return start->process ? BROOD_OK : broodi_fail(BROOD_NO_MEMORY, "the process object");
}

static brood_status make_environment(struct start *start)
{
    start->merged = broodi_environment_merge(start->options->environment, &start->merged_storage);
    return start->merged ? BROOD_OK : broodi_fail(BROOD_NO_MEMORY, "the child's environment");
}

// Copies the caller's array for a forked child: it may be on the stack of a thread that does not
// exist in the child.
static brood_status copy_resources(struct start *start)
{
    const brood_process_options *options = start->options;
    if (start->method != BROOD_START_FORK || options->resource_count == 0)
        return BROOD_OK;
    const size_t size = options->resource_count * sizeof *start->kept;
    start->kept = broodi_alloc(size);
    if (!start->kept)
        return broodi_fail(BROOD_NO_MEMORY, "a copy of %zu resources", options->resource_count);
    memcpy(start->kept, options->resources, size);
    return BROOD_OK;
}

static brood_status take_slot(struct start *start)
{
    static const enum broodi_origin origins[] = { [BROOD_START_SPAWN] = BROODI_ORIGIN_SPAWN,
                                                  [BROOD_START_FORKSERVER] =
                                                      BROODI_ORIGIN_FORKSERVER,
                                                  [BROOD_START_FORK] = BROODI_ORIGIN_FORK };
    const struct broodi_process_facts facts = {
        .parent = broodi_self_process(),
        .origin = start->detached ? BROODI_ORIGIN_SERVER : origins[start->method],
        .name = start->process->name,
        .daemon = start->process->daemon,
    };
    return broodi_process_slot_take(&facts, &start->process->slot);
}

static brood_status make_record(struct start *start)
{
    const struct broodi_header *header = broodi_family.header;
    struct broodi_boot *boot = &start->boot;
    brood_status status = brood_os_random(&boot->token, sizeof boot->token);
    if (status == BROOD_OK)
        status = take_slot(start);
    if (status != BROOD_OK)
        return status;
    start->process->live_state = broodi_process_slot_live(start->process->slot);
    memcpy(boot->family, header->family, sizeof boot->family);
    boot->window = header->window;
    boot->process = start->process->slot;
    boot->live = start->process->live_state;
    boot->daemon = start->process->daemon;
    boot->method = (int32_t)broodi_method_chosen();
    boot->parent_pid = broodi_here.pid;
    boot->parent_space = broodi_here.space;
    boot->parent_birth = broodi_self_birth();
    boot->name = start->process->name;
    boot->identity = start->identity;
    boot->arg = start->arg;
    boot->arg_size = start->size;
    start->record = broodi_boot_encode(boot, &start->record_size);
    return start->record ? BROOD_OK
                         : broodi_fail(BROOD_NO_MEMORY,
                                       "a boot record for an argument of %zu bytes", start->size);
}

static brood_status find_server(struct start *start)
{
    return start->method == BROOD_START_FORKSERVER
               ? broodi_server_get(&start->now, &start->process->server)
               : BROOD_OK;
}

static brood_status plan(struct start *start)
{
    brood_status status = check(start);
    if (status == BROOD_OK)
        status = broodi_method_resolve(start->options->method, start->options->fork_with_threads,
                                       &start->method);
    if (status == BROOD_OK && start->method != BROOD_START_FORK && brood_os_boot_is_privileged())
        status = broodi_fail(BROOD_DENIED,
                             "a program with raised privileges can start children by fork only");
    if (status == BROOD_OK)
        status = make_child(start);
    if (status == BROOD_OK && start->process->daemon && start->options->survive_parent)
        status = broodi_fail(BROOD_INVALID, "survive_parent is set for a daemon");
    if (status == BROOD_OK)
        status = find_server(start);
    if (status == BROOD_OK)
        status = make_environment(start);
    if (status == BROOD_OK)
        status = copy_resources(start);
    if (status == BROOD_OK)
        status = brood_os_module_find((void (*)(void))start->target, &start->boot.target);
    return status == BROOD_OK ? make_record(start) : status;
}

// Launch

// Runs in a forked child. The child decodes the record although it has the parent's memory: the
// argument in the record is aligned for any type.
static void enter_fork(void *arg, intptr_t channel)
{
    const struct start *start = arg;
    struct broodi_boot boot;
    if (broodi_boot_decode(start->record, start->record_size, start->boot.token, &boot) != BROOD_OK)
        brood_os_process_exit(70);
    if (start->beside_threads)
        brood_os_stdio_forget();
    brood_os_thread_unprotect(start->protection);
    broodi_here.forked_with_threads |= start->beside_threads;
    broodi_child_inherit(start->process); // the parent's object for this child
    broodi_child_of_fork(&boot, channel, start->kept, start->options->resource_count,
                         (void (*)(void))start->target);
}

static brood_status launch_by(const struct start *start, const brood_os_plan *plan)
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

static brood_status launch(struct start *start)
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

static brood_status handshake(struct start *start)
{
    brood_os_reply reply = { .status = BROOD_SYSTEM };
    brood_process *process = start->process;
    const int64_t deadline = broodi_deadline(broodi_start_patience);
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
static void undo_launch(struct start *start, brood_status status)
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
    if (reaped_elsewhere && !broodi_process_slot_reported(start->process->slot, &end))
        return;
    (void)brood_exit_text(end, text, sizeof text);
    (void)broodi_fail(status, "the child ended before it reached its target: %s", text);
}

static void discard(struct start *start, brood_status status)
{
    if (status != BROOD_OK && start->launched)
        undo_launch(start, status);
    if (status != BROOD_OK && start->process) {
        if (start->process->slot != BROODI_NONE && !start->detached)
            broodi_process_slot_end(start->process->slot);
        brood_process_drop(start->process);
    }
    free(start->boot.target.path);
    free(start->identity);
    free((void *)start->merged);
    free(start->merged_storage);
    free(start->kept);
    free(start->record);
}

static brood_status begin(struct start *start)
{
    const brood_status status = launch(start);
    return status == BROOD_OK ? handshake(start) : status;
}

// Repeats the launch with another slot, because the first child may already have stored its pid in
// the old one.
static brood_status begin_again(struct start *start)
{
    brood_process *server = start->process->server;
    broodi_process_slot_end(start->process->slot);
    free(start->record);
    start->process->slot = BROODI_NONE;
    start->process->server = NULL;
    start->record = NULL;
    start->launched = false;
    brood_process_drop(server);
    brood_status status = find_server(start);
    if (status == BROOD_OK)
        status = make_record(start);
    return status == BROOD_OK ? begin(start) : status;
}

static bool can_begin_again(const struct start *start, brood_status status)
{
    return status == BROOD_SYSTEM && !start->replied && start->process->server &&
           broodi_served_can_begin_again(start->process);
}

static brood_status begin_served(struct start *start)
{
    enum { TRIES = 10 };
    brood_status status = begin(start);
    for (int i = 1; i < TRIES && can_begin_again(start, status); i++)
        status = begin_again(start);
    return status;
}

static brood_status run_protected(struct start *start, brood_process **out)
{
    brood_status status = plan(start);
    if (status == BROOD_OK) {
        broodi_children_reap_some();
        status = begin_served(start);
    }
    discard(start, status);
    if (status == BROOD_OK && out)
        *out = start->process;
    else if (status == BROOD_OK)
        brood_process_drop(start->process);
    return status;
}

static brood_status run(struct start *start, brood_process **out)
{
    start->protection = brood_os_thread_protect();
    const brood_status status = run_protected(start, out);
    brood_os_thread_unprotect(start->protection);
    return status;
}

brood_status brood_process_start(brood_process **out, brood_target target, const void *arg,
                                 size_t size, const brood_process_options *options)
{
    static const brood_process_options defaults = BROOD_PROCESS_OPTIONS_INIT;
    struct start start = {
        .target = target, .arg = arg, .size = size, .options = options ? options : &defaults
    };
    return broodi_answer("brood_process_start", run(&start, out));
}

brood_status broodi_start_server(brood_target serve, const brood_resource *resources, size_t count,
                                 brood_process **out)
{
    const brood_process_options options = { .name = "ForkServer",
                                            .daemon = BROOD_DAEMON_NO,
                                            .method = BROOD_START_SPAWN,
                                            .resources = resources,
                                            .resource_count = count };
    struct start start = { .detached = true, .target = serve, .options = &options };
    return run(&start, out);
}
