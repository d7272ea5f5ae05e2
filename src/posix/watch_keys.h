// SPDX-License-Identifier: MIT
// Inside the POSIX port: which keys a watch reports for which descriptor. The system has one
// registration per descriptor, while a watch may have several keys for one.
#ifndef POSIX_WATCH_KEYS_H
#define POSIX_WATCH_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// A key; the keys of one descriptor form a ring by `next`, unused ones a list.
struct watch_key {
    uint64_t key;
    uint32_t next;
};

// By descriptor number.
struct watch_descriptor {
    uint32_t last; // the key that was reported last; WATCH_NO_KEY: the descriptor is not watched
    bool shared;   // has, or had, several keys
    bool always;   // always ready: the system cannot wait for it
};

#define WATCH_NO_KEY UINT32_MAX

// All zero: empty.
struct watch_keys {
    struct watch_key *keys;
    uint32_t room;  // of `keys`
    uint32_t spare; // first of the unused keys; valid if room > 0
    struct watch_descriptor *descriptors;
    size_t limit;      // of descriptor numbers
    size_t registered; // descriptors that have a key
    size_t shared;     // of these
    size_t always;     // of these
};

// Adds a key; `*out_first` says whether it is the first one of the descriptor. False if there is no
// memory: then nothing has changed.
bool broodi_watch_keys_add(struct watch_keys *keys, int descriptor, uint64_t key, bool *out_first);

// Removes a key; `*out_last` says whether it was the last one of the descriptor. False if there is
// no such key.
bool broodi_watch_keys_remove(struct watch_keys *keys, int descriptor, uint64_t key,
                              bool *out_last);

// Says that a descriptor that has a key is always ready, until it has no key.
void broodi_watch_keys_set_always(struct watch_keys *keys, int descriptor);

// Returns the first descriptor that is always ready, beginning at `from`; -1 if there is none.
int broodi_watch_keys_next_always(const struct watch_keys *keys, int from);

// Stores the keys of a descriptor, `capacity` at most, and returns their number. If not all fit,
// the next call begins with the others.
size_t broodi_watch_keys_report(struct watch_keys *keys, int descriptor, uint64_t *out,
                                size_t capacity);

void broodi_watch_keys_free(struct watch_keys *keys);

#endif
