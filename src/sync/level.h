// SPDX-License-Identifier: MIT
// For waits for any of several objects: by the state of an object, whether a wait for it would
// return at once. `id` is the handle; a destroyed object is ready.
#ifndef LEVEL_H
#define LEVEL_H

#include <stdbool.h>
#include <stdint.h>

// The event is set, or was set since its state was `first`.
bool broodi_event_is_ready(uint64_t id, uint64_t first, uint64_t state);

// The semaphore has a unit.
bool broodi_semaphore_is_ready(uint64_t id, uint64_t state);

#endif
