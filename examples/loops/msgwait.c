// SPDX-License-Identifier: MIT
// A message loop of Windows serves a queue, the end of a child and a timer.

#include "service.h"

#include <windows.h>

static int ticks;

static void CALLBACK on_tick(HWND window, UINT message, UINT_PTR timer, DWORD time)
{
    (void)window, (void)message, (void)time;
    if (++ticks == TICKS)
        KillTimer(NULL, timer);
}

static void dispatch_messages(void)
{
    MSG message;
    while (PeekMessageW(&message, NULL, 0, 0, PM_REMOVE))
        DispatchMessageW(&message);
}

int main(void)
{
    brood_init();

    struct service service;
    begin(&service);
    HANDLE native = (HANDLE)service.native;
    SetTimer(NULL, 0, 10, on_tick);

    while (service.left > 0 || ticks < TICKS) {
        // After the last of them has ended the poller is not waited for.
        const DWORD count = service.left > 0;
        const DWORD ready = MsgWaitForMultipleObjects(count, &native, FALSE, INFINITE, QS_ALLINPUT);
        if (ready == WAIT_OBJECT_0 && count > 0)
            serve(&service);
        else
            dispatch_messages();
    }
    end(&service, ticks);
    return 0;
}
