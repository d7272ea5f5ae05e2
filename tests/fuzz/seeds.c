// SPDX-License-Identifier: MIT
#include "fuzz.h"

#include "../encoded.h"
#include "process/boot.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    const char *identity;
    const char *path;
    size_t arg_size;
} rows[FUZZ_SEEDS / 2] = {
    { "", "", "", 0 },
    { "Process-1:2", "1:2", "/some/where/library.so", 1 },
    { "a name that is longer than usual", "1:2:3:4:5:6:7:8:9", "C:\\some\\where.dll", 700 },
};

size_t fuzz_seed(unsigned number, uint8_t *buffer)
{
    static unsigned char arg[700];
    size_t size = 0;
    const size_t row = number % (FUZZ_SEEDS / 2);
    struct broodi_target *target = encoded_by_hand(rows[row].path);
    struct broodi_target *log = encoded_by_hand("/a/handler.so");
    const struct broodi_boot boot = {
        .token = FUZZ_TOKEN,
        .family = { 11, 22 },
        .window = UINT64_C(1) << 34,
        .process = 7,
        .parent_pid = 4711,
        .parent_birth = UINT64_C(99999999999),
        .name = rows[row].name,
        .identity = rows[row].identity,
        .target = target,
        .log = row > 0 ? log : NULL,
        .log_level = (int32_t)row * 10,
        .arg = rows[row].arg_size ? arg : NULL,
        .arg_size = rows[row].arg_size,
    };
    unsigned char *record = broodi_boot_encode(&boot, &size);
    if (!record || size >= FUZZ_MOST)
        abort();
    buffer[0] = number < FUZZ_SEEDS / 2 ? FUZZ_AS_IT_IS : FUZZ_SEALED;
    memcpy(buffer + 1, record, size);
    free(record);
    free(target);
    free(log);
    return size + 1;
}
