// SPDX-License-Identifier: MIT
// The fork server. It is a child like others, executed with the internal function broodi_serve() as
// its target, with two differences. It is detached, so that wait() in the program does not return
// it (unless the program adopts orphans). And each of its forks returns from brood_os_serve() and
// becomes a child of the requester (init.c). served.c has what differs for those children.
#include "process/server.h"

#include "arena/blocking.h"
#include "arena/log.h"
#include "base/deadline.h"
#include "os/os_server.h"
#include "process/child.h"

#include <inttypes.h>
#include <stddef.h>

static struct {
    broodi_word gate;       // 1 while a thread uses the next two; process-private
    brood_process *process; // NULL: none
    uint64_t epoch;         // brood_os_circumstances.epoch when the server was made
} server;

static void enter_gate(void)
{
    uint64_t open = 0;
    while (!atomic_compare_exchange_strong_explicit(&server.gate.state, &open, 1,
                                                    memory_order_acquire, memory_order_relaxed)) {
        broodi_block_on(BROODI_WAITS_NOT, 0, &server.gate, 1, BROODI_NONE, INT64_MAX);
        open = 0;
    }
}

static void leave_gate(void)
{
    atomic_store_explicit(&server.gate.state, 0, memory_order_seq_cst);
    broodi_changed(BROODI_PRIVATE, &server.gate, 1);
}

static brood_status make(broodi_server_start *start)
{
    brood_resource resources[BROOD_OS_SERVER_RESOURCES];
    intptr_t end;
    brood_status status = brood_os_server_prepare(resources, &end);
    if (status != BROOD_OK)
        return status;
    brood_process *made = NULL;
    status = start(resources, BROOD_OS_SERVER_RESOURCES, &made);
    brood_os_server_handed(resources);
    if (status != BROOD_OK) {
        brood_os_child unused = { .handle = -1, .channel = end, .memory = -1 };
        brood_os_process_release(&unused);
        return status;
    }
    made->child.channel = end;
    status = brood_os_server_confirm(&made->child, broodi_deadline(broodi_start_timeout));
    if (status != BROOD_OK) {
        (void)brood_os_process_end(&made->child, true);
        brood_process_drop(made);
        return status;
    }
    server.process = made;
    return status;
}

// Tells the server to take no more requests, and drops this reference. The server's children hold
// references of their own.
static void release(brood_process *process)
{
    if (process)
        brood_os_server_release(&process->child);
    brood_process_drop(process);
}

static void release_current(void)
{
    brood_process *process = server.process;
    server.process = NULL; // first: a fork of this process must not find a freed object
    release(process);
}

// Makes a new server. If that fails the old one is kept: its epoch may match again at a later
// start.
static brood_status replace(broodi_server_start *start, uint64_t epoch)
{
    brood_process *before = server.process;
    const brood_status status = make(start);
    if (status == BROOD_OK) {
        server.epoch = epoch;
        release(before);
    }
    return status;
}

static int64_t pid_of_current(void)
{
    return server.process ? server.process->child.pid : 0;
}

// Without the gate: `before` is the pid of the server that this process had, or 0, and `now` that
// of the one it has.
static void log_change(int64_t before, bool has_ended, int64_t now)
{
    if (has_ended)
        broodi_log_line(BROOD_LOG_WARNING, "fork server %" PRId64 " has ended: it is replaced",
                        before);
    if (now && (has_ended || now != before))
        broodi_log_line(BROOD_LOG_INFO, "fork server %" PRId64 " has started", now);
}

brood_status broodi_server_get(broodi_server_start *start, brood_os_circumstances *now,
                               brood_process **out)
{
    brood_status status = BROOD_OK;
    enter_gate();
    const int64_t before = pid_of_current();
    brood_os_circumstances_read(now);
    const bool has_ended = server.process && !brood_os_server_lives(&server.process->child);
    if (has_ended)
        release_current();
    if (!server.process || server.epoch != now->epoch)
        status = replace(start, now->epoch);
    if (status == BROOD_OK) {
        broodi_member_retain(&server.process->member);
        *out = server.process;
    }
    const int64_t after = pid_of_current();
    leave_gate();
    log_change(before, has_ended, after);
    return status;
}

void broodi_server_give_up(const brood_process *process)
{
    enter_gate();
    const bool is_current = server.process == process;
    const int64_t pid = pid_of_current();
    if (is_current)
        release_current();
    leave_gate();
    if (is_current)
        broodi_log_line(BROOD_LOG_WARNING,
                        "fork server %" PRId64 " has not served a start in time: it is replaced",
                        pid);
}

void broodi_server_forget(void)
{
    if (server.process) {
        brood_os_process_release(&server.process->child);
        broodi_member_inherit(&server.process->member);
    }
    server.process = NULL;
    atomic_store_explicit(&server.gate.state, 0, memory_order_relaxed);
}

void broodi_server_close(void)
{
    enter_gate();
    if (server.process)
        release_current();
    leave_gate();
}
