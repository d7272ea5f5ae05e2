// SPDX-License-Identifier: MIT
#ifndef LOCALS_H
#define LOCALS_H

#include "self.h"

// At the end of a thread: runs the destructors, frees the values.
void broodi_locals_end(struct broodi_self *self);

#endif
