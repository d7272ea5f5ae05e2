// SPDX-License-Identifier: MIT
// The server would have to take the end of its requester for its own, hand descriptors of processes over and keep the bounds of messages: this
// system has none of the three.
#include "os/os_server.h"

#include "fail.h"

bool brood_os_server_is_supported(void)
{
    return false;
}

brood_status brood_os_server_prepare(brood_resource resources[BROOD_OS_SERVER_RESOURCES], intptr_t *out_end)
{
    (void)resources, (void)out_end;
    return broodi_fail(BROOD_UNSUPPORTED, "this system has no fork server");
}

void brood_os_server_handed(const brood_resource resources[BROOD_OS_SERVER_RESOURCES])
{
    (void)resources;
}

brood_status brood_os_server_start(const brood_os_child *server, const brood_os_plan *plan,
                                   brood_os_child *out)
{
    (void)server, (void)plan, (void)out;
    return broodi_fail(BROOD_UNSUPPORTED, "this system has no fork server");
}

bool brood_os_server_lives(const brood_os_child *server)
{
    (void)server;
    return false;
}

uint64_t brood_os_server_epoch(void)
{
    return 0;
}

brood_status brood_os_serve(const brood_resource *resources, void (*ended)(int64_t pid, brood_exit how),
                            brood_os_boot *out)
{
    (void)resources, (void)ended, (void)out;
    return broodi_fail(BROOD_UNSUPPORTED, "this system has no fork server");
}
