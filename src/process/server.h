// SPDX-License-Identifier: MIT
// The fork server of this process, from the side of its requester.
#ifndef SERVER_H
#define SERVER_H

#include "os/os_server.h"

#include <brood/process.h>
#include <stddef.h>

// Starts a process that serves, from a fresh image, with these resources.
typedef brood_status broodi_server_start(const brood_resource *resources, size_t count,
                                         brood_process **out);

// Fills `now` with the circumstances of this process and returns a reference to its fork server.
// Makes a new server by `start` if there is none, if it has ended, or if the circumstances have
// changed since it was made.
brood_status broodi_server_get(broodi_server_start *start, brood_os_circumstances *now,
                               brood_process **out);

// Drops a server that does not serve: the next start makes another one.
void broodi_server_give_up(const brood_process *server);

// In a forked child: forgets the server, which is the parent's.
void broodi_server_forget(void);

// At the end of the process: releases the server, as no more children will be started.
void broodi_server_close(void);

#endif
