// SPDX-License-Identifier: MIT
// The plan of a start: all that is checked and allocated before the child is made. broodi_plan, at
// the end, has the order.
#include "process/plan.h"

#include "arena/family.h"
#include "arena/log.h"
#include "arena/process_slot.h"
#include "arena/self.h"
#include "base/fail.h"
#include "base/fault.h"
#include "os/os_boot.h"
#include "os/os_process.h"
#include "os/os_random.h"
#include "process/burial.h"
#include "process/child.h"
#include "process/children.h"
#include "process/environment.h"
#include "process/method.h"
#include "process/standard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static brood_status check(struct broodi_start *start)
{
    const brood_process_options *options = start->options;
    brood_status status = broodi_start_check_target(start->target);
    if (status == BROOD_OK && (start->size == 0) != (start->arg == NULL))
        status = broodi_fail(BROOD_INVALID, "size is %zu, but arg is %p", start->size, start->arg);
    if (status == BROOD_OK)
        status = broodi_start_check_options(options->daemon, options->reserved,
                                            sizeof options->reserved / sizeof options->reserved[0]);
    if (status != BROOD_OK)
        return status;
    // Some start methods would treat an empty path like NULL.
    if (options->directory && !options->directory[0])
        return broodi_fail(BROOD_NOT_FOUND, "changing to the child's directory: the path is empty");
    status = broodi_standard_check(options);
    if (status == BROOD_OK)
        status = check_resources(options);
    if (status == BROOD_OK)
        status = broodi_ends_check(options);
    if (status == BROOD_OK)
        status = broodi_environment_check(options->environment);
    return status == BROOD_OK ? broodi_self_admit_start() : status;
}

static brood_status choose_method(struct broodi_start *start)
{
    const brood_status status = broodi_method_resolve(
        start->options->method, start->options->fork_with_threads, &start->method);
    if (status == BROOD_OK && start->method != BROOD_START_FORK && brood_os_boot_is_privileged())
        return broodi_fail(BROOD_DENIED,
                           "a program with raised privileges can start children by fork only");
    return status;
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

static brood_status make_child(struct broodi_start *start)
{
    size_t identity_at;
    const brood_process_options *options = start->options;
    char *name = make_name(!start->detached, &identity_at);
    if (!name)
        return broodi_fail(BROOD_NO_MEMORY, "the child's name");
    start->process = broodi_child_new(options->name ? options->name : name,
                                      broodi_start_is_daemon(options->daemon, broodi_here.daemon));
    if (start->process)
        start->process->detached = start->detached;
    if (start->process)
        start->process->silent = broodi_log_is_silent();
    memmove(name, name + identity_at, strlen(name + identity_at) + 1);
    start->identity = name;
    if (!start->process)
        return broodi_fail(BROOD_NO_MEMORY, "the process object");
    if (start->process->daemon && options->survive_parent)
        return broodi_fail(BROOD_INVALID, "survive_parent is set for a daemon");
    return BROOD_OK;
}

static brood_status find_server(struct broodi_start *start)
{
    return start->method == BROOD_START_FORKSERVER
               ? broodi_server_get(start->start_server, &start->now, &start->process->server)
               : BROOD_OK;
}

static brood_status make_environment(struct broodi_start *start)
{
    start->merged = broodi_environment_merge(start->options->environment, &start->merged_storage);
    return start->merged ? BROOD_OK : broodi_fail(BROOD_NO_MEMORY, "the child's environment");
}

// Copies the caller's array for a forked child: it may be on the stack of a thread that does not
// exist in the child.
static brood_status copy_resources(struct broodi_start *start)
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

static brood_status take_slot(struct broodi_start *start)
{
    static const enum broodi_origin origins[] = { [BROOD_START_SPAWN] = BROODI_ORIGIN_SPAWN,
                                                  [BROOD_START_FORKSERVER] =
                                                      BROODI_ORIGIN_FORKSERVER,
                                                  [BROOD_START_FORK] = BROODI_ORIGIN_FORK };
    const uint32_t parent = broodi_self_process();
    if (parent == BROODI_NONE) // a guest: a sweep would take the slot for that of an orphan
        return BROOD_NO_RESOURCES;
    const struct broodi_process_facts facts = {
        .parent = parent,
        .origin = start->detached ? BROODI_ORIGIN_SERVER : origins[start->method],
        .name = start->process->member.name,
        .daemon = start->process->daemon,
    };
    return broodi_process_slot_allocate(&facts, &start->process->slot);
}

static void fill_boot(struct broodi_start *start)
{
    const struct broodi_header *header = broodi_family.header;
    struct broodi_boot *boot = &start->boot;
    memcpy(boot->family, header->family, sizeof boot->family);
    boot->window = header->window;
    boot->process = start->process->slot;
    boot->live = start->process->live_state;
    boot->daemon = start->process->daemon;
    boot->method = (int32_t)broodi_method_chosen();
    boot->parent_pid = broodi_here.pid;
    boot->parent_space = broodi_here.space;
    boot->parent_birth = broodi_self_birth();
    boot->name = start->process->member.name;
    boot->identity = start->identity;
    boot->target = start->encoded;
    boot->log = start->encoded_log;
    boot->log_level = (int32_t)start->log_level;
    boot->arg = start->arg;
    boot->arg_size = start->size;
}

// A record is for one slot and one token, so for one attempt.
static brood_status make_record(struct broodi_start *start)
{
    brood_status status = brood_os_random(&start->boot.token, sizeof start->boot.token);
    if (status == BROOD_OK)
        status = take_slot(start);
    if (status != BROOD_OK)
        return status;
    start->process->live_state = broodi_process_slot_live(start->process->slot);
    fill_boot(start);
    start->record = broodi_boot_encode(&start->boot, &start->record_size);
    return start->record ? BROOD_OK
                         : broodi_fail(BROOD_NO_MEMORY,
                                       "a boot record for an argument of %zu bytes", start->size);
}

static brood_status enter_ends(struct broodi_start *start)
{
    return broodi_ends_enter(&start->ends, start->options, start->process->slot);
}

static brood_status encode_target(struct broodi_start *start)
{
    return broodi_target_encode(start->target, &start->encoded);
}

// The handler must be found in the child like a target. A fork server runs nothing of the program,
// and gets none.
static brood_status encode_log(struct broodi_start *start)
{
    start->log = start->detached ? NULL : broodi_log_handler_now(&start->log_level);
    if (!start->log)
        return BROOD_OK;
    const brood_status status =
        broodi_target_encode((brood_target)(void (*)(void))start->log, &start->encoded_log);
    return status == BROOD_INVALID
               ? broodi_fail(status, "the handler of the log is in no module, or is not code")
               : status;
}

brood_status broodi_plan(struct broodi_start *start)
{
    static brood_status (*const steps[])(struct broodi_start *) = {
        check,            // what the caller has passed
        choose_method,    // `method`
        make_child,       // `process`, `identity`
        find_server,      // `process->server`, `now`
        make_environment, // `merged`
        copy_resources,   // `kept`
        encode_target,    // `encoded`
        encode_log,       // `log`, `log_level`, `encoded_log`
        make_record,      // `process->slot`, `boot`, `record`
        enter_ends,       // `ends`
    };
    brood_status status = BROOD_OK;
    for (size_t i = 0; status == BROOD_OK && i < sizeof steps / sizeof steps[0]; i++)
        status = steps[i](start);
    return status;
}

brood_status broodi_plan_again(struct broodi_start *start)
{
    brood_process *server = start->process->server;
    broodi_ends_undo(&start->ends, start->options);
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
    return status == BROOD_OK ? enter_ends(start) : status;
}
