// SPDX-License-Identifier: MIT
#include "arena/report.h"

#include "arena/blocking.h"
#include "arena/family.h"
#include "arena/groups.h"
#include "arena/here.h"
#include "arena/process_slot.h"

static struct broodi_process_slot *process_at(uint32_t index)
{
    return broodi_slot(BROODI_PROCESS, index);
}

// The low word is {native 16, crash 4, kind 4, phase 2}. The native code has 8 bits on systems with
// fork servers.

enum { KIND_AT = 2, CRASH_AT = 6, NATIVE_AT = 10, FIELD = 15, NATIVE_FIELD = 0xffff };

static uint32_t pack(brood_exit seen)
{
    return BROODI_PROCESS_ENDED | ((uint32_t)seen.kind & FIELD) << KIND_AT |
           ((uint32_t)seen.crash & FIELD) << CRASH_AT |
           ((uint32_t)seen.native & NATIVE_FIELD) << NATIVE_AT;
}

static brood_exit unpack(uint32_t low)
{
    brood_exit seen = { .kind = (int32_t)(low >> KIND_AT & FIELD),
                        .crash = (int32_t)(low >> CRASH_AT & FIELD),
                        .native = low >> NATIVE_AT & NATIVE_FIELD };
    if (seen.kind == BROOD_EXITED)
        seen.code = (int32_t)seen.native;
    return seen;
}

// Whether the process in this slot may be a child of the calling fork server: a fork server has
// forked it, and its parent is the server's requester. The pid alone would not do, since an earlier
// process with the same pid may still have a slot.
static bool is_served(const struct broodi_process_slot *slot)
{
    const struct broodi_process_slot *own = process_at(broodi_here_process());
    const uint32_t origin = atomic_load_explicit(&slot->origin, memory_order_relaxed);
    return (origin & BROODI_ORIGIN_MASK) == BROODI_ORIGIN_FORKSERVER &&
           atomic_load_explicit(&slot->parent, memory_order_relaxed) ==
               atomic_load_explicit(&own->parent, memory_order_relaxed);
}

void broodi_report_write(int64_t pid, brood_exit seen)
{
    const uint32_t limit = broodi_slot_limit(BROODI_PROCESS);
    for (uint32_t index = 0; (index = broodi_slot_next(BROODI_PROCESS, index, limit)) < limit;
         index++) {
        struct broodi_process_slot *slot = process_at(index);
        const uint64_t state = atomic_load_explicit(&slot->state.state, memory_order_acquire);
        const enum broodi_process_phase phase = broodi_process_phase_of(state);
        const bool is_announced = phase == BROODI_PROCESS_STARTING;
        if (broodi_process_pid_here(slot) != pid ||
            (!is_announced && phase != BROODI_PROCESS_LIVE) || !is_served(slot))
            continue;
        if (is_announced) // once it is reaped, another process may get the pid
            broodi_process_slot_retract(index, state);
        else if (broodi_word_swap(&slot->state, state, pack(seen)))
            broodi_changed(BROODI_PROCESS, &slot->state, BROODI_ALL);
        return;
    }
}

bool broodi_report_read(uint32_t index, brood_exit *out)
{
    const uint64_t state =
        atomic_load_explicit(&process_at(index)->state.state, memory_order_acquire);
    if (broodi_process_phase_of(state) != BROODI_PROCESS_ENDED)
        return false;
    *out = unpack(broodi_low(state));
    return true;
}
