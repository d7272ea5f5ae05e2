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
        return;
    }
    row->samples = calloc((size_t)table->rounds, sizeof *row->samples);
    if (!row->samples)
        command_fail(row->name, "no memory");
}

static void measure_row(const struct table *table, struct row *row, int round)
{
    if (!row->samples)
        return;
    row->samples[round] = row->sample(row->what, &table->quota);
    if (row->samples[round] < 0)
        command_fail(row->name, sentence_of(row));
}

static int compare_samples(const void *a, const void *b)
{
    const double left = *(const double *)a;
    const double right = *(const double *)b;
    return (left > right) - (left < right);
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
        if (rows[i].samples)
            qsort(rows[i].samples, (size_t)table->rounds, sizeof *rows[i].samples, compare_samples);
}

// A quartile of the sorted samples: the mean of the two nearest if it is between two.
static double quartile(const struct table *table, int row, int which)
{
    const int twice = which * (table->rounds - 1) / 2;
    const double *samples = table->rows[row].samples;
    return (samples[twice / 2] + samples[(twice + 1) / 2]) / 2;
}

static double ratio(const struct table *table, int row, int base)
{
    return quartile(table, row, 2) / quartile(table, base, 2);
}

static void print_row(const struct table *table, int at, double nanoseconds)
{
    const struct row *row = &table->rows[at];
    if (!row->name)
        return;
    if (!row->samples) {
        printf("  %-32s %10s\n", row->name, "n/a");
        return;
    }
    printf("  %-32s", row->name);
    for (int i = 1; i <= 3; i++)
        printf(" %10.1f", quartile(table, at, i) / nanoseconds);
    if (table->rows[row->base].samples)
        printf(" %8.4g", ratio(table, at, row->base));
    putchar('\n');
}

void table_print(const struct table *table, const char *caption, const char *unit,
                 double nanoseconds)
{
    printf("%s, %d rounds", caption, table->rounds);
    if (peer_load() >= 0)
        printf("; the load is %.1f", peer_load());
    printf("\n  %-32s %7s %2s %7s %2s %7s %2s %8s\n", "", "quarter", unit, "median", unit, "3/4",
           unit, "ratio");
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
    const double reached = quartile(table, ours, 2);
    printf("  goal: %s, at most %lld ns: %.0f, %s\n", table->rows[ours].name, (long long)most,
           reached, reached <= (double)most ? "reached" : "missed");
    (void)fflush(stdout);
}

void table_free(const struct table *table)
{
    for (int i = 0; i < table->count; i++)
        free(table->rows[i].samples);
}
