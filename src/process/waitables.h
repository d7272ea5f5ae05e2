// SPDX-License-Identifier: MIT
// The rows of all things that a thread can wait for.
#ifndef WAITABLES_H
#define WAITABLES_H

#include "message/waitable.h"

extern const struct broodi_waitable_row broodi_waitable_rows[BROODI_WAITABLES];

#endif
