// SPDX-License-Identifier: MIT
// Texts in shared slots, stored as words. A thread that reads a text while another process writes
// it sees old words and new ones, each whole. A leaf.
#ifndef LABEL_H
#define LABEL_H

#include "base/atomic.h"
#include "base/invariant.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

// The n-th eight bytes of a text, padded with zeros after its end.
static inline uint64_t broodi_label_word(const char *text, size_t length, size_t n)
{
    uint64_t word = 0;
    const size_t at = n * sizeof word;
    if (at < length)
        memcpy(&word, text + at, length - at < sizeof word ? length - at : sizeof word);
    return word;
}

// Stores with release: a thread that reads any of the text sees what was written to the slot
// before.
static inline void broodi_label_write(_Atomic uint64_t *words, size_t count, const char *text,
                                      size_t length)
{
    broodi_assert(length <= count * sizeof *words);
    for (size_t i = 0; i < count; i++)
        atomic_store_explicit(&words[i], broodi_label_word(text, length, i), memory_order_release);
}

// Stores a name; one that is too long is truncated between two characters.
static inline void broodi_label_fit(_Atomic uint64_t *words, size_t count, const char *name)
{
    size_t length = strlen(name);
    if (length > count * sizeof *words) {
        length = count * sizeof *words;
        // Not within a character of UTF-8.
        while (length > 0 && ((unsigned char)name[length] & 0xC0) == 0x80)
            length--;
    }
    broodi_label_write(words, count, name, length);
}

// Acquires each word, so what the caller loads next is no older than the text. Writes `count`
// words and a terminating zero.
static inline void broodi_label_read(const _Atomic uint64_t *words, size_t count, char *out)
{
    for (size_t i = 0; i < count; i++) {
        const uint64_t word = atomic_load_explicit(&words[i], memory_order_acquire);
        memcpy(out + i * sizeof word, &word, sizeof word);
    }
    out[count * sizeof(uint64_t)] = 0;
}

#endif
