// SPDX-License-Identifier: MIT
// The cost of the shared objects: brood's compared with those of the operating system, of Boost
// and of Python.
//
//   sync [--rounds N] [--span MS] [--only WORD]
//
// Each table shows one operation on a kind of object, by one thread, or by several threads or
// processes at once. A sample is as many steps as take about `span` milliseconds. All figures
// include the loop around the steps, whose cost is printed first. Printed first and last is also
// the round trip time of a word to the other processor: on a virtual machine that can change by a
// factor of five within seconds, which spoils a run. --only WORD selects the tables whose caption
// contains the word.

#include "command.h"
#include "party.h"
#include "runner.h"
#include "table.h"

#include <brood/brood.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BETWEEN = 50, // increments after each step: about a hundred nanoseconds
    MOST_ROWS = 10,
};

#define DEATH_GOAL BROOD_MILLISECONDS(1)

struct plan {
    int rounds;
    int span; // milliseconds
    const char *only;
};

struct task {
    const char *caption;
    enum kind kind;
    int parties;
    bool processes;
    int between;
    const char *python; // Python's task; NULL: none
    bool death;
};

static const struct task tasks[] = {
    { "lock: acquire + release, alone", KIND_LOCK, .parties = 1, .python = "lock" },
    { "lock: acquire + release, 2 threads", KIND_LOCK, .parties = 2 },
    { "lock: acquire + release, 2 threads with work between", KIND_LOCK, .parties = 2,
      .between = BETWEEN },
    { "lock: acquire + release, 2 processes", KIND_LOCK, .parties = 2, .processes = true,
      .python = "contended" },
    { "lock: acquire + release, 2 processes with work between", KIND_LOCK, .parties = 2,
      .processes = true, .between = BETWEEN },
    { "lock: from the death of its holder until a waiter has it", KIND_LOCK, .parties = 2,
      .processes = true, .death = true },
    { "event: round trip, 2 threads", KIND_EVENT, .parties = 2 },
    { "event: round trip, 2 processes", KIND_EVENT, .parties = 2, .processes = true },
    { "semaphore: round trip, 2 threads", KIND_SEMAPHORE, .parties = 2 },
    { "semaphore: round trip, 2 processes", KIND_SEMAPHORE, .parties = 2, .processes = true },
    { "condition: round trip, 2 threads", KIND_CONDITION, .parties = 2 },
    { "condition: round trip, 2 processes", KIND_CONDITION, .parties = 2, .processes = true },
    { "barrier: one round, 2 processes", KIND_BARRIER, .parties = 2, .processes = true },
    { "barrier: one round, 4 processes", KIND_BARRIER, .parties = 4, .processes = true },
    { "wait for any of 2: round trip, 2 threads", KIND_ANY_FEW, .parties = 2 },
    { "wait for any of 64: round trip, 2 threads", KIND_ANY_SOME, .parties = 2 },
    { "wait for any of 1000: round trip, 2 threads", KIND_ANY_MANY, .parties = 2 },
    { "wait for any of 2: round trip, 2 processes", KIND_ANY_FEW, .parties = 2, .processes = true },
    { "wait for any of 64: round trip, 2 processes", KIND_ANY_SOME, .parties = 2,
      .processes = true },
    { "wait for any of 1000: round trip, 2 processes", KIND_ANY_MANY, .parties = 2,
      .processes = true },
};

// The sources of samples

// Nanoseconds per step. The parties' steps with a lock come one after the other and count
// separately; a step of another kind is made by all parties together.
static double sample_steps(const void *plan, const struct quota *quota)
{
    const struct party_plan *party = plan;
    const int in_turn = party->kind == KIND_LOCK ? party->parties : 1;
    (void)quota;
    return (double)party_run(party) / in_turn / party->steps;
}

static double sample_death(const void *plan, const struct quota *quota)
{
    (void)quota;
    return (double)party_bereave(plan);
}

static double sample_python(const void *task, const struct quota *quota)
{
    return runner_ask(RUNNER_PYTHON, task, quota);
}

// The rows of a table

struct rows {
    int count;
    int base; // the system's first variant, or brood's if there is none
    struct row row[MOST_ROWS];
    struct party_plan plan[MOST_ROWS];
};

static bool takes_part(const struct task *task, const struct variant *variant)
{
    return (variant->inherit || !task->death) && !(variant->within_process && task->processes);
}

static void add_row(struct rows *rows, const struct row *row)
{
    if (rows->base == 0 && !row->ours)
        rows->base = rows->count;
    rows->row[rows->count++] = *row;
}

static void add_variant(struct rows *rows, const struct task *task, int at, int64_t span)
{
    bool ours;
    const struct variant *variant = party_variant(task->kind, at, &ours);
    struct party_plan *plan = &rows->plan[rows->count];
    struct row row = { .name = variant->name, .what = plan, .ours = ours };
    if (!takes_part(task, variant))
        return;
    *plan = (struct party_plan){ task->kind, at, task->parties, task->processes, task->between, 1 };
    if (variant->step)
        row.sample = task->death ? sample_death : sample_steps;
    if (row.sample == sample_steps && !party_fit(plan, span))
        command_fail(variant->name, ours ? brood_last_error() : "it failed");
    add_row(rows, &row);
}

static void make_rows(struct rows *rows, const struct task *task, int64_t span)
{
    bool ours;
    rows->count = rows->base = 0;
    for (int at = 0; party_variant(task->kind, at, &ours); at++)
        add_variant(rows, task, at, span);
    if (task->python)
        add_row(rows,
                &(struct row){ .name = "Python", .sample = sample_python, .what = task->python });
    for (int i = 0; i < rows->count; i++)
        rows->row[i].base = rows->base;
}

// Printing

static void print_goals(const struct table *table, const struct task *task)
{
    bool ours;
    for (int i = 0; i < table->count; i++) {
        const struct party_plan *plan = table->rows[i].what;
        if (table->rows[i].sample != sample_steps)
            continue;
        const struct variant *variant = party_variant(plan->kind, plan->at, &ours);
        const double most = task->parties == 1 ? variant->alone_at_most : variant->most;
        if (most > 0)
            table_print_goal(table, 0, i, most);
    }
    if (task->death)
        table_print_limit(table, 0, DEATH_GOAL);
}

static void make_table(const struct task *task, const struct plan *plan)
{
    struct rows rows;
    const struct quota quota = { INT_MAX, BROOD_MILLISECONDS(plan->span) };
    make_rows(&rows, task, quota.budget);
    const struct table table = { rows.row, rows.count, plan->rounds, quota };
    table_measure(&table);
    table_print(&table, task->caption, "ns", 1);
    print_goals(&table, task);
    table_free(&table);
}

static double measure_yardstick(enum kind kind, int parties, int64_t span)
{
    struct party_plan plan = { .kind = kind, .parties = parties };
    if (!party_fit(&plan, span))
        command_fail("the machine", "measurement failed");
    return (double)party_run(&plan) / plan.steps;
}

static void print_machine(const char *when, int64_t span)
{
    printf("%s: the loop alone takes %.1f ns, a word to the other processor and back %.0f ns\n",
           when, measure_yardstick(KIND_NOTHING, 1, span), measure_yardstick(KIND_WORD, 2, span));
    (void)fflush(stdout);
}

// The command line

static bool read_plan(struct plan *plan, int argc, char **argv)
{
    for (int i = 1; i < argc; i += 2) {
        const char *word = argv[i];
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(word, "--rounds") == 0 && command_number(value, 0, &plan->rounds, &value))
            continue;
        if (strcmp(word, "--span") == 0 && command_number(value, 0, &plan->span, &value))
            continue;
        if (strcmp(word, "--only") != 0)
            return false;
        plan->only = value;
    }
    return true;
}

int main(int argc, char **argv)
{
    brood_init();
    struct plan plan = { .rounds = 9, .span = 25, .only = "" };
    if (!read_plan(&plan, argc, argv)) {
        fputs("usage: sync [--rounds N] [--span MS] [--only WORD]\n", stderr);
        return EXIT_FAILURE;
    }
    if (!party_prepare())
        command_fail("sync", "no shared memory");
    runner_open(RUNNER_PYTHON, 1);
    print_machine("before", BROOD_MILLISECONDS(plan.span));
    for (size_t i = 0; i < sizeof tasks / sizeof tasks[0]; i++)
        if (strstr(tasks[i].caption, plan.only))
            make_table(&tasks[i], &plan);
    print_machine("after", BROOD_MILLISECONDS(plan.span));
    runner_close(RUNNER_PYTHON);
    return EXIT_SUCCESS;
}
