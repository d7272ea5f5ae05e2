// SPDX-License-Identifier: MIT
// Messages whose bytes tell which message they are of, and where in it.
#ifndef FILLED_H
#define FILLED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline unsigned char byte_of(uint64_t message, size_t at)
{
    return (unsigned char)(message * 31 + at * 7 + (at >> 8) + (at >> 16));
}

static inline void fill(unsigned char *data, size_t size, uint64_t message)
{
    for (size_t at = 0; at < size; at++)
        data[at] = byte_of(message, at);
}

static inline bool is_filled(const unsigned char *data, size_t size, uint64_t message)
{
    for (size_t at = 0; at < size; at++)
        if (data[at] != byte_of(message, at))
            return false;
    return true;
}

#endif
