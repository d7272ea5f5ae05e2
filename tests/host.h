// SPDX-License-Identifier: MIT
// Host names. In a header of its own, so that only programs that include it load the libraries
// that this needs.
#ifndef HOST_H
#define HOST_H

#include <stdbool.h>

// Whether the system knows addresses for the name.
bool host_is_known(const char *name);

#endif
