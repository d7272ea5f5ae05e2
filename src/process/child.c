// SPDX-License-Identifier: MIT
// One child: its object, and how it ended. That is derived from three sources, in this order: the
// exit record that the child left in the arena; whether brood ended it; what the operating system
// reports.
#include "process/child.h"

#include "arena/family.h"
#include "arena/process_slot.h"
#include "arena/report.h"
#include "arena/self.h"
#include "base/invariant.h"
#include "os/os_guard.h"
#include "process/burial.h"
#include "process/served.h"

#include <stddef.h>
#include <stdlib.h>

brood_duration broodi_start_timeout = BROOD_SECONDS(60);

_Static_assert(offsetof(struct brood_process, member) == 0, "a child begins with its member");

// References

brood_process *broodi_child_new(const char *name, bool daemon)
{
    brood_process *process = broodi_member_new(sizeof *process, name);
    if (!process)
        return NULL;
    process->slot = BROODI_NONE;
    process->daemon = daemon;
    process->child = (brood_os_child){ .handle = -1, .channel = -1, .memory = -1 };
    return process;
}

static void free_process(brood_process *process)
{
    if (broodi_member_is_ours(process)) {
        brood_os_process_release(&process->child);
        if (process->detached && process->slot != BROODI_NONE)
            broodi_process_slot_end(process->slot);
    }
    brood_process_drop(process->server);
    free(process);
}

void brood_process_drop(brood_process *process)
{
    if (!broodi_member_release(process))
        return;
    const int before = brood_os_thread_protect();
    free_process(process);
    brood_os_thread_unprotect(before);
}

// How it ended

// Whether brood ended the child: by a signal, or on systems without signals by an exit code that
// stands for one.
static bool was_ended_by_brood(const brood_process *process, brood_exit seen)
{
    return (seen.kind == BROOD_SIGNALLED || seen.kind == BROOD_TERMINATED) && seen.native < 32 &&
           (process->signals_sent >> seen.native & 1);
}

// Whether the system's report is consistent with `code`, which the target returned. POSIX reports 8
// bits of it. Where all ends are exit codes, one that is reported as an interrupt may be the
// target's own code.
static bool agrees(int32_t code, brood_exit seen)
{
    if (seen.kind == BROOD_LOST)
        return true;
    if (brood_os_process_can_fork())
        return seen.kind == BROOD_EXITED && ((seen.code ^ code) & 0xff) == 0;
    return seen.kind == BROOD_SIGNALLED || (uint32_t)seen.native == (uint32_t)code;
}

// Where all ends are exit codes, `seen` may be the reading of `code` as a crash or a signal: the
// native value is then `code` itself.
static brood_exit exited(int32_t code, brood_exit seen)
{
    const bool all_are_codes = !brood_os_process_can_fork();
    return (brood_exit){ .kind = BROOD_EXITED,
                         .code = code,
                         .native = all_are_codes ? (int64_t)(uint32_t)code : seen.native };
}

static brood_exit conclude(const brood_process *process, brood_exit seen)
{
    const struct broodi_process_slot *slot = broodi_slot(BROODI_PROCESS, process->slot);
    const bool all_are_codes = !brood_os_process_can_fork();
    // An exit code that stands for a termination by brood, which brood has not caused: the program
    // itself has passed it to exit().
    if (seen.kind == BROOD_TERMINATED && !was_ended_by_brood(process, seen))
        seen =
            (brood_exit){ .kind = BROOD_EXITED, .code = seen.code, .native = (uint32_t)seen.code };
    // The record is loaded before `code`, which was stored before the record.
    const uint32_t record = broodi_child_record(slot);
    const int32_t code = atomic_load_explicit(&slot->code, memory_order_relaxed);
    switch (record) {
    case BROODI_RECORD_RETURNED:
        if (!agrees(code, seen))
            break;
        return exited(code, seen);
    case BROODI_RECORD_CODE:
        return exited(code, seen);
    case BROODI_RECORD_ORDERLY:
        // Where all ends are exit codes, 0 and the codes of crashes count as an exit only with this
        // record. The code of an interrupt, which programs pass on, is always read as a signal.
        if (seen.kind == BROOD_EXITED ||
            (all_are_codes && seen.kind != BROOD_TERMINATED && seen.kind != BROOD_SIGNALLED))
            return (brood_exit){ .kind = BROOD_EXITED,
                                 .code = (int32_t)seen.native,
                                 .native = seen.native };
        break;
    default:
        break;
    }
    if (was_ended_by_brood(process, seen))
        return (brood_exit){ .kind = BROOD_TERMINATED, .native = seen.native & 0xff };
    return seen;
}

// Whether the child has ended; then `seen` is what the system or the server reports. Reaps a child
// that is not served.
static bool see(const brood_process *process, brood_exit *seen)
{
    return process->server ? broodi_served_see(process, seen)
                           : brood_os_process_reap(&process->child, seen);
}

bool broodi_child_see(const brood_process *process, brood_exit *out)
{
    brood_exit seen = { .kind = BROOD_RUNNING };
    if (!see(process, &seen))
        return false;
    *out = conclude(process, seen);
    return true;
}

brood_status broodi_child_await_end(const brood_process *process, int64_t deadline)
{
    if (process->server)
        return broodi_served_await_end(process, deadline);
    const brood_status status = brood_os_process_await_end(&process->child, deadline);
    return status == BROOD_TIMEOUT ? status : BROOD_OK;
}

// Ending it

brood_status broodi_child_end(const brood_process *process, bool hard)
{
    if (process->server && process->child.handle < 0)
        return broodi_served_end(process, hard);
    return brood_os_process_end(&process->child, hard);
}

brood_status broodi_child_end_if_alive(brood_process *process, bool hard)
{
    broodi_assert(brood_os_guard_is_held());
    brood_exit seen;
    if (process->ended || brood_os_process_await_end(&process->child, 0) == BROOD_OK ||
        (process->server && broodi_report_read(process->slot, &seen)))
        return BROOD_OK;
    const brood_status status = broodi_child_end(process, hard);
    if (status == BROOD_OK)
        process->signals_sent |= UINT32_C(1) << (hard ? 9 : 15);
    return status;
}
