// SPDX-License-Identifier: MIT
// The sizes of the heap's cells, in units of BROODI_HEAP_UNIT: which class a size belongs to, or
// how many chunks its run has.
//
// Classes: cells of 1 to 8 units, then four sizes from each power of two to the next, so that
// beyond 8 units less than a fifth of a cell is unused. A cell of more than half a chunk is a run.
#ifndef CELL_H
#define CELL_H

#include "arena/header.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BROODI_CELL_UNITS = BROODI_HEAP_CHUNK / BROODI_HEAP_UNIT }; // in a chunk

static inline uint32_t broodi_cell_units_of(size_t size)
{
    return (uint32_t)((size + BROODI_HEAP_UNIT - 1) / BROODI_HEAP_UNIT);
}

static inline uint32_t broodi_cell_class_of(size_t size)
{
    const uint32_t units = broodi_cell_units_of(size);
    if (units <= 8)
        return units > 0 ? units - 1 : 0;
    uint32_t octave = 0;
    while (units - 1 >= UINT32_C(16) << octave)
        octave++;
    return 8 + 4 * octave + ((units - 1) >> (octave + 1)) - 4;
}

static inline uint32_t broodi_cell_units_in(uint32_t class)
{
    if (class < 8)
        return class + 1;
    const uint32_t octave = (class - 8) / 4;
    return (class % 4 + 5) << (octave + 1);
}

// The bytes of a cell of this class.
static inline uint32_t broodi_cell_size(uint32_t class)
{
    return broodi_cell_units_in(class) * BROODI_HEAP_UNIT;
}

// How many cells of this class a chunk has.
static inline uint32_t broodi_cell_count(uint32_t class)
{
    return BROODI_CELL_UNITS / broodi_cell_units_in(class);
}

static inline bool broodi_cell_is_run(size_t size)
{
    return broodi_cell_units_of(size) > BROODI_CELL_UNITS / 2;
}

static inline uint32_t broodi_cell_run_length(size_t size)
{
    return (uint32_t)((size + BROODI_HEAP_CHUNK - 1) / BROODI_HEAP_CHUNK);
}

#endif
