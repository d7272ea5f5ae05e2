// SPDX-License-Identifier: MIT
// Inside the POSIX port: whether a fresh image accepts its announcement.
//
// The announcement is in the environment, which another user may have written: programs such as
// sudo execute another program as another user with the environment and the descriptors of their
// caller. So a fresh image asks the kernel which process made the announced channel, and which
// user owns the arena. The checks change nothing: the descriptors may be another user's, or the
// program's own.
#ifndef POSIX_TRUST_H
#define POSIX_TRUST_H

#include <stdbool.h>

enum broodi_trust {
    BROODI_TRUST_STRANGER, // not announced by this process's parent: it is no child of the library
    BROODI_TRUST_ORPHAN,   // announced by a process that has ended since
    BROODI_TRUST_PARENT,   // announced by its parent, which runs as the same user and group
};

enum broodi_trust broodi_trust_judge(int channel, int arena);

// Returns whether the maker of the channel has no pid in this process's namespace; then also a
// descriptor that becomes readable when the maker ends, or -1 if the system has none.
bool broodi_trust_is_unseen(int channel, int *out_descriptor);

// Called before a fresh image is executed, in the process that executes it, between vfork and
// exec; on macOS by the parent. Returns NULL if the image will accept its announcement; otherwise
// the reason, as a text for a message, and errno: of the system call that failed, or EPERM. An
// image that would not accept its announcement must not be executed, since it would begin as a
// main process. Async-signal-safe.
const char *broodi_trust_check(int channel, int arena);

#endif
