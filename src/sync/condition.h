// SPDX-License-Identifier: MIT
#ifndef CONDITION_H
#define CONDITION_H

#include <stdint.h>

// Ends, with BROOD_STALE, the waits of all threads that released this lock for a condition: the
// lock was destroyed.
void broodi_conditions_end_waits(uint64_t lock);

#endif
