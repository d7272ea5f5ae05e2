// SPDX-License-Identifier: MIT
// The ends of connections of which a child is a user from its start on: `connections` of its
// options.
#ifndef ENDS_H
#define ENDS_H

#include "message/users.h"

#include <brood/process.h>
#include <brood/status.h>
#include <stdint.h>

// What a start has entered; all zero before. The start owns `users`.
struct broodi_ends {
    struct broodi_user *users; // of the first `count` connections
    size_t count;
};

// Fails with BROOD_INVALID, BROOD_STALE, BROOD_NO_MEMORY.
brood_status broodi_ends_check(const brood_process_options *options);

// Enters the child in this slot, which is STARTING. What it has entered when it fails is undone by
// broodi_ends_undo. Fails with BROOD_STALE, BROOD_NO_MEMORY, BROOD_NO_RESOURCES.
brood_status broodi_ends_enter(struct broodi_ends *ends, const brood_process_options *options,
                               uint32_t slot);

// The start, or one of its attempts, has failed; the child has ended, and still has its slot.
void broodi_ends_undo(struct broodi_ends *ends, const brood_process_options *options);

#endif
