// SPDX-License-Identifier: MIT
// Inside the Windows port: the events of watches that this process has rung, which it keeps open.
#ifndef WIN32_RING_H
#define WIN32_RING_H

#include <stdint.h>

// Closes the event of a watch that ends, if this process has rung it. In other processes it is
// closed when another watch's event takes its place.
void broodi_ring_forget(uint64_t number);

#endif
