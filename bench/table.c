// SPDX-License-Identifier: MIT
#include "table.h"

#include "command.h"
#include "peers.h"

#include <brood/brood.h>
#include <stdio.h>
#include <stdlib.h>

static const char *sentence_of(const struct row *row)
{
    const char *sentence = row->ours ? brood_last_error() : "";
    return *sentence ? sentence : "it failed";
}

static void prepare_row(const struct table *table, struct row *row)
{
    const struct quota twice = { 2, table->quota.budget }; // the second with a running server
    if (!row->sample)
        return;
    if (row->sample(row->what, &twice) < 0) {
        if (row->ours)
            command_fail(row->name, sentence_of(row));
        row->missing = row->error ? row->error() : NULL;
        return;
    }
    row->samples = calloc((size_t)table->rounds, sizeof *row->samples);
    row->efforts = calloc((size_t)table->rounds, sizeof *row->efforts);
    if (!row->samples || !row->efforts)
        command_fail(row->name, "no memory");
}

static void measure_row(const struct table *table, struct row *row, int round)
{
    if (!row->samples)
        return;
    row->samples[round] = row->sample(row->what, &table->quota);
    if (row->samples[round] < 0)
        command_fail(row->name, sentence_of(row));
    if (row->effort)
        row->efforts[round] = row->effort(row->what);
}

static int compare_samples(const void *a, const void *b)
{
    const double left = *(const double *)a;
    const double right = *(const double *)b;
    return (left > right) - (left < right);
}

static void sort_samples(const struct table *table, const struct row *row)
{
    if (!row->samples)
        return;
    qsort(row->samples, (size_t)table->rounds, sizeof *row->samples, compare_samples);
    qsort(row->efforts, (size_t)table->rounds, sizeof *row->efforts, compare_samples);
}

void table_measure(const struct table *table)
{
    const int count = table->count;
    struct row *rows = table->rows;
    for (int i = 0; i < count; i++)
        prepare_row(table, &rows[i]);
    for (int round = 0; round < table->rounds; round++)
        for (int i = 0; i < count; i++)
            measure_row(table, &rows[round % 2 == 0 ? i : count - 1 - i], round);
    for (int i = 0; i < count; i++)
        sort_samples(table, &rows[i]);
}

// A quartile of the sorted samples: the mean of the two nearest if it is between two.
static double quartile(const struct table *table, const double *samples, int which)
{
    const int twice = which * (table->rounds - 1) / 2;
    return (samples[twice / 2] + samples[(twice + 1) / 2]) / 2;
}

double table_median(const struct table *table, int row)
{
    const double *samples = table->rows[row].samples;
    return samples ? quartile(table, samples, 2) : -1;
}

double table_median_effort(const struct table *table, int row)
{
    const double *efforts = table->rows[row].efforts;
    return table->rows[row].effort && efforts ? quartile(table, efforts, 2) : -1;
}

int table_best(const struct table *table)
{
    int best = -1;
    for (int i = 0; i < table->count; i++)
        if (table->rows[i].samples && !table->rows[i].ours &&
            (best < 0 || table_median(table, i) < table_median(table, best)))
            best = i;
    return best;
}

static double ratio(const struct table *table, int row, int base)
{
    return table_median(table, row) / table_median(table, base);
}

static void print_row(const struct table *table, int at, double nanoseconds)
{
    const struct row *row = &table->rows[at];
    if (!row->name)
        return;
    if (!row->samples) {
        printf("  %-32s %10s  %s\n", row->name, row->sample ? "failed" : "n/a",
               row->missing ? row->missing : "");
        return;
    }
    printf("  %-32s", row->name);
    for (int i = 1; i <= 3; i++)
        printf(" %10.1f", quartile(table, row->samples, i) / nanoseconds);
    if (table->rows[row->base].samples)
        printf(" %8.4g", ratio(table, at, row->base));
    if (row->effort)
        printf(" %10.1f", table_median_effort(table, at) / nanoseconds);
    if (row->note)
        printf("  %s", row->note);
    putchar('\n');
}

void table_print(const struct table *table, const char *caption, const char *unit,
                 double nanoseconds)
{
    printf("%s, %d rounds", caption, table->rounds);
    if (peer_load() >= 0)
        printf("; the load is %.1f", peer_load());
    printf("\n  %-32s %7s %2s %7s %2s %7s %2s %8s", "", "quarter", unit, "median", unit, "3/4",
           unit, "ratio");
    if (table->rows[0].effort)
        printf(" %7s %2s", "CPU", unit);
    if (table->rows[0].note)
        printf("  survives a kill");
    putchar('\n');
    for (int i = 0; i < table->count; i++)
        print_row(table, i, nanoseconds);
    (void)fflush(stdout);
}

void table_print_goal(const struct table *table, int ours, int theirs, double most)
{
    if (!table->rows[ours].samples || !table->rows[theirs].samples)
        return;
    const double reached = ratio(table, ours, theirs);
    printf("  goal: %s, at most %g of %s: %.4g, %s\n", table->rows[ours].name, most,
           table->rows[theirs].name, reached, reached <= most ? "reached" : "missed");
    (void)fflush(stdout);
}

void table_print_limit(const struct table *table, int ours, int64_t most)
{
    const double reached = table_median(table, ours);
    printf("  goal: %s, at most %lld ns: %.0f, %s\n", table->rows[ours].name, (long long)most,
           reached, reached <= (double)most ? "reached" : "missed");
    (void)fflush(stdout);
}

void table_free(const struct table *table)
{
    for (int i = 0; i < table->count; i++) {
        free(table->rows[i].samples);
        free(table->rows[i].efforts);
    }
}
