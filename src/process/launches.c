// SPDX-License-Identifier: MIT
#include "process/launches.h"

#include "arena/blocking.h"
#include "base/deadline.h"
#include "base/invariant.h"

#include <brood/brood.h>

enum { CLOSED = 1, ONE = 2 };

brood_duration broodi_launches_patience = BROOD_SECONDS(1);

// CLOSED, and the number of launches under way times ONE. Closing and counting change the same
// word: so once it is CLOSED the number only falls.
static broodi_word launches;

bool broodi_launches_enter(void)
{
    uint64_t state = broodi_word_load(&launches);
    while (!(state & CLOSED))
        if (atomic_compare_exchange_weak_explicit(&launches.state, &state, state + ONE,
                                                  memory_order_acq_rel, memory_order_acquire))
            return true;
    return false;
}

void broodi_launches_leave(void)
{
    const uint64_t before = atomic_fetch_sub_explicit(&launches.state, ONE, memory_order_seq_cst);
    broodi_assert(before >= ONE);
    if (before & CLOSED)
        broodi_changed(BROODI_PRIVATE, &launches, BROODI_ALL);
}

// Without any launch: do not read the clock, which costs most children a page fault.
void broodi_launches_close(int64_t deadline)
{
    uint64_t state =
        atomic_fetch_or_explicit(&launches.state, CLOSED, memory_order_acq_rel) | CLOSED;
    if (state == CLOSED)
        return;
    const int64_t patience = broodi_deadline(broodi_launches_patience);
    const int64_t until = patience < deadline ? patience : deadline;
    for (; state != CLOSED && brood_clock() < until; state = broodi_word_load(&launches))
        broodi_block_on(BROODI_WAITS_NOT, 0, &launches, state, BROODI_NONE, until);
}

void broodi_launches_forget(void)
{
    atomic_store_explicit(&launches.state, 0, memory_order_relaxed);
}
