// SPDX-License-Identifier: MIT
// Allocating and freeing the slots of a table. A search from a cursor on takes the first slot that
// may be taken. A table in which the search would become long is swept, or grows by a step.
//
// A slot is taken by one compare-and-swap of its state word, which stores the next odd generation
// and the first low word. It is freed by another one, which adds 1 to the generation. Both are
// acq_rel: the taker's acquire pairs with the release of the thread that freed the slot, so what
// that thread and its predecessors loaded and stored in the slot precedes what the taker stores
// there.
//
// A free slot may be taken unless it is spent (allocator.c) or awaited: a slot is awaited while a
// living thread has yet to read there how its wait ended.
#ifndef ALLOCATOR_H
#define ALLOCATOR_H

#include "base/handle.h"

#include <brood/status.h>
#include <stdbool.h>
#include <stdint.h>

// Takes a slot, with `low` as its first low word. The other fields have the values that they had
// last. If the caller is killed before it has passed the slot on, the slot stays taken: who frees
// it then depends on the kind, see docs/design/slots.md. Fails with BROOD_NO_MEMORY,
// BROOD_NO_RESOURCES.
brood_status broodi_slot_allocate(enum broodi_kind kind, uint32_t low, uint32_t *out_index);

// Commits the slots up to `index`, for kinds whose slots are never taken: seats, which go with
// thread slots, and chunks. Fails with BROOD_NO_MEMORY, BROOD_NO_RESOURCES.
brood_status broodi_slot_commit(enum broodi_kind kind, uint32_t index);

// Takes the slot at `index`, which is never freed, unless it is taken: for kinds whose slots belong
// to the slots of another kind. Fails with BROOD_NO_MEMORY, BROOD_NO_RESOURCES.
brood_status broodi_slot_allocate_at(enum broodi_kind kind, uint32_t index);

// Frees a slot whose state is exactly `state`, and stores 0 as its low word; false when the state
// has changed. Wakes no waiters.
bool broodi_slot_free(enum broodi_kind kind, uint32_t index, uint64_t state);

// The same for kinds of struct broodi_awaited_slot: the free slot keeps the low word `kept`.
bool broodi_slot_free_keeping(enum broodi_kind kind, uint32_t index, uint64_t state, uint32_t kept);

// The handle of a slot that the caller has taken.
uint64_t broodi_handle_of(enum broodi_kind kind, uint32_t index);

// The handle of what had the slot when its state was `state`: for a scan, as the slot may be freed
// and taken again at any time.
uint64_t broodi_handle_then(enum broodi_kind kind, uint32_t index, uint64_t state);

#endif
