// SPDX-License-Identifier: MIT
// The announcement under a fuzzer: whatever the variable contains, a process that brood has not
// started is no child, and the variable is erased.
#include "fuzz.h"

#include "../platform.h"

#include "os/os_boot.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char variable[] = "BROOD_BOOT";

unsigned long fuzz_accepted;

static void demand(bool holds, const char *what, const char *text)
{
    if (holds)
        return;
    (void)fprintf(stderr, "announcement.c: %s: \"%s\"\n", what, text);
    abort();
}

// Numbers and colons: an announcement that only the check of its sender refuses.
static bool is_well_formed(const char *text)
{
    size_t colons = 0;
    for (; *text; text++) {
        if (*text != ':' && !isxdigit((unsigned char)*text))
            return false;
        colons += *text == ':';
    }
    return colons == 2 || colons == 3;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[FUZZ_MOST + 1];
    size_t length = 0;
    for (size_t i = 0; i < size && length < FUZZ_MOST; i++)
        if (data[i] != 0 && data[i] < 0x80) // accepted by every system's environment
            text[length++] = (char)data[i];
    text[length] = 0;
    platform_environment_set(variable, text);
    demand(!brood_os_boot_is_announced(), "was trusted", text);
    const char *left = getenv(variable);
    demand(!left || !left[0], "was not erased", text);
    fuzz_accepted += is_well_formed(text);
    return 0;
}

size_t fuzz_seed(unsigned number, uint8_t *buffer)
{
    static const char *const seeds[FUZZ_SEEDS] = {
        "3:4:1",    "3:4:0123456789abcdef", "0:1:ffffffffffffffff",
        "4:8:c:10", "1c:20:24:9a3f",        "2147483647:3:7"
    };
    const size_t size = strlen(seeds[number]);
    memcpy(buffer, seeds[number], size);
    return size;
}
