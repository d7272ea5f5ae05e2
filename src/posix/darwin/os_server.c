// SPDX-License-Identifier: MIT
// A fork server would have to detect the end of its requester, pass descriptors that refer to
// processes, and use sockets that preserve message boundaries: macOS supports none of the three.
#include "os/os_server.h"

#include "base/fail.h"

bool brood_os_server_is_supported(void)
{
    return false;
}

brood_status brood_os_server_prepare(brood_resource resources[BROOD_OS_SERVER_RESOURCES],
                                     intptr_t *out_end)
{
    (void)resources, (void)out_end;
    return broodi_fail(BROOD_UNSUPPORTED, "this system has no fork server");
}

void brood_os_server_handed(const brood_resource resources[BROOD_OS_SERVER_RESOURCES])
{
    (void)resources;
}

void brood_os_circumstances_read(brood_os_circumstances *out)
{
    *out = (brood_os_circumstances){ .epoch = 0 };
}

brood_status brood_os_server_confirm(const brood_os_child *server, int64_t deadline)
{
    (void)server, (void)deadline;
    return broodi_fail(BROOD_UNSUPPORTED, "this system has no fork server");
}

brood_status brood_os_server_start(const brood_os_child *server, const brood_os_plan *plan,
                                   const brood_os_circumstances *now, brood_os_child *out)
{
    (void)server, (void)plan, (void)now, (void)out;
    return broodi_fail(BROOD_UNSUPPORTED, "this system has no fork server");
}

void brood_os_server_await(const brood_os_child *server, const brood_os_child *child,
                           int64_t deadline)
{
    (void)server, (void)child, (void)deadline;
}

void brood_os_server_continue(const brood_os_child *server)
{
    (void)server;
}

void brood_os_server_release(const brood_os_child *server)
{
    (void)server;
}

bool brood_os_server_lives(const brood_os_child *server)
{
    (void)server;
    return false;
}

brood_status brood_os_serve(const brood_resource *resources,
                            void (*ended)(int64_t pid, brood_exit how),
                            void (*taken)(const uint64_t place[2]), brood_os_boot *out)
{
    (void)resources, (void)ended, (void)taken, (void)out;
    return broodi_fail(BROOD_UNSUPPORTED, "this system has no fork server");
}
