// SPDX-License-Identifier: MIT
// The names of hosts. In a header of its own, so that only who asks has the libraries loaded that
// this takes.
#ifndef HOST_H
#define HOST_H

#include <stdbool.h>

// Whether the system knows addresses for the name.
bool host_is_known(const char *name);

#endif
