// SPDX-License-Identifier: MIT
#include "object.h"

#include "fail.h"
#include "step.h"
#include "wait.h"

#include <errno.h>

brood_status broodi_object_missing(const char *what)
{
    const brood_status status = broodi_ready();
    return status == BROOD_OK ? broodi_fail(BROOD_INVALID, "no %s of this family", what) : status;
}

void broodi_object_wake(broodi_word *word, uint32_t count)
{
    const int error = errno;
    broodi_wake(word, count);
    errno = error;
}

void broodi_object_wait(broodi_word *word, uint64_t id, uint64_t state, uint32_t flag, int64_t deadline)
{
    const uint32_t low = broodi_low(state) | flag;
    if (low != broodi_low(state) && !broodi_word_swap(word, state, low))
        return;
    broodi_step(BROODI_STEP_OBJECT_ANNOUNCED);
    broodi_self_waits(BROODI_WAITS_OBJECT, id);
    broodi_wait(word, broodi_state(broodi_generation(state), low), BROODI_NONE, deadline);
    broodi_step(BROODI_STEP_OBJECT_WAITED);
    broodi_self_waits(BROODI_WAITS_NOT, 0);
}

bool broodi_object_end(uint64_t id, broodi_word *word, uint64_t state)
{
    const struct broodi_handle handle = broodi_handle_unpack(id);
    if (!broodi_slot_give((enum broodi_kind)handle.kind, handle.slot, state))
        return false;
    broodi_step(BROODI_STEP_OBJECT_ENDED);
    broodi_wake(word, BROODI_ALL);
    return true;
}

brood_status broodi_object_destroy(enum broodi_kind kind, uint64_t id, const char *what)
{
    broodi_word *word = broodi_object_find(kind, id);
    if (!word)
        return broodi_object_missing(what);
    for (;;) {
        const uint64_t state = broodi_word_look(word);
        if (!broodi_handle_is_current(id, state))
            return BROOD_STALE;
        if (broodi_object_end(id, word, state))
            return BROOD_OK;
    }
}
