// SPDX-License-Identifier: MIT
#include "os/os_clock.h"

#include "win32/win32.h"

#include <windows.h>

#define SECOND INT64_C(1000000000)

int64_t brood_os_clock(void)
{
    LARGE_INTEGER frequency;
    LARGE_INTEGER count;
    (void)QueryPerformanceFrequency(&frequency);
    (void)QueryPerformanceCounter(&count);
    // Computed in two parts: the product of the whole count would overflow within minutes.
    const int64_t seconds = count.QuadPart / frequency.QuadPart;
    const int64_t rest = count.QuadPart % frequency.QuadPart;
    return seconds * SECOND + rest * SECOND / frequency.QuadPart;
}

void brood_os_sleep_until(int64_t deadline)
{
    while (brood_os_clock() < deadline)
        Sleep(broodi_win32_until(deadline));
}
