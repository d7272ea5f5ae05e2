// SPDX-License-Identifier: MIT
// Allocating the slots of a table: a search from a cursor on, whose first free slot is taken by one
// compare-and-swap. A table in which the search would become long is swept, or grows by a step.
#ifndef ALLOCATOR_H
#define ALLOCATOR_H

#include "base/handle.h"

#include <brood/status.h>
#include <stdbool.h>
#include <stdint.h>

// Takes a free slot, by one compare-and-swap that also stores `low` in the state word. Fails with
// BROOD_NO_MEMORY, BROOD_NO_RESOURCES.
brood_status broodi_slot_allocate(enum broodi_kind kind, uint32_t low, uint32_t *out_index);

// Commits the slot at `index`, for kinds whose slots are not taken but go with a slot of another
// kind. Fails with BROOD_NO_MEMORY, BROOD_NO_RESOURCES.
brood_status broodi_slot_commit(enum broodi_kind kind, uint32_t index);

// Frees a slot whose state is exactly `state`; false when it has changed. Wakes no waiters.
bool broodi_slot_free(enum broodi_kind kind, uint32_t index, uint64_t state);

// The same for kinds of struct broodi_awaited_slot: the free slot keeps the low word `kept`.
bool broodi_slot_free_keeping(enum broodi_kind kind, uint32_t index, uint64_t state, uint32_t kept);

// The handle of a taken slot.
uint64_t broodi_handle_of(enum broodi_kind kind, uint32_t index);

#endif
