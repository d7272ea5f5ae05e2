// SPDX-License-Identifier: MIT
// The kinds of slots: one row for each.
#ifndef KINDS_H
#define KINDS_H

#include "base/handle.h"

#include <stddef.h>
#include <stdint.h>

struct broodi_kind_row {
    const char *name;
    size_t first;  // where the first BROODI_FIRST slots lie in the window
    size_t stride; // bytes of a slot
    uint32_t capacity;
    uint32_t narrow; // the capacity in a window of less than a gibibyte
};

extern const struct broodi_kind_row broodi_kinds[BROODI_KINDS];

// Frees the slots of a kind that belonged to dead processes and threads and that no living process
// is responsible for.
typedef void (*broodi_sweep)(void);

// Sets the sweep of each kind; NULL for a kind without. Called by brood_init, before the arena is
// created or opened: the sweeps are implemented in layers above the arena.
void broodi_kinds_prepare(const broodi_sweep table[BROODI_KINDS]);

// Sweeps the slots of the kind.
void broodi_kind_sweep(enum broodi_kind kind);

#endif
