// SPDX-License-Identifier: MIT
#include "descriptor.h"

#include "posix.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

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
    if (broodi_posix_fault(EMFILE) || socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) != 0)
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

int broodi_descriptor_of_process(int64_t pid)
{
    enum { PIDFD_OPEN = 434 };
    return broodi_posix_fault(EMFILE) ? -1 : broodi_descriptor_up((int)syscall(PIDFD_OPEN, (pid_t)pid, 0));
}
