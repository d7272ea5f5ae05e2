// SPDX-License-Identifier: MIT
// Inside the Windows port: whether a fresh image trusts its announcement.
//
// The announcement is in the environment, which any program may have set. The handles that it
// names were inherited from this process's parent, which may itself have inherited them, and the
// environment, from another process. So a fresh image asks the system which process is its
// parent, which user the parent runs as, and who owns the shared memory. The queries change
// nothing, because the handles may be a stranger's or the program's own.
#ifndef WIN32_TRUST_H
#define WIN32_TRUST_H

#include <stdbool.h>
#include <stdint.h>
#include <windows.h>

enum broodi_trust {
    BROODI_TRUST_STRANGER, // not announced by this process's parent: no child of the library
    BROODI_TRUST_ORPHAN,   // announced by its parent, which has ended
    BROODI_TRUST_PARENT,   // announced by its parent, which runs as the same user with no fewer
                           // rights
};

// Whether this process's user owns the object.
bool broodi_trust_is_ours(HANDLE object);

// Judges the process that the announcement names as the parent of this one.
enum broodi_trust broodi_trust_judge(uint64_t announcer);

#endif
