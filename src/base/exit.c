// SPDX-License-Identifier: MIT
#include <brood/exit.h>

#include <stdio.h>

static const struct {
    const char *text;
    int number; // of the POSIX signal that Python reports for it
} crashes[] = {
    [BROOD_CRASH_NONE] = { "no fault", 0 },
    [BROOD_CRASH_ACCESS] = { "bad memory access", 11 },
    [BROOD_CRASH_ABORT] = { "abort", 6 },
    [BROOD_CRASH_ILLEGAL] = { "illegal instruction", 4 },
    [BROOD_CRASH_ARITHMETIC] = { "arithmetic fault", 8 },
    [BROOD_CRASH_STACK] = { "stack overflow", 11 },
    [BROOD_CRASH_BUS] = { "bus error", 7 },
    [BROOD_CRASH_OTHER] = { "a fault", 5 },
};

static size_t crash_row(brood_exit ended)
{
    const size_t row = (size_t)ended.crash;
    return row < sizeof crashes / sizeof crashes[0] ? row : BROOD_CRASH_OTHER;
}

int brood_exit_number(brood_exit ended)
{
    switch ((brood_exit_kind)ended.kind) {
    case BROOD_RUNNING:
        return 0;
    case BROOD_EXITED:
        return ended.code;
    case BROOD_CRASHED:
        return -crashes[crash_row(ended)].number;
    case BROOD_SIGNALLED:
    case BROOD_TERMINATED:
        return -(int)ended.native;
    case BROOD_DEADLINE:
        return -9;
    case BROOD_LOST:
        break;
    }
    return 255;
}

size_t brood_exit_text(brood_exit ended, char *buffer, size_t capacity)
{
    int length = 0;
    switch ((brood_exit_kind)ended.kind) {
    case BROOD_RUNNING:
        length = snprintf(buffer, capacity, "still running");
        break;
    case BROOD_EXITED:
        length = snprintf(buffer, capacity, "exited with code %d", (int)ended.code);
        break;
    case BROOD_CRASHED:
        length = snprintf(buffer, capacity, "crashed: %s (%#llx)", crashes[crash_row(ended)].text,
                          (unsigned long long)ended.native);
        break;
    case BROOD_SIGNALLED:
        length = snprintf(buffer, capacity, "ended by signal %lld", (long long)ended.native);
        break;
    case BROOD_TERMINATED:
        length = snprintf(buffer, capacity, "%s by its parent",
                          ended.native == 9 ? "killed" : "terminated");
        break;
    case BROOD_DEADLINE:
        length = snprintf(buffer, capacity, "killed at its deadline");
        break;
    case BROOD_LOST:
        length = snprintf(buffer, capacity, "exit status unknown");
        break;
    default:
        length = snprintf(buffer, capacity, "invalid exit kind");
        break;
    }
    return length > 0 ? (size_t)length : 0;
}
