// SPDX-License-Identifier: MIT
#ifndef INIT_H
#define INIT_H

#include "boot.h"

#include <stdint.h>

// A forked child becomes what `boot` says, replies on `channel`, runs the target and ends.
_Noreturn void broodi_child_of_fork(const struct broodi_boot *boot, intptr_t channel, void (*target)(void));

#endif
