// SPDX-License-Identifier: MIT
#include "posix/linux/bell.h"

#include "posix/channel.h"
#include "posix/descriptor.h"
#include "posix/posix.h"

#include "os/os_error.h"

#include <fcntl.h>
#include <stdbool.h>
#include <sys/eventfd.h>
#include <unistd.h>

// Used inside glibc, for setuid(), and inside musl, for pthread_cancel(): both refuse it to
// programs.
enum { MARK = 33 };

static int bell = -1;

static bool is_bell(int descriptor)
{
    return descriptor >= 0 && fcntl(descriptor, F_GETSIG) == MARK;
}

int broodi_bell(void)
{
    return is_bell(bell) ? bell : -1;
}

brood_status broodi_bell_create(void)
{
    if (is_bell(bell))
        return BROOD_OK;
    const int made = broodi_descriptor_up(
        broodi_posix_fault(EMFILE) ? -1 : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (made < 0)
        return brood_os_error("eventfd", errno);
    if (fcntl(made, F_SETSIG, MARK) == 0)
        bell = made;
    else
        close(made);
    return BROOD_OK;
}

void broodi_bell_inherit(void)
{
    if (is_bell(CHANNEL_BELL) && fcntl(CHANNEL_BELL, F_SETFD, FD_CLOEXEC) == 0)
        bell = CHANNEL_BELL;
}
