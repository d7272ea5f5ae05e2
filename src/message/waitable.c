// SPDX-License-Identifier: MIT
#include "message/waitable.h"

#include "arena/log.h"
#include "arena/race.h"
#include "arena/watch.h"
#include "base/fail.h"
#include "base/invariant.h"
#include "os/os_clock.h"

// ns: a wait that ended by the limit of a second between two thorough checks
enum { LONG_WAIT = 990000000 };

static const struct broodi_waitable_row *rows;

void broodi_waitables_prepare(const struct broodi_waitable_row passed[BROODI_WAITABLES])
{
    rows = passed;
}

brood_status broodi_waiting_open(struct broodi_waiting *waiting, brood_waitable waitable)
{
    broodi_assert(rows);
    *waiting = (struct broodi_waiting){ .waitable = waitable, .native = -1 };
    if (waitable.kind <= BROODI_WAITABLE_NONE || waitable.kind >= BROODI_WAITABLES ||
        !rows[waitable.kind].open)
        return broodi_fail(BROOD_INVALID, "no waitable: kind %d", (int)waitable.kind);
    if (waitable.reserved != 0)
        return broodi_fail(BROOD_INVALID, "reserved is not zero");
    const brood_status status = rows[waitable.kind].open(waiting);
    if (status == BROOD_OK)
        waiting->row = &rows[waitable.kind];
    return status;
}

void broodi_waiting_close(struct broodi_waiting *waiting)
{
    if (waiting->row && waiting->row->close)
        waiting->row->close(waiting);
    waiting->row = NULL;
}

static bool is_ready(const struct broodi_waiting *waiting, enum broodi_care care)
{
    if (!waiting->row || !waiting->row->is_ready(waiting, care))
        return false;
    if (waiting->object)
        broodi_race_acquire(waiting->object);
    return true;
}

bool broodi_waiting_check(const struct broodi_waiting *waiting, size_t count, enum broodi_care care,
                          bool *ready)
{
    bool any = false;
    for (size_t i = 0; i < count; i++) {
        const bool is = is_ready(&waiting[i], care);
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
        if (waiting[i].row && waiting[i].word)
            mask |= broodi_watch_bit(waiting[i].word);
    return mask;
}

void broodi_waiting_mark(const struct broodi_waiting *waiting, size_t count, uint32_t flag)
{
    for (size_t i = 0; i < count; i++)
        if (waiting[i].row && waiting[i].word)
            broodi_watch_mark(waiting[i].word, flag);
    broodi_watch_marked();
}

size_t broodi_waiting_natives(const struct broodi_waiting *waiting, size_t count)
{
    size_t natives = 0;
    for (size_t i = 0; i < count; i++)
        natives += waiting[i].row && waiting[i].native != -1;
    return natives;
}

bool broodi_waiting_is_polled(const struct broodi_waiting *waiting, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (waiting[i].row && waiting[i].polled)
            return true;
    return false;
}

bool broodi_waiting_is_long(int64_t since)
{
    return broodi_log_wants(BROOD_LOG_DEBUG) && brood_os_clock() - since >= LONG_WAIT;
}

void broodi_waiting_log(size_t count, int64_t *since)
{
    broodi_log_wait(BROODI_WAITS_ANY, count);
    *since = INT64_MAX;
}
