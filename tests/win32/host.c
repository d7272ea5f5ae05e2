// SPDX-License-Identifier: MIT
#include "host.h"

#include <stddef.h>
#include <winsock2.h>
#include <ws2tcpip.h>

bool host_is_known(const char *name)
{
    WSADATA facts;
    struct addrinfo *found = NULL;
    if (WSAStartup(MAKEWORD(2, 2), &facts) != 0)
        return false;
    const bool known = getaddrinfo(name, NULL, NULL, &found) == 0;
    if (known)
        freeaddrinfo(found);
    (void)WSACleanup();
    return known;
}
