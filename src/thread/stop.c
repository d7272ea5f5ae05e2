// SPDX-License-Identifier: MIT
#include "thread/stop.h"

#include "arena/blocking.h"
#include "arena/family.h"
#include "arena/race.h"
#include "arena/self.h"
#include "base/deadline.h"
#include "base/fail.h"

#include <brood/stop.h>

enum { ASKED = 1, ONE_MORE = 2 };

static broodi_word *word_of(uint32_t process)
{
    return &((struct broodi_process_slot *)broodi_slot(BROODI_PROCESS, process))->stop;
}

broodi_word *broodi_stop_word(void)
{
    const uint32_t process = broodi_self_process();
    return process == BROODI_NONE ? NULL : word_of(process);
}

void broodi_stop_request(uint32_t process)
{
    atomic_fetch_or_explicit(&word_of(process)->state, ASKED, memory_order_seq_cst);
    broodi_changed(BROODI_PROCESS, word_of(process), BROODI_ALL);
}

void broodi_stop_notify_threads(void)
{
    broodi_word *word = broodi_stop_word();
    if (!word)
        return;
    atomic_fetch_add_explicit(&word->state, ONE_MORE, memory_order_seq_cst);
    broodi_changed(BROODI_PROCESS, word, BROODI_ALL);
}

bool broodi_stop_is_requested(uint64_t state)
{
    return state & ASKED;
}

static bool thread_is_asked(atomic_bool *flag)
{
    const bool asked = atomic_load_explicit(flag, memory_order_acquire);
    broodi_race_acquire(flag);
    return asked;
}

static bool is_asked(uint64_t state)
{
    const struct broodi_self *self = broodi_self_known();
    return broodi_stop_is_requested(state) || (self && self->asked && thread_is_asked(self->asked));
}

bool brood_stop_requested(void)
{
    const uint32_t process = broodi_here_process();
    if (!broodi_here.initialized)
        return false;
    return is_asked(process == BROODI_NONE
                        ? 0
                        : atomic_load_explicit(&word_of(process)->state, memory_order_acquire));
}

static brood_status wait_for_request_to(uint32_t process, int64_t deadline)
{
    for (;;) {
        const uint64_t state = atomic_load_explicit(&word_of(process)->state, memory_order_seq_cst);
        if (is_asked(state))
            return BROOD_OK;
        if (brood_clock() >= deadline)
            return BROOD_TIMEOUT;
        broodi_block_on(BROODI_WAITS_STOP, 0, word_of(process), state, BROODI_NONE, deadline);
    }
}

static brood_status wait_for_request(int64_t deadline)
{
    const uint32_t process = broodi_self_process();
    if (process == BROODI_NONE)
        return BROOD_NO_RESOURCES;
    const brood_status status = wait_for_request_to(process, deadline);
    broodi_block_end(BROODI_WAITS_STOP, 0);
    return status;
}

brood_status brood_stop_wait(brood_duration timeout)
{
    const brood_status status = broodi_ready();
    return broodi_answer("brood_stop_wait",
                         status == BROOD_OK ? wait_for_request(broodi_deadline(timeout)) : status);
}
