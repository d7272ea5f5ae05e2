// SPDX-License-Identifier: MIT
#ifndef CONNECTION_H
#define CONNECTION_H

#include "message/users.h"

#include <brood/connection.h>
#include <stdint.h>

// The last user of an end, or another one, has gone: wakes all that wait for the connection. Takes
// no lock.
void broodi_connection_user_gone(uint64_t id, uint32_t number);

// Enters a child, which has not begun, as a user of an end; the caller starts it. Fails with
// BROOD_INVALID, BROOD_STALE, BROOD_NO_MEMORY, BROOD_NO_RESOURCES.
brood_status broodi_connection_enter_for(brood_connection connection, broodi_owner child,
                                         struct broodi_user *out);

// Undoes that: the start failed.
void broodi_connection_undo(brood_connection connection, const struct broodi_user *user);

// Whether the handle is an end of a connection. Fails with BROOD_INVALID, BROOD_STALE,
// BROOD_NO_MEMORY.
brood_status broodi_connection_check(brood_connection connection);

// Frees the connections whose creator or destroyer has died.
void broodi_connections_sweep(void);

#endif
