// SPDX-License-Identifier: MIT
#include "descriptor.h"

#include "posix.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#if defined(SOCK_CLOEXEC)
static bool make_pair(int type, int ends[2])
{
    return socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) == 0;
}
#else
// A process that another thread forks and executes in between has the two as well. An end that nobody listens to at the other one is no
// reason for a signal; and that a call is not to block is said here, since not every such system hears it from a send.
static bool make_pair(int type, int ends[2])
{
    const int yes = 1;
    if (socketpair(AF_UNIX, type, 0, ends) != 0)
        return false;
    for (int i = 0; i < 2; i++) {
        (void)fcntl(ends[i], F_SETFD, FD_CLOEXEC);
        (void)fcntl(ends[i], F_SETFL, O_NONBLOCK);
        (void)setsockopt(ends[i], SOL_SOCKET, SO_NOSIGPIPE, &yes, sizeof yes);
    }
    return true;
}
#endif

int broodi_descriptor_up(int descriptor)
{
    if (descriptor < 0 || descriptor > STDERR_FILENO)
        return descriptor;
    const int moved = broodi_posix_fault(EMFILE) ? -1 : fcntl(descriptor, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    const int error = errno;
    close(descriptor);
    errno = error;
    return moved;
}

bool broodi_descriptor_pair(int type, int ends[2])
{
    if (broodi_posix_fault(EMFILE) || !make_pair(type, ends))
        return false;
    ends[0] = broodi_descriptor_up(ends[0]);
    ends[1] = broodi_descriptor_up(ends[1]);
    if (ends[0] >= 0 && ends[1] >= 0)
        return true;
    const int error = errno;
    if (ends[0] >= 0)
        close(ends[0]);
    if (ends[1] >= 0)
        close(ends[1]);
    errno = error;
    return false;
}
