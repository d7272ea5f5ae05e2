// SPDX-License-Identifier: MIT
// What it costs to start an empty function and to wait for its end: brood beside the calls that it is made of, beside libraries, and beside Python.
//
//   start [--memory MB[,MB...]] [--rounds N] [--starts N]
//
// There is one table for each size of the memory that the starting process has touched. A round measures every row once, by so many starts
// on end, fewer where one takes long; odd rounds go through the rows backwards, so that a machine that gets slower or faster meanwhile does so
// to all of them. A row shows quartiles of its rounds, and its median over that of the row it is compared with. Only such ratios are
// worth anything; under the table stand those that are goals.

#include "helper.h"
#include "peers.h"

#include <brood/brood.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define PATIENCE BROOD_SECONDS(60)     // for one child
#define BUDGET BROOD_MILLISECONDS(100) // for one sample

enum { MOST_SIZES = 16 };

struct plan {
    int rounds;
    struct quota quota;
    int sizes[MOST_SIZES]; // megabytes
    int size_count;
};

enum {
    RAW_IMAGE,
    RAW_LAUNCH,
    UV_PROCESS,
    GLIB_PROCESS,
    GLIB_OPEN,
    PYTHON_SPAWN,
    BROOD_SPAWN,
    RAW_COPY,
    PYTHON_FORKSERVER,
    BROOD_FORKSERVER,
    PYTHON_FORK,
    BROOD_FORK,
    RAW_THREAD,
    UV_THREAD,
    GLIB_THREAD,
    PYTHON_THREAD,
    BROOD_THREAD,
    ROWS
};

struct row {
    const char *name;
    int base; // the row it is compared with
    int64_t (*sample)(const struct row *row, const struct quota *quota);
    brood_status (*run)(void); // of brood
    enum peer peer;            // of the system
    enum helper helper;        // of a helper, and its name for the task
    const char *task;
    int64_t *samples; // nanoseconds for one start, in each round; NULL: not on this system
};

// The median of one row over that of another, in a process with that much memory.
static const struct goal {
    int ours;
    int theirs;
    double most;
    int from; // megabytes
    int to;
} goals[] = {
    { BROOD_SPAWN, RAW_IMAGE, 1.15, 0, INT_MAX },
    { BROOD_SPAWN, PYTHON_SPAWN, 0.1, 0, INT_MAX },
    { BROOD_FORKSERVER, RAW_COPY, 1.0, 0, 199 },
    { BROOD_FORKSERVER, RAW_COPY, 0.03, 200, INT_MAX },
    { BROOD_FORKSERVER, UV_PROCESS, 0.004, 2000, INT_MAX },
    { BROOD_FORKSERVER, PYTHON_FORKSERVER, 0.1, 0, INT_MAX },
    { BROOD_FORK, RAW_COPY, 1.1, 0, INT_MAX },
    { BROOD_FORK, PYTHON_FORK, 0.1, 0, INT_MAX },
    { BROOD_THREAD, RAW_THREAD, 1.1, 0, INT_MAX },
};

// What is started

static int nothing(void *unused)
{
    (void)unused;
    return 0;
}

static brood_status run_process(brood_start_method method)
{
    brood_process_options options = BROOD_PROCESS_OPTIONS_INIT;
    options.method = (int32_t)method;
    brood_process *child;
    brood_status status = brood_process_start(&child, nothing, NULL, 0, &options);
    if (status != BROOD_OK)
        return status;
    brood_exit ended;
    status = brood_process_join(child, PATIENCE, &ended);
    brood_process_drop(child);
    if (status != BROOD_OK)
        return status;
    return brood_exit_number(ended) == 0 ? BROOD_OK : BROOD_SYSTEM;
}

static brood_status run_spawn(void)
{
    return run_process(BROOD_START_SPAWN);
}

static brood_status run_forkserver(void)
{
    return run_process(BROOD_START_FORKSERVER);
}

static brood_status run_fork(void)
{
    return run_process(BROOD_START_FORK);
}

static brood_status run_thread(void)
{
    brood_thread *thread;
    brood_status status = brood_thread_start(&thread, nothing, NULL, 0, NULL);
    if (status != BROOD_OK)
        return status;
    status = brood_thread_join(thread, PATIENCE, NULL);
    brood_thread_drop(thread);
    return status;
}

// Where a sample comes from

static bool start_brood(const void *row)
{
    return ((const struct row *)row)->run() == BROOD_OK;
}

static int64_t sample_brood(const struct row *row, const struct quota *quota)
{
    return sample(start_brood, row, quota);
}

static bool start_peer(const void *row)
{
    return peer_run(((const struct row *)row)->peer);
}

static int64_t sample_peer(const struct row *row, const struct quota *quota)
{
    return row->name ? sample(start_peer, row, quota) : -1;
}

static int64_t sample_helper(const struct row *row, const struct quota *quota)
{
    return helper_ask(row->helper, row->task, quota);
}

static struct row brood(const char *name, int base, brood_status (*run)(void))
{
    return (struct row){ .name = name, .base = base, .sample = sample_brood, .run = run };
}

static struct row raw(int base, enum peer peer)
{
    return (struct row){ .name = peer_name(peer), .base = base, .sample = sample_peer, .peer = peer };
}

static struct row helper(const char *name, int base, enum helper helper, const char *task)
{
    return (
        struct row){ .name = name, .base = base, .sample = sample_helper, .helper = helper, .task = task };
}

static void fill(struct row *rows)
{
    rows[RAW_IMAGE] = raw(RAW_IMAGE, PEER_IMAGE);
    rows[RAW_LAUNCH] = raw(RAW_IMAGE, PEER_LAUNCH);
    rows[UV_PROCESS] = helper("uv_spawn", RAW_IMAGE, HELPER_UV, "process");
    rows[GLIB_PROCESS] = helper("g_spawn_async", RAW_IMAGE, HELPER_GLIB, "process");
    rows[GLIB_OPEN] = helper("g_spawn_async, descriptors open", RAW_IMAGE, HELPER_GLIB, "open");
    rows[PYTHON_SPAWN] = helper("Python, spawn", RAW_IMAGE, HELPER_PYTHON, "spawn");
    rows[BROOD_SPAWN] = brood("brood, spawn", RAW_IMAGE, run_spawn);
    rows[RAW_COPY] = raw(RAW_COPY, PEER_COPY);
    rows[PYTHON_FORKSERVER] = helper("Python, forkserver", RAW_COPY, HELPER_PYTHON, "forkserver");
    rows[BROOD_FORKSERVER] = brood("brood, forkserver", RAW_COPY, run_forkserver);
    rows[PYTHON_FORK] = helper("Python, fork", RAW_COPY, HELPER_PYTHON, "fork");
    rows[BROOD_FORK] = brood("brood, fork", RAW_COPY, run_fork);
    rows[RAW_THREAD] = raw(RAW_THREAD, PEER_THREAD);
    rows[UV_THREAD] = helper("uv_thread_create", RAW_THREAD, HELPER_UV, "thread");
    rows[GLIB_THREAD] = helper("g_thread_new", RAW_THREAD, HELPER_GLIB, "thread");
    rows[PYTHON_THREAD] = helper("Python, thread", RAW_THREAD, HELPER_PYTHON, "thread");
    rows[BROOD_THREAD] = brood("brood, thread", RAW_THREAD, run_thread);
}

// Measuring

_Noreturn static void fail(const char *what, const char *sentence)
{
    fprintf(stderr, "start: %s: %s\n", what, sentence);
    exit(EXIT_FAILURE);
}

// The first start of each row is not measured, and tells whether it is here. With two, a server is warm.
static void prepare_row(struct row *row, const struct plan *plan)
{
    const struct quota once = { 2, BUDGET };
    if (row->run && row->run() == BROOD_UNSUPPORTED)
        return;
    if (row->sample(row, &once) < 0) {
        if (row->run)
            fail(row->name, brood_last_error());
        return;
    }
    row->samples = calloc((size_t)plan->rounds, sizeof *row->samples);
    if (!row->samples)
        fail(row->name, "no memory");
}

static void measure_row(struct row *row, const struct plan *plan, int round)
{
    if (!row->samples)
        return;
    row->samples[round] = row->sample(row, &plan->quota);
    if (row->samples[round] < 0)
        fail(row->name, row->run ? brood_last_error() : "it failed");
}

static int compare_samples(const void *a, const void *b)
{
    const int64_t left = *(const int64_t *)a;
    const int64_t right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

static void measure(struct row *rows, const struct plan *plan)
{
    for (int i = 0; i < ROWS; i++)
        prepare_row(&rows[i], plan);
    for (int round = 0; round < plan->rounds; round++)
        for (int i = 0; i < ROWS; i++)
            measure_row(&rows[round % 2 == 0 ? i : ROWS - 1 - i], plan, round);
    for (int i = 0; i < ROWS; i++)
        if (rows[i].samples)
            qsort(rows[i].samples, (size_t)plan->rounds, sizeof *rows[i].samples, compare_samples);
}

// Printing

// The nearest of sorted samples; of an even number the median is between two.
static double quartile(const struct row *row, int which, int rounds)
{
    const int twice = which * (rounds - 1) / 2;
    return ((double)row->samples[twice / 2] + (double)row->samples[(twice + 1) / 2]) / 2;
}

static double ratio(const struct row *row, const struct row *base, int rounds)
{
    return quartile(row, 2, rounds) / quartile(base, 2, rounds);
}

static void print_row(const struct row *row, const struct row *base, int rounds)
{
    if (!row->name)
        return;
    if (!row->samples) {
        printf("  %-32s %10s\n", row->name, "not here");
        return;
    }
    printf("  %-32s", row->name);
    for (int i = 1; i <= 3; i++)
        printf(" %10.1f", quartile(row, i, rounds) / 1000);
    if (base->samples)
        printf(" %8.4g", ratio(row, base, rounds));
    putchar('\n');
}

static void print_goal(const struct goal *goal, const struct row *rows, int megabytes, int rounds)
{
    const struct row *ours = &rows[goal->ours];
    const struct row *theirs = &rows[goal->theirs];
    if (megabytes < goal->from || megabytes > goal->to || !ours->samples || !theirs->samples)
        return;
    const double reached = ratio(ours, theirs, rounds);
    printf("  goal: %s, at most %g of %s: %.4g, %s\n", ours->name, goal->most, theirs->name, reached,
           reached <= goal->most ? "reached" : "missed");
}

static void print_table(const struct row *rows, const struct plan *plan, int megabytes)
{
    printf("start + join of an empty function by a process of %d MB, %d rounds of up to %d", megabytes,
           plan->rounds, plan->quota.starts);
    if (peer_load() >= 0)
        printf("; the load is %.1f", peer_load());
    printf("\n  %-32s %10s %10s %10s %8s\n", "", "quarter us", "median us", "3/4 us", "ratio");
    for (int i = 0; i < ROWS; i++)
        print_row(&rows[i], &rows[rows[i].base], plan->rounds);
    for (size_t i = 0; i < sizeof goals / sizeof goals[0]; i++)
        print_goal(&goals[i], rows, megabytes, plan->rounds);
    (void)fflush(stdout);
}

static void make_table(const struct plan *plan, int megabytes)
{
    struct row rows[ROWS];
    fill(rows);
    if (!peer_touch(megabytes))
        fail("--memory", "there is not so much");
    for (int i = 0; i < HELPERS; i++)
        helper_open((enum helper)i, megabytes);
    measure(rows, plan);
    for (int i = 0; i < HELPERS; i++)
        helper_close((enum helper)i);
    print_table(rows, plan, megabytes);
    for (int i = 0; i < ROWS; i++)
        free(rows[i].samples);
}

// The command line

static bool read_number(const char *text, char end, int *out, const char **after)
{
    char *rest;
    const long number = strtol(text, &rest, 10);
    if (rest == text || number < 1 || number > 1000000 || (*rest != 0 && *rest != end))
        return false;
    *out = (int)number;
    *after = rest;
    return true;
}

static bool read_sizes(const char *text, struct plan *plan)
{
    plan->size_count = 0;
    do {
        if (plan->size_count == MOST_SIZES ||
            !read_number(text, ',', &plan->sizes[plan->size_count++], &text))
            return false;
    } while (*text++ == ',');
    return true;
}

static bool read_plan(struct plan *plan, int argc, char **argv)
{
    for (int i = 1; i < argc; i += 2) {
        const char *word = argv[i];
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(word, "--memory") == 0 && read_sizes(value, plan))
            continue;
        if (strcmp(word, "--rounds") == 0 && read_number(value, 0, &plan->rounds, &value))
            continue;
        if (strcmp(word, "--starts") == 0 && read_number(value, 0, &plan->quota.starts, &value))
            continue;
        return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    // Before brood_init(): this is the empty program that the peers execute.
    if (argc > 1 && strcmp(argv[1], PEER_NOTHING) == 0)
        return 0;
    brood_init();

    struct plan plan = { .rounds = 9, .quota = { 10, BUDGET }, .sizes = { 5 }, .size_count = 1 };
    if (!read_plan(&plan, argc, argv)) {
        fputs("usage: start [--memory MB[,MB...]] [--rounds N] [--starts N]\n", stderr);
        return EXIT_FAILURE;
    }
    for (int i = 0; i < plan.size_count; i++)
        make_table(&plan, plan.sizes[i]);
    return EXIT_SUCCESS;
}
