// SPDX-License-Identifier: MIT
// The kernel notes the process, the effective user and the effective group that make a socket pair, and tells them at either end.
#include "trust.h"

#include "descriptor.h"
#include "posix.h"

#include "os/os_process.h"

#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#if !defined(SO_PEERPIDFD) // since Linux 6.5
#define SO_PEERPIDFD 77
#endif
#if !defined(F_GET_SEALS)
#define F_GET_SEALS 1034
#endif

// A listener has a name, which each socket that connects to it or comes out of it has at one of its ends. Those of a pair have none.
static bool is_of_a_pair(int channel)
{
    struct sockaddr_un own = { .sun_family = AF_UNSPEC };
    struct sockaddr_un peer = { .sun_family = AF_UNSPEC };
    socklen_t own_size = sizeof own;
    socklen_t peer_size = sizeof peer;
    return getsockname(channel, (struct sockaddr *)&own, &own_size) == 0 &&
           getpeername(channel, (struct sockaddr *)&peer, &peer_size) == 0 && own.sun_family == AF_UNIX &&
           own_size == sizeof own.sun_family && peer_size == sizeof peer.sun_family;
}

// The maker's number is 0 when this process's namespace does not have it, as getppid() is.
static bool is_made_by_same_user(int channel, pid_t *out_maker)
{
    struct ucred maker;
    socklen_t size = sizeof maker;
    if (getsockopt(channel, SOL_SOCKET, SO_PEERCRED, &maker, &size) != 0 || size != sizeof maker)
        return false;
    *out_maker = maker.pid;
    return maker.uid == geteuid() && maker.gid == getegid();
}

// Memory without a name in any file system. Root's too: a program may have become another user since it made its arena, and nobody but root can
// give root a file.
static bool is_memory_of_same_user(int arena)
{
    struct stat facts;
    return fstat(arena, &facts) == 0 && S_ISREG(facts.st_mode) && facts.st_nlink == 0 &&
           (facts.st_uid == geteuid() || facts.st_uid == 0) && fcntl(arena, F_GET_SEALS) >= 0;
}

static bool is_ended(int pidfd)
{
    struct pollfd end = { .fd = pidfd, .events = POLLIN };
    const bool ended = poll(&end, 1, 0) > 0;
    close(pidfd);
    return ended;
}

// Whether the maker itself has ended, whoever has its number by now. Older kernels know the number only, as does this process when it is out of
// descriptors: a child must not begin as a main process because of that.
static bool has_maker_ended(int channel, pid_t maker)
{
    int pidfd = -1;
    socklen_t size = sizeof pidfd;
    if (!broodi_posix_fault(EMFILE) && getsockopt(channel, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &size) == 0)
        return is_ended(pidfd);
    if (errno == ESRCH || errno == EINVAL)
        return true;
    return maker > 0 && maker != getppid() && brood_os_process_birth(maker) == 0;
}

enum broodi_trust broodi_trust_judge(int channel, int arena)
{
    pid_t maker = 0;
    if (!is_of_a_pair(channel) || !is_made_by_same_user(channel, &maker) || !is_memory_of_same_user(arena))
        return BROODI_TRUST_STRANGER;
    const bool is_parent = maker == getppid();
    const bool has_ended = has_maker_ended(channel, maker);
    if (is_parent && !has_ended)
        return BROODI_TRUST_STARTER;
    // A parent lives: who had its number before is not the starter. Two that the namespace does not have may be the same.
    const bool is_parents_number = is_parent && maker != 0;
    return has_ended && !is_parents_number ? BROODI_TRUST_ORPHAN : BROODI_TRUST_STRANGER;
}

bool broodi_trust_is_unseen(int channel, int *out_descriptor)
{
    struct ucred maker = { .pid = -1 };
    socklen_t size = sizeof maker;
    *out_descriptor = -1;
    if (getsockopt(channel, SOL_SOCKET, SO_PEERCRED, &maker, &size) != 0 || maker.pid != 0)
        return false;
    int pidfd = -1;
    size = sizeof pidfd;
    broodi_descriptors_lock();
    if (!broodi_posix_fault(EMFILE) && getsockopt(channel, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &size) == 0)
        *out_descriptor = broodi_descriptor_note(broodi_descriptor_up(pidfd));
    broodi_descriptors_unlock();
    return true;
}

// What the system executes with another real user or group counts as one with raised privileges.
bool broodi_trust_foresee(int channel, int arena)
{
    pid_t maker = 0;
    return getuid() == geteuid() && getgid() == getegid() && is_of_a_pair(channel) &&
           is_made_by_same_user(channel, &maker) && is_memory_of_same_user(arena) && maker == getppid();
}
