// SPDX-License-Identifier: MIT
#include <brood/brood.h>

#include "crew.h"

#include <string.h>

enum { SPINS = 2000 };

bool gathering_has_failed(const struct gathering *gathering)
{
    return atomic_load_explicit(&gathering->failed, memory_order_acquire);
}

void gathering_fail(struct gathering *gathering)
{
    atomic_store_explicit(&gathering->failed, true, memory_order_release);
}

// With more parties than processors a party must not spin for ever.
bool gathering_meet(struct gathering *gathering, int arrivals)
{
    atomic_fetch_add_explicit(&gathering->arrived, 1, memory_order_acq_rel);
    for (int polls = 0; atomic_load_explicit(&gathering->arrived, memory_order_acquire) < arrivals;
         polls++) {
        if (gathering_has_failed(gathering))
            return false;
        if (polls >= SPINS)
            brood_sleep(BROOD_MICROSECONDS(50));
    }
    return true;
}

int64_t gathering_time(const struct gathering *gathering, int parties)
{
    int64_t begin = gathering->begin[0];
    int64_t end = gathering->end[0];
    for (int i = 1; i < parties; i++) {
        begin = gathering->begin[i] < begin ? gathering->begin[i] : begin;
        end = gathering->end[i] > end ? gathering->end[i] : end;
    }
    return end - begin;
}

bool crew_join_process(brood_process *process)
{
    brood_exit ended;
    const brood_status status = brood_process_join(process, CREW_PATIENCE, &ended);
    brood_process_drop(process);
    return status == BROOD_OK && brood_exit_number(ended) == 0;
}

bool crew_join_thread(brood_thread *thread)
{
    int code;
    const brood_status status = brood_thread_join(thread, CREW_PATIENCE, &code);
    brood_thread_drop(thread);
    return status == BROOD_OK && code == 0;
}

brood_status crew_start(brood_process **out, const struct crew *crew, brood_target target)
{
    const brood_process_options options = { .resources = crew->resources,
                                            .resource_count = crew->resource_count };
    return brood_process_start(out, target, crew->part, crew->part_size, &options);
}

// Runs the party with this number and those after it; each joins the next.
static bool run_from(const struct crew *crew, int party)
{
    brood_process *process = NULL;
    brood_thread *thread = NULL;
    const int next = party + 1 < crew->parties ? party + 1 : 0;
    memcpy(crew->part, &next, sizeof next);
    if (next == 0)
        return crew->as_thread(crew->part) == 0;
    const brood_status status =
        crew->processes
            ? crew_start(&process, crew, crew->as_process)
            : brood_thread_start(&thread, crew->as_thread, crew->part, crew->part_size, NULL);
    if (status != BROOD_OK) {
        gathering_fail(crew->gathering);
        return false;
    }
    const bool done = run_from(crew, next);
    return (process ? crew_join_process(process) : crew_join_thread(thread)) && done;
}

bool crew_run(const struct crew *crew)
{
    return run_from(crew, 0);
}
