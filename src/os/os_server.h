// SPDX-License-Identifier: MIT
// Port contract: the fork server: a small process with one thread, which makes the children of another one, its requester, by forking itself,
// also ahead of the requests. Systems without fork answer BROOD_UNSUPPORTED.
#ifndef OS_SERVER_H
#define OS_SERVER_H

#include "os/os_boot.h"
#include "os/os_process.h"

#include <brood/process.h>
#include <brood/status.h>
#include <stdbool.h>
#include <stdint.h>

enum { BROOD_OS_SERVER_RESOURCES = 2 };

// Whether this system can have one.
bool brood_os_server_is_supported(void);

// What a process that becomes the server of this one must be handed over, in `resources`; and the requester's end of it, which goes into the
// server's `channel`.
brood_status brood_os_server_prepare(brood_resource resources[BROOD_OS_SERVER_RESOURCES], intptr_t *out_end);

// Gives back what was made for handing over.
void brood_os_server_handed(const brood_resource resources[BROOD_OS_SERVER_RESOURCES]);

// Has the server make a child; then like brood_os_process_spawn. What it has of this process is as of now: directory, standard descriptors,
// signals; what cannot be handed over is as when the server was made: see brood_os_server_epoch, and the umask, which cannot be asked for.
brood_status brood_os_server_start(const brood_os_child *server, const brood_os_plan *plan,
                                   brood_os_child *out);

// Whether the server runs.
bool brood_os_server_lives(const brood_os_child *server);

// A number that changes when this process is not any more what a server of it has taken over at its birth: user, groups, session, limits, priority,
// processors.
uint64_t brood_os_server_epoch(void);

// In the server: serves until the requester has ended, or has let go and all children are gone; then ends the process, and with it the children
// that are tied. Calls `ended` for each child before it reaps it. Returns in a child only, with what its starter has sent.
brood_status brood_os_serve(const brood_resource *resources, void (*ended)(int64_t pid, brood_exit how),
                            brood_os_boot *out);

#endif
