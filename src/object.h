// SPDX-License-Identifier: MIT
// What all shared objects have in common: a slot whose state word comes first, found by the handle, and found stale by it once the object is
// destroyed.
#ifndef OBJECT_H
#define OBJECT_H

#include "family.h"
#include "self.h"

#include <brood/status.h>
#include <stdbool.h>
#include <stdint.h>

// The slot that the handle names; NULL when it is none of this kind and family, and before brood_init.
static inline void *broodi_object_find(enum broodi_kind kind, uint64_t id)
{
    return broodi_here.initialized ? broodi_handle_slot(kind, id) : NULL;
}

// Why it is not found: BROOD_INVALID, BROOD_NOT_INITIALIZED.
brood_status broodi_object_missing(const char *what);

// The same without a sentence, for signal handlers: nothing of the thread's own may be touched for the first time there.
static inline brood_status broodi_object_missing_quietly(void)
{
    return broodi_here.initialized ? BROOD_INVALID : BROOD_NOT_INITIALIZED;
}

// As broodi_wake, and keeps errno, which is the interrupted code's in a signal handler.
void broodi_object_wake(broodi_word *word, uint32_t count);

// Says in the word, by `flag`, that somebody waits; then waits, as broodi_wait does, while it stays so. Both only if it is still `state`.
void broodi_object_wait(broodi_word *word, uint64_t id, uint64_t state, uint32_t flag, int64_t deadline);

// Ends the object in the slot if its state is exactly `state`, and wakes all who wait for it.
bool broodi_object_end(uint64_t id, broodi_word *word, uint64_t state);

// The same whatever its state: for kinds that can be destroyed at any time.
brood_status broodi_object_destroy(enum broodi_kind kind, uint64_t id, const char *what);

#endif
