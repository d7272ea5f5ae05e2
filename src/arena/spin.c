// SPDX-License-Identifier: MIT
#include "arena/spin.h"

#include "arena/race.h"
#include "base/atomic.h"
#include "base/invariant.h"
#include "os/os_clock.h"
#include "os/os_thread.h"

#include <brood/cpu.h>

enum {
    MOST_VAIN_RESTS = 8,
    ASK_EVERY = 1 << 14, // calls of begin by one thread between two questions to the system
    SAMPLES = 4,
    FIRST_SAMPLE = 64,   // pauses
    LEAST_SAMPLE = 2000, // ns; the clock of Windows has steps of 100
    MOST_PAUSES = 1 << 16,
    PER_NS = 16, // the unit of the time of a pause: some processors pause for less than a ns
};

_Atomic unsigned broodi_spin_processors;

static unsigned ask_processors(void)
{
    broodi_race_ignore(&broodi_spin_processors, sizeof broodi_spin_processors);
    const unsigned count = brood_cpu_count();
    atomic_store_explicit(&broodi_spin_processors, count, memory_order_relaxed);
    return count;
}

enum {
    LONG_YIELD = 500 * 1000, // ns: longer than the turn of another thread that soon waits
    CHECK_EVERY = 8,         // polls of a thread between two measured yields, while none was long
    MOST_LONG_YIELDS = 12,
    REST = 8, // polls without yields, doubled for each long one
};

// Whether a thread on another processor may run while this one polls. The processors that this
// process may use do not matter: the other thread may be in a process that uses different ones. The
// answer may change while the process runs, so each thread asks again once in a while.
static bool may_pause(struct broodi_self *self)
{
    const unsigned known = atomic_load_explicit(&broodi_spin_processors, memory_order_relaxed);
    const bool again = self && ++self->spins % ASK_EVERY == 0;
    return (known == 0 || again ? ask_processors() : known) > 1;
}

// How many ns `pauses` take: the shortest of several samples, since the thread may have been
// preempted in the others.
static int64_t sample(uint32_t pauses)
{
    int64_t shortest = INT64_MAX;
    for (int i = 0; i < SAMPLES; i++) {
        const int64_t begin = brood_os_clock();
        for (uint32_t pause = 0; pause < pauses; pause++)
            brood_os_thread_pause();
        const int64_t took = brood_os_clock() - begin;
        if (took < shortest)
            shortest = took;
    }
    return shortest;
}

static uint32_t measure_pause(void)
{
    uint32_t pauses = FIRST_SAMPLE;
    int64_t took;
    while ((took = sample(pauses)) < LEAST_SAMPLE && pauses < MOST_PAUSES)
        pauses *= 2;
    return (uint32_t)(took * PER_NS / pauses) + 1;
}

// How long a pause takes, in units of 1 / PER_NS ns; at least 1. On processors of the last years it
// is 0.5 to 40 ns.
static uint32_t pause_time(void)
{
    static _Atomic uint32_t known; // 0: not measured. Any thread's result will do.
    uint32_t value = atomic_load_explicit(&known, memory_order_relaxed);
    if (value == 0) {
        broodi_race_ignore(&known, sizeof known);
        value = measure_pause();
        atomic_store_explicit(&known, value, memory_order_relaxed);
    }
    return value;
}

static void pause_for(uint32_t span)
{
    for (uint32_t pauses = span * PER_NS / pause_time() + 1; pauses > 0; pauses--)
        brood_os_thread_pause();
}

static uint32_t lesser(uint32_t one, uint32_t other)
{
    return one < other ? one : other;
}

static uint32_t budget_of(const struct broodi_self *self)
{
    return self && self->spin_budget ? self->spin_budget : BROODI_SPIN_MOST;
}

// How long the thread pauses now, in ns.
static uint32_t grant_pauses(struct broodi_self *self)
{
    if (!self || self->spin_rest == 0)
        return budget_of(self);
    self->spin_rest--;
    return self->spin_rest == 0 ? BROODI_SPIN_PROBE : 0;
}

static void learn_from_success(struct broodi_self *self, uint32_t budget)
{
    self->spin_budget = lesser(budget * 2, BROODI_SPIN_MOST);
    self->vain_rests = 0;
}

static void learn_from_failure(struct broodi_self *self)
{
    self->spin_budget = budget_of(self) / 2;
    if (self->spin_budget >= BROODI_SPIN_LEAST)
        return;
    self->spin_budget = BROODI_SPIN_LEAST;
    self->spin_rest = (uint32_t)BROODI_SPIN_REST << self->vain_rests;
    if (self->vain_rests < MOST_VAIN_RESTS)
        self->vain_rests++;
}

static uint32_t grant_yields(struct broodi_self *self)
{
    if (!self || self->yield_rest == 0)
        return BROODI_SPIN_YIELDS;
    self->yield_rest--;
    return 0;
}

// Returns whether it took long.
static bool learn_from_yield(struct broodi_self *self, int64_t took)
{
    if (took < LONG_YIELD) {
        self->long_yields = 0;
        return false;
    }
    if (self->long_yields < MOST_LONG_YIELDS)
        self->long_yields++;
    self->yield_rest = (uint32_t)REST << self->long_yields;
    return true;
}

static bool is_to_be_measured(const struct broodi_self *self)
{
    return self &&
           (self->long_yields > 0 || self->spins < CHECK_EVERY || self->spins % CHECK_EVERY == 0);
}

static bool yield_takes_long(struct broodi_self *self)
{
    if (!is_to_be_measured(self)) {
        brood_os_thread_yield();
        return false;
    }
    const int64_t begin = brood_os_clock();
    brood_os_thread_yield();
    return learn_from_yield(self, brood_os_clock() - begin);
}

struct broodi_spin broodi_spin_begin(uint32_t first, uint32_t last)
{
    broodi_assert(first > 0 && first <= last);
    struct broodi_self *self = broodi_self_known();
    const uint32_t budget = may_pause(self) ? grant_pauses(self) : 0;
    const uint32_t yields = grant_yields(self);
    return (struct broodi_spin){
        .self = self,
        .budget = budget,
        .interval = first,
        .last = last,
        .left = budget,
        .yields = yields,
        .granted = yields,
    };
}

bool broodi_spin_wait(struct broodi_spin *spin)
{
    if (spin->left > 0) {
        const uint32_t span = lesser(spin->interval, spin->left);
        pause_for(span);
        spin->left -= span;
        spin->interval = lesser(spin->interval * 2, spin->last);
        return true;
    }
    if (spin->yields == 0)
        return false;
    spin->yields--;
    if (yield_takes_long(spin->self))
        spin->yields = 0;
    return true;
}

void broodi_spin_end(const struct broodi_spin *spin, bool found)
{
    if (!spin->self || spin->budget == 0)
        return;
    const bool yielded = spin->yields < spin->granted;
    if (found && spin->left < spin->budget && !yielded)
        learn_from_success(spin->self, spin->budget);
    else if (found ? yielded : spin->left == 0 && spin->yields == 0)
        learn_from_failure(spin->self);
}
