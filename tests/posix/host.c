// SPDX-License-Identifier: MIT
#include "host.h"

#include <netdb.h>
#include <stddef.h>
#include <sys/socket.h>

bool host_is_known(const char *name)
{
    struct addrinfo *found = NULL;
    if (getaddrinfo(name, NULL, NULL, &found) != 0)
        return false;
    freeaddrinfo(found);
    return true;
}
