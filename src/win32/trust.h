// SPDX-License-Identifier: MIT
// Inside the Windows port: whether a fresh image believes its announcement.
//
// The announcement stands in the environment, which may be anybody's. The handles that it names
// came from this process's parent, which may have got them, and the environment, from somebody
// else: so a fresh image asks the system who its parent is, as whom that runs, and whose the shared
// memory is. The questions change nothing: the handles may be a stranger's, or the program's own.
#ifndef WIN32_TRUST_H
#define WIN32_TRUST_H

#include <stdbool.h>
#include <stdint.h>
#include <windows.h>

enum broodi_trust {
    BROODI_TRUST_STRANGER, // not announced by this process's parent: it is no child of the library
    BROODI_TRUST_ORPHAN,   // announced by its parent, which has ended since
    BROODI_TRUST_STARTER,  // announced by its parent, which runs as the same user with no fewer
                           // rights
};

// Whether the object has been made by this process's user.
bool broodi_trust_is_ours(HANDLE object);

// Of the process that says it has started this one.
enum broodi_trust broodi_trust_judge(uint64_t starter);

#endif
