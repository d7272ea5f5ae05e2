// SPDX-License-Identifier: MIT
// What it costs to start an empty function and to wait for its end: brood beside the calls that it is made of.
//
//   start_cost [--rounds N] [--starts N]
//
// A round measures every row once, by so many starts on end; odd rounds go through the rows backwards, so that
// a machine that gets slower or faster meanwhile does so to all of them. A row shows the median and the minimum
// of its rounds, and its median over that of the system call it is compared with, from the same run.

#include "peers.h"

#include <brood/brood.h>
#include <stdio.h>
#include <string.h>

#define PATIENCE BROOD_SECONDS(60) // for one child

struct row {
    const char *name;
    enum peer peer;            // what it is, or what it is compared with
    brood_status (*run)(void); // NULL: the peer itself
    int64_t *samples;          // nanoseconds for one start, in each round; NULL: not on this system
};

struct plan {
    int rounds;
    int starts;
    const char *program;
};

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

static brood_status run_row(const struct row *row, const char *program)
{
    if (row->run != NULL)
        return row->run();
    if (row->name == NULL)
        return BROOD_UNSUPPORTED;
    return peer_run(row->peer, program) ? BROOD_OK : BROOD_SYSTEM;
}

static void fail(const struct row *row, brood_status status)
{
    const char *sentence = row->run == NULL ? "the system call failed" : brood_last_error();
    fprintf(stderr, "start_cost: %s: %s: %s\n", row->name, brood_status_name(status), sentence);
    exit(EXIT_FAILURE);
}

// The first start of each row is not measured, and tells whether the system has it.
static void prepare_row(struct row *row, const struct plan *plan)
{
    const brood_status status = run_row(row, plan->program);
    if (status == BROOD_UNSUPPORTED)
        return;
    if (status != BROOD_OK)
        fail(row, status);
    row->samples = calloc((size_t)plan->rounds, sizeof *row->samples);
    if (row->samples == NULL)
        fail(row, BROOD_NO_MEMORY);
}

static void measure_row(struct row *row, const struct plan *plan, int round)
{
    if (row->samples == NULL)
        return;
    const int64_t begin = brood_clock();
    for (int i = 0; i < plan->starts; i++) {
        const brood_status status = run_row(row, plan->program);
        if (status != BROOD_OK)
            fail(row, status);
    }
    row->samples[round] = (brood_clock() - begin) / plan->starts;
}

static void measure(struct row *rows, int count, const struct plan *plan)
{
    for (int i = 0; i < count; i++)
        prepare_row(&rows[i], plan);
    for (int round = 0; round < plan->rounds; round++)
        for (int i = 0; i < count; i++)
            measure_row(&rows[round % 2 == 0 ? i : count - 1 - i], plan, round);
}

static int compare_samples(const void *a, const void *b)
{
    const int64_t left = *(const int64_t *)a;
    const int64_t right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

// Of sorted samples.
static double median(const int64_t *samples, int count)
{
    return ((double)samples[(count - 1) / 2] + (double)samples[count / 2]) / 2;
}

static const struct row *find_peer(const struct row *rows, enum peer peer)
{
    while (rows->run != NULL || rows->peer != peer)
        rows++;
    return rows;
}

static void print_row(const struct row *row, const struct row *peer, int rounds)
{
    if (row->name == NULL)
        return;
    if (row->samples == NULL) {
        printf("  %-32s %10s\n", row->name, "not here");
        return;
    }
    const double middle = median(row->samples, rounds);
    printf("  %-32s %10.1f %10.1f", row->name, middle / 1000, (double)row->samples[0] / 1000);
    if (peer->samples != NULL)
        printf(" %7.2f", middle / median(peer->samples, rounds));
    putchar('\n');
}

static void print_table(const struct row *rows, int count, const struct plan *plan)
{
    for (int i = 0; i < count; i++)
        if (rows[i].samples != NULL)
            qsort(rows[i].samples, (size_t)plan->rounds, sizeof *rows[i].samples, compare_samples);

    printf("start + join of an empty function, %d rounds of %d\n", plan->rounds, plan->starts);
    printf("  %-32s %10s %10s %7s\n", "", "median us", "minimum us", "ratio");
    for (int i = 0; i < count; i++)
        print_row(&rows[i], find_peer(rows, rows[i].peer), plan->rounds);
}

static bool read_plan(struct plan *plan, int argc, char **argv)
{
    for (int i = 1; i < argc; i += 2) {
        char *end = NULL;
        const long number = i + 1 < argc ? strtol(argv[i + 1], &end, 10) : 0;
        if (number < 1 || number > 1000000 || *end != '\0')
            return false;
        if (strcmp(argv[i], "--rounds") == 0)
            plan->rounds = (int)number;
        else if (strcmp(argv[i], "--starts") == 0)
            plan->starts = (int)number;
        else
            return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    // Before brood_init(): this is the empty program that the peers start.
    if (argc > 1 && strcmp(argv[1], PEER_NOTHING) == 0)
        return 0;
    brood_init();

    struct plan plan = { .rounds = 9, .starts = 10, .program = argv[0] };
    if (!read_plan(&plan, argc, argv)) {
        fputs("usage: start_cost [--rounds N] [--starts N]\n", stderr);
        return EXIT_FAILURE;
    }

    // One row for each peer, and what is compared with it.
    struct row rows[] = {
        { peer_name(PEER_IMAGE), PEER_IMAGE, NULL, NULL },
        { "brood process, spawn", PEER_IMAGE, run_spawn, NULL },
        { peer_name(PEER_COPY), PEER_COPY, NULL, NULL },
        { "brood process, forkserver", PEER_COPY, run_forkserver, NULL },
        { "brood process, fork", PEER_COPY, run_fork, NULL },
        { peer_name(PEER_THREAD), PEER_THREAD, NULL, NULL },
        { "brood thread", PEER_THREAD, run_thread, NULL },
    };
    const int count = (int)(sizeof rows / sizeof rows[0]);
    measure(rows, count, &plan);
    print_table(rows, count, &plan);
    for (int i = 0; i < count; i++)
        free(rows[i].samples);
    return EXIT_SUCCESS;
}
