// SPDX-License-Identifier: MIT
#include "message/waitable.h"

#include "arena/race.h"
#include "arena/watch.h"
#include "base/fail.h"
#include "base/invariant.h"

static const struct broodi_waitable_row *rows;

void broodi_waitables_prepare(const struct broodi_waitable_row passed[BROODI_WAITABLES])
{
    rows = passed;
}

brood_status broodi_waiting_open(struct broodi_waiting *waiting, brood_waitable waitable)
{
    broodi_assert(rows);
    *waiting = (struct broodi_waiting){ .waitable = waitable };
    if (waitable.kind <= BROODI_WAITABLE_NONE || waitable.kind >= BROODI_WAITABLES ||
        !rows[waitable.kind].open)
        return broodi_fail(BROOD_INVALID, "no waitable: kind %d", (int)waitable.kind);
    waiting->row = &rows[waitable.kind];
    return waiting->row->open(waiting);
}

bool broodi_waiting_check(const struct broodi_waiting *waiting, size_t count, bool thorough,
                          bool *ready)
{
    bool any = false;
    for (size_t i = 0; i < count; i++) {
        const bool is = waiting[i].row->is_ready(&waiting[i], thorough);
        if (is)
            broodi_race_acquire(waiting[i].object);
        if (ready)
            ready[i] = is;
        any |= is;
    }
    return any;
}

uint64_t broodi_waiting_mask(const struct broodi_waiting *waiting, size_t count)
{
    uint64_t mask = 0;
    for (size_t i = 0; i < count; i++)
        if (waiting[i].word)
            mask |= broodi_watch_bit(waiting[i].word);
    return mask;
}

void broodi_waiting_mark(const struct broodi_waiting *waiting, size_t count, uint32_t flag)
{
    for (size_t i = 0; i < count; i++)
        if (waiting[i].word)
            broodi_watch_mark(waiting[i].word, flag);
    broodi_watch_marked();
}
