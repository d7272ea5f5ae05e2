// SPDX-License-Identifier: MIT
#ifndef BARRIER_H
#define BARRIER_H

#include "arena/owner.h"

// If the thread, which is dead, was killed, breaks every barrier that names it for its current
// round or the one before. Called before the thread's slot is freed.
void broodi_barriers_bury(broodi_owner thread);

#endif
