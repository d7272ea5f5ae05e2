// SPDX-License-Identifier: MIT
// The boot record under a fuzzer: for any bytes, decoding returns a status; an accepted record
// lies within them, its texts are terminated, and it stays the same when it is encoded and
// decoded again.
#include "fuzz.h"

#include "process/boot.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEMAND(condition) demand((condition), #condition, __LINE__)

unsigned long fuzz_accepted;

static void demand(bool holds, const char *what, int line)
{
    if (holds)
        return;
    (void)fprintf(stderr, "boot.c:%d: %s\n", line, what);
    abort();
}

static void demand_text(const char *text, const unsigned char *record, size_t size)
{
    const unsigned char *at = (const unsigned char *)text;
    DEMAND(at >= record && at < record + size);
    DEMAND(memchr(at, 0, (size_t)(record + size - at)) != NULL);
}

static void demand_within(const struct broodi_boot *boot, const unsigned char *record, size_t size)
{
    demand_text(boot->name, record, size);
    demand_text(boot->identity, record, size);
    demand_text(boot->target->path, record, size);
    DEMAND((size_t)((const unsigned char *)boot->target - record) % sizeof(uint64_t) == 0);
    if (boot->log)
        demand_text(boot->log->path, record, size);
    DEMAND((boot->arg == NULL) == (boot->arg_size == 0));
    DEMAND(boot->arg_size < size);
    if (!boot->arg)
        return;
    const unsigned char *arg = boot->arg;
    DEMAND(arg > record && arg + boot->arg_size == record + size);
    DEMAND((size_t)(arg - record) % 64 == 0);
}

static void demand_same(const struct broodi_boot *a, const struct broodi_boot *b)
{
    DEMAND(a->token == b->token && memcmp(a->family, b->family, sizeof a->family) == 0);
    DEMAND(a->window == b->window && a->process == b->process && a->live == b->live);
    DEMAND(a->daemon == b->daemon && a->method == b->method);
    DEMAND(a->parent_pid == b->parent_pid && a->parent_birth == b->parent_birth);
    DEMAND(strcmp(a->name, b->name) == 0 && strcmp(a->identity, b->identity) == 0);
    DEMAND(a->target->size == b->target->size);
    DEMAND(memcmp(a->target, b->target, (size_t)a->target->size) == 0);
    DEMAND(a->log_level == b->log_level && (a->log == NULL) == (b->log == NULL));
    DEMAND(!a->log ||
           (a->log->size == b->log->size && memcmp(a->log, b->log, (size_t)a->log->size) == 0));
    DEMAND(a->arg_size == b->arg_size);
    DEMAND(a->arg_size == 0 || memcmp(a->arg, b->arg, (size_t)a->arg_size) == 0);
}

static void demand_round(const struct broodi_boot *boot)
{
    size_t size = 0;
    struct broodi_boot again;
    unsigned char *record = broodi_boot_encode(boot, &size);
    DEMAND(record != NULL);
    DEMAND(broodi_boot_decode(record, size, FUZZ_TOKEN, &again) == BROOD_OK);
    demand_within(&again, record, size);
    demand_same(boot, &again);
    free(record);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const size_t length = size - 1;
    // In an allocation of its own, so that the sanitizer reports a read past its end.
    unsigned char *record = malloc(length ? length : 1);
    DEMAND(record != NULL);
    memcpy(record, data + 1, length);
    if (data[0] == FUZZ_SEALED)
        broodi_boot_seal(record, length);
    struct broodi_boot boot;
    const brood_status status = broodi_boot_decode(record, length, FUZZ_TOKEN, &boot);
    DEMAND(status == BROOD_OK || status == BROOD_INVALID || status == BROOD_MISMATCH);
    if (status == BROOD_OK) {
        fuzz_accepted++;
        demand_within(&boot, record, length);
        demand_round(&boot);
    }
    free(record);
    return 0;
}
