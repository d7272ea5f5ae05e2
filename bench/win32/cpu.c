// SPDX-License-Identifier: MIT
#include "../cpu.h"

#include <windows.h>

static int64_t nanoseconds(FILETIME time)
{
    return (int64_t)((uint64_t)time.dwHighDateTime << 32 | time.dwLowDateTime) * 100;
}

int64_t cpu_time(void)
{
    FILETIME created;
    FILETIME ended;
    FILETIME kernel;
    FILETIME user;
    if (!GetProcessTimes(GetCurrentProcess(), &created, &ended, &kernel, &user))
        return 0;
    return nanoseconds(kernel) + nanoseconds(user);
}

bool cpu_restrict(void)
{
    return SetProcessAffinityMask(GetCurrentProcess(), 1);
}
