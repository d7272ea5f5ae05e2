// SPDX-License-Identifier: MIT
// Port contract: the fork server: a small process with one thread, which makes the children of
// another one, its requester, by forking itself, also ahead of the requests. Systems without fork
// answer BROOD_UNSUPPORTED.
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

// What a process that becomes the server of this one must be handed over, in `resources`; and the
// requester's end of it, which goes into the server's `channel`.
brood_status brood_os_server_prepare(brood_resource resources[BROOD_OS_SERVER_RESOURCES],
                                     intptr_t *out_end);

// Gives back what was made for handing over.
void brood_os_server_handed(const brood_resource resources[BROOD_OS_SERVER_RESOURCES]);

// What a child of this process would inherit from it now, as far as it can be asked at little cost.
typedef struct brood_os_circumstances {
    uint64_t epoch;   // another number when something has changed that a server has for life: user,
                      // groups, capabilities and other confinement, session, process group, root
                      // directory, limits, control group, priority, processors
    uint64_t ignored; // signals, one bit each from signal 1 on
    uint32_t umask;
} brood_os_circumstances;

void brood_os_server_look(brood_os_circumstances *out);

// Waits until a server that has just been made says that it serves. Fails with what kept it from
// that; BROOD_TIMEOUT.
brood_status brood_os_server_confirm(const brood_os_child *server, int64_t deadline);

// Has the server make a child; then like brood_os_process_spawn. What it has of this process is as
// of now: directory, standard descriptors, signals, umask; what cannot be handed over is as when
// the server was made, which `epoch` is for.
brood_status brood_os_server_start(const brood_os_child *server, const brood_os_plan *plan,
                                   const brood_os_circumstances *now, brood_os_child *out);

// Waits until such a child says something, or until `deadline`, and continues a server that
// somebody has stopped. What it says is for brood_os_process_await_ready.
void brood_os_server_await(const brood_os_child *server, const brood_os_child *child,
                           int64_t deadline);

// Whether the server runs.
bool brood_os_server_lives(const brood_os_child *server);

// Continues it if somebody has stopped it.
void brood_os_server_continue(const brood_os_child *server);

// There will be no more jobs: it ends with its last child.
void brood_os_server_release(const brood_os_child *server);

// In the server: serves until the requester has ended, or has let go and all children are gone;
// then ends the process, and with it the children that are tied. Calls `ended` for each child
// before it reaps it, and `taken` in a child, first of all, with its place in the plan. Returns in
// a child only, with what its starter has sent.
brood_status brood_os_serve(const brood_resource *resources,
                            void (*ended)(int64_t pid, brood_exit how),
                            void (*taken)(const uint64_t place[2]), brood_os_boot *out);

#endif
