// SPDX-License-Identifier: MIT
// The cost of messages: brood's carriers compared with those of the operating system, of
// libraries and of Python.
//
//   messages [--rounds N] [--span MS] [--only WORD] [--one-cpu yes] [--hogs N] [--quick yes]
//            [--markdown yes]
//
// Each table shows one kind of traffic, with one row for each carrier: the time of a message from
// the first send to the last receipt, and the processor time that all parties used for it. A
// sample is as many messages as take about `span` milliseconds; a row that fails, or that cannot
// do this, is "failed" or "n/a". Senders write, and receivers check, a word in each cache line.
//
// Some goals depend on how far apart the processors are: whether a word to the other one and back
// takes less than 250 ns, which is printed first and last.
//
// --one-cpu restricts all parties to one processor; --hogs starts processes that compute all the
// time; --quick makes one short round of most kinds, for a test; --markdown prints a table for
// README.md.

#include "command.h"
#include "cpu.h"
#include "party.h"
#include "runner.h"
#include "table.h"
#include "traffic.h"

#include <brood/brood.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_ROWS = 24, MOST_HOGS = 8, KIB = 1024, MIB = 1024 * 1024, NEAR = 250 };

struct plan {
    int rounds;
    int span; // milliseconds
    const char *only;
    bool one_cpu;
    int hogs;
    bool quick;
    bool markdown;
};

// Goals: multiples of the best other row; 0: none.
struct goal {
    double near;
    double far;
    const char *than; // instead of the best: this row
    bool all;         // of all rows of brood; otherwise of the queue
};

struct task {
    const char *what;
    struct traffic traffic;
    struct goal goal;
    struct goal on_one_cpu;
};

// Each for threads and for processes. The capacities make 256 KiB, 2 MiB and 8 MiB.
static const struct task tasks[] = {
    { .what = "1:1, 64 B",
      .traffic = { .size = 64, .pairs = 1, .batch = 1, .capacity = 4096 },
      .goal = { .near = 0.35, .far = 0.9 } },
    { .what = "1:1, 64 B, batches of 32",
      .traffic = { .size = 64, .pairs = 1, .batch = 32, .capacity = 4096 },
      .goal = { .near = 0.1, .far = 0.3 } },
    { .what = "1:1, 1 KiB",
      .traffic = { .size = KIB, .pairs = 1, .batch = 1, .capacity = 256 },
      .goal = { .near = 0.5, .far = 0.5 } },
    { .what = "1:1, 1 KiB, batches of 32",
      .traffic = { .size = KIB, .pairs = 1, .batch = 32, .capacity = 256 } },
    { .what = "1:1, 64 KiB",
      .traffic = { .size = 64 * KIB, .pairs = 1, .batch = 1, .capacity = 32 },
      .goal = { .near = 0.4, .far = 0.4 } },
    { .what = "1:1, 64 KiB, batches of 32",
      .traffic = { .size = 64 * KIB, .pairs = 1, .batch = 32, .capacity = 32 } },
    { .what = "1:1, 1 MiB",
      .traffic = { .size = MIB, .pairs = 1, .batch = 1, .capacity = 8 },
      .goal = { .near = 0.8, .far = 0.8 } },
    { .what = "2:2, 64 B",
      .traffic = { .size = 64, .pairs = 2, .batch = 1, .capacity = 4096 },
      .goal = { .near = 0.15, .far = 0.15 } },
    { .what = "2:2, 64 B, batches of 32",
      .traffic = { .size = 64, .pairs = 2, .batch = 32, .capacity = 4096 } },
    { .what = "2:2, 1 KiB",
      .traffic = { .size = KIB, .pairs = 2, .batch = 1, .capacity = 256 },
      .goal = { .near = 0.4, .far = 0.4 } },
    { .what = "2:2, 1 KiB, batches of 32",
      .traffic = { .size = KIB, .pairs = 2, .batch = 32, .capacity = 256 } },
    { .what = "2:2, 64 KiB",
      .traffic = { .size = 64 * KIB, .pairs = 2, .batch = 1, .capacity = 32 } },
    { .what = "2:2, 1 MiB", .traffic = { .size = MIB, .pairs = 2, .batch = 1, .capacity = 8 } },
    { .what = "4:4, 64 B", .traffic = { .size = 64, .pairs = 4, .batch = 1, .capacity = 4096 } },
    { .what = "4:4, 64 B, batches of 32",
      .traffic = { .size = 64, .pairs = 4, .batch = 32, .capacity = 4096 } },
    { .what = "4:4, 1 KiB", .traffic = { .size = KIB, .pairs = 4, .batch = 1, .capacity = 256 } },
    { .what = "4:4, 64 KiB",
      .traffic = { .size = 64 * KIB, .pairs = 4, .batch = 1, .capacity = 32 } },
    { .what = "4:4, 1 MiB", .traffic = { .size = MIB, .pairs = 4, .batch = 1, .capacity = 8 } },
    { .what = "cold 1:1, 64 B",
      .traffic = { .size = 64, .pairs = 1, .batch = 1, .capacity = 4096, .cold = true } },
    { .what = "cold 1:1, 1 KiB",
      .traffic = { .size = KIB, .pairs = 1, .batch = 1, .capacity = 256, .cold = true } },
    { .what = "cold 1:1, 64 KiB",
      .traffic = { .size = 64 * KIB, .pairs = 1, .batch = 1, .capacity = 32, .cold = true } },
    { .what = "cold 1:1, 1 MiB",
      .traffic = { .size = MIB, .pairs = 1, .batch = 1, .capacity = 8, .cold = true } },
    { .what = "round trip, 64 B",
      .traffic = { .size = 64, .pairs = 1, .batch = 1, .capacity = 64, .round_trip = true },
      .goal = { .near = 0.01, .far = 0.01, .than = "pipe" },
      .on_one_cpu = { .near = 0.7, .far = 0.7, .than = "pipe" } },
    { .what = "round trip, 1 KiB",
      .traffic = { .size = KIB, .pairs = 1, .batch = 1, .capacity = 64, .round_trip = true } },
    { .what = "round trip, 64 KiB",
      .traffic = { .size = 64 * KIB, .pairs = 1, .batch = 1, .capacity = 8, .round_trip = true } },
    { .what = "round trip, 1 MiB",
      .traffic = { .size = MIB, .pairs = 1, .batch = 1, .capacity = 2, .round_trip = true },
      .goal = { .near = 0.45, .far = 0.45, .all = true } },
    { .what = "1:1, 256 MiB",
      .traffic = { .size = 256 * MIB, .pairs = 1, .batch = 1, .capacity = 1 },
      .goal = { .near = 0.6, .far = 0.6, .than = "socketpair, stream", .all = true } },
};

// The sources of samples

static double per_message(const struct traffic *traffic, int64_t time)
{
    return (double)time / (double)traffic->messages;
}

static double sample_traffic(const void *what, const struct quota *quota)
{
    const struct traffic *traffic = what;
    (void)quota;
    return per_message(traffic, traffic_run(traffic));
}

static double effort_of_traffic(const void *what)
{
    return per_message(what, traffic_effort());
}

static double sample_python(const void *task, const struct quota *quota)
{
    return runner_ask(RUNNER_PYTHON, task, quota);
}

static double effort_of_python(const void *task)
{
    const struct quota none = { 0, 0 };
    (void)task;
    return runner_ask(RUNNER_PYTHON, "effort", &none);
}

static bool has_python;

// The rows of a table

struct rows {
    int count;
    struct row row[MOST_ROWS];
    struct traffic traffic[MOST_ROWS];
    char python[MOST_ROWS][48]; // Python's tasks
    char name[MOST_ROWS][48];   // of rows that have no other one
};

static void add_carrier(struct rows *rows, const struct traffic *traffic, int64_t span)
{
    bool ours;
    const struct carrier *carrier = traffic_carrier(traffic->at, &ours);
    struct traffic *own = &rows->traffic[rows->count];
    struct row *row = &rows->row[rows->count++];
    *own = *traffic;
    *row = (struct row){ .name = carrier->name,
                         .what = own,
                         .ours = ours,
                         .effort = effort_of_traffic,
                         .missing = traffic_obstacle(own),
                         .error = traffic_error,
                         .note = carrier->survives };
    if (row->missing)
        return;
    row->sample = sample_traffic;
    if (traffic_fit(own, span))
        return;
    if (ours)
        command_fail(carrier->name, brood_last_error());
    row->sample = NULL;
    row->missing = traffic_error();
}

// Why Python has no such row; NULL: it has.
static const char *obstacle_of_python(const struct traffic *traffic)
{
    if (!has_python)
        return "not installed: python3";
    if (traffic->batch > 1)
        return "one message in a call";
    return !traffic->processes || traffic->cold || traffic->size > MIB
               ? "measured between processes, warm, up to 1 MiB"
               : NULL;
}

static void add_python(struct rows *rows, const struct traffic *traffic, const char *name,
                       const char *carrier, const char *survives)
{
    char *task = rows->python[rows->count];
    const char *missing = obstacle_of_python(traffic);
    (void)snprintf(task, sizeof rows->python[0], "%s-%s-%d-%d-%d",
                   traffic->round_trip ? "trip" : "way", carrier, traffic->size, traffic->pairs,
                   traffic->capacity);
    rows->row[rows->count++] = (struct row){ .name = name,
                                             .sample = missing ? NULL : sample_python,
                                             .what = task,
                                             .effort = effort_of_python,
                                             .missing = missing,
                                             .note = survives };
}

// The others without batches, with which a goal compares brood's batches.
static void add_singly(struct rows *rows, const struct traffic *traffic, int64_t span)
{
    bool ours;
    struct traffic one = *traffic;
    one.batch = 1;
    for (one.at = 0; traffic_carrier(one.at, &ours); one.at++) {
        char *name = rows->name[rows->count];
        if (ours)
            continue;
        add_carrier(rows, &one, span);
        (void)snprintf(name, sizeof rows->name[0], "%s, singly", rows->row[rows->count - 1].name);
        rows->row[rows->count - 1].name = name;
    }
}

static void make_rows(struct rows *rows, const struct traffic *traffic, bool singly, int64_t span)
{
    bool ours;
    struct traffic one = *traffic;
    rows->count = 0;
    for (one.at = 0; traffic_carrier(one.at, &ours); one.at++)
        add_carrier(rows, &one, span);
    if (singly)
        add_singly(rows, traffic, span);
    add_python(rows, traffic, "Python Queue", "queue", "hangs");
    if (traffic->pairs == 1)
        add_python(rows, traffic, "Python Pipe", "pipe", "tears");
}

// The machine

static double measure_word(int64_t span)
{
    struct party_plan plan = { .kind = KIND_WORD, .parties = 2 };
    if (!party_fit(&plan, span))
        command_fail("the machine", "measurement failed");
    return (double)party_run(&plan) / plan.steps;
}

static int compute(void *arg)
{
    volatile unsigned long count = 0;
    (void)arg;
    while (brood_parent_is_alive())
        for (int i = 0; i < MIB; i++)
            count = count + 1;
    return 0;
}

static void start_hogs(brood_process **hogs, int count)
{
    const brood_process_options options = { .daemon = BROOD_DAEMON_YES };
    for (int i = 0; i < count; i++)
        if (brood_process_start(&hogs[i], compute, NULL, 0, &options) != BROOD_OK)
            command_fail("a hog", brood_last_error());
}

static void end_hogs(brood_process **hogs, int count)
{
    for (int i = 0; i < count; i++) {
        (void)brood_process_stop(hogs[i], BROOD_NOW, NULL);
        brood_process_drop(hogs[i]);
    }
}

// Printing

static int row_named(const struct table *table, const char *name)
{
    for (int i = 0; i < table->count; i++)
        if (table->rows[i].samples && strcmp(table->rows[i].name, name) == 0)
            return i;
    return -1;
}

// The most that brood's first row may take, as a multiple of the row `base`; 0: no goal.
static double most_of(const struct table *table, const struct goal *goal, int base, double word)
{
    const bool is_carrier = base >= 0 && table->rows[base].sample == sample_traffic;
    bool ours;
    if (is_carrier && goal->far > 0) {
        const struct traffic *traffic = table->rows[base].what;
        const double at_most = traffic_carrier(traffic->at, &ours)->at_most;
        if (at_most > 0)
            return at_most;
    }
    return word < NEAR ? goal->near : goal->far;
}

// What the goal compares brood's rows with: the best other row, singly if there is a choice; -1:
// nothing.
static int base_of(const struct table *table, const struct goal *goal)
{
    int best = -1;
    if (goal->than)
        return row_named(table, goal->than);
    for (int i = 0; goal->far > 0 && i < table->count; i++)
        if (table->rows[i].samples && strstr(table->rows[i].name, ", singly") &&
            (best < 0 || table_median(table, i) < table_median(table, best)))
            best = i;
    return best >= 0 ? best : table_best(table);
}

static void print_goal(const struct table *table, const struct goal *goal, double word)
{
    const int base = base_of(table, goal);
    const double most = most_of(table, goal, base, word);
    for (int i = 0; base >= 0 && most > 0 && (i == 0 || goal->all) && table->rows[i].ours; i++)
        table_print_goal(table, i, base, most);
}

// One line for each of brood's rows.
static void print_markdown(const struct table *table, const char *caption, const struct goal *goal,
                           double word)
{
    const int base = base_of(table, goal);
    const double most = most_of(table, goal, base, word);
    for (int i = 0; table->rows[i].ours; i++) {
        const double ours = table_median(table, i);
        if (ours < 0)
            continue;
        printf("| %s | %s, %s | %.4g | %.4g |", caption, table->rows[i].name, table->rows[i].note,
               ours, table_median_effort(table, i));
        if (base >= 0)
            printf(" %s, %s | %.4g | %.4g | %.3g |", table->rows[base].name, table->rows[base].note,
                   table_median(table, base), table_median_effort(table, base),
                   ours / table_median(table, base));
        else
            printf(" | | | |");
        if (base >= 0 && most > 0 && (i == 0 || goal->all))
            printf(" %g, %s |\n", most,
                   ours <= most * table_median(table, base) ? "reached" : "missed");
        else
            printf(" |\n");
    }
    (void)fflush(stdout);
}

// The first row that is available.
static void set_base(struct rows *rows)
{
    int base = 0;
    while (base < rows->count - 1 && !rows->row[base].sample)
        base++;
    for (int i = 0; i < rows->count; i++)
        rows->row[i].base = base;
}

static void make_table(const struct task *task, const char *caption, const struct traffic *traffic,
                       const struct plan *plan)
{
    static struct rows rows;
    const struct goal *goal = plan->one_cpu ? &task->on_one_cpu : &task->goal;
    const struct quota quota = { INT_MAX, BROOD_MILLISECONDS(plan->span) };
    make_rows(&rows, traffic, traffic->batch > 1 && goal->far > 0, plan->quick ? 0 : quota.budget);
    set_base(&rows);
    const struct table table = { rows.row, rows.count, plan->rounds, quota };
    const double word = plan->one_cpu || plan->hogs ? NEAR : measure_word(BROOD_MILLISECONDS(2));
    table_measure(&table);
    if (plan->markdown) {
        print_markdown(&table, caption, goal, word);
    } else {
        table_print(&table, caption, "ns", 1);
        print_goal(&table, goal, word);
    }
    table_free(&table);
}

static bool is_wanted(const struct task *task, const char *caption, const struct plan *plan)
{
    const bool other_place = plan->one_cpu || plan->hogs > 0;
    return strstr(caption, plan->only) && (!other_place || task->traffic.round_trip) &&
           (!plan->quick || (task->traffic.pairs <= 2 && task->traffic.size <= MIB));
}

static void make_tables(const struct task *task, const struct plan *plan)
{
    char caption[96];
    for (int processes = 0; processes < 2; processes++) {
        struct traffic traffic = task->traffic;
        traffic.processes = processes;
        (void)snprintf(caption, sizeof caption, "%s, %s%s%s", task->what,
                       processes ? "processes" : "threads", plan->one_cpu ? ", one CPU" : "",
                       plan->hogs > 0 ? ", hogs" : "");
        if (is_wanted(task, caption, plan))
            make_table(task, caption, &traffic, plan);
    }
}

static void print_machine(const char *when, const struct plan *plan)
{
    if (plan->one_cpu || plan->hogs > 0)
        return;
    printf("%s: a word to the other processor and back %.0f ns\n", when,
           measure_word(BROOD_MILLISECONDS(plan->span)));
    (void)fflush(stdout);
}

static void print_missing(void)
{
    bool ours;
    const struct carrier *carrier;
    for (int at = 0; (carrier = traffic_carrier(at, &ours)) != NULL; at++)
        if (carrier->missing)
            printf("not measured: %s: %s\n", carrier->name, carrier->missing);
    if (!has_python)
        puts("not measured: Python Queue, Python Pipe: not installed: python3");
}

// The command line

static bool read_flag(const char *word, const char *name, const char *value, bool *out)
{
    if (strcmp(word, name) != 0)
        return false;
    *out = strcmp(value, "yes") == 0;
    return true;
}

static bool read_number(const char *word, const char *name, const char *value, int *out)
{
    return strcmp(word, name) == 0 && command_number(value, 0, out, &value);
}

static bool read_option(struct plan *plan, const char *word, const char *value)
{
    if (strcmp(word, "--only") == 0) {
        plan->only = value;
        return true;
    }
    return read_number(word, "--rounds", value, &plan->rounds) ||
           read_number(word, "--span", value, &plan->span) ||
           read_number(word, "--hogs", value, &plan->hogs) ||
           read_flag(word, "--one-cpu", value, &plan->one_cpu) ||
           read_flag(word, "--quick", value, &plan->quick) ||
           read_flag(word, "--markdown", value, &plan->markdown);
}

static bool read_plan(struct plan *plan, int argc, char **argv)
{
    for (int i = 1; i < argc; i += 2)
        if (!read_option(plan, argv[i], i + 1 < argc ? argv[i + 1] : ""))
            return false;
    return plan->hogs <= MOST_HOGS;
}

static void measure_all(const struct plan *plan)
{
    brood_process *hogs[MOST_HOGS];
    if (!party_prepare() || !traffic_prepare())
        command_fail("messages", "no shared memory");
    runner_open(RUNNER_PYTHON, 1);
    has_python = effort_of_python(NULL) >= 0;
    print_machine("before", plan);
    print_missing();
    start_hogs(hogs, plan->hogs);
    if (plan->markdown)
        puts("| traffic | by, survives a kill | ns | CPU ns | best other, survives a kill | ns | "
             "CPU ns | ratio | goal |\n"
             "|---|---|---|---|---|---|---|---|---|");
    for (size_t i = 0; i < sizeof tasks / sizeof tasks[0]; i++)
        make_tables(&tasks[i], plan);
    end_hogs(hogs, plan->hogs);
    print_machine("after", plan);
    runner_close(RUNNER_PYTHON);
}

int main(int argc, char **argv)
{
    struct plan plan = { .rounds = 9, .span = 25, .only = "" };
    const bool understood = read_plan(&plan, argc, argv);
    if (understood && plan.one_cpu && !cpu_restrict())
        command_fail("--one-cpu", "this process cannot choose its processor");
    brood_init();
    if (!understood) {
        fputs("usage: messages [--rounds N] [--span MS] [--only WORD] [--one-cpu yes] [--hogs N] "
              "[--quick yes] [--markdown yes]\n",
              stderr);
        return EXIT_FAILURE;
    }
    if (plan.quick)
        plan.rounds = plan.span = 1;
    measure_all(&plan);
    return EXIT_SUCCESS;
}
