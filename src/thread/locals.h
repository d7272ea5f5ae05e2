// SPDX-License-Identifier: MIT
#ifndef LOCALS_H
#define LOCALS_H

#include "arena/self.h"

// Calls the destructors for the thread's values and frees the array. Called at the thread's end.
void broodi_locals_end(struct broodi_self *self);

#endif
