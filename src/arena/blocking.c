// SPDX-License-Identifier: MIT
#include "arena/blocking.h"

#include "arena/self.h"
#include "base/invariant.h"
#include "os/os_guard.h"

void broodi_block_on(enum broodi_waits kind, uint64_t number, broodi_word *word, uint64_t expected,
                     uint32_t holder, int64_t deadline)
{
    broodi_assert(!brood_os_guard_is_held());
    if (kind == BROODI_WAITS_NOT) {
        broodi_wait(word, expected, holder, deadline);
        return;
    }
    const uint64_t before = broodi_self_block(kind, number);
    broodi_wait(word, expected, holder, deadline);
    broodi_self_unblock(before);
}
