// SPDX-License-Identifier: MIT
#ifndef INIT_H
#define INIT_H

#include "boot.h"
#include "os/os_boot.h"

#include <brood/process.h>

#include <stddef.h>
#include <stdint.h>

// A forked child becomes what `boot` says, replies on `channel`, runs the target and ends. It keeps
// the resources.
_Noreturn void broodi_child_of_fork(const struct broodi_boot *boot, intptr_t channel,
                                    const brood_resource *resources, size_t count,
                                    void (*target)(void));

// So does a child of the fork server, in which this one has come out of brood_os_serve with that
// status.
_Noreturn void broodi_child_of_server(const brood_os_boot *boot, brood_status status,
                                      uint64_t parent_birth);

#endif
