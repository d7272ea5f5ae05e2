// SPDX-License-Identifier: MIT
#include <brood/brood.h>

#include "party.h"

#include "crew.h"
#include "place.h"

#include <string.h>

enum { LINE = 64, FIRST_STEPS = 64, MOST_STEPS = 100 * 1000 * 1000 };

// Shared by all parties.
struct meeting {
    struct gathering gathering;
    _Alignas(LINE) volatile long touched;
    _Alignas(LINE) unsigned char object[VARIANT_ROOM];
};

// Argument of one party.
struct part {
    int party;
    struct party_plan plan;
};

static struct meeting *meeting;
static brood_resource meeting_resource;

const struct variant *party_variant(enum kind kind, int at, bool *out_ours)
{
    const struct variant *const *list = objects_of(kind);
    while (*list && at > 0) {
        list++;
        at--;
    }
    *out_ours = *list != NULL;
    return *list ? *list : variants_of(kind)[at];
}

static const struct variant *variant_of(const struct party_plan *plan)
{
    bool ours;
    return party_variant(plan->kind, plan->at, &ours);
}

bool party_prepare(void)
{
    meeting = place_make(sizeof *meeting, &meeting_resource);
    return meeting != NULL;
}

// One party

static bool make_steps(const struct variant *variant, const struct party_plan *plan,
                       const struct visit *visit)
{
    for (int i = 0; i < plan->steps; i++) {
        if (!variant->step(meeting->object, visit))
            return false;
        for (volatile int j = 0; j < plan->between; j = j + 1)
            continue;
    }
    return true;
}

static int attend(void *arg)
{
    const struct part *part = arg;
    const struct party_plan *plan = &part->plan;
    const struct visit visit = { part->party, plan->parties, &meeting->touched };
    struct gathering *gathering = &meeting->gathering;
    if (!gathering_meet(gathering, plan->parties))
        return 1;
    gathering->begin[part->party] = brood_clock();
    if (!make_steps(variant_of(plan), plan, &visit))
        gathering_fail(gathering);
    gathering->end[part->party] = brood_clock();
    return gathering_has_failed(gathering);
}

static bool enter(const struct party_plan *plan)
{
    const struct variant *variant = variant_of(plan);
    return !variant->enter || variant->enter(meeting->object);
}

// In a process of its own, first maps the shared memory.
static bool come(const struct party_plan *plan)
{
    brood_resource resource;
    if (brood_self_resource(0, &resource) != BROOD_OK ||
        !(meeting = place_open(&resource, sizeof *meeting)))
        return false;
    if (enter(plan))
        return true;
    gathering_fail(&meeting->gathering);
    return false;
}

static int attend_as_process(void *arg)
{
    const struct part *part = arg;
    return come(&part->plan) ? attend(arg) : 1;
}

// All parties

static struct crew crew_of(struct part *part)
{
    return (struct crew){
        .gathering = &meeting->gathering,
        .parties = part->plan.parties,
        .as_thread = attend,
        .as_process = attend_as_process,
        .processes = part->plan.processes,
        .resources = &meeting_resource,
        .resource_count = 1,
        .part = part,
        .part_size = sizeof *part,
    };
}

static bool open_meeting(const struct party_plan *plan)
{
    memset(meeting, 0, sizeof *meeting);
    return variant_of(plan)->make(meeting->object, plan->parties) && enter(plan);
}

static void close_meeting(const struct party_plan *plan)
{
    const struct variant *variant = variant_of(plan);
    if (variant->destroy)
        variant->destroy(meeting->object);
}

int64_t party_run(const struct party_plan *plan)
{
    if (!open_meeting(plan))
        return -1;
    struct part part = { .plan = *plan };
    const struct crew crew = crew_of(&part);
    const bool done = crew_run(&crew);
    close_meeting(plan);
    const long all = (long)plan->parties * plan->steps;
    if (!done || (plan->kind == KIND_LOCK && meeting->touched != all))
        return -1;
    return gathering_time(&meeting->gathering, plan->parties);
}

// The shorter of two runs, so that a disturbance does not count as work.
static int64_t try_out(const struct party_plan *plan)
{
    const int64_t first = party_run(plan);
    const int64_t second = first < 0 ? first : party_run(plan);
    return second < first ? second : first;
}

bool party_fit(struct party_plan *plan, int64_t span)
{
    plan->steps = FIRST_STEPS;
    for (;;) {
        const int64_t spent = try_out(plan);
        if (spent < 0)
            return false;
        const double needed = (double)plan->steps * (double)span / (double)(spent > 0 ? spent : 1);
        if (needed < 4.0 * plan->steps || plan->steps >= MOST_STEPS / 8) {
            plan->steps = needed < 1 ? 1 : (int)needed;
            return true;
        }
        plan->steps *= 8;
    }
}

// The death of a holder

static int hold(void *arg)
{
    const struct part *part = arg;
    bool died;
    if (!come(&part->plan) || !variant_of(&part->plan)->inherit(meeting->object, &died))
        return 1;
    atomic_fetch_add_explicit(&meeting->gathering.arrived, 1, memory_order_acq_rel);
    brood_sleep(BROOD_FOREVER);
    return 0;
}

// By then the waiter should be waiting; otherwise it only acquires the lock sooner.
static int kill_later(void *arg)
{
    brood_process *const *holder = arg;
    brood_sleep(BROOD_MILLISECONDS(5));
    meeting->gathering.begin[0] = brood_clock();
    return brood_process_kill(*holder) != BROOD_OK;
}

static bool wait_for_holder(brood_process *holder)
{
    while (atomic_load_explicit(&meeting->gathering.arrived, memory_order_acquire) == 0) {
        if (!brood_process_is_alive(holder))
            return false;
        brood_sleep(BROOD_MICROSECONDS(100));
    }
    return true;
}

static bool outlive(const struct variant *variant, brood_process *holder)
{
    brood_thread *killer;
    bool died = false;
    if (brood_thread_start(&killer, kill_later, &holder, sizeof holder, NULL) != BROOD_OK)
        return false;
    bool done = variant->inherit(meeting->object, &died);
    meeting->gathering.end[0] = brood_clock();
    done = done && died && variant->release(meeting->object);
    return crew_join_thread(killer) && done;
}

int64_t party_bereave(const struct party_plan *plan)
{
    brood_process *holder;
    struct part part = { .plan = *plan };
    const struct crew crew = crew_of(&part);
    if (!open_meeting(plan) || crew_start(&holder, &crew, hold) != BROOD_OK)
        return -1;
    const bool done = wait_for_holder(holder) && outlive(variant_of(plan), holder);
    (void)brood_process_stop(holder, BROOD_NOW, NULL);
    brood_process_drop(holder);
    close_meeting(plan);
    return done ? meeting->gathering.end[0] - meeting->gathering.begin[0] : -1;
}
