// SPDX-License-Identifier: MIT
#ifndef CONNECTION_H
#define CONNECTION_H

#include <stdint.h>

// The last user of an end, or another one, has gone: wakes all that wait for the connection. Takes
// no lock.
void broodi_connection_user_gone(uint64_t id, uint32_t number);

// Frees the connections whose creator or destroyer has died.
void broodi_connections_sweep(void);

#endif
