// SPDX-License-Identifier: MIT
// The cost of starting an empty function and waiting for its end: brood compared with the system
// calls that it uses, with libraries, and with Python.
//
//   start [--memory MB[,MB...]] [--rounds N] [--starts N]
//
// Prints one table per size of the memory that the starting process has touched. A sample is up
// to --starts starts in a row, fewer if a start takes long; under the table are the ratios that
// have goals.

#include "command.h"
#include "peers.h"
#include "runner.h"
#include "table.h"

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

// Goals: the ratio of two rows' medians, in a process with this much memory.
static const struct goal {
    int ours;
    int theirs;
    double most;
    int from; // megabytes
    int to;
} goals[] = {
    { BROOD_SPAWN, RAW_IMAGE, 1.2, 0, INT_MAX },
    { BROOD_SPAWN, UV_PROCESS, 1.0, 0, INT_MAX },
    { BROOD_SPAWN, PYTHON_SPAWN, 0.1, 0, INT_MAX },
    { BROOD_FORKSERVER, RAW_COPY, 1.0, 0, 199 },
    { BROOD_FORKSERVER, RAW_COPY, 0.03, 200, INT_MAX },
    { BROOD_FORKSERVER, UV_PROCESS, 0.004, 2000, INT_MAX },
    { BROOD_FORKSERVER, PYTHON_FORKSERVER, 0.1, 0, INT_MAX },
    { BROOD_FORK, RAW_COPY, 1.1, 0, INT_MAX },
    { BROOD_FORK, PYTHON_FORK, 0.1, 0, INT_MAX },
    { BROOD_THREAD, RAW_THREAD, 1.1, 0, INT_MAX },
};

// The functions that are started

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

// The sources of samples

struct source {
    const char *name; // for a peer of the system: its name there
    int base;
    brood_status (*run)(void); // of brood
    enum peer peer;            // of the system
    enum runner runner;        // of a runner, and its name for the task
    const char *task;
};

static const struct source sources[ROWS] = {
    [RAW_IMAGE] = { .base = RAW_IMAGE, .peer = PEER_IMAGE },
    [RAW_LAUNCH] = { .base = RAW_IMAGE, .peer = PEER_LAUNCH },
    [UV_PROCESS] = { "uv_spawn", RAW_IMAGE, .runner = RUNNER_UV, .task = "process" },
    [GLIB_PROCESS] = { "g_spawn_async", RAW_IMAGE, .runner = RUNNER_GLIB, .task = "process" },
    [GLIB_OPEN] = { "g_spawn_async, descriptors open", RAW_IMAGE, .runner = RUNNER_GLIB,
                    .task = "open" },
    [PYTHON_SPAWN] = { "Python, spawn", RAW_IMAGE, .runner = RUNNER_PYTHON, .task = "spawn" },
    [BROOD_SPAWN] = { "brood, spawn", RAW_IMAGE, .run = run_spawn },
    [RAW_COPY] = { .base = RAW_COPY, .peer = PEER_COPY },
    [PYTHON_FORKSERVER] = { "Python, forkserver", RAW_COPY, .runner = RUNNER_PYTHON,
                            .task = "forkserver" },
    [BROOD_FORKSERVER] = { "brood, forkserver", RAW_COPY, .run = run_forkserver },
    [PYTHON_FORK] = { "Python, fork", RAW_COPY, .runner = RUNNER_PYTHON, .task = "fork" },
    [BROOD_FORK] = { "brood, fork", RAW_COPY, .run = run_fork },
    [RAW_THREAD] = { .base = RAW_THREAD, .peer = PEER_THREAD },
    [UV_THREAD] = { "uv_thread_create", RAW_THREAD, .runner = RUNNER_UV, .task = "thread" },
    [GLIB_THREAD] = { "g_thread_new", RAW_THREAD, .runner = RUNNER_GLIB, .task = "thread" },
    [PYTHON_THREAD] = { "Python, thread", RAW_THREAD, .runner = RUNNER_PYTHON, .task = "thread" },
    [BROOD_THREAD] = { "brood, thread", RAW_THREAD, .run = run_thread },
};

static bool start_brood(const void *source)
{
    return ((const struct source *)source)->run() == BROOD_OK;
}

static double sample_brood(const void *source, const struct quota *quota)
{
    return sample(start_brood, source, quota);
}

static bool start_peer(const void *source)
{
    return peer_run(((const struct source *)source)->peer);
}

static double sample_peer(const void *source, const struct quota *quota)
{
    return sample(start_peer, source, quota);
}

static double sample_runner(const void *source, const struct quota *quota)
{
    const struct source *of = source;
    return runner_ask(of->runner, of->task, quota);
}

static struct row row_of(const struct source *source)
{
    struct row row = { .name = source->name, .base = source->base, .what = source };
    row.ours = source->run != NULL;
    if (source->task)
        row.sample = sample_runner;
    else if (!source->run && (row.name = peer_name(source->peer)) != NULL)
        row.sample = sample_peer;
    else if (source->run && source->run() != BROOD_UNSUPPORTED)
        row.sample = sample_brood;
    return row;
}

// The tables

static void print_table(const struct table *table, int megabytes)
{
    char caption[100];
    (void)snprintf(caption, sizeof caption,
                   "start + join of an empty function by a process of %d MB, up to %d in a sample",
                   megabytes, table->quota.starts);
    table_print(table, caption, "us", 1000);
    for (size_t i = 0; i < sizeof goals / sizeof goals[0]; i++)
        if (megabytes >= goals[i].from && megabytes <= goals[i].to)
            table_print_goal(table, goals[i].ours, goals[i].theirs, goals[i].most);
}

static void make_table(const struct plan *plan, int megabytes)
{
    struct row rows[ROWS];
    const struct table table = { rows, ROWS, plan->rounds, plan->quota };
    for (int i = 0; i < ROWS; i++)
        rows[i] = row_of(&sources[i]);
    if (!peer_touch(megabytes))
        command_fail("--memory", "not enough memory");
    for (int i = 0; i < RUNNERS; i++)
        runner_open((enum runner)i, megabytes);
    table_measure(&table);
    for (int i = 0; i < RUNNERS; i++)
        runner_close((enum runner)i);
    print_table(&table, megabytes);
    table_free(&table);
}

// The command line

static bool read_sizes(const char *text, struct plan *plan)
{
    plan->size_count = 0;
    do {
        if (plan->size_count == MOST_SIZES ||
            !command_number(text, ',', &plan->sizes[plan->size_count++], &text))
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
        if (strcmp(word, "--rounds") == 0 && command_number(value, 0, &plan->rounds, &value))
            continue;
        if (strcmp(word, "--starts") == 0 && command_number(value, 0, &plan->quota.starts, &value))
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
