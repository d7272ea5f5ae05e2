// SPDX-License-Identifier: MIT
// The public calls on one child.
#include "arena/self.h"
#include "base/deadline.h"
#include "base/fail.h"
#include "os/os_guard.h"
#include "process/child.h"
#include "process/children.h"
#include "thread/stop.h"

#include <errno.h>

// How long brood_process_stop waits after a kill. The system ends a killed process at once, unless
// a device driver blocks it.
#define AFTER_A_KILL BROOD_SECONDS(10)

static brood_status check(const brood_process *process)
{
    return broodi_member_check(process, "process", "child");
}

static brood_status join(brood_process *process, int64_t deadline, brood_exit *out)
{
    brood_status status = check(process);
    if (status == BROOD_OK)
        status = broodi_child_join(process, deadline);
    if (status == BROOD_OK && out)
        *out = process->end; // constant once the child has ended
    return status;
}

brood_status brood_process_join(brood_process *process, brood_duration timeout, brood_exit *out)
{
    return broodi_answer("brood_process_join", join(process, broodi_deadline(timeout), out));
}

static brood_status report(brood_process *process, brood_exit *out)
{
    const brood_status status = join(process, 0, out);
    return status == BROOD_TIMEOUT ? BROOD_BUSY : status;
}

brood_status brood_process_report(brood_process *process, brood_exit *out)
{
    return broodi_answer("brood_process_report", report(process, out));
}

bool brood_process_is_alive(brood_process *process)
{
    const int error = errno;
    const bool alive = broodi_member_is_ours(process) && !broodi_child_reap(process);
    errno = error;
    return alive;
}

static brood_status end(brood_process *process, bool hard)
{
    brood_status status = check(process);
    if (status != BROOD_OK)
        return status;
    brood_os_guard_lock();
    status = broodi_child_end_if_alive(process, hard);
    brood_os_guard_unlock();
    return status;
}

brood_status brood_process_terminate(brood_process *process)
{
    return broodi_answer("brood_process_terminate", end(process, false));
}

brood_status brood_process_kill(brood_process *process)
{
    return broodi_answer("brood_process_kill", end(process, true));
}

static brood_status request_stop(brood_process *process)
{
    const brood_status status = check(process);
    if (status != BROOD_OK)
        return status;
    brood_os_guard_lock();
    if (!process->ended) // so the slot has not been freed
        broodi_stop_request(process->slot);
    brood_os_guard_unlock();
    return BROOD_OK;
}

brood_status brood_process_request_stop(brood_process *process)
{
    return broodi_answer("brood_process_request_stop", request_stop(process));
}

// Requests a stop, then terminates, then kills the child, until one of them has ended it.
static brood_status stop(brood_process *process, brood_duration grace, brood_exit *out)
{
    brood_status status = request_stop(process);
    if (status == BROOD_OK)
        status = join(process, broodi_deadline(grace), out);
    for (int hard = 0; hard <= 1 && status == BROOD_TIMEOUT; hard++) {
        status = end(process, hard);
        if (status == BROOD_OK)
            status = join(process, broodi_deadline(hard ? AFTER_A_KILL : grace), out);
    }
    return status;
}

brood_status brood_process_stop(brood_process *process, brood_duration grace, brood_exit *out)
{
    return broodi_answer("brood_process_stop", stop(process, grace, out));
}

static brood_status native(const brood_process *process, intptr_t *out)
{
    const brood_status status = check(process);
    if (status != BROOD_OK)
        return status;
    if (!out)
        return broodi_fail(BROOD_INVALID, "out is NULL");
    if (process->child.handle == -1)
        return broodi_fail(BROOD_UNSUPPORTED, "the system provides no descriptor of this process");
    *out = process->child.handle;
    return BROOD_OK;
}

brood_status brood_process_native(brood_process *process, intptr_t *out)
{
    return broodi_answer("brood_process_native", native(process, out));
}

brood_pid brood_process_pid(const brood_process *process)
{
    return process ? process->child.pid : 0;
}

const char *brood_process_name(const brood_process *process)
{
    return broodi_member_name(process);
}

bool brood_process_is_daemon(const brood_process *process)
{
    return process && process->daemon;
}
