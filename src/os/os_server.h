// SPDX-License-Identifier: MIT
// Port contract: the fork server, a small process with one thread that makes the children of
// another process, its requester, by forking itself, also ahead of the requests. Systems without
// fork return BROOD_UNSUPPORTED.
#ifndef OS_SERVER_H
#define OS_SERVER_H

#include "os/os_boot.h"
#include "os/os_process.h"

#include <brood/process.h>
#include <brood/status.h>
#include <stdbool.h>
#include <stdint.h>

enum { BROOD_OS_SERVER_RESOURCES = 2 };

// Returns whether this system can have a fork server.
bool brood_os_server_is_supported(void);

// Makes the resources that must be passed to a process that is to serve this one, and the
// requester's end of the connection, which the caller stores in the server's `channel`.
brood_status brood_os_server_prepare(brood_resource resources[BROOD_OS_SERVER_RESOURCES],
                                     intptr_t *out_end);

// Closes those resources in this process, after they have been passed.
void brood_os_server_handed(const brood_resource resources[BROOD_OS_SERVER_RESOURCES]);

// What a child of this process would inherit from it now, as far as that can be queried cheaply.
typedef struct brood_os_circumstances {
    // Changes when something changes that a server keeps for life: user, groups, capabilities and
    // other confinement, session, process group, root directory, limits, control group, priority,
    // processors.
    uint64_t epoch;
    uint64_t ignored; // signals; signal 1 is the lowest bit
    uint32_t umask;
} brood_os_circumstances;

// Reads the circumstances of this process.
void brood_os_circumstances_read(brood_os_circumstances *out);

// Waits until a server that has just been made reports that it serves. Fails with the error that
// the server reports; BROOD_TIMEOUT.
brood_status brood_os_server_confirm(const brood_os_child *server, int64_t deadline);

// Requests a child from the server; then like brood_os_process_spawn. Directory, standard
// descriptors, signals and umask are those of this process at the call; what cannot be passed is
// as it was when the server was made, which `epoch` detects.
brood_status brood_os_server_start(const brood_os_child *server, const brood_os_plan *plan,
                                   const brood_os_circumstances *now, brood_os_child *out);

// Waits until such a child has sent something, or until `deadline`, and meanwhile continues a
// server that has been stopped. The caller receives the reply by brood_os_process_await_ready.
void brood_os_server_await(const brood_os_child *server, const brood_os_child *child,
                           int64_t deadline);

// Returns whether the server runs.
bool brood_os_server_lives(const brood_os_child *server);

// Continues the server (SIGCONT) if it has been stopped.
void brood_os_server_continue(const brood_os_child *server);

// Tells the server that no more jobs follow: it ends with its last child.
void brood_os_server_release(const brood_os_child *server);

// Called in the server: serves until the requester has ended, or has released the server and all
// children have ended; then ends the process, and with it the children that are tied. Calls
// `ended` for each child before reaping it, and `taken` in each child, before anything else, with
// plan->place. Returns only in a child, with what its parent has sent.
brood_status brood_os_serve(const brood_resource *resources,
                            void (*ended)(int64_t pid, brood_exit how),
                            void (*taken)(const uint64_t place[2]), brood_os_boot *out);

#endif
