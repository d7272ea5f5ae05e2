// SPDX-License-Identifier: MIT
// Children of the fork server. The end of such a child is reported twice: the system signals it on
// the child's pidfd, and the server writes how the child ended into the child's slot before it
// reaps the child and so frees the pid.
#include "process/served.h"

#include "arena/blocking.h"
#include "arena/family.h"
#include "arena/process_slot.h"
#include "arena/report.h"
#include "base/deadline.h"
#include "os/os_server.h"
#include "process/child_object.h"

static bool server_lives(const brood_process *process)
{
    return brood_os_server_lives(&process->server->child);
}

// Ends

// The system reports that a child has ended, and the exit record how. Without a record the server
// reports how, unless it ends before. `has_server` is loaded before the report is read again: a
// server that had ended by then has stored its last report.
bool broodi_served_see(const brood_process *process, brood_exit *seen)
{
    const struct broodi_process_slot *slot = broodi_slot(BROODI_PROCESS, process->slot);
    if (broodi_report_read(process->slot, seen))
        return true;
    const bool has_server = server_lives(process);
    const brood_status waited = brood_os_process_await_end(&process->child, 0);
    if (waited == BROOD_TIMEOUT || (waited != BROOD_OK && has_server))
        return false;
    if (broodi_report_read(process->slot, seen))
        return true;
    *seen = (brood_exit){ .kind = BROOD_LOST };
    // Only a CODE record is complete without the server's report.
    if (broodi_child_record(slot) != BROODI_RECORD_CODE)
        return !has_server;
    // The 8 bits that the system would report.
    seen->native = atomic_load_explicit(&slot->code, memory_order_relaxed) & 0xff;
    return true;
}

// Waits a short while for the server's report of a child's end. The report comes right after the
// end that the system shows; where this process has no handle to see the end, the report is all
// that shows it.
static void await_report(const brood_process *process, int64_t deadline)
{
    struct broodi_process_slot *slot = broodi_slot(BROODI_PROCESS, process->slot);
    const int64_t period = BROOD_MILLISECONDS(20); // between two checks that the server lives
    if (server_lives(process))
        broodi_block_on(BROODI_WAITS_NOT, 0, &slot->state, process->live_state, BROODI_NONE,
                        broodi_until(deadline, brood_clock(), period));
}

// A server that does not report an end that the system shows may have been stopped: continue it.
brood_status broodi_served_await_end(const brood_process *process, int64_t deadline)
{
    const brood_status status = brood_os_process_await_end(&process->child, deadline);
    brood_exit seen;
    if (status == BROOD_TIMEOUT || broodi_served_see(process, &seen))
        return status == BROOD_TIMEOUT ? status : BROOD_OK;
    if (deadline <= brood_clock())
        return BROOD_TIMEOUT;
    await_report(process, deadline);
    if (status == BROOD_OK && !broodi_served_see(process, &seen))
        brood_os_server_continue(&process->server->child);
    return BROOD_OK;
}

// A child without a handle is known by its pid, which cannot be reused as long as its server
// lives and has not reported its end. So open a handle of the pid first: if both hold after that,
// the handle is the child's, and not that of a process which got the pid later. False if the pid
// may not be the child's any more; otherwise the caller releases `out`, which may have no handle.
static bool open_child(const brood_process *process, brood_os_child *out)
{
    brood_exit seen;
    *out = process->child;
    (void)brood_os_process_open(out);
    if (server_lives(process) && !broodi_report_read(process->slot, &seen))
        return true;
    brood_os_process_release(out);
    return false;
}

brood_status broodi_served_end(const brood_process *process, bool hard)
{
    brood_os_child child;
    if (!open_child(process, &child))
        return BROOD_OK;
    const brood_status status = brood_os_process_end(&child, hard);
    brood_os_process_release(&child);
    return status;
}

// Starts

// The pid usually comes with the reply, but the child has stored it in its slot before. It cannot
// have been reused as long as the server lives and has not reported the child's end.
void broodi_served_load_pid(brood_process *process)
{
    const int64_t pid = broodi_process_pid_here(broodi_slot(BROODI_PROCESS, process->slot));
    if (pid != 0)
        process->child.pid = pid;
}

// Waits until the server of a child that has ended reports how. Returns false if the server ends
// without a report.
static bool await_how(const brood_process *process)
{
    brood_exit seen;
    while (server_lives(process) && !broodi_report_read(process->slot, &seen)) {
        await_report(process, INT64_MAX);
        brood_os_server_continue(&process->server->child);
    }
    return broodi_report_read(process->slot, &seen);
}

// Without a handle the server's report is awaited, which only a child that has begun gets. The slot
// of another child is still STARTING, so that the child has no threads in the family.
static void kill_and_await(const brood_process *process, const brood_os_child *child)
{
    (void)brood_os_process_end(child, true);
    if (brood_os_process_await_end(child, INT64_MAX) != BROOD_OK &&
        broodi_process_slot_has_begun(process->slot))
        (void)await_how(process);
}

void broodi_served_kill(const brood_process *process)
{
    brood_os_child child;
    if (process->child.handle >= 0) {
        kill_and_await(process, &process->child);
    } else if (process->child.pid > 0 && open_child(process, &child)) {
        kill_and_await(process, &child);
        brood_os_process_release(&child);
    }
}

// The short wait lets a server that is just dying be seen as dead by the next attempt.
bool broodi_served_can_repeat(const brood_process *process)
{
    if (broodi_process_slot_has_begun(process->slot))
        return !await_how(process);
    (void)brood_os_process_await_end(&process->server->child,
                                     broodi_deadline(BROOD_MILLISECONDS(5)));
    return true;
}
