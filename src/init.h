// SPDX-License-Identifier: MIT
#ifndef INIT_H
#define INIT_H

#include "boot.h"
#include "os/os_boot.h"

#include <brood/process.h>

#include <stddef.h>
#include <stdint.h>

// In a forked child: becomes the child that `boot` describes, replies on `channel`, runs the target
// and ends the process. The child keeps `resources`.
_Noreturn void broodi_child_of_fork(const struct broodi_boot *boot, intptr_t channel,
                                    const brood_resource *resources, size_t count,
                                    void (*target)(void));

// The same in a child of the fork server, in which brood_os_serve has returned `boot` and `status`.
_Noreturn void broodi_child_of_server(const brood_os_boot *boot, brood_status status,
                                      uint64_t parent_birth);

#endif
