// SPDX-License-Identifier: MIT
// The fork server of this process, as its requester sees it.
#ifndef SERVER_H
#define SERVER_H

#include "os/os_server.h"

#include <brood/process.h>
#include <stdbool.h>

// A reference to the server, which is made if there is none, or none that still fits `now`, which
// is looked at first.
brood_status broodi_server_get(brood_os_circumstances *now, brood_process **out);

// That one does not serve: the next start makes another.
void broodi_server_give_up(const brood_process *server);

// Whether the server runs.
bool broodi_server_lives(const brood_process *server);

// In a forked child: the server is the parent's.
void broodi_server_forget(void);

// At the end of the process: nobody asks for children any more.
void broodi_server_close(void);

// Starts the process that serves; start.c.
brood_status broodi_start_server(brood_target serve, const brood_resource *resources, size_t count,
                                 brood_process **out);

#endif
