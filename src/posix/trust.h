// SPDX-License-Identifier: MIT
// Inside the POSIX port: whether a fresh image believes its announcement.
//
// The announcement stands in the environment, which may be anybody's: programs such as sudo execute
// another program as another user with the environment and the descriptors of their caller. So a
// fresh image asks the kernel who made the channel that was announced, and whose memory the arena
// is. The questions change nothing: the descriptors may be a stranger's, or the program's own.
#ifndef POSIX_TRUST_H
#define POSIX_TRUST_H

#include <stdbool.h>

enum broodi_trust {
    BROODI_TRUST_STRANGER, // not announced by this process's parent: it is no child of the library
    BROODI_TRUST_ORPHAN,   // announced by a process that has ended since
    BROODI_TRUST_STARTER,  // announced by its parent, which runs as the same user and group
};

enum broodi_trust broodi_trust_judge(int channel, int arena);

// Whether the maker of the channel has no number in this process's namespace; then also a
// descriptor that becomes readable at its end, or -1 where the system has none.
bool broodi_trust_is_unseen(int channel, int *out_descriptor);

// Before a fresh image is executed: NULL when it will believe its announcement. Otherwise why not,
// as a text for a message, and errno: of the system call that was refused, or EPERM. One that would
// not believe must not be executed, since it would begin as a main process. Asked in the process
// that executes it, between vfork and exec, or by the starter on macOS. Async-signal-safe.
const char *broodi_trust_foresee(int channel, int arena);

#endif
