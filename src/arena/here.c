// SPDX-License-Identifier: MIT
#include "arena/here.h"

#include "base/handle.h"

struct broodi_process_self broodi_here = {
    .name = "MainProcess", .identity = "", .serial = 1, .process = BROODI_NONE
};
