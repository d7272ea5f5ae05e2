// SPDX-License-Identifier: MIT
// brood_init, and the child's half of a start. The life of a started child, of which steps 1 to 3
// are in plan.c, 4 and 5 in start.c:
//
//    1  the parent checks and plans: name, environment, target, slot   broodi_plan
//    2  it chooses the start method                                    broodi_method_resolve
//    3  it encodes the boot record                                     broodi_boot_encode
//    4  the child is made, and tied to its parent's life               launch
//    5  the record is sent; the parent awaits the reply                await_reply
//    6  the child's brood_init takes the announcement, once            brood_os_boot_take
//    7  it checks the record before it uses it                         broodi_boot_decode
//    8  it opens the family's arena and becomes a member               broodi_family_open, become
//    9  it finds the target in the same build of the same module       find_functions
//   10  it replies: ready, or the cause of the failure                 brood_os_boot_reply
//   11  the target runs                                                run_target
//   12  exit(): threads, children, handlers, exit record, streams      broodi_ending_of_child
//
// A fresh image begins with step 6. A child of the fork server begins with step 7: it was a spare,
// which has received what step 6 would take, and has the server's arena. A forked child begins with
// step 7, in enter_fork of start.c, and skips step 9: it has its parent's arena and target.
//
// Invariants:
// - brood_init does not return in a child.
// - A child sends at most one reply. It runs its target only after it has sent the reply ready.
// - A failure is printed if no letter has arrived yet; later ones are reported by the reply.
// - A child ends without a reply if its parent has freed its slot (step 8).
#include "process/init.h"

#include "arena/arena.h"
#include "arena/family.h"
#include "arena/kinds.h"
#include "arena/log.h"
#include "arena/process_slot.h"
#include "arena/race.h"
#include "arena/report.h"
#include "arena/self.h"
#include "base/fail.h"
#include "base/fault.h"
#include "base/invariant.h"
#include "memory/heap_lock.h"
#include "memory/registry.h"
#include "message/users.h"
#include "os/os_boot.h"
#include "os/os_process.h"
#include "os/os_server.h"
#include "os/os_stdio.h"
#include "process/burial.h"
#include "process/copy.h"
#include "process/ending.h"
#include "process/method.h"
#include "process/waitables.h"
#include "thread/handlers.h"
#include "thread/locals.h"
#include "thread/threads.h"

#include <brood/brood.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_OF(number) #number
#define TEXT(number) TEXT_OF(number)

const char *brood_version(void)
{
    return TEXT(BROOD_VERSION_MAJOR) "." TEXT(BROOD_VERSION_MINOR) "." TEXT(BROOD_VERSION_PATCH);
}

// Prints one line, with the cause of the last failure, and ends the process.
_Noreturn static void refuse(const char *what, brood_status status)
{
    char line[768];
    (void)broodi_answer(what, status);
    (void)snprintf(line, sizeof line, "%s", brood_last_error());
    brood_os_process_refuse(line);
}

static void leave_thread(struct broodi_self *self)
{
    broodi_thread_log_end(self);
    broodi_locals_end(self);
    broodi_handlers_end_of_thread();
}

static const struct broodi_self_hooks hooks = { .leave = leave_thread,
                                                .complete = broodi_thread_complete,
                                                .admit_start = broodi_ending_admit_start,
                                                .forget = broodi_copy_forget };

// Steps that all children take

// Step 8, in a process that has the arena open.
static void become(const struct broodi_boot *boot, const brood_resource *resources, size_t count)
{
    broodi_here.resources = resources;
    broodi_here.resource_count = count;
    broodi_here.role = BROODI_CHILD;
    atomic_store_explicit(&broodi_here.process, boot->process, memory_order_relaxed);
    broodi_here.daemon = boot->daemon;
    broodi_here.name = boot->name;
    broodi_here.identity = boot->identity;
    broodi_here.parent_pid = boot->parent_pid;
    broodi_here.parent_birth = boot->parent_birth;
    broodi_method_inherit((brood_start_method)boot->method);
    // The slot may have been freed: the parent is dead or has given up this start.
    if (!broodi_process_slot_begin(boot->process, boot->live, broodi_here.pid))
        brood_os_process_exit(70);
    broodi_here.initialized = true;
}

// Step 10 of a child that cannot run its target: brood_process_start returns the cause in the
// parent. Nothing is printed.
_Noreturn static void reject(intptr_t channel, brood_status status)
{
    (void)broodi_answer("in the child", status);
    (void)brood_os_boot_reply(channel, status, brood_last_error());
    brood_os_process_exit(70);
}

// Step 9, and the handler of the log, which is found in the same way.
static brood_status find_functions(const struct broodi_boot *boot, brood_target *out)
{
    brood_target handler = NULL;
    brood_status status = BROOD_OK;
    if (boot->log)
        status = broodi_target_resolve(boot->log, &handler);
    if (status == BROOD_OK)
        status = broodi_target_resolve(boot->target, out);
    if (status == BROOD_OK)
        broodi_log_inherit((brood_log_handler)(void (*)(void))handler,
                           (brood_log_level)boot->log_level);
    return status;
}

// Steps 10 to 12
_Noreturn static void run_target(const struct broodi_boot *boot, intptr_t channel,
                                 brood_target target)
{
    broodi_assert(broodi_here.initialized && target);
    broodi_users_show_thread();
    // If the reply cannot be sent, the parent no longer waits for this child.
    if (!brood_os_boot_reply(channel, BROOD_OK, ""))
        brood_os_process_exit(70);
    broodi_ending_of_child(target((void *)(uintptr_t)boot->arg));
}

// Steps 10 to 12 in a fresh image or in a fork of the fork server's: it runs no code of the program
// but this child's.
_Noreturn static void run_fresh(const struct broodi_boot *boot, intptr_t channel,
                                brood_target target)
{
    broodi_here.is_fresh = true;
    run_target(boot, channel, target);
}

// A forked child

_Noreturn void broodi_child_of_fork(const struct broodi_boot *boot, intptr_t channel,
                                    const brood_resource *resources, size_t count,
                                    brood_target target)
{
    become(boot, resources, count);
    run_target(boot, channel, target);
}

// A child of the fork server

// Steps 7 to 12, after a step 6 that returned `status`.
_Noreturn static void begin_served(const brood_os_boot *boot, brood_status status,
                                   uint64_t parent_birth)
{
    struct broodi_boot decoded;
    brood_target target = NULL;
    if (status == BROOD_OK)
        status = broodi_boot_decode(boot->record, boot->size, boot->token, &decoded);
    if (status == BROOD_OK) {
        decoded.parent_birth = parent_birth;
        become(&decoded, boot->resources, boot->resource_count);
        status = find_functions(&decoded, &target);
    }
    if (status != BROOD_OK)
        reject(boot->channel, status);
    run_fresh(&decoded, boot->channel, target);
}

// Stores the pid in the child's slot as soon as a spare has taken a request, so that the requester
// can find and kill a child that does not get as far as the boot record.
static void announce(const uint64_t place[2])
{
    broodi_process_slot_announce((uint32_t)place[0], place[1], brood_os_process_id());
}

int broodi_serve(void *unused)
{
    (void)unused;
    brood_os_boot boot;
    broodi_here.role = BROODI_SERVER;
    (void)broodi_self_birth(); // compute it once, before the forks: every child needs it
    // The requester's birth in the server's time namespace, which the children share. The requester
    // may be in another one.
    const uint64_t parent_birth = brood_os_process_birth(broodi_here.parent_pid);
    const brood_status status =
        brood_os_serve(broodi_here.resources, broodi_report_write, announce, &boot);
    begin_served(&boot, status, parent_birth);
}

// A fresh image

// Steps 7 and 8. `out` is complete on BROOD_OK only.
static brood_status join_family(const brood_os_boot *boot, struct broodi_boot *out)
{
    brood_status status = broodi_boot_decode(boot->record, boot->size, boot->token, out);
    if (status == BROOD_OK)
        status = broodi_family_open(boot->arena, out->window, out->family);
    if (status != BROOD_OK)
        return status;
    brood_os_pid_namespace_offer(out->parent_space, out->parent_pid);
    status = broodi_self_prepare(&hooks);
    if (status == BROOD_OK)
        become(out, boot->resources, boot->resource_count);
    return status;
}

// Steps 6 to 12
_Noreturn static void begin_child(int (*executable_atexit)(void (*)(void)))
{
    brood_os_boot boot = { .channel = -1 };
    struct broodi_boot decoded;
    brood_target target = NULL;
    brood_status status = brood_os_boot_take(&boot);
    if (boot.channel == -1)
        refuse("brood_init: announced as a child", status);
    if (status == BROOD_OK)
        status = join_family(&boot, &decoded);
    if (status == BROOD_OK)
        status = find_functions(&decoded, &target);
    if (status == BROOD_OK)
        status = broodi_ending_prepare(executable_atexit);
    if (status != BROOD_OK)
        reject(boot.channel, status);
    run_fresh(&decoded, boot.channel, target);
}

// A main process

static void begin_main(int (*executable_atexit)(void (*)(void)))
{
    const struct broodi_process_facts facts = { .parent = BROODI_NONE,
                                                .origin = BROODI_ORIGIN_MAIN,
                                                .name = broodi_here.name };
    uint32_t process = BROODI_NONE;
    brood_status status = broodi_family_create();
    if (status == BROOD_OK)
        status = broodi_registry_prepare();
    if (status == BROOD_OK)
        status = broodi_heap_prepare();
    if (status == BROOD_OK)
        status = broodi_self_prepare(&hooks);
    if (status == BROOD_OK)
        status = broodi_process_slot_allocate(&facts, &process);
    if (status == BROOD_OK)
        status = broodi_ending_prepare(executable_atexit);
    if (status != BROOD_OK)
        refuse("brood_init", status);
    atomic_store_explicit(&broodi_family.header->keeper, brood_os_section_keeper(),
                          memory_order_relaxed);
    atomic_store_explicit(&broodi_here.process, process, memory_order_relaxed);
    (void)broodi_process_slot_begin(process, broodi_process_slot_live(process), broodi_here.pid);
    broodi_here.initialized = true;
    broodi_log_read_environment();
}

// Ends a program that was built with headers of another version of the library.
static void check_version(uint32_t header_version)
{
    char line[160];
    if (header_version / 1000000 == BROOD_VERSION_MAJOR && header_version <= BROOD_VERSION_NUMBER)
        return;
    (void)snprintf(line, sizeof line,
                   "brood_init: the program was built for version %u.%u.%u, the library is %s",
                   (unsigned)(header_version / 1000000), (unsigned)(header_version / 1000 % 1000),
                   (unsigned)(header_version % 1000), brood_version());
    brood_os_process_refuse(line);
}

void brood_init_with(uint32_t header_version, int (*executable_atexit)(void (*)(void)))
{
    check_version(header_version);
    if (broodi_here.initialized)
        return;
    broodi_here.race_checked = brood_os_race_is_checked();
    broodi_kinds_prepare(broodi_sweeps);
    broodi_users_prepare(broodi_users_gone);
    broodi_waitables_prepare(broodi_waitable_rows);
    broodi_log_prepare(broodi_registry_name_of);
    if (brood_os_boot_is_announced())
        begin_child(executable_atexit);
    begin_main(executable_atexit);
}
