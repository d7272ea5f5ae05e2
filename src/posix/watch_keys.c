// SPDX-License-Identifier: MIT
#include "posix/watch_keys.h"

#include "base/fault.h"

#include <stdlib.h>

static bool grow_keys(struct watch_keys *keys)
{
    if (keys->room > 0 && keys->spare != WATCH_NO_KEY)
        return true;
    const uint32_t room = keys->room ? keys->room * 2 : 8;
    struct watch_key *grown =
        broodi_fault() || room < keys->room ? NULL : realloc(keys->keys, room * sizeof *grown);
    if (!grown)
        return false;
    for (uint32_t i = keys->room; i < room; i++)
        grown[i].next = i + 1 < room ? i + 1 : WATCH_NO_KEY;
    keys->keys = grown;
    keys->spare = keys->room;
    keys->room = room;
    return true;
}

static bool grow_descriptors(struct watch_keys *keys, size_t descriptor)
{
    if (descriptor < keys->limit)
        return true;
    const size_t limit = descriptor * 2 + 1;
    struct watch_descriptor *grown =
        broodi_fault() ? NULL : realloc(keys->descriptors, limit * sizeof *grown);
    if (!grown)
        return false;
    for (size_t i = keys->limit; i < limit; i++)
        grown[i] = (struct watch_descriptor){ .last = WATCH_NO_KEY };
    keys->descriptors = grown;
    keys->limit = limit;
    return true;
}

// NULL if the descriptor has no key.
static struct watch_descriptor *find(const struct watch_keys *keys, int descriptor)
{
    if (descriptor < 0 || (size_t)descriptor >= keys->limit)
        return NULL;
    struct watch_descriptor *found = &keys->descriptors[descriptor];
    return found->last != WATCH_NO_KEY ? found : NULL;
}

bool broodi_watch_keys_add(struct watch_keys *keys, int descriptor, uint64_t key, bool *out_first)
{
    if (!grow_keys(keys) || !grow_descriptors(keys, (size_t)descriptor))
        return false;
    struct watch_descriptor *to = &keys->descriptors[descriptor];
    const uint32_t index = keys->spare;
    struct watch_key *added = &keys->keys[index];
    *out_first = to->last == WATCH_NO_KEY;
    keys->spare = added->next;
    added->key = key;
    added->next = *out_first ? index : keys->keys[to->last].next;
    if (*out_first)
        to->last = index;
    else
        keys->keys[to->last].next = index;
    keys->registered += *out_first;
    if (!*out_first && !to->shared) {
        to->shared = true;
        keys->shared++;
    }
    return true;
}

static void drop_descriptor(struct watch_keys *keys, struct watch_descriptor *descriptor)
{
    keys->registered--;
    keys->shared -= descriptor->shared;
    keys->always -= descriptor->always;
    *descriptor = (struct watch_descriptor){ .last = WATCH_NO_KEY };
}

// Returns the key in front of the one to be removed; WATCH_NO_KEY if there is none.
static uint32_t find_before(const struct watch_keys *keys, uint32_t last, uint64_t key)
{
    uint32_t before = last;
    do {
        if (keys->keys[keys->keys[before].next].key == key)
            return before;
        before = keys->keys[before].next;
    } while (before != last);
    return WATCH_NO_KEY;
}

bool broodi_watch_keys_remove(struct watch_keys *keys, int descriptor, uint64_t key, bool *out_last)
{
    struct watch_descriptor *from = find(keys, descriptor);
    const uint32_t before = from ? find_before(keys, from->last, key) : WATCH_NO_KEY;
    if (before == WATCH_NO_KEY)
        return false;
    const uint32_t index = keys->keys[before].next;
    *out_last = index == before;
    keys->keys[before].next = keys->keys[index].next;
    if (*out_last)
        drop_descriptor(keys, from);
    else if (from->last == index)
        from->last = before;
    keys->keys[index].next = keys->spare;
    keys->spare = index;
    return true;
}

void broodi_watch_keys_set_always(struct watch_keys *keys, int descriptor)
{
    struct watch_descriptor *of = find(keys, descriptor);
    if (!of || of->always)
        return;
    of->always = true;
    keys->always++;
}

int broodi_watch_keys_next_always(const struct watch_keys *keys, int from)
{
    for (size_t i = (size_t)from; keys->always > 0 && i < keys->limit; i++)
        if (keys->descriptors[i].always)
            return (int)i;
    return -1;
}

size_t broodi_watch_keys_report(struct watch_keys *keys, int descriptor, uint64_t *out,
                                size_t capacity)
{
    struct watch_descriptor *of = find(keys, descriptor);
    if (!of || capacity == 0)
        return 0;
    const uint32_t end = of->last;
    size_t count = 0;
    do {
        of->last = keys->keys[of->last].next;
        out[count++] = keys->keys[of->last].key;
    } while (count < capacity && of->last != end);
    return count;
}

void broodi_watch_keys_free(struct watch_keys *keys)
{
    free(keys->keys);
    free(keys->descriptors);
    *keys = (struct watch_keys){ .room = 0 };
}
