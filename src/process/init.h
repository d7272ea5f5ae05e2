// SPDX-License-Identifier: MIT
#ifndef INIT_H
#define INIT_H

#include "process/boot.h"

#include <brood/process.h>

#include <stddef.h>

// In a forked child: becomes the child that `boot` describes, replies on `channel`, runs the target
// and ends the process. The child keeps `resources`.
_Noreturn void broodi_child_of_fork(const struct broodi_boot *boot, intptr_t channel,
                                    const brood_resource *resources, size_t count,
                                    brood_target target);

// The target of a fork server. It returns in no process: each child of the server becomes a child
// of the server's requester, as above, and the server itself ends.
int broodi_serve(void *unused);

#endif
